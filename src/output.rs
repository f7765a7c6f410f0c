//! What commands print: text for people or JSON for programs, on standard output.

use std::io::{self, IsTerminal, Write};

use evergrant_contract::Timestamp;
use serde::Serialize;

/// Where data goes, and in which form.
pub struct Output<W = io::Stdout> {
    to: W,
    json: bool,
}

impl Output {
    /// Standard output.
    pub fn stdout(json: bool) -> Self {
        Self { to: io::stdout(), json }
    }
}

impl<W: Write> Output<W> {
    /// Another place than standard output.
    pub const fn to(to: W, json: bool) -> Self {
        Self { to, json }
    }

    /// Whether the form is JSON.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints data: as JSON, or as the text that `people` makes of it.
    pub fn data<T: Serialize>(&mut self, data: &T, people: impl FnOnce(&T) -> String) -> io::Result<()> {
        if self.json {
            serde_json::to_writer_pretty(&mut self.to, data)?;
            writeln!(self.to)?;
        } else {
            writeln!(self.to, "{}", people(data).trim_end_matches('\n'))?;
        }
        self.to.flush()
    }

    /// Prints one line for people; nothing in the form of JSON.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        if !self.json {
            writeln!(self.to, "{line}")?;
        }
        Ok(())
    }

    /// Prints one JSON object on one line, for streams; nothing in the form for people.
    pub fn json_line<T: Serialize>(&mut self, data: &T) -> io::Result<()> {
        if self.json {
            serde_json::to_writer(&mut self.to, data)?;
            writeln!(self.to)?;
            self.to.flush()?;
        }
        Ok(())
    }
}

/// Whether a person watches standard error: progress bars and colours are for them only.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether an error only means that nobody reads on, as in `evergrant connections list | head`.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let json = || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        io.or_else(json) == Some(io::ErrorKind::BrokenPipe)
    })
}

/// Rows under a header, in columns as wide as their widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { rows: vec![header.map(str::to_uppercase).to_vec()] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        // A control character in a name must not move the cursor of whoever lists it.
        self.rows.push(cells.map(|cell| cell.replace(char::is_control, "?")).to_vec());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width =
            |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|it| it.chars().count()).max();
        let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        for row in &self.rows {
            let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A time for people, to the second; `-` if there is none.
pub fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: bool) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        output.line("one row:").unwrap();
        output.data(&serde_json::json!({"id": 1}), |data| format!("id {}\n", data["id"])).unwrap();
        output.json_line(&serde_json::json!({"end": true})).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_nothing_but_json() {
        assert_eq!(printed(false), "one row:\nid 1\n");
        assert_eq!(printed(true), "{\n  \"id\": 1\n}\n{\"end\":true}\n");
    }

    #[test]
    fn columns_line_up_and_names_cannot_move_the_cursor() {
        let mut table = Table::new(["id", "state", "user"]);
        table.row(["1".into(), "needs_reauth".into(), "zoë\u{1b}[2J".into()]);
        table.row(["23".into(), "active".into(), String::new()]);
        assert_eq!(table.to_string(), "ID  STATE         USER\n1   needs_reauth  zoë?[2J\n23  active\n");
    }

    #[test]
    fn a_reader_that_leaves_is_no_failure() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::new(pipe()).context("printing")));
        assert!(is_broken_pipe(&anyhow::Error::new(serde_json::Error::io(pipe()))));
        assert!(!is_broken_pipe(&anyhow::anyhow!("broken pipe")));
    }

    #[test]
    fn times_are_utc_to_the_second() {
        assert_eq!(time("2026-11-23T12:00:00.999Z".parse().ok()), "2026-11-23 12:00:00Z");
        assert_eq!(time(None), "-");
    }
}

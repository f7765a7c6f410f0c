//! The rows of a CSV file.
//!
//! A quote that is never closed would swallow the rest of the file. So a row takes in further lines only while its quotes
//! are open, and if what comes of it does not fit the header, its first line alone is the bad row and reading goes on with
//! the second.

use std::collections::VecDeque;

use serde_json::Value;

use super::super::{ImportError, MAX_ROW};
use super::lines::{Line, Lines};
use super::{Fields, Input, Record};

/// Texts that mean "nothing", besides an empty one: what database clients write for NULL.
const NULLS: &[&str] = &["NULL", "\\N"];

pub(super) struct Table<'a> {
    lines: Lines<'a>,
    /// Lines that were taken in by a row and given back.
    back: VecDeque<Line>,
    separator: u8,
    columns: Vec<String>,
}

impl<'a> Table<'a> {
    pub(super) fn open(input: Input<'a>) -> Result<Self, ImportError> {
        let mut table = Self { lines: Lines::new(input), back: VecDeque::new(), separator: b',', columns: Vec::new() };
        let header = loop {
            match table.line()? {
                Some(Line { text: Ok(text), .. }) if text.trim_ascii().is_empty() => {}
                Some(Line { text: Ok(text), .. }) => break text,
                Some(Line { text: Err(_), .. }) => return Err(ImportError::Header),
                // An empty file has no rows, and nothing is wrong with that.
                None => return Ok(table),
            }
        };
        table.separator = [b'\t', b';', b','].into_iter().max_by_key(|it| count(&header, *it)).unwrap_or(b',');
        table.columns = split(&header, table.separator)
            .map(|names| names.iter().map(|name| name.trim().to_owned()).collect())
            .unwrap_or_default();
        let is_known = table.columns.iter().any(|name| matches!(name.as_str(), "user_id" | "auth_tokens"));
        if is_known { Ok(table) } else { Err(ImportError::Header) }
    }

    fn line(&mut self) -> Result<Option<Line>, ImportError> {
        self.back.pop_front().map_or_else(|| self.lines.next().transpose(), |line| Ok(Some(line)))
    }

    fn record(&mut self) -> Result<Option<Record>, ImportError> {
        loop {
            let Some(first) = self.line()? else { return Ok(None) };
            let text = match first.text {
                Ok(text) if text.trim_ascii().is_empty() => continue,
                Ok(text) => text,
                Err(reason) => return Ok(Some(Record { line: first.number, fields: Err(reason) })),
            };
            let fields = if has_open_quote(&text) { self.spanning(&text)? } else { self.fields(&text) };
            return Ok(Some(Record { line: first.number, fields }));
        }
    }

    /// A row whose first line leaves a quote open.
    fn spanning(&mut self, first: &[u8]) -> Result<Result<Fields, String>, ImportError> {
        let mut whole = first.to_vec();
        let mut taken = Vec::new();
        let mut is_open = true;
        while is_open && whole.len() <= MAX_ROW {
            let Some(line) = self.line()? else { break };
            if let Ok(text) = &line.text {
                whole.push(b'\n');
                whole.extend_from_slice(text);
                is_open ^= has_open_quote(text);
            }
            let is_unreadable = line.text.is_err();
            taken.push(line);
            if is_unreadable {
                break;
            }
        }
        if is_well_quoted(&whole, self.separator)
            && let Ok(fields) = self.fields(&whole)
        {
            return Ok(Ok(fields));
        }
        for line in taken.into_iter().rev() {
            self.back.push_front(line);
        }
        Ok(self.fields(first))
    }

    fn fields(&self, text: &[u8]) -> Result<Fields, String> {
        let cells = split(text, self.separator).ok_or("it is not UTF-8 text")?;
        if cells.len() != self.columns.len() {
            return Err(format!("it has {} fields and the header has {}", cells.len(), self.columns.len()));
        }
        let named = self.columns.iter().zip(cells.iter());
        let set = named.filter(|(_, cell)| !cell.is_empty() && !NULLS.contains(cell));
        Ok(set.map(|(name, cell)| (name.clone(), Value::from(cell))).collect())
    }
}

impl Iterator for Table<'_> {
    type Item = Result<Record, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.record().transpose()
    }
}

fn has_open_quote(text: &[u8]) -> bool {
    count(text, b'"') % 2 == 1
}

/// Whether quotes begin and end whole fields, and lines end inside of quotes only. Two stray quotes some rows apart look
/// like one long field otherwise, and a lenient parser would take it.
fn is_well_quoted(text: &[u8], separator: u8) -> bool {
    enum At {
        Start,
        Bare,
        Quoted,
        /// Behind a quote inside of quotes: the end of the field, or the first half of a quote that is meant.
        Quote,
    }
    let mut at = At::Start;
    for byte in text.strip_suffix(b"\r").unwrap_or(text) {
        at = match (at, *byte) {
            (At::Start | At::Bare, b'\n') | (At::Bare, b'"') => return false,
            (At::Quoted, b'"') => At::Quote,
            (At::Start | At::Quote, b'"') | (At::Quoted, _) => At::Quoted,
            (_, byte) if byte == separator => At::Start,
            (At::Start | At::Bare, _) => At::Bare,
            (At::Quote, _) => return false,
        };
    }
    !matches!(at, At::Quoted)
}

fn count(text: &[u8], byte: u8) -> usize {
    text.iter().map(|it| usize::from(*it == byte)).sum()
}

fn split(text: &[u8], separator: u8) -> Option<csv::StringRecord> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).delimiter(separator).buffer_capacity(text.len().max(64));
    let mut cells = csv::StringRecord::new();
    builder.from_reader(text).read_record(&mut cells).ok().map(|_| cells)
}

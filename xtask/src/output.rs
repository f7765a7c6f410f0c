//! The output of a test runner: all of it into a log, what matters onto the screen, the counts out of it.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::ops::AddAssign;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// How many tests did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// A runner that ended badly though no test failed: it did not compile, or crashed.
    broken: bool,
}

impl Tally {
    /// An error unless everything is well.
    pub(crate) fn verdict(&self) -> Result<()> {
        match self {
            Self { failed: 0, broken: false, .. } => Ok(()),
            Self { failed: 0, broken: true, .. } => bail!("{self}, but a test program did not run to its end"),
            _ => bail!("{self}"),
        }
    }

    /// Adds what a line reports: libtest's summary of one program, or nextest's of all.
    fn count(&mut self, line: &str) {
        let summary = line.strip_prefix("test result: ").or_else(|| line.trim_start().strip_prefix("Summary ["));
        for part in summary.into_iter().flat_map(|summary| summary.split([';', ',', ':', '.'])) {
            let words: Vec<&str> = part.split_whitespace().collect();
            let [number, word, ..] = words[..] else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" | "timed" => self.failed += number,
                "ignored" | "skipped" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 { write!(f, ", {} ignored", self.ignored) } else { Ok(()) }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.broken |= other.broken;
    }
}

/// Runs a test runner and counts. Failing tests are no error here: see [`Tally::verdict`].
pub(crate) fn tee(command: &mut Command, log: &Path) -> Result<Tally> {
    tee_onto((std::io::stdout(), std::io::stderr()), command, log)
}

fn tee_onto(screen: (impl Write, impl Write + Send), command: &mut Command, log: &Path) -> Result<Tally> {
    let (mut out, mut err) = screen;
    let shown = workspace::shown(command);
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let shared = Mutex::new((log, Tally::default()));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let errors = scope.spawn(|| stderr.map_or(Ok(()), |stderr| copy(stderr, &mut err, &shared)));
        let output = stdout.map_or(Ok(()), |stdout| copy(stdout, &mut out, &shared));
        output.and(errors.join().unwrap_or(Ok(())))
    })?;
    let status = child.wait()?;
    let (_, mut tally) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.broken = !status.success() && tally.failed == 0;
    Ok(tally)
}

/// Copies one stream line by line.
fn copy(from: impl Read, screen: &mut impl Write, shared: &Mutex<(File, Tally)>) -> Result<()> {
    let mut from = BufReader::new(from);
    let mut filter = Filter::default();
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        let plain = without_colours(&String::from_utf8_lossy(&line));
        let (log, tally) = &mut *shared.lock().unwrap_or_else(PoisonError::into_inner);
        log.write_all(plain.as_bytes()).context("cannot write the log of the tests")?;
        if filter.shows(plain.trim_end()) {
            tally.count(plain.trim_end());
            // A closed screen is no reason to stop the tests.
            let _ = screen.write_all(&line);
        }
        line.clear();
    }
    Ok(())
}

/// Hides what passing tests print, which libtest lists under `successes:`.
#[derive(Default)]
struct Filter {
    in_successes: bool,
}

impl Filter {
    fn shows(&mut self, line: &str) -> bool {
        if line == "successes:" {
            self.in_successes = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.in_successes = false;
        }
        !self.in_successes
    }
}

/// The text without the sequences by which terminals change colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.count(line);
        }
        tally
    }

    #[test]
    fn summaries_of_both_runners_are_counted() {
        let libtest = tally_of(&[
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.21s",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "the test result: ok. 100 passed",
        ]);
        assert_eq!(libtest, Tally { passed: 7, failed: 1, ignored: 1, broken: false });
        let nextest =
            tally_of(&["     Summary [   1.456s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 3 skipped"]);
        assert_eq!(nextest, Tally { passed: 6, failed: 3, ignored: 3, broken: false });
    }

    #[test]
    fn a_broken_runner_is_no_success() {
        let well = Tally { passed: 1, ..Tally::default() };
        assert!(well.verdict().is_ok());
        assert_eq!(well.to_string(), "1 passed, 0 failed");
        assert!(Tally { broken: true, ..well }.verdict().unwrap_err().to_string().contains("did not run"));
        assert_eq!(Tally { failed: 2, ..well }.verdict().unwrap_err().to_string(), "1 passed, 2 failed");
    }

    #[test]
    fn passing_output_is_hidden_and_failures_are_not() {
        let lines =
            ["test a ... ok", "successes:", "noise", "successes:", "    a", "failures:", "b", "test result: FAILED."];
        let mut filter = Filter::default();
        let shown: Vec<_> = lines.into_iter().filter(|line| filter.shows(line)).collect();
        assert_eq!(shown, ["test a ... ok", "failures:", "b", "test result: FAILED."]);
    }

    #[test]
    fn colours_go_and_text_stays() {
        assert_eq!(without_colours("\x1b[1;32mok\x1b[0m. 5\x1b[m passed"), "ok. 5 passed");
        assert_eq!(without_colours("plain"), "plain");
    }

    #[test]
    fn everything_is_logged_and_the_exit_code_counts() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = "echo out; echo 'test result: ok. 3 passed; 0 failed'; echo err >&2; exit 101";
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let tally = tee_onto((&mut out, &mut err), Command::new("sh").args(["-c", script]), &log).unwrap();
        assert!(out.starts_with(b"out\n") && err == b"err\n");
        assert_eq!(tally, Tally { passed: 3, failed: 0, ignored: 0, broken: true });
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("out\n") && log.contains("err\n"));
    }
}

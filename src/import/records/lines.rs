//! Lines of bounded length.

use std::io::{BufRead, Read};

use super::super::{ImportError, MAX_ROW};
use super::Input;

/// One line, or whatever stands on several.
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    /// Its bytes; or why they were not kept.
    pub(super) text: Result<Vec<u8>, String>,
}

/// What is said of a row that is too long.
pub(super) fn too_long() -> String {
    format!("it is longer than {MAX_ROW} bytes")
}

/// The lines of a file, without their ends.
pub(super) struct Lines<'a> {
    input: Input<'a>,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { input, number: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Line, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut text = Vec::new();
        let limit = u64::try_from(MAX_ROW).unwrap_or(u64::MAX) + 1;
        match self.input.by_ref().take(limit).read_until(b'\n', &mut text) {
            Ok(0) => return None,
            Ok(_) => self.number += 1,
            Err(error) => return Some(Err(error.into())),
        }
        if text.last() == Some(&b'\n') {
            text.pop();
        } else if text.len() > MAX_ROW {
            let skipped = self.input.skip_until(b'\n');
            let line = Line { number: self.number, text: Err(too_long()) };
            return Some(skipped.map(|_| line).map_err(ImportError::from));
        }
        Some(Ok(Line { number: self.number, text: Ok(text) }))
    }
}

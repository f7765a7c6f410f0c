//! The elements of a JSON array, one at a time and each on its own: a broken one does not take the others with it.

use super::super::{ImportError, MAX_ROW};
use super::Input;
use super::lines::{Line, too_long};

/// The elements of a JSON array as text. Whether an element is JSON is for others to find out.
pub(super) struct Elements<'a> {
    input: Input<'a>,
    place: Place,
    is_inside: bool,
}

/// Where the next byte stands.
#[derive(Clone, Copy)]
struct Place {
    line: u64,
    column: u64,
    /// Nothing but white space so far on this line.
    is_indent: bool,
}

impl Place {
    fn pass(&mut self, byte: u8) {
        if byte == b'\n' {
            *self = Self { line: self.line + 1, column: 0, is_indent: true };
        } else {
            self.column += 1;
            self.is_indent &= byte.is_ascii_whitespace();
        }
    }
}

/// How far an element has been read.
struct Scan {
    start: Place,
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    is_empty: bool,
}

enum Step {
    /// The byte belongs to the element.
    Take,
    /// It does, and the element is complete.
    TakeLast,
    /// It does not: the element ended before it.
    Leave,
}

impl Scan {
    fn step(&mut self, byte: u8, at: Place) -> Step {
        let is_first = std::mem::replace(&mut self.is_empty, false);
        if byte == b'\n' {
            // A string never spans lines: a quote is missing.
            (self.in_string, self.is_escaped) = (false, false);
            return Step::Take;
        }
        // A line that begins with an object exactly where this element began is the next element, and this one is broken.
        if !is_first && byte == b'{' && at.is_indent && at.column == self.start.column {
            return Step::Leave;
        }
        if self.in_string {
            self.in_string = byte != b'"' || self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            return Step::Take;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth == 1 => return Step::TakeLast,
            b'}' | b']' if self.depth > 1 => self.depth -= 1,
            b',' | b']' if self.depth == 0 => return Step::Leave,
            _ => {}
        }
        Step::Take
    }
}

impl<'a> Elements<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { input, place: Place { line: 1, column: 0, is_indent: true }, is_inside: false }
    }

    /// Passes what stands between elements. `false`: there are no more.
    fn reach_element(&mut self) -> Result<bool, ImportError> {
        loop {
            let Some(&byte) = self.input.fill_buf()?.first() else { return Ok(false) };
            match byte {
                b'[' if !self.is_inside => self.is_inside = true,
                // What follows the end is read too: two arrays in one file are more likely meant than not.
                b']' => self.is_inside = false,
                b',' => {}
                _ if byte.is_ascii_whitespace() => {}
                _ => return Ok(true),
            }
            self.place.pass(byte);
            self.input.consume(1);
        }
    }

    fn element(&mut self) -> Result<Line, ImportError> {
        let mut scan = Scan { start: self.place, depth: 0, in_string: false, is_escaped: false, is_empty: true };
        let mut text = Vec::new();
        let mut is_whole = true;
        loop {
            let chunk = self.input.fill_buf()?;
            let (mut taken, mut is_done) = (0, chunk.is_empty());
            for &byte in chunk {
                let step = scan.step(byte, self.place);
                is_done = !matches!(step, Step::Take);
                if !matches!(step, Step::Leave) {
                    self.place.pass(byte);
                    taken += 1;
                }
                if is_done {
                    break;
                }
            }
            is_whole &= text.len() + taken <= MAX_ROW;
            if is_whole {
                text.extend_from_slice(&chunk[..taken]);
            }
            self.input.consume(taken);
            if is_done {
                let text = if is_whole { Ok(text) } else { Err(too_long()) };
                return Ok(Line { number: scan.start.line, text });
            }
        }
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Line, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.reach_element().and_then(|more| if more { self.element().map(Some) } else { Ok(None) });
        next.transpose()
    }
}

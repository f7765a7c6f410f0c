//! Splits a file into records: one row each, as named fields.

mod array;
mod csv;
mod lines;

use std::io::BufRead;
use std::path::Path;

use serde_json::{Map, Value};

use super::ImportError;

/// The fields of one row.
pub(super) type Fields = Map<String, Value>;

/// What a file is read from.
type Input<'a> = Box<dyn BufRead + 'a>;

/// One row, not yet understood.
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) fields: Result<Fields, String>,
}

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// A JSON array of objects.
    Json,
    /// A header line and a line for each row, quoted where needed; separated by comma, semicolon or tab.
    Csv,
}

impl Format {
    /// What the name of a file says for certain. `.json` says nothing: exports of that name are arrays or lines.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" | "tsv" => Some(Self::Csv),
            _ => None,
        }
    }

    fn of_first_byte(byte: Option<&u8>) -> Self {
        match byte {
            Some(b'[') => Self::Json,
            Some(b'{') => Self::Ndjson,
            _ => Self::Csv,
        }
    }
}

type Records<'a> = Box<dyn Iterator<Item = Result<Record, ImportError>> + 'a>;

/// Opens a file for reading record by record.
pub(super) fn open(mut input: Input<'_>, format: Option<Format>) -> Result<Records<'_>, ImportError> {
    const BOM: &[u8] = b"\xEF\xBB\xBF";
    if input.fill_buf()?.starts_with(BOM) {
        input.consume(BOM.len());
    }
    let first = input.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(match format.unwrap_or_else(|| Format::of_first_byte(first)) {
        Format::Ndjson => Box::new(lines::Lines::new(input).filter_map(of_line)),
        Format::Json => Box::new(array::Elements::new(input).map(of_element)),
        Format::Csv => Box::new(csv::Table::open(input)?),
    })
}

fn of_line(line: Result<lines::Line, ImportError>) -> Option<Result<Record, ImportError>> {
    let line = match line {
        Ok(line) => line,
        Err(error) => return Some(Err(error)),
    };
    let fields = match &line.text {
        Ok(text) if text.trim_ascii().is_empty() => return None,
        Ok(text) => object(text),
        Err(reason) => Err(reason.clone()),
    };
    Some(Ok(Record { line: line.number, fields }))
}

fn of_element(line: Result<lines::Line, ImportError>) -> Result<Record, ImportError> {
    let line = line?;
    Ok(Record { line: line.number, fields: line.text.and_then(|text| object(&text)) })
}

/// The position is told, and never what stands there.
fn object(text: &[u8]) -> Result<Fields, String> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("it is JSON, but no object".to_owned()),
        Err(error) if error.line() > 1 => Err(format!("it is not JSON, from its line {} on", error.line())),
        Err(error) => Err(format!("it is not JSON, from column {} on", error.column())),
    }
}

//! What the columns hold, and the error that names the cell when they do not.

use std::fmt::Display;
use std::str::FromStr;

use chrono::DateTime;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::InvalidName;
use evergrant_contract::ports::StoreError;
use serde_json::Value;
use uuid::Uuid;

/// A time as a column holds it.
pub(super) const fn millis(at: Timestamp) -> i64 {
    at.timestamp_millis()
}

/// A row being read: names the cell in errors, and never its content.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'static str,
    key: &'a dyn Display,
}

impl<'a> Row<'a> {
    pub(super) fn of(table: &'static str, key: &'a dyn Display) -> Self {
        Self { table, key }
    }

    pub(super) fn corrupt(self, column: &'static str, problem: impl Into<String>) -> StoreError {
        StoreError::Corrupt { table: self.table, column, row: self.key.to_string(), problem: problem.into() }
    }

    pub(super) fn word<T: FromStr<Err = InvalidName>>(self, column: &'static str, text: &str) -> Result<T, StoreError> {
        text.parse().map_err(|error: InvalidName| self.corrupt(column, format!("{} expected", error.what)))
    }

    pub(super) fn time(self, column: &'static str, millis: i64) -> Result<Timestamp, StoreError> {
        DateTime::from_timestamp_millis(millis).ok_or_else(|| self.corrupt(column, "a time out of range"))
    }

    pub(super) fn maybe_time(self, column: &'static str, millis: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
        millis.map(|millis| self.time(column, millis)).transpose()
    }

    pub(super) fn id<T: From<Uuid>>(self, column: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
        Uuid::from_slice(bytes).map(T::from).map_err(|_| self.corrupt(column, "not the 16 bytes of a UUID"))
    }

    pub(super) fn count<T: TryFrom<i64>>(self, column: &'static str, number: i64) -> Result<T, StoreError> {
        T::try_from(number).map_err(|_| self.corrupt(column, "a number out of range"))
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(
        self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        // The error of serde_json may quote the content; its place may be told.
        serde_json::from_str(text).map_err(|error| {
            self.corrupt(column, format!("unexpected JSON at line {} column {}", error.line(), error.column()))
        })
    }
}

/// A number as a column holds it: those of SQLite end at 2^63.
pub(super) fn integer(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A column of JSON. Values of our own types always have a JSON form.
pub(super) fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap_or(Value::Null).to_string()
}

#[cfg(test)]
mod tests {
    use evergrant_contract::state::State;

    use super::*;

    #[test]
    fn an_error_names_the_cell_and_not_its_content() {
        let row = Row::of("schedules", &"7");
        let error = row.word::<State>("state", "Atza|secret").unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("schedules.state of row 7 is corrupt: a connection state"), "{text}");
        assert!(!text.contains("secret"));
        assert!(row.id::<Uuid>("lease_owner", b"short").is_err());
        assert!(row.time("refresh_at", i64::MAX).is_err());
    }
}

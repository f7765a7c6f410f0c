//! What each operation answered: a run in which everything was refused finds nothing wrong either.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// By operation: those of the description, also if they were never asked.
#[derive(Debug)]
pub(super) struct Answers(BTreeMap<String, Answered>);

#[derive(Debug, Default, Deserialize)]
struct Answered {
    /// How often each status came.
    statuses: BTreeMap<u16, u64>,
    /// How often what was asked for was done.
    done: u64,
}

#[derive(Deserialize)]
struct Operation {
    #[serde(rename = "operationId")]
    id: String,
}

impl Answers {
    /// What the callers counted.
    pub(super) fn read(counted: &Path, description: &Path) -> Result<Self> {
        let text = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
        // They write it at the very end; what ended them before has been said.
        let counted = if counted.exists() { text(counted)? } else { "{}".to_owned() };
        Self::parse(&counted, &text(description)?)
    }

    fn parse(counted: &str, description: &str) -> Result<Self> {
        let mut counted: BTreeMap<String, Answered> =
            serde_json::from_str(counted).context("the count of answers is not readable")?;
        let description: Value = serde_json::from_str(description).context("the description is not readable")?;
        let paths: BTreeMap<String, BTreeMap<String, Operation>> =
            serde_json::from_value(description["paths"].clone()).context("the description is not readable")?;
        let operations = paths.into_values().flat_map(BTreeMap::into_values).map(|operation| operation.id);
        Ok(Self(operations.map(|id| (id.clone(), counted.remove(&id).unwrap_or_default())).collect()))
    }

    /// One line for each operation.
    pub(super) fn table(&self) -> String {
        let width = self.0.keys().map(String::len).max().unwrap_or_default();
        let line = |(operation, answered): (&String, &Answered)| {
            let statuses = answered.statuses.iter().map(|(status, count)| format!("  {status} x {count}"));
            format!("{operation:width$}{}", statuses.collect::<String>())
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// An error unless every operation, apart from these, has been done at least once, and none was limited or broken.
    pub(super) fn verdict(&self, left_out: &[&str]) -> Result<()> {
        let mut wrong = Vec::new();
        for (operation, answered) in &self.0 {
            if answered.done == 0 && !left_out.contains(&operation.as_str()) {
                wrong.push(format!("{operation} was never done: the run says nothing about what it answers"));
            }
            if answered.statuses.contains_key(&429) {
                wrong.push(format!("{operation} was limited: the run says little about what it answers"));
            }
            if answered.statuses.keys().any(|status| *status >= 500) {
                wrong.push(format!("{operation} answered 5xx"));
            }
        }
        if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: &str = r#"{"paths": {
        "/a": {"get": {"operationId": "getA"}, "post": {"operationId": "postA"}},
        "/b": {"get": {"operationId": "listenToB"}}
    }}"#;

    fn verdict(counted: &str) -> Result<()> {
        Answers::parse(counted, DESCRIPTION).unwrap().verdict(&["listenToB"])
    }

    #[test]
    fn every_operation_has_to_be_done_once_unless_it_is_left_out() {
        verdict(
            r#"{"getA": {"statuses": {"200": 1}, "done": 1}, "postA": {"statuses": {"422": 9, "201": 2}, "done": 2}}"#,
        )
        .unwrap();
        let refused = verdict(r#"{"getA": {"statuses": {"401": 50}, "done": 0}}"#).unwrap_err().to_string();
        assert_eq!(refused.lines().count(), 2, "{refused}");
        assert!(refused.contains("getA was never done") && refused.contains("postA was never done"), "{refused}");
    }

    #[test]
    fn limits_and_defects_are_findings() {
        let found = verdict(
            r#"{"getA": {"statuses": {"200": 1, "429": 3}, "done": 1}, "postA": {"statuses": {"503": 1, "200": 4}, "done": 4}}"#,
        );
        assert_eq!(
            found.unwrap_err().to_string(),
            "getA was limited: the run says little about what it answers\npostA answered 5xx"
        );
    }

    #[test]
    fn the_table_has_a_line_for_each_operation() {
        let answers = Answers::parse(r#"{"getA": {"statuses": {"422": 3, "200": 12}, "done": 12}}"#, DESCRIPTION);
        assert_eq!(answers.unwrap().table(), "getA       200 x 12  422 x 3\nlistenToB\npostA    ");
    }
}

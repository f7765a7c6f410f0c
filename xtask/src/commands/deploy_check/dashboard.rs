//! What Grafana's dashboard asks Prometheus, as rules: promtool reads those and says whether Prometheus would understand.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::workspace;

pub(super) const DASHBOARD: &str = "deploy/grafana/dashboards/evergrant.json";

/// Grafana's variables, each with a value that it may have.
const VARIABLES: [(&str, &str); 2] = [("$__rate_interval", "5m"), ("$provider", ".*")];

/// Writes a file of rules. JSON is YAML.
pub(super) fn write_as_rules(path: &Path) -> Result<()> {
    let text =
        fs::read_to_string(workspace::root().join(DASHBOARD)).with_context(|| format!("cannot read {DASHBOARD}"))?;
    let dashboard: Value = serde_json::from_str(&text).with_context(|| format!("{DASHBOARD} is no JSON"))?;
    let rules = rules(&dashboard);
    ensure!(!rules.is_empty(), "{DASHBOARD} asks nothing");
    let file = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    fs::write(path, file.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

fn rules(dashboard: &Value) -> Vec<Value> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let notes = dashboard["annotations"]["list"].as_array().into_iter().flatten();
    let questions = targets.chain(notes).filter_map(|asks| asks["expr"].as_str());
    let filled_in = |question: &str| {
        VARIABLES.iter().fold(question.to_owned(), |question, (name, value)| question.replace(name, value))
    };
    let numbered = questions.enumerate();
    numbered.map(|(at, question)| json!({ "record": format!("dashboard:{at}"), "expr": filled_in(question) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_becomes_a_rule_without_variables() {
        let dashboard = json!({
            "panels": [{ "type": "row" }, { "targets": [{ "expr": "rate(a{p=~\"$provider\"}[$__rate_interval])" }] }],
            "annotations": { "list": [{ "expr": "ALERTS" }] },
        });
        let rules = rules(&dashboard);
        assert_eq!(rules[0]["expr"], "rate(a{p=~\".*\"}[5m])");
        assert_eq!((rules.len(), &rules[1]["expr"]), (2, &json!("ALERTS")));
    }
}

//! What the processes of a test run measured, against what docs/TELEMETRY.md tells.
//!
//! Each process of an end-to-end test is scraped before it is told to stop, and what it said is left beside its log. Together
//! they must hold every metric that is told, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::leaks::files;
use crate::{screen, workspace};

const PAGE: &str = "docs/TELEMETRY.md";

/// Metrics that no scrape of a test run can be made to show, and what proves them.
const PROVEN_ELSEWHERE: [(&str, &str); 2] = [
    ("evergrant_rests_total", "no connection rests within a day: workers/tests"),
    ("evergrant_results_put_off_total", "raised while a process ends, when nobody scrapes it any more: workers/tests"),
];

/// Labels and their values; `None`: the values are not a closed set.
type Labels = BTreeMap<String, Option<BTreeSet<String>>>;

/// Compares. A part of the tests need not show everything, but nothing that is not told.
pub(super) fn compare(logs: &Path, is_whole_run: bool) -> Result<()> {
    let page = fs::read_to_string(workspace::root().join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let told = told(&page);
    let mut shown = BTreeMap::new();
    for file in files(logs)?.iter().filter(|file| file.extension().is_some_and(|is| is == "metrics")) {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        read(&text, &mut shown);
    }
    let (unknown, missing) = (unknown(&told, &shown), missing(&told, &shown));
    if !unknown.is_empty() {
        bail!("the tests' processes show what {PAGE} does not tell:\n  {}", unknown.join("\n  "));
    }
    if is_whole_run && !missing.is_empty() {
        bail!("no process of any test showed these metrics of {PAGE}:\n  {}", missing.join("\n  "));
    }
    if !shown.is_empty() {
        screen::say(&format!(
            "the tests' processes showed {} of {} metrics that {PAGE} tells",
            shown.len(),
            told.len()
        ));
    }
    Ok(())
}

/// The table of the page.
fn told(page: &str) -> BTreeMap<String, Labels> {
    let section = page.split("\n## Metrics\n").nth(1).unwrap_or_default();
    let rows =
        section.split("\n## ").next().unwrap_or_default().lines().filter(|line| line.starts_with("| `evergrant_"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        Some((cells.first()?.trim_matches('`').to_owned(), labels_told(cells.get(3)?)))
    })
    .collect()
}

/// `` `name`: one, other; `name` ``: a list of single words is a closed set.
fn labels_told(cell: &str) -> Labels {
    let parts = cell.split("; ").filter(|part| part.starts_with('`'));
    parts
        .map(|part| {
            let (name, values) = part.split_once(':').unwrap_or((part, ""));
            let values: BTreeSet<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
            let is_closed = values.iter().all(|value| !value.is_empty() && !value.contains(' '));
            (name.split('`').nth(1).unwrap_or_default().to_owned(), is_closed.then_some(values))
        })
        .collect()
}

/// Every metric of a page of Prometheus text, with its labels and their values.
fn read(text: &str, into: &mut BTreeMap<String, BTreeMap<String, BTreeSet<String>>>) {
    let mut histograms = BTreeSet::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let mut words = typed.split_whitespace();
            if let (Some(name), Some("histogram")) = (words.next(), words.next()) {
                histograms.insert(name);
            }
        }
        let Some(end) = line.find(['{', ' ']).filter(|_| !line.starts_with('#')) else { continue };
        let (name, rest) = line.split_at(end);
        let base = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| name.strip_suffix(suffix));
        let name = base.filter(|base| histograms.contains(base)).unwrap_or(name);
        let labels = into.entry(name.to_owned()).or_default();
        for (label, value) in pairs(rest) {
            if label != "le" {
                labels.entry(label.to_owned()).or_default().insert(value.to_owned());
            }
        }
    }
}

/// The pairs of `{a="b",c="d"} 1`. No value of ours holds a quotation mark.
fn pairs(rest: &str) -> impl Iterator<Item = (&str, &str)> {
    let inside = rest.strip_prefix('{').and_then(|rest| rest.rsplit_once('}')).map_or("", |(inside, _)| inside);
    let pairs = inside.split("\",").filter_map(|pair| pair.trim_end_matches('"').split_once("=\""));
    pairs.map(|(label, value)| (label.trim(), value))
}

fn unknown(
    told: &BTreeMap<String, Labels>,
    shown: &BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
) -> Vec<String> {
    let mut unknown = Vec::new();
    for (name, labels) in shown {
        let Some(known) = told.get(name) else {
            unknown.push(name.clone());
            continue;
        };
        for (label, values) in labels {
            match known.get(label) {
                None => unknown.push(format!("{name}: the label {label}")),
                Some(None) => {}
                Some(Some(words)) => {
                    let strange = values.difference(words);
                    unknown.extend(strange.map(|value| format!("{name}: {label} = {value}")));
                }
            }
        }
    }
    unknown
}

fn missing(
    told: &BTreeMap<String, Labels>,
    shown: &BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
) -> Vec<String> {
    let is_elsewhere = |name: &str| PROVEN_ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == name);
    told.keys().filter(|name| !shown.contains_key(*name) && !is_elsewhere(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# T\n\n## Metrics\n\n| metric | type | unit | labels | help |\n| --- | --- | --- | --- | --- |\n\
        | `evergrant_a_total` | counter | count | `provider`; `kind`: one, other | A. |\n\
        | `evergrant_b_seconds` | histogram | seconds | - | B. |\n\
        | `evergrant_c_total` | counter | count | `outcome`: connected, or the type of the problem | C. |\n\n## Spans\n";
    const SHOWN: &str = "# HELP evergrant_a_total A.\n# TYPE evergrant_a_total counter\n\
        evergrant_a_total{provider=\"amazon-na\",kind=\"one\"} 3\n\
        # TYPE evergrant_b_seconds histogram\nevergrant_b_seconds_bucket{le=\"0.1\"} 1\nevergrant_b_seconds_sum 1\n\
        evergrant_b_seconds_count 1\n# TYPE evergrant_c_total counter\nevergrant_c_total{outcome=\"anything, at all\"} 1\n";

    fn differences(shown: &str) -> (Vec<String>, Vec<String>) {
        let (told, mut found) = (told(TABLE), BTreeMap::new());
        read(shown, &mut found);
        (unknown(&told, &found), missing(&told, &found))
    }

    #[test]
    fn what_is_told_and_shown_is_no_difference() {
        assert_eq!(differences(SHOWN), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_metric_a_label_and_a_value_that_are_not_told_are_found() {
        let shown =
            SHOWN.replace("kind=\"one\"", "kind=\"third\",more=\"x\"") + "evergrant_d 1\nevergrant_b_seconds_odd 1\n";
        let expected = [
            "evergrant_a_total: kind = third",
            "evergrant_a_total: the label more",
            "evergrant_b_seconds_odd",
            "evergrant_d",
        ];
        assert_eq!(differences(&shown).0, expected);
    }

    #[test]
    fn a_metric_that_nobody_showed_is_missing() {
        let shown = SHOWN.replace("evergrant_c_total", "evergrant_a_total");
        assert_eq!(differences(&shown).1, ["evergrant_c_total"]);
    }

    #[test]
    fn whatever_is_proven_elsewhere_is_told() {
        let page = fs::read_to_string(workspace::root().join(PAGE)).unwrap();
        for (name, _) in PROVEN_ELSEWHERE {
            assert!(told(&page).contains_key(name), "{name}");
        }
    }
}

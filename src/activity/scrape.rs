//! The counters that charts are made of, out of the text of `/metrics`.

use std::collections::BTreeMap;

use evergrant_contract::ids::ProviderName;
use evergrant_contract::operations::Series;

/// A part of a series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    pub(super) series: Series,
    pub(super) provider: Option<ProviderName>,
    pub(super) label: String,
}

/// How often each part has happened since the process began.
pub(super) type Counts = BTreeMap<Part, u64>;

const ATTEMPTS: &str = "evergrant_attempts_total";
/// Histograms, by the name of their buckets.
const BUCKETS: [(&str, Series); 2] = [
    ("evergrant_seconds_left_at_refresh_bucket", Series::SecondsLeft),
    ("evergrant_force_seconds_bucket", Series::ForceSeconds),
];

/// What a page of metrics says. What is not there has not happened; what cannot be read is passed over.
pub(super) fn counts(page: &str) -> Counts {
    let samples: Vec<_> = page.lines().filter_map(sample).collect();
    let mut counts = Counts::new();
    for sample in samples.iter().filter(|sample| sample.name == ATTEMPTS) {
        let Some(verdict) = sample.labels.get("verdict") else { continue };
        let provider = sample.labels.get("provider").and_then(|name| name.parse().ok());
        let part = Part { series: Series::Attempts, provider, label: verdict.clone() };
        *counts.entry(part).or_default() += sample.value;
    }
    for (name, series) in BUCKETS {
        let buckets = samples.iter().filter(|sample| sample.name == name);
        let mut bounds: Vec<(f64, &str, u64)> = buckets
            .filter_map(|sample| {
                let bound = sample.labels.get("le")?;
                Some((bound.parse().ok()?, bound.as_str(), sample.value))
            })
            .collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Buckets of Prometheus hold all that is below them; ours only what is between two bounds.
        let mut below = 0;
        for (_, bound, value) in bounds {
            let part = Part { series, provider: None, label: bound.to_owned() };
            *counts.entry(part).or_default() += value.saturating_sub(below);
            below = value.max(below);
        }
    }
    counts
}

/// What happened between two looks; a counter that went back began anew.
pub(super) fn since(before: &Counts, now: &Counts) -> Vec<(Part, u64)> {
    let grown = now.iter().map(|(part, count)| {
        let former = before.get(part).copied().unwrap_or_default();
        (part.clone(), count.checked_sub(former).unwrap_or(*count))
    });
    grown.filter(|(_, count)| *count > 0).collect()
}

/// One line: `name{label="value",…} number`.
struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: u64,
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    if name.starts_with('#') {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// The labels up to the closing brace, and what comes behind it.
fn labels(mut rest: &str) -> Option<(BTreeMap<&str, String>, &str)> {
    let mut found = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((found, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, behind) = unquoted(quoted)?;
        found.insert(name.trim(), value);
        rest = behind;
    }
}

/// The text up to the closing quotation mark, and what comes behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = r#"# HELP evergrant_attempts_total Calls of the token endpoint, by what the answer meant.
# TYPE evergrant_attempts_total counter
evergrant_attempts_total{provider="amazon-na",verdict="refreshed"} 7
evergrant_attempts_total{verdict="transient",provider="amazon-eu"} 2

# TYPE evergrant_seconds_left_at_refresh histogram
evergrant_seconds_left_at_refresh_bucket{le="-60"} 0
evergrant_seconds_left_at_refresh_bucket{le="0"} 1
evergrant_seconds_left_at_refresh_bucket{le="900"} 5
evergrant_seconds_left_at_refresh_bucket{le="+Inf"} 6
evergrant_seconds_left_at_refresh_sum 812.5
evergrant_seconds_left_at_refresh_count 6
evergrant_force_seconds_bucket{le="0.5"} 3
evergrant_force_seconds_bucket{le="+Inf"} 3
evergrant_http_requests_total{method="GET",route="/api/\"odd\"\\{x}",status="200"} 3
a line that is none
"#;

    fn seen(counts: &[(Part, u64)]) -> Vec<(Series, &str, &str, u64)> {
        let seen = counts.iter().map(|(part, count)| {
            (part.series, part.provider.as_ref().map_or("", ProviderName::as_str), part.label.as_str(), *count)
        });
        seen.collect()
    }

    #[test]
    fn a_page_is_read_and_each_refresh_is_in_one_bucket() {
        let grown = since(&Counts::new(), &counts(PAGE));
        let expected = [
            (Series::Attempts, "amazon-eu", "transient", 2),
            (Series::Attempts, "amazon-na", "refreshed", 7),
            (Series::SecondsLeft, "", "+Inf", 1),
            (Series::SecondsLeft, "", "0", 1),
            (Series::SecondsLeft, "", "900", 4),
            (Series::ForceSeconds, "", "0.5", 3),
        ];
        assert_eq!(seen(&grown), expected);
    }

    #[test]
    fn only_what_has_grown_is_told_and_a_counter_that_went_back_began_anew() {
        let page = |count: u64| format!("evergrant_attempts_total{{provider=\"a\",verdict=\"refreshed\"}} {count}");
        let grown = |before: u64, now: u64| since(&counts(&page(before)), &counts(&page(now)));
        assert_eq!(grown(3, 3), []);
        assert_eq!(grown(3, 10)[0].1, 7);
        assert_eq!(grown(10, 2)[0].1, 2);
    }

    #[test]
    fn what_is_missing_has_not_happened() {
        assert_eq!(counts(""), Counts::new());
        assert_eq!(
            counts("evergrant_attempts_total{provider=\"a\"} 3\nevergrant_attempts_total{verdict"),
            Counts::new()
        );
    }

    #[test]
    fn labels_are_read_whatever_is_in_them() {
        let line = r#"x{route="/api/\"odd\"\\{x}, y",n="1"} 3"#;
        let sample = sample(line).unwrap();
        assert_eq!((sample.labels["route"].as_str(), sample.labels["n"].as_str()), ("/api/\"odd\"\\{x}, y", "1"));
        assert_eq!(sample.value, 3);
    }

    proptest! {
        #[test]
        fn no_page_makes_it_panic(page in ".{0,200}") {
            let _ = counts(&page);
        }

        #[test]
        fn no_damage_to_a_page_makes_it_panic(at in 0_usize..900, text in ".{0,3}") {
            let at = PAGE.char_indices().map(|(at, _)| at).nth(at.min(PAGE.chars().count() - 1)).unwrap();
            let _ = counts(&format!("{}{text}{}", &PAGE[..at], &PAGE[at..]));
        }
    }
}

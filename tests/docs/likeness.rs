//! When an answer is what a document shows.
//!
//! Everything is compared exactly, keys and the lengths of lists included, with exceptions that a reader sees at once:
//! `…` in a string stands for any text, a UUID for any UUID, a time for any time, and the numbers in [`VARYING`] vary. What is
//! in [`SOMETIMES`] need not be there.

use serde_json::Value;
use uuid::Uuid;

/// Keys of numbers that are another one in every run.
const VARYING: [&str; 4] = ["expires_in", "expires_in_seconds", "retry_after", "profileId"];

/// Keys that are there or not, as the day is: Amazon's consents have an end if they were given in July 2026 or later.
const SOMETIMES: [&str; 1] = ["consent_ends_at"];

/// Where an answer is not what is shown. What is found in strings is not repeated: it may be a token.
pub(super) fn differences(shown: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare("", shown, found, &mut differences);
    differences
}

/// The same for lines of text, in which `data: ` begins JSON.
pub(super) fn differences_of_text(shown: &str, found: &str) -> Vec<String> {
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    let (shown, found) = (lines(shown), lines(found));
    if shown.len() != found.len() {
        return vec![format!("{} lines are shown, and there are {}", shown.len(), found.len())];
    }
    let of_line = |(number, (shown, found)): (usize, (&String, &String))| {
        let json = |line: &str| serde_json::from_str(line.strip_prefix("data: ")?).ok();
        match (json(shown), json(found)) {
            (Some(shown), Some(found)) => differences(&shown, &found),
            _ if fits(shown, found) => Vec::new(),
            _ => vec![format!("line {}: {shown:?} is shown", number + 1)],
        }
    };
    shown.iter().zip(&found).enumerate().flat_map(of_line).collect()
}

fn compare(place: &str, shown: &Value, found: &Value, differences: &mut Vec<String>) {
    match (shown, found) {
        (Value::Object(shown), Value::Object(found)) => {
            let missing = shown.keys().filter(|key| !found.contains_key(*key) && !SOMETIMES.contains(&key.as_str()));
            differences.extend(missing.map(|key| format!("{place}.{key} is shown and not there")));
            for (key, found) in found {
                let place = format!("{place}.{key}");
                match shown.get(key) {
                    Some(Value::Number(_)) if found.is_number() && VARYING.contains(&key.as_str()) => {}
                    Some(shown) => compare(&place, shown, found, differences),
                    None => differences.push(format!("{place} is there and not shown")),
                }
            }
        }
        (Value::Array(shown), Value::Array(found)) if shown.len() == found.len() => {
            for (index, (shown, found)) in shown.iter().zip(found).enumerate() {
                compare(&format!("{place}[{index}]"), shown, found, differences);
            }
        }
        (Value::String(shown), Value::String(found)) if fits(shown, found) => {}
        (shown, found) if shown == found => {}
        (shown, found) => differences.push(format!("{place}: {shown} is shown, and there is {}", told(found))),
    }
}

fn told(found: &Value) -> String {
    match found {
        Value::String(_) => "another string".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        plain => plain.to_string(),
    }
}

fn fits(shown: &str, found: &str) -> bool {
    let is_time = |text: &str| chrono::DateTime::parse_from_rfc3339(text).is_ok();
    let is_id = |text: &str| Uuid::try_parse(text).is_ok();
    if is_time(shown) {
        return is_time(found);
    }
    if is_id(shown) {
        return is_id(found);
    }
    let Some((before, rest)) = shown.split_once('…') else { return shown == found };
    // What stands behind the last `…` has to be the end, what stands between two of them comes in order.
    let Some(mut found) = found.strip_prefix(before) else { return false };
    let mut between: Vec<&str> = rest.split('…').collect();
    let end = between.pop().unwrap_or_default();
    for part in between {
        let Some((_, behind)) = found.split_once(part) else { return false };
        found = behind;
    }
    found.ends_with(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_has_to_be_there_and_what_is_there_to_be_shown() {
        let shown = json!({ "a": 1, "b": [true, null], "c": "x" });
        assert_eq!(differences(&shown, &shown), Vec::<String>::new());
        for (found, wanted) in [
            (json!({ "a": 1, "b": [true, null] }), ".c is shown and not there"),
            (json!({ "a": 1, "b": [true, null], "c": "x", "d": 0 }), ".d is there and not shown"),
            (json!({ "a": 2, "b": [true, null], "c": "x" }), ".a: 1 is shown, and there is 2"),
            (json!({ "a": 1, "b": [false, null], "c": "x" }), ".b[0]: true is shown, and there is false"),
            (json!({ "a": 1, "b": [true], "c": "x" }), ".b: [true,null] is shown, and there is a list of 1"),
            (json!({ "a": 1, "b": [true, null], "c": "y" }), ".c: \"x\" is shown, and there is another string"),
        ] {
            assert_eq!(differences(&shown, &found), [wanted]);
        }
    }

    #[test]
    fn what_varies_is_seen_at_once() {
        for (shown, found) in [
            ("eyJ…", "eyJhbGciOiJIUzI1NiJ9"),
            ("https://a.example/…?state=…&x=1", "https://a.example/ap/oa?state=abc&x=1"),
            ("2026-11-23T10:00:00Z", "2027-01-01T00:00:00.123Z"),
            ("0199e2a4-0000-7000-8000-000000000001", "01990000-1111-7222-8333-444444444444"),
            ("same", "same"),
        ] {
            assert!(fits(shown, found), "{shown}");
        }
        for (shown, found) in [
            ("eyJ…", "egk_x"),
            ("…x", "xy"),
            ("a…b…c", "a c"),
            ("2026-11-23T10:00:00Z", "tomorrow"),
            ("0199e2a4-0000-7000-8000-000000000001", "7"),
            ("same", "same "),
        ] {
            assert!(!fits(shown, found), "{shown}");
        }
        let seconds = |number: i64| json!({ "expires_in": number, "version": number });
        assert_eq!(differences(&seconds(1), &seconds(2)), [".version: 1 is shown, and there is 2"]);
        let (with, without) = (json!({ "consent_ends_at": "…" }), json!({}));
        assert!(differences(&with, &without).is_empty() && !differences(&without, &with).is_empty());
    }

    #[test]
    fn text_is_compared_line_by_line_and_its_json_as_json() {
        let shown = "event: gap\ndata: {\"a\":\"…\",\"b\":1}\n";
        assert!(differences_of_text(shown, "event: gap\r\ndata: {\"b\":1,\"a\":\"x\"}\n").is_empty());
        assert_eq!(differences_of_text(shown, "event: gap\ndata: {\"a\":\"x\",\"b\":2}").len(), 1);
        assert_eq!(differences_of_text(shown, "event: app\ndata: {\"a\":\"x\",\"b\":1}").len(), 1);
        assert_eq!(differences_of_text(shown, "event: gap").len(), 1);
    }
}

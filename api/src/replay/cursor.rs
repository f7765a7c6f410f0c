//! The place in a list of failed jobs, as programs carry it from page to page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evergrant_contract::Timestamp;
use evergrant_contract::failed_job::FailedJobKey;

/// The place as text. What is in it is ours to change.
pub fn cursor(key: FailedJobKey) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{}", key.failed_at.timestamp_millis(), key.id))
}

/// The place that [`cursor`] wrote down; `None`: it is none.
pub fn place(cursor: &str) -> Option<FailedJobKey> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (millis, id) = text.split_once('.')?;
    let failed_at = Timestamp::from_timestamp_millis(millis.parse().ok()?)?;
    Some(FailedJobKey { failed_at, id: id.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use evergrant_contract::ids::JobId;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_reads_back(millis in -62_135_596_800_000_i64..253_402_300_799_000) {
            let key = FailedJobKey {
                failed_at: Timestamp::from_timestamp_millis(millis).unwrap(),
                id: JobId::generate(),
            };
            let text = cursor(key);
            prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{text}");
            prop_assert_eq!(place(&text), Some(key));
        }

        #[test]
        fn what_is_no_place_is_none(text in ".{0,80}") {
            prop_assert_eq!(place(&text), None);
        }
    }
}

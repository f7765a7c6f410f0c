//! How long a consent lasts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use evergrant_contract::Timestamp;
use evergrant_contract::timing::{after, to_millis};
use serde::Deserialize;

const DAY: Duration = Duration::from_hours(24);

/// How long a consent, and with it the refresh token, lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConsentLifetime {
    /// Until it is taken back, or until a time that only the provider knows.
    Open,
    /// So many days from the consent. Refreshing does not prolong it; a new consent starts it again.
    FixedFromConsent {
        /// How many days.
        days: u16,
        /// Consents from before this time are not under the rule.
        consented_from: Option<DateTime<Utc>>,
    },
}

impl ConsentLifetime {
    /// When a consent given at this time ends; `None` if it does not, as far as we know.
    pub fn refresh_expires_at(self, consent_at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::FixedFromConsent { days, consented_from } if consented_from.is_none_or(|from| consent_at >= from) => {
                Some(to_millis(after(consent_at, DAY * u32::from(days))))
            }
            Self::Open | Self::FixedFromConsent { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn only_consents_from_the_first_day_on_are_under_the_rule() {
        let rule = ConsentLifetime::FixedFromConsent { days: 365, consented_from: Some(at("2026-06-30T00:00:00Z")) };
        assert_eq!(rule.refresh_expires_at(at("2026-06-29T23:59:59Z")), None);
        assert_eq!(rule.refresh_expires_at(at("2026-06-30T00:00:00Z")), Some(at("2027-06-30T00:00:00Z")));
        assert_eq!(rule.refresh_expires_at(at("2026-11-23T10:00:00Z")), Some(at("2027-11-23T10:00:00Z")));
    }

    #[test]
    fn without_a_first_day_all_are_and_without_a_rule_none() {
        let rule = ConsentLifetime::FixedFromConsent { days: 1, consented_from: None };
        assert_eq!(rule.refresh_expires_at(at("2001-01-01T00:00:00Z")), Some(at("2001-01-02T00:00:00Z")));
        assert_eq!(ConsentLifetime::Open.refresh_expires_at(at("2001-01-01T00:00:00Z")), None);
    }
}

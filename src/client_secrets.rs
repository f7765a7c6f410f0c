//! Client secrets that end on a known day: somebody is told before every refresh fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveTime;
use evergrant_contract::Timestamp;
use evergrant_contract::ids::ProviderName;
use evergrant_contract::ports::Clock;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config::Config;

const LOOK_EVERY: Duration = Duration::from_mins(10);
/// So many days before the end somebody is told, once each.
const TOLD_AT: [i64; 4] = [1, 7, 14, 30];

/// When the client secrets end of those provider apps that have one with an end: at the end of the day, in UTC.
pub fn ends(config: &Config) -> BTreeMap<ProviderName, Timestamp> {
    let with_end = config.providers.iter().filter(|(_, app)| app.client_secret.is_some());
    with_end
        .filter_map(|(name, app)| {
            let next_day = app.client_secret_expires_at?.succ_opt()?;
            Some((name.clone(), next_day.and_time(NaiveTime::MIN).and_utc()))
        })
        .collect()
}

/// Whole days until then; negative, once it has passed.
pub fn days_left(end: Timestamp, now: Timestamp) -> i64 {
    (end - now).num_seconds().div_euclid(24 * 60 * 60)
}

/// Whether it is time to warn.
pub fn ends_soon(end: Timestamp, now: Timestamp) -> bool {
    warning(end, now).is_some()
}

/// The last of the warnings whose time has come; 0: it has ended.
fn warning(end: Timestamp, now: Timestamp) -> Option<i64> {
    if end <= now {
        return Some(0);
    }
    let days = days_left(end, now);
    TOLD_AT.into_iter().find(|told_at| days < *told_at)
}

/// Tells the log and the metrics.
pub struct ClientSecretWatch {
    /// When they end.
    pub ends: BTreeMap<ProviderName, Timestamp>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ClientSecretWatch {
    /// Looks now and then until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut told = BTreeMap::new();
        loop {
            self.look(&mut told);
            if stop.run_until_cancelled(self.clock.sleep(LOOK_EVERY)).await.is_none() {
                return;
            }
        }
    }

    fn look(&self, told: &mut BTreeMap<ProviderName, i64>) {
        let now = self.clock.now();
        for (provider, end) in &self.ends {
            #[expect(clippy::cast_precision_loss, reason = "seconds of some years fit a float exactly")]
            let seconds = (*end - now).num_seconds() as f64;
            metrics::gauge!("evergrant_client_secret_seconds_left", "provider" => provider.to_string()).set(seconds);
            let Some(warning) = warning(*end, now) else { continue };
            if told.insert(provider.clone(), warning) == Some(warning) {
                continue;
            }
            if warning == 0 {
                error!(%provider, ended_at = %end, "The client secret of a provider app has passed its last day");
            } else {
                let days = days_left(*end, now);
                warn!(%provider, days, ends_at = %end, "The client secret of a provider app ends soon: make the next one");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use evergrant_testkit::ManualClock;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn warnings_come_thirty_fourteen_seven_and_one_day_before() {
        let end = at("2027-05-21T00:00:00Z");
        let days = [(40, None), (30, None), (29, Some(30)), (13, Some(14)), (6, Some(7)), (1, Some(7)), (0, Some(1))];
        for (day, expected) in days {
            let now = end - chrono::TimeDelta::days(day) - chrono::TimeDelta::hours(12);
            assert_eq!((days_left(end, now), warning(end, now)), (day, expected), "{day} days and a half");
        }
        assert_eq!(warning(end, end), Some(0));
    }

    #[test]
    fn a_secret_lasts_until_the_end_of_its_day() {
        let mut config = Config::defaults().unwrap();
        let name: ProviderName = "amazon-na".parse().unwrap();
        let app = config.providers.get_mut(&name).unwrap();
        app.client_secret_expires_at = Some("2027-05-20".parse().unwrap());
        assert!(ends(&config).is_empty(), "without a secret there is none to end");
        config.providers.get_mut(&name).unwrap().client_secret = Some(evergrant_contract::secret::Secret::new("x"));
        assert_eq!(ends(&config), BTreeMap::from([(name, at("2027-05-21T00:00:00Z"))]));
    }

    #[test]
    fn each_warning_is_told_once() {
        let clock = ManualClock::new();
        let provider: ProviderName = "amazon-na".parse().unwrap();
        let ends = BTreeMap::from([(provider.clone(), clock.now() + chrono::TimeDelta::days(5))]);
        let watch = ClientSecretWatch { ends, clock };
        let mut told = BTreeMap::new();
        watch.look(&mut told);
        assert_eq!(told, BTreeMap::from([(provider, 7)]));
        let before = told.clone();
        watch.look(&mut told);
        assert_eq!(told, before);
    }
}

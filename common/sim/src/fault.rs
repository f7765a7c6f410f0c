//! Faults: what may be wrong with an answer, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that goes wrong, and when. Without a limit of any sort it strikes every call of its target.
///
/// As JSON: `{"kind": "status", "status": 503, "on": "refresh", "probability": 0.1, "count": 3, "from_ms": 0, "until_ms": 60000}`.
/// Everything but `kind` and the kind's own fields may be left out; an unknown field is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Which calls may be struck.
    #[serde(flatten)]
    pub when: When,
}

/// Which calls a fault may strike. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Which endpoint.
    #[serde(default)]
    pub on: Target,
    /// The share of calls that is struck, from 0 to 1. Without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// How many calls are struck before the fault is used up. Without it, no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// When it begins, in milliseconds after it was set.
    #[serde(default)]
    pub from_ms: u64,
    /// When it ends, in milliseconds after it was set. Without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// The calls that a fault is meant for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The token endpoint, refreshing.
    #[default]
    Refresh,
    /// The token endpoint, exchanging a code.
    Code,
    /// The token endpoint.
    Token,
    /// The Ads and AMC API, the profile and the token info.
    Api,
    /// Everything.
    Any,
}

impl Target {
    /// Whether a fault meant for `self` may strike a call to `endpoint`.
    pub(crate) fn covers(self, endpoint: Endpoint) -> bool {
        match self {
            Self::Any => true,
            Self::Refresh => endpoint == Endpoint::Refresh,
            Self::Code => endpoint == Endpoint::Code,
            Self::Token => endpoint != Endpoint::Api,
            Self::Api => endpoint == Endpoint::Api,
        }
    }
}

/// What is being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    Refresh,
    Code,
    Api,
}

/// What goes wrong. "Takes effect" means that a refresh is carried out: a rotated token is spent and a new one exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The answer is late by `ms` and up to `jitter_ms` more. Adds to other faults; takes effect half-way.
    Latency {
        /// Milliseconds.
        ms: u64,
        /// Milliseconds, evenly distributed.
        #[serde(default)]
        jitter_ms: u64,
    },
    /// Another status, without effect.
    Status {
        /// From 400 to 599.
        status: u16,
        /// What the answer holds.
        #[serde(default)]
        body: ErrorBody,
    },
    /// 429, without effect.
    Throttle {
        /// The wait that `Retry-After` asks for. Without it, there is no such header.
        #[serde(default)]
        retry_after_secs: Option<u64>,
        /// Write `Retry-After` as a date.
        #[serde(default)]
        as_date: bool,
    },
    /// No answer for `ms`, then the connection is closed. Without effect.
    Hang {
        /// Milliseconds.
        ms: u64,
    },
    /// The connection is reset instead of an answer. Without effect.
    Reset {},
    /// The call takes effect, then the connection is closed without an answer.
    LostReply {},
    /// The call takes effect, and the body of its answer takes `ms` to arrive.
    SlowBody {
        /// Milliseconds.
        ms: u64,
    },
    /// The call takes effect, and the connection is closed in the middle of the body.
    TruncatedBody {},
    /// 200 with a JSON object that has neither token. Without effect.
    NoAccessToken {},
    /// 200 with an HTML page. Without effect.
    HtmlOk {},
    /// The call takes effect, and the new refresh token is an empty string. The one presented stays good.
    EmptyRefreshToken {},
    /// The call takes effect, and there is no new refresh token. The one presented stays good.
    NoRefreshToken {},
    /// The call takes effect, and `expires_in` is this value, whatever it is. Without a value, it is missing.
    ExpiresIn {
        /// Any JSON.
        #[serde(default)]
        value: Option<Value>,
    },
    /// `invalid_grant` although the grant is good, without effect. Set for one user and without any limit, it is no
    /// longer a lie: the user's grants are ended, as by a revocation.
    InvalidGrant {},
    /// 401 `invalid_client`, as for a wrong secret. Without effect.
    InvalidClient {},
    /// An error of the API with these details, such as `Not authorized to access scope 123` with status 401.
    ApiError {
        /// From 400 to 599.
        status: u16,
        /// The text that tells a stale token from a missing permission.
        details: String,
    },
}

/// What the answer of a status fault holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// An OAuth error object.
    #[default]
    Json,
    /// A maintenance page.
    Html,
    /// Nothing.
    Empty,
}

impl FaultKind {
    /// The name in JSON and in the statistics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Status { .. } => "status",
            Self::Throttle { .. } => "throttle",
            Self::Hang { .. } => "hang",
            Self::Reset {} => "reset",
            Self::LostReply {} => "lost_reply",
            Self::SlowBody { .. } => "slow_body",
            Self::TruncatedBody {} => "truncated_body",
            Self::NoAccessToken {} => "no_access_token",
            Self::HtmlOk {} => "html_ok",
            Self::EmptyRefreshToken {} => "empty_refresh_token",
            Self::NoRefreshToken {} => "no_refresh_token",
            Self::ExpiresIn { .. } => "expires_in",
            Self::InvalidGrant {} => "invalid_grant",
            Self::InvalidClient {} => "invalid_client",
            Self::ApiError { .. } => "api_error",
        }
    }

    /// Whether this can be wrong with the answer of an endpoint.
    fn fits(&self, endpoint: Endpoint) -> bool {
        match self {
            Self::NoAccessToken {}
            | Self::EmptyRefreshToken {}
            | Self::NoRefreshToken {}
            | Self::ExpiresIn { .. }
            | Self::InvalidGrant {}
            | Self::InvalidClient {} => endpoint != Endpoint::Api,
            Self::ApiError { .. } => endpoint == Endpoint::Api,
            _ => true,
        }
    }
}

impl Fault {
    /// A fault that strikes every refresh (an [`FaultKind::ApiError`]: every API call).
    pub fn new(kind: FaultKind) -> Self {
        let on = if matches!(kind, FaultKind::ApiError { .. }) { Target::Api } else { Target::Refresh };
        Self { kind, when: When { on, ..When::default() } }
    }

    /// Strikes calls to another target.
    #[must_use]
    pub fn on(mut self, target: Target) -> Self {
        self.when.on = target;
        self
    }

    /// Strikes this share of calls, from 0 to 1.
    #[must_use]
    pub fn with_probability(mut self, share: f64) -> Self {
        self.when.probability = Some(share);
        self
    }

    /// Strikes the next `count` calls only.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.when.count = Some(count);
        self
    }

    /// Strikes between these two times after it was set.
    #[must_use]
    pub fn between(mut self, from: Duration, until: Duration) -> Self {
        self.when.from_ms = millis(from);
        self.when.until_ms = Some(millis(until));
        self
    }

    /// Whether nothing limits it.
    pub(crate) fn is_for_ever(&self) -> bool {
        self.when.probability.is_none()
            && self.when.count.is_none()
            && self.when.from_ms == 0
            && self.when.until_ms.is_none()
    }

    pub(crate) fn may_strike(&self, endpoint: Endpoint, elapsed_ms: u64) -> bool {
        self.when.on.covers(endpoint)
            && self.kind.fits(endpoint)
            && elapsed_ms >= self.when.from_ms
            && self.when.until_ms.is_none_or(|until| elapsed_ms < until)
    }

    /// Refuses what could never happen, or not as meant.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let FaultKind::Status { status, .. } | FaultKind::ApiError { status, .. } = self.kind
            && !(400..=599).contains(&status)
        {
            return Err(format!("status {status} is not an error: use 400 to 599"));
        }
        if self.when.probability.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("probability must be between 0 and 1".to_owned());
        }
        if self.when.until_ms.is_some_and(|until| until <= self.when.from_ms) {
            return Err("until_ms must be later than from_ms".to_owned());
        }
        let endpoints = [Endpoint::Refresh, Endpoint::Code, Endpoint::Api];
        if !endpoints.iter().any(|endpoint| self.when.on.covers(*endpoint) && self.kind.fits(*endpoint)) {
            return Err(format!("{} cannot happen there: choose another `on`", self.kind.name()));
        }
        Ok(())
    }
}

/// Serde cannot flatten and refuse unknown fields at once, so the fields are told apart here.
impl TryFrom<Map<String, Value>> for Fault {
    type Error = String;

    fn try_from(mut fields: Map<String, Value>) -> Result<Self, String> {
        let mut when = Map::new();
        for name in ["on", "probability", "count", "from_ms", "until_ms"] {
            if let Some(value) = fields.remove(name) {
                when.insert(name.to_owned(), value);
            }
        }
        let target_is_given = when.contains_key("on");
        let kind: FaultKind = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
        let when: When = serde_json::from_value(Value::Object(when)).map_err(|error| error.to_string())?;
        let on = if target_is_given { when.on } else { Self::new(kind.clone()).when.on };
        let fault = Self { kind, when: When { on, ..when } };
        fault.check()?;
        Ok(fault)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Fault, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn reads_what_it_writes() {
        for text in [
            r#"{"kind":"status","status":503,"body":"html","on":"token","probability":0.5,"count":3,"from_ms":1,"until_ms":9}"#,
            r#"{"kind":"reset"}"#,
            r#"{"kind":"expires_in","value":"3600"}"#,
            r#"{"kind":"api_error","status":401,"details":"Not authorized to access scope 1"}"#,
        ] {
            let fault = parse(text).unwrap();
            assert_eq!(parse(&serde_json::to_string(&fault).unwrap()).unwrap(), fault);
        }
    }

    #[test]
    fn refuses_what_cannot_be_meant() {
        for (text, says) in [
            (r#"{"kind":"reset","probabilty":0.5}"#, "probabilty"),
            (r#"{"kind":"reset","probability":50}"#, "between 0 and 1"),
            (r#"{"kind":"status","status":200}"#, "not an error"),
            (r#"{"kind":"reset","from_ms":5,"until_ms":5}"#, "later"),
            (r#"{"kind":"no_refresh_token","on":"api"}"#, "cannot happen"),
            (r#"{"kind":"explode"}"#, "explode"),
            (r#"{"status":503}"#, "kind"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_window_has_a_beginning_and_an_end() {
        let fault = Fault::new(FaultKind::Reset {}).between(Duration::from_secs(1), Duration::from_secs(2));
        let strikes: Vec<_> =
            [999, 1000, 1999, 2000].iter().map(|ms| fault.may_strike(Endpoint::Refresh, *ms)).collect();
        assert_eq!(strikes, [false, true, true, false]);
    }
}

//! A provider whose people consent as the test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::consent::{CodeCall, ConsentRequest, Identity, IdentityError};
use evergrant_contract::ports::{Clock, Consents};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::after;
use evergrant_contract::verdict::{Answer, AnswerTrace, Tokens, Verdict};
use evergrant_testkit::ManualClock;
use url::Url;

/// A code `ada` is exchanged for `Atza|ada` and `Atzr|ada`, which are those of the account `amzn1.account.ada`, unless
/// something else is scripted. A part of the code behind a slash makes other tokens of the same account.
pub(super) struct ScriptedConsents {
    clock: Arc<ManualClock>,
    scopes: Vec<String>,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    verdicts: VecDeque<Verdict>,
    granted: Option<String>,
    identity_error: Option<IdentityError>,
    says_nothing_of_people: bool,
    exchanges: Vec<Exchange>,
}

/// What a code was exchanged with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) code: String,
    pub(super) redirect_uri: String,
    pub(super) code_verifier: String,
}

impl ScriptedConsents {
    pub(super) fn new(clock: Arc<ManualClock>) -> Arc<Self> {
        let scopes = ["advertising::campaign_management", "profile"].map(str::to_owned).to_vec();
        Arc::new(Self { clock, scopes, script: Mutex::default() })
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// What the next exchange is answered with.
    pub(super) fn then(&self, verdict: Verdict) {
        self.script().verdicts.push_back(verdict);
    }

    /// What scopes answers name from now on.
    pub(super) fn grant(&self, scopes: &str) {
        self.script().granted = Some(scopes.to_owned());
    }

    /// Whose tokens are is not told from now on, for this reason; or is told again.
    pub(super) fn set_identity_error(&self, error: Option<IdentityError>) {
        self.script().identity_error = error;
    }

    /// Tells accounts only from now on.
    pub(super) fn say_nothing_of_people(&self) {
        self.script().says_nothing_of_people = true;
    }

    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        self.script().exchanges.clone()
    }
}

#[async_trait]
impl Consents for ScriptedConsents {
    fn consent_url(&self, request: &ConsentRequest<'_>) -> String {
        let mut url = Url::parse("https://amazon.test/ap/oa").unwrap();
        url.query_pairs_mut()
            .append_pair("redirect_uri", request.redirect_uri)
            .append_pair("state", request.state)
            .append_pair("code_challenge", request.code_challenge);
        url.into()
    }

    fn scopes(&self) -> &[String] {
        &self.scopes
    }

    fn consent_ends(&self, at: Timestamp) -> Option<Timestamp> {
        Some(after(at, Duration::from_hours(365 * 24)))
    }

    async fn exchange(&self, call: CodeCall<'_>) -> Answer {
        let mut script = self.script();
        let code = call.code.expose();
        script.exchanges.push(Exchange {
            code: code.to_owned(),
            redirect_uri: call.redirect_uri.to_owned(),
            code_verifier: call.code_verifier.expose().to_owned(),
        });
        let tokens = Tokens {
            access_token: Secret::new(format!("Atza|{code}")),
            refresh_token: Some(Secret::new(format!("Atzr|{code}"))),
            lifetime: Duration::from_hours(1),
            refresh_expires_at: None,
            scopes: script.granted.clone(),
        };
        let verdict = script.verdicts.pop_front().unwrap_or(Verdict::Refreshed(tokens));
        Answer { verdict, sent_at: self.clock.now(), trace: trace() }
    }

    async fn identify(&self, access_token: &Secret) -> Result<Identity, IdentityError> {
        let script = self.script();
        if let Some(error) = script.identity_error.clone() {
            return Err(error);
        }
        let token = access_token.expose().strip_prefix("Atza|").unwrap();
        let name = token.split('/').next().unwrap().to_owned();
        let account = format!("amzn1.account.{name}");
        if script.says_nothing_of_people {
            return Ok(Identity { account, ..Identity::default() });
        }
        Ok(Identity { account, email: format!("{name}@example.com"), name })
    }
}

fn trace() -> AnswerTrace {
    AnswerTrace {
        status: Some(200),
        code: None,
        message: String::new(),
        request_id: None,
        duration_ms: 1,
        ambiguous: false,
    }
}

//! The ports `Provider` and `Consents` over HTTP.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::consent::{CodeCall, ConsentRequest, Identity, IdentityError};
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{Clock, Consents, Provider};
use evergrant_contract::secret::Secret;
use evergrant_contract::verdict::{Answer, AnswerTrace, ProviderPolicy, RefreshCall, Verdict, VerdictKind};
use reqwest::Client;

use crate::authorize;
use crate::credentials::{Credentials, Key, Keys};
use crate::descriptor::Descriptor;
use crate::exchange::{self, Broken, Received};
use crate::identity::Asker;
use crate::question::{self, Asked};
use crate::reading::{self, Question, Reading, Reply};
use crate::redact::Redactor;
use crate::table::Grant;
use crate::turnstile::Turnstile;

/// What a gateway answers when it lost the token endpoint's own answer: the refresh may have taken effect (RFC 9110, 15.6).
const GATEWAY_STATUSES: [u16; 2] = [502, 504];

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection is open, TLS included.
    pub connect: Duration,
    /// Until the last byte has come; for both client secrets together, if both are tried.
    pub call: Duration,
}

/// Why a provider could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be set up: {0}. Are the system's root certificates installed?")]
    Client(String),
    /// The app has no client id, or no client secret.
    #[error("provider {0}: client id and client secret have to be set")]
    NoCredentials(String),
}

/// One provider app's token endpoint, over HTTP.
pub struct HttpProvider {
    descriptor: Descriptor,
    policy: ProviderPolicy,
    keys: Keys,
    client: Client,
    turnstile: Turnstile,
    clock: Arc<dyn Clock>,
}

/// An answer and whether it was the client secret that was refused.
struct Outcome {
    answer: Answer,
    secret_refused: bool,
}

impl HttpProvider {
    /// Sets up one app, with a pool of connections of its own.
    pub fn new(
        descriptor: Descriptor,
        credentials: Credentials,
        timeouts: Timeouts,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ProviderError> {
        if credentials.client_id.trim().is_empty() || credentials.client_secret.expose().trim().is_empty() {
            return Err(ProviderError::NoCredentials(descriptor.name.to_string()));
        }
        Ok(Self {
            policy: descriptor.policy(timeouts.call),
            keys: Keys::new(credentials),
            client: exchange::client(timeouts)?,
            turnstile: Turnstile::new(descriptor.requests_per_second, Arc::clone(&clock)),
            descriptor,
            clock,
        })
    }

    /// The descriptor that this app goes by.
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    async fn call(&self, asked: Asked<'_>, key: Key<'_>, patience: Duration) -> Outcome {
        let sent_at = self.clock.now();
        let started = self.clock.monotonic();
        let result = match question::ask(&self.descriptor.request, asked, &self.keys.client_id, key.secret) {
            Some(question) => exchange::exchange(&self.client, &self.descriptor.token_url, question, patience).await,
            None => Err(Broken {
                status: None,
                problem: "the client id or secret has characters that no header can carry".to_owned(),
                ambiguous: false,
            }),
        };
        let duration = self.clock.monotonic().saturating_sub(started);
        let secrets: Vec<_> = asked.secrets().chain(self.keys.all()).collect();
        let mut outcome = match result {
            Ok(received) => self.understand(&received, asked.grant(), &secrets, sent_at),
            Err(broken) => no_answer(&broken, &secrets, sent_at),
        };
        outcome.answer.trace.duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (provider, status) = (self.descriptor.name.to_string(), status_class(outcome.answer.trace.status));
        metrics::counter!("evergrant_token_endpoint_answers_total", "provider" => provider, "status" => status)
            .increment(1);
        outcome
    }

    fn understand(&self, received: &Received, grant: Grant, sent: &[&Secret], sent_at: Timestamp) -> Outcome {
        let reply = Reply {
            status: received.status,
            retry_after: received.retry_after.as_deref(),
            request_id: received.request_id.as_deref(),
            body: &received.body,
        };
        let question = Question { grant, sent, sent_at, now: self.clock.now() };
        let Reading { verdict, code, message, request_id, secret_refused } =
            reading::read(&self.descriptor, &question, &reply);
        let trace = AnswerTrace {
            status: Some(received.status),
            code,
            message,
            request_id,
            duration_ms: 0,
            ambiguous: GATEWAY_STATUSES.contains(&received.status),
        };
        Outcome { answer: Answer { verdict, sent_at, trace }, secret_refused }
    }

    /// Tries the secret that worked last, and the other one if that is refused.
    async fn call_with_either_secret(&self, asked: Asked<'_>) -> Answer {
        let give_up_at = self.clock.monotonic().saturating_add(self.policy.call_timeout);
        let (first, other) = self.keys.in_order();
        let refused = self.call(asked, first, self.policy.call_timeout).await;
        let left = give_up_at.saturating_sub(self.clock.monotonic());
        let Some(second) = other.filter(|_| refused.secret_refused && !left.is_zero()) else {
            return refused.answer;
        };
        let outcome = self.call(asked, second, left).await;
        if outcome.secret_refused {
            return outcome.answer;
        }
        // Only an answer about the grant shows that the secret was taken.
        let kind = outcome.answer.verdict.kind();
        let taken = matches!(kind, VerdictKind::Refreshed | VerdictKind::GrantInvalid | VerdictKind::Unusable);
        if taken && self.keys.prefer(second) {
            tracing::warn!(
                provider = %self.descriptor.name, refused = first.name(), works = second.name(),
                "The provider refuses one client secret and takes the other; remove the refused one from the settings"
            );
        }
        outcome.answer
    }

    /// Asks for tokens, and keeps to the pause if the provider asks for one.
    async fn ask(&self, asked: Asked<'_>) -> Answer {
        let answer = self.call_with_either_secret(asked).await;
        if let Verdict::Throttled(Some(pause)) = answer.verdict {
            self.turnstile.pause(pause);
        }
        answer
    }
}

#[async_trait]
impl Provider for HttpProvider {
    fn policy(&self) -> &ProviderPolicy {
        &self.policy
    }

    async fn admit(&self, kind: JobKind, patience: Duration) -> Result<(), Duration> {
        let came = self.clock.monotonic();
        let passed = match kind {
            JobKind::ForceRefresh => self.turnstile.pass_ahead(patience).await,
            JobKind::RefreshDue => self.turnstile.pass(patience).await,
        };
        let (provider, kind) = (self.descriptor.name.to_string(), kind.as_str());
        if passed.is_ok() {
            let waited = self.clock.monotonic().saturating_sub(came);
            metrics::histogram!("evergrant_rate_limit_wait_seconds", "provider" => provider, "kind" => kind)
                .record(waited);
        } else {
            metrics::counter!("evergrant_rate_limit_refused_total", "provider" => provider, "kind" => kind)
                .increment(1);
        }
        passed
    }

    async fn refresh(&self, call: RefreshCall<'_>) -> Answer {
        self.ask(Asked::Refresh(&call)).await
    }
}

#[async_trait]
impl Consents for HttpProvider {
    fn consent_url(&self, request: &ConsentRequest<'_>) -> String {
        authorize::url(&self.descriptor, &self.keys.client_id, request).into()
    }

    fn scopes(&self) -> &[String] {
        &self.descriptor.scopes
    }

    fn consent_ends(&self, at: Timestamp) -> Option<Timestamp> {
        self.descriptor.consent_lifetime.refresh_expires_at(at)
    }

    async fn exchange(&self, call: CodeCall<'_>) -> Answer {
        // A person waits, so no longer than for the call itself; a code that was not sent can still be sent.
        match self.turnstile.pass(self.policy.call_timeout).await {
            Ok(()) => self.ask(Asked::Exchange(&call)).await,
            Err(wait) => held_back(wait, self.clock.now()),
        }
    }

    async fn identify(&self, access_token: &Secret) -> Result<Identity, IdentityError> {
        let asker = Asker {
            form: &self.descriptor.identity,
            scopes: &self.descriptor.scopes,
            provider: &self.descriptor.name,
            client_id: &self.keys.client_id,
            client: &self.client,
            clock: &*self.clock,
        };
        asker.identify(access_token, self.policy.call_timeout).await
    }
}

/// The status of an answer as metrics tell it: few words, and 429 apart from those that say that we were wrong.
const fn status_class(status: Option<u16>) -> &'static str {
    match status {
        None => "none",
        Some(429) => "429",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(_) => "5xx",
    }
}

/// The app's rate limit, or a pause that the provider asked for, lets nothing through.
fn held_back(wait: Duration, now: Timestamp) -> Answer {
    let trace = AnswerTrace {
        status: None,
        code: None,
        message: "the app has to wait before it may ask the provider again".to_owned(),
        request_id: None,
        duration_ms: 0,
        ambiguous: false,
    };
    Answer { verdict: Verdict::Throttled(Some(wait)), sent_at: now, trace }
}

fn no_answer(broken: &Broken, sent: &[&Secret], sent_at: Timestamp) -> Outcome {
    let redactor = Redactor::new(sent.iter().map(|secret| secret.expose()));
    let trace = AnswerTrace {
        status: broken.status,
        code: None,
        message: redactor.clean(&broken.problem),
        request_id: None,
        duration_ms: 0,
        ambiguous: broken.ambiguous,
    };
    Outcome { answer: Answer { verdict: Verdict::Transient, sent_at, trace }, secret_refused: false }
}

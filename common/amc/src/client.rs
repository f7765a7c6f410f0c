//! The client: a call, its token, and the repetition when the token was refused.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::ids::ConnectionId;
use reqwest::{StatusCode, redirect, retry};

use crate::amc::Amc;
use crate::answer::{Answer, Used};
use crate::call::Call;
use crate::error::{ClientError, Error, root_cause};
use crate::place;
use crate::refusal::is_about_the_token;
use crate::retry_after;
use crate::settings::ClientSettings;
use crate::tokens::{Held, TokenError, Tokens};

/// How much of a 401 is read to see what it is about. Amazon's have a few hundred bytes.
const REFUSAL_MAX: usize = 64 * 1024;
/// The shortest pause after a 429: an API that says "0" would be asked as fast as it answers.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Makes calls whose tokens do not end. Cheap to clone: all clones share one pool of connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    tokens: Arc<dyn Tokens>,
    settings: ClientSettings,
}

/// How far a call has come.
struct Progress {
    held: Held,
    /// Repetitions with a newer token.
    renewals: u32,
    /// Repetitions after a pause.
    pauses: u32,
    /// What is left for pauses.
    budget: Duration,
}

/// What an answer means for the call.
enum Step {
    Done(Answer),
    Again(Progress),
}

impl Client {
    /// A client that takes its tokens from there.
    pub fn new(tokens: Arc<dyn Tokens>, settings: ClientSettings) -> Result<Self, ClientError> {
        let http = http(settings.connect_timeout)?;
        Ok(Self(Arc::new(Inner { http, tokens, settings })))
    }

    /// The documented AMC endpoints, as typed methods.
    pub fn amc(&self, connection: ConnectionId) -> Amc {
        Amc::new(self.clone(), connection)
    }

    /// Makes a call and returns the API's answer, whatever its status.
    ///
    /// A 401 that can be an expired token is repeated with a newer one, and a 429 after the pause it asks for if that is
    /// within the budget. Nothing else is ever repeated: neither was carried out, and of anything else nobody can be sure.
    pub async fn send(&self, connection: ConnectionId, call: Call) -> Result<Answer, Error> {
        let sent = self.follow(connection, &call).await;
        let outcome = match &sent {
            Ok(answer) => outcome(answer.status),
            Err(error) => error.outcome(),
        };
        metrics::counter!("evergrant_amc_calls_total", "outcome" => outcome).increment(1);
        sent
    }

    pub(crate) fn settings(&self) -> &ClientSettings {
        &self.0.settings
    }

    async fn follow(&self, connection: ConnectionId, call: &Call) -> Result<Answer, Error> {
        let Inner { tokens, settings, .. } = &*self.0;
        // Before a token is refreshed for a call that cannot be made.
        place::check(&call.path_and_query)?;
        let held = tokens.token(connection, settings.min_validity).await.map_err(|error| error.into_error(None))?;
        let mut progress = Progress { held, renewals: 0, pauses: 0, budget: settings.throttle_budget };
        loop {
            let answer = self.try_once(call, &progress).await?;
            let step = match answer.status {
                StatusCode::UNAUTHORIZED => self.renew(connection, progress, answer).await?,
                StatusCode::TOO_MANY_REQUESTS => self.pause(progress, answer).await,
                _ => Step::Done(answer),
            };
            match step {
                Step::Done(answer) => return Ok(answer),
                Step::Again(next) => progress = next,
            }
        }
    }

    async fn try_once(&self, call: &Call, progress: &Progress) -> Result<Answer, Error> {
        let Inner { http, settings, .. } = &*self.0;
        let Progress { held, renewals, pauses, .. } = progress;
        let url = place::place(&held.target.api_url, &call.path_and_query)?;
        let headers = call.outgoing(held)?;
        let request = http.request(call.method.clone(), url).headers(headers).body(call.body.clone());
        let response = tokio::select! {
            biased;
            sent = request.send() => sent.map_err(|error| Error::network(&error))?,
            () = settings.clock.sleep(settings.call_timeout) => return Err(Error::Network {
                message: "the API did not answer in time".to_owned(),
                maybe_executed: true,
            }),
        };
        let used = Used { version: held.version, retries: renewals + pauses };
        Ok(Answer::new(response, used, settings.idle_timeout, Arc::clone(&settings.clock)))
    }

    /// After a 401: on with a newer token, if that can help.
    async fn renew(&self, connection: ConnectionId, progress: Progress, mut answer: Answer) -> Result<Step, Error> {
        let Inner { tokens, settings, .. } = &*self.0;
        let body = answer.body.peek(REFUSAL_MAX).await;
        if settings.max_retries == 0 || !is_about_the_token(answer.status, &body) {
            return Ok(Step::Done(answer));
        }
        if progress.renewals >= settings.max_retries {
            repeated("exhausted");
            return Err(Error::Rejected { answer: Some(Box::new(answer)) });
        }
        let refused = progress.held.version;
        tracing::debug!(connection.id = %connection, version = %refused, "The API refused a token; asking for a newer one");
        let newer = tokens.refused(connection, refused).await.and_then(|held| {
            // An older or the same token would be refused again.
            if held.version > refused { Ok(held) } else { Err(TokenError::Rejected) }
        });
        match newer {
            Ok(held) => {
                repeated("new_token");
                Ok(Step::Again(Progress { held, renewals: progress.renewals + 1, ..progress }))
            }
            Err(error) => {
                repeated(if error == TokenError::Rejected { "rejected" } else { "no_token" });
                Err(error.into_error(Some(answer)))
            }
        }
    }

    /// After a 429: on after the pause it asks for, if it does and there is time for it.
    async fn pause(&self, progress: Progress, answer: Answer) -> Step {
        let clock = &self.0.settings.clock;
        let asked = retry_after::read(&answer.headers, clock.now()).map(|pause| pause.max(SHORTEST_PAUSE));
        let Some(pause) = asked.filter(|pause| *pause <= progress.budget) else { return Step::Done(answer) };
        drop(answer);
        clock.sleep(pause).await;
        repeated("after_pause");
        Step::Again(Progress { pauses: progress.pauses + 1, budget: progress.budget.saturating_sub(pause), ..progress })
    }
}

/// The HTTP client of this crate: no redirects, which would carry a token to wherever they point, and no repeats below us.
pub(crate) fn http(connect_timeout: Duration) -> Result<reqwest::Client, ClientError> {
    // The binary installs ring first of all; a library or a test that did not gets it here instead of a panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("evergrant/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .build()
        .map_err(|error| ClientError::Http(root_cause(&error)))
}

fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => "throttled",
        ..400 => "ok",
        400..500 => "client_error",
        _ => "server_error",
    }
}

fn repeated(outcome: &'static str) {
    metrics::counter!("evergrant_amc_retries_total", "outcome" => outcome).increment(1);
}

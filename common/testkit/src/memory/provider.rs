//! A provider that answers from a script.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use evergrant_contract::Timestamp;
use evergrant_contract::job::JobKind;
use evergrant_contract::ports::{Clock, Provider};
use evergrant_contract::secret::Secret;
use evergrant_contract::verdict::{
    Answer, AnswerTrace, Confirmation, ProviderPolicy, RefreshCall, Rotation, Tokens, Verdict,
};
use tokio::sync::watch;

use crate::conformance::soon;
use crate::lock;

/// What a scripted provider answers.
#[derive(Clone)]
pub enum Reply {
    /// New tokens, both of them: `Atza|scripted-<n>` and `Atzr|scripted-<n>`, where `n` counts the calls, for an hour.
    Rotated,
    /// A new access token and no refresh token.
    Refreshed,
    /// A new access token of this lifetime, and no refresh token.
    RefreshedFor(Duration),
    /// A 503 that says nothing about the grant.
    Transient,
    /// The request left and no answer came back.
    Lost,
    /// Like [`Reply::Lost`], and the provider has spent the refresh token: to use it again is to spend it twice.
    SpentAndLost,
    /// A 429, with a pause if it names one.
    Throttled(Option<Duration>),
    /// `invalid_grant`.
    GrantInvalid,
    /// `invalid_client`.
    AppFault,
    /// A 200 without a usable token.
    Unusable(&'static str),
    /// Anything else.
    Exactly(Box<(Verdict, AnswerTrace)>),
}

/// A call that a scripted provider got.
#[derive(Clone)]
pub struct Call {
    /// The refresh token that was to be spent.
    pub refresh_token: Secret,
    /// The scopes that came with it.
    pub scopes: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The token had been spent before, or another call with it was under way.
    pub spent_twice: bool,
}

/// A provider that answers from a script and records every call.
///
/// It answers what is scripted for the refresh token, else what is scripted for anybody, else what it answers otherwise,
/// which is [`Reply::Rotated`] until the test says something else. A token is spent when another comes in its place.
pub struct ScriptedProvider {
    policy: ProviderPolicy,
    clock: Arc<dyn Clock>,
    script: Mutex<Script>,
    /// How many calls wait at the gate, and whether it is open.
    gate: watch::Sender<Gate>,
}

struct Script {
    for_token: BTreeMap<String, VecDeque<Reply>>,
    for_anybody: VecDeque<Reply>,
    otherwise: Reply,
    admission: Result<(), Duration>,
    calls: Vec<Call>,
    under_way: BTreeSet<String>,
    spent: BTreeSet<String>,
}

#[derive(Default)]
struct Gate {
    closed: bool,
    /// Calls that may pass although it is closed.
    passes: usize,
    waiting: usize,
}

impl ScriptedProvider {
    /// A provider app `amazon-na` with Amazon's ways: `invalid_grant` is confirmed after three seconds in the same job, a new
    /// refresh token may come and the former one keeps working.
    pub fn amazon(clock: Arc<dyn Clock>) -> Arc<Self> {
        let name = "amazon-na".parse().expect("a well-formed provider name");
        let policy = ProviderPolicy {
            name,
            rotation: Rotation::Optional,
            confirmation: Confirmation::InJob { after_ms: 3_000 },
            margin_share_percent: 25,
            call_timeout: Duration::from_secs(10),
        };
        Self::new(policy, clock)
    }

    /// A provider app with ways of its own.
    pub fn new(policy: ProviderPolicy, clock: Arc<dyn Clock>) -> Arc<Self> {
        let script = Script {
            for_token: BTreeMap::new(),
            for_anybody: VecDeque::new(),
            otherwise: Reply::Rotated,
            admission: Ok(()),
            calls: Vec::new(),
            under_way: BTreeSet::new(),
            spent: BTreeSet::new(),
        };
        Arc::new(Self { policy, clock, script: Mutex::new(script), gate: watch::Sender::default() })
    }

    /// Answers the next calls, whoever makes them, with these, one after the other.
    pub fn then(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.script).for_anybody.extend(replies);
    }

    /// Answers the next calls with this refresh token with these, one after the other.
    pub fn then_for(&self, refresh_token: &str, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.script).for_token.entry(refresh_token.to_owned()).or_default().extend(replies);
    }

    /// Answers so when the script has nothing more to say.
    pub fn otherwise(&self, reply: Reply) {
        lock(&self.script).otherwise = reply;
    }

    /// Lets calls through its rate limit, or says how long that would take.
    pub fn set_admission(&self, admission: Result<(), Duration>) {
        lock(&self.script).admission = admission;
    }

    /// Every call so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.script).calls.clone()
    }

    /// How many calls there have been.
    pub fn call_count(&self) -> usize {
        lock(&self.script).calls.len()
    }

    /// Fails the test if any refresh token was spent twice.
    pub fn assert_nothing_spent_twice(&self) {
        let calls = self.calls();
        let twice: Vec<usize> = (0..calls.len()).filter(|n| calls[*n].spent_twice).collect();
        assert!(twice.is_empty(), "calls {twice:?} of {} spent a refresh token that was spent already", calls.len());
    }

    /// Makes every call wait, from now on, after it has arrived and before it is answered.
    pub fn close_gate(&self) {
        self.gate.send_modify(|gate| gate.closed = true);
    }

    /// Lets so many of the waiting or coming calls pass.
    pub fn let_pass(&self, calls: usize) {
        self.gate.send_modify(|gate| gate.passes += calls);
    }

    /// Answers every waiting call, and the coming ones at once.
    pub fn open_gate(&self) {
        self.gate.send_modify(|gate| (gate.closed, gate.passes) = (false, 0));
    }

    /// Returns when at least so many calls wait at the gate. Fails the test if that takes too long.
    pub async fn until_waiting(&self, calls: usize) {
        let mut gate = self.gate.subscribe();
        let _ = soon("the arrival of enough calls at the gate", gate.wait_for(|gate| gate.waiting >= calls)).await;
    }

    async fn pass_gate(&self) {
        let _counted = AtGate::arrive(&self.gate);
        let mut gate = self.gate.subscribe();
        loop {
            let passes = self.gate.send_if_modified(|gate| {
                let by_pass = gate.closed && gate.passes > 0;
                gate.passes -= usize::from(by_pass);
                by_pass
            });
            if passes || !self.gate.borrow().closed {
                return;
            }
            let _ = gate.changed().await;
        }
    }
}

/// A call at the gate; one that is given up is no longer there.
struct AtGate<'a>(&'a watch::Sender<Gate>);

impl<'a> AtGate<'a> {
    fn arrive(gate: &'a watch::Sender<Gate>) -> Self {
        gate.send_modify(|gate| gate.waiting += 1);
        Self(gate)
    }
}

impl Drop for AtGate<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|gate| gate.waiting -= 1);
    }
}

/// A call under way; its token is free again when it ends, however it ends.
struct UnderWay<'a>(&'a Mutex<Script>, String);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(self.0).under_way.remove(&self.1);
    }
}

impl Script {
    /// Records the call. The number of calls so far, and what to answer.
    fn arrive(&mut self, call: &RefreshCall<'_>, at: Timestamp) -> (usize, Reply) {
        let token = call.refresh_token.expose();
        let first = self.under_way.insert(token.to_owned());
        let spent_twice = !first || self.spent.contains(token);
        let (refresh_token, scopes) = (call.refresh_token.clone(), call.scopes.map(str::to_owned));
        self.calls.push(Call { refresh_token, scopes, at, spent_twice });
        let reply = self.for_token.get_mut(token).and_then(VecDeque::pop_front);
        let reply = reply.or_else(|| self.for_anybody.pop_front()).unwrap_or_else(|| self.otherwise.clone());
        (self.calls.len(), reply)
    }
}

#[async_trait]
impl Provider for ScriptedProvider {
    fn policy(&self) -> &ProviderPolicy {
        &self.policy
    }

    async fn admit(&self, _kind: JobKind, _patience: Duration) -> Result<(), Duration> {
        lock(&self.script).admission
    }

    async fn refresh(&self, call: RefreshCall<'_>) -> Answer {
        let sent_at = self.clock.now();
        let (n, reply) = lock(&self.script).arrive(&call, sent_at);
        let token = call.refresh_token.expose().to_owned();
        let _under_way = UnderWay(&self.script, token.clone());
        self.pass_gate().await;
        if matches!(reply, Reply::Rotated | Reply::SpentAndLost) {
            lock(&self.script).spent.insert(token);
        }
        answer(reply, n, sent_at)
    }
}

fn answer(reply: Reply, n: usize, sent_at: Timestamp) -> Answer {
    const HOUR: Duration = Duration::from_hours(1);
    let (verdict, trace) = match reply {
        Reply::Rotated => (tokens(n, true, HOUR), trace(Some(200), None)),
        Reply::Refreshed => (tokens(n, false, HOUR), trace(Some(200), None)),
        Reply::RefreshedFor(lifetime) => (tokens(n, false, lifetime), trace(Some(200), None)),
        Reply::Transient => (Verdict::Transient, trace(Some(503), Some("server_error"))),
        Reply::Lost | Reply::SpentAndLost => (Verdict::Transient, trace(None, None)),
        Reply::Throttled(pause) => (Verdict::Throttled(pause), trace(Some(429), Some("slow_down"))),
        Reply::GrantInvalid => (Verdict::GrantInvalid, trace(Some(400), Some("invalid_grant"))),
        Reply::AppFault => (Verdict::AppFault, trace(Some(401), Some("invalid_client"))),
        Reply::Unusable(body) => (Verdict::Unusable(Secret::new(body)), trace(Some(200), None)),
        Reply::Exactly(exactly) => *exactly,
    };
    Answer { verdict, sent_at, trace }
}

fn tokens(n: usize, rotates: bool, lifetime: Duration) -> Verdict {
    Verdict::Refreshed(Tokens {
        access_token: Secret::new(format!("Atza|scripted-{n}")),
        refresh_token: rotates.then(|| Secret::new(format!("Atzr|scripted-{n}"))),
        lifetime,
        refresh_expires_at: None,
        scopes: None,
    })
}

/// No status is no answer.
fn trace(status: Option<u16>, code: Option<&str>) -> AnswerTrace {
    AnswerTrace {
        status,
        code: code.map(str::to_owned),
        message: format!("scripted: {}", code.unwrap_or(if status.is_some() { "success" } else { "no answer" })),
        request_id: None,
        duration_ms: 5,
        ambiguous: status.is_none(),
    }
}

//! What the viewer of the demo sees: a line per refresh, a status line, a summary.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::app::AppState;
use evergrant_contract::connection::{Connection, ConnectionFilter};
use evergrant_contract::event::{Event, Outcome};
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::{Clock, Heard, Store};
use evergrant_contract::secret::Secret;
use evergrant_contract::state::State;
use evergrant_sim::Stats;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::script::Scene;
use crate::output::{self, Output};
use crate::shape::Shape;

/// How often the rows are read for the status line.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a status line is printed where nobody watches a living one.
const STATUS_EVERY_LOOKS: u32 = 20;

pub(super) struct View {
    heard: BoxStream<'static, Heard>,
    out: Output,
    bar: ProgressBar,
    users: Vec<String>,
    refreshed: u64,
    app: AppState,
    expired: BTreeSet<ConnectionId>,
    given_up: BTreeMap<String, String>,
}

/// How it went.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    connections: usize,
    refreshed: u64,
    given_up: BTreeMap<String, String>,
    expired_unrefreshed: usize,
    provider_calls: u64,
    spent_twice: u64,
    of_these_after_a_lost_reply: u64,
    calls_for_ended_grants: u64,
}

impl View {
    pub(super) async fn new(shape: &Shape, users: Vec<String>, json: bool) -> Self {
        let bar = if output::is_watched() && !json { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self {
            heard: shape.events.subscribe().await,
            out: Output::stdout(json),
            bar,
            users,
            refreshed: 0,
            app: AppState::Open,
            expired: BTreeSet::new(),
            given_up: BTreeMap::new(),
        }
    }

    pub(super) fn opening(
        &mut self,
        address: SocketAddr,
        connections: u32,
        lifetime: Duration,
        email: &str,
        password: &Secret,
    ) {
        self.tell(&format!(
            "{connections} connections whose access tokens live for {} s, and a simulated Amazon that rotates refresh tokens.\n\
             Open http://{address} and sign in as {email} with {}\n\
             API: http://{address}/api/docs   Metrics: http://{address}/metrics   Ctrl-C ends it.\n",
            lifetime.as_secs(),
            // Made a moment ago for a database that is thrown away.
            password.expose()
        ));
    }

    /// Shows what happens until the time is up, or until `stop`.
    pub(super) async fn watch(
        &mut self,
        store: &dyn Store,
        clock: &dyn Clock,
        script: Vec<Scene>,
        run_for: Option<Duration>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let began = clock.monotonic();
        let mut script = script.into_iter().peekable();
        for looks in 0.. {
            let elapsed = clock.monotonic().saturating_sub(began);
            while let Some(scene) = script.next_if(|scene| scene.at <= elapsed) {
                self.note(clock.now(), "fault", &scene.told);
            }
            self.look(store, clock, looks).await?;
            if run_for.is_some_and(|end| elapsed >= end) || stop.is_cancelled() {
                break;
            }
            self.listen(store, clock, stop).await?;
        }
        self.bar.finish_and_clear();
        Ok(())
    }

    /// Tells events until it is time for the next look.
    async fn listen(&mut self, store: &dyn Store, clock: &dyn Clock, stop: &CancellationToken) -> anyhow::Result<()> {
        let nap = clock.sleep(LOOK_EVERY);
        tokio::pin!(nap);
        loop {
            let heard = tokio::select! {
                () = &mut nap => return Ok(()),
                () = stop.cancelled() => return Ok(()),
                heard = self.heard.next() => heard,
            };
            match heard {
                Some(Heard::Event(event)) => self.event(store, clock, event).await?,
                Some(Heard::Gap) => {}
                None => return Ok(()),
            }
        }
    }

    async fn event(&mut self, store: &dyn Store, clock: &dyn Clock, event: Event) -> anyhow::Result<()> {
        let now = clock.now();
        self.out.json_line(&event)?;
        match event {
            Event::App { provider, state } => {
                self.app = state;
                self.note(now, "app", &format!("{provider} is {state}"));
            }
            Event::Connection { connection, version, outcome, reason, retry_at, .. } => {
                let Some(row) = store.find(connection).await? else { return Ok(()) };
                let user = row.user.to_string();
                let why =
                    row.last_error.clone().or_else(|| reason.map(|reason| reason.to_string())).unwrap_or_default();
                match outcome {
                    Outcome::Refreshed => {
                        self.refreshed += 1;
                        let left = row.expires_at.map_or(0, |at| (at - now).num_seconds());
                        self.note(now, "refreshed", &format!("{user}  version {version}, good for {left} s"));
                    }
                    Outcome::Unavailable => {
                        let why = if why.is_empty() { "it waits for the provider".to_owned() } else { why };
                        let wait = retry_at.map_or(0.0, |at| seconds(at, now));
                        self.note(now, "put off", &format!("{user}  again in {wait:.1} s  {why}"));
                    }
                    Outcome::NeedsReauth | Outcome::Disconnected => {
                        self.note(now, "given up", &format!("{user}  {why}"));
                        self.given_up.insert(user, why);
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the rows: who has expired, and the status line.
    async fn look(&mut self, store: &dyn Store, clock: &dyn Clock, looks: u32) -> anyhow::Result<()> {
        let now = clock.now();
        let refreshable = [State::Active, State::Failing, State::Suspect];
        let filter =
            ConnectionFilter { states: refreshable.to_vec(), expired_before: Some(now), ..ConnectionFilter::default() };
        for row in store.list(&filter, None, 1_000).await? {
            self.note_expired(&row, now);
        }
        let totals = store.stats(now, now).await?;
        let counts = totals.by_state.iter().filter(|(_, count)| **count > 0);
        let counts: Vec<_> = counts.map(|(state, count)| format!("{count} {state}")).collect();
        let line = format!(
            "{}  ·  {} due  ·  {} refreshed so far  ·  provider {}",
            counts.join(", "),
            totals.due,
            self.refreshed,
            self.app
        );
        self.bar.set_message(line.clone());
        self.bar.tick();
        if self.bar.is_hidden() && looks % STATUS_EVERY_LOOKS == STATUS_EVERY_LOOKS - 1 {
            self.note(now, "status", &line);
        }
        Ok(())
    }

    fn note_expired(&mut self, row: &Connection, now: Timestamp) {
        if self.expired.insert(row.id) {
            let why = row.last_error.clone().unwrap_or_default();
            self.note(now, "EXPIRED", &format!("{}  its token ended before it was refreshed  {why}", row.user));
        }
    }

    fn note(&mut self, now: Timestamp, kind: &str, what: &str) {
        let line = format!("{}  {kind:<9}  {what}", now.format("%H:%M:%S"));
        self.tell(&line);
    }

    fn tell(&mut self, line: &str) {
        // A viewer who has left needs no line.
        let _ = self.bar.suspend(|| self.out.line(line));
    }

    pub(super) fn summary(&self, provider: &Stats) -> Summary {
        Summary {
            connections: self.users.len(),
            refreshed: self.refreshed,
            given_up: self.given_up.clone(),
            expired_unrefreshed: self.expired.len(),
            provider_calls: provider.token_calls,
            spent_twice: provider.spent_twice,
            of_these_after_a_lost_reply: provider.after_lost_reply,
            calls_for_ended_grants: provider.calls_after_end,
        }
    }

    pub(super) fn print(&mut self, summary: &Summary) -> std::io::Result<()> {
        if self.out.is_json() {
            return self.out.json_line(&json!({ "summary": summary }));
        }
        self.out.line(&summary.text())
    }
}

fn seconds(at: Timestamp, now: Timestamp) -> f64 {
    (at - now).to_std().unwrap_or_default().as_secs_f64()
}

impl Summary {
    fn text(&self) -> String {
        let mut lines = vec![
            String::new(),
            format!("{:>5}  connections", self.connections),
            format!("{:>5}  refreshes", self.refreshed),
            format!("{:>5}  given up", self.given_up.len()),
        ];
        lines.extend(self.given_up.iter().map(|(user, why)| format!("         {user}: {why}")));
        lines.extend([
            format!("{:>5}  tokens that ended before they were refreshed", self.expired_unrefreshed),
            format!("{:>5}  calls that the provider saw", self.provider_calls),
            format!(
                "{:>5}  refresh tokens spent twice, {} of them after a reply that never arrived",
                self.spent_twice, self.of_these_after_a_lost_reply
            ),
            format!("{:>5}  calls for grants that had ended", self.calls_for_ended_grants),
        ]);
        lines.join("\n")
    }

    /// What must not happen, if it did.
    pub(super) fn complaint(&self) -> Option<String> {
        if self.expired_unrefreshed > 0 {
            return Some(format!("{} tokens ended before they were refreshed", self.expired_unrefreshed));
        }
        let wantonly = self.spent_twice.saturating_sub(self.of_these_after_a_lost_reply);
        (wantonly > 0).then(|| format!("{wantonly} refresh tokens were spent twice for no reason"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            connections: 40,
            refreshed: 57,
            given_up: BTreeMap::from([("user-10".to_owned(), "400 invalid_grant: it was revoked".to_owned())]),
            expired_unrefreshed: 0,
            provider_calls: 66,
            spent_twice: 1,
            of_these_after_a_lost_reply: 1,
            calls_for_ended_grants: 0,
        }
    }

    #[test]
    fn the_summary_is_written_for_people() {
        insta::assert_snapshot!(summary().text());
    }

    #[test]
    fn what_must_not_happen_is_complained_about() {
        assert_eq!(summary().complaint(), None);
        assert!(Summary { expired_unrefreshed: 1, ..summary() }.complaint().is_some());
        assert!(Summary { spent_twice: 2, ..summary() }.complaint().is_some());
    }
}

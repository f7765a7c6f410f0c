//! A look, as text. Pure.

use std::fmt::Write as _;

use evergrant_contract::Timestamp;
use evergrant_contract::app::AppState;
use evergrant_contract::timing::until;

use super::look::{COUNTED, Look};
use crate::output::{self, Table};

/// Everything on one page: what is wrong stands above what is well.
pub(super) fn frame(look: &Look) -> String {
    let mut text = format!("evergrant top   {}   {}   q quits\n\n", output::time(Some(look.at)), look.mode);
    for note in &look.notes {
        let _ = writeln!(text, "! {}", note.replace(char::is_control, " "));
    }
    for pause in look.pauses.iter() {
        let order = &pause.order;
        let _ = writeln!(
            text,
            "! {} is paused by {}: {}",
            pause.target,
            order.by,
            order.why.replace(char::is_control, " ")
        );
    }
    connections(&mut text, look);
    apps(&mut text, look);
    if !look.queues.is_empty() {
        let mut table = Table::new(["queue", "waiting", "consumers"]);
        for level in &look.queues {
            table.row([level.queue.to_string(), level.waiting.to_string(), level.consumers.to_string()]);
        }
        let _ = write!(text, "\n{table}");
    }
    let mut table = Table::new(["process", "runs", "heard of", "jobs"]);
    for peer in &look.peers {
        let jobs = peer.drain.as_ref().map_or("", |drain| if drain.done_at.is_some() { "drained" } else { "draining" });
        table.row([peer.process.to_string(), peer.role.clone(), ago(look.at, Some(peer.seen_at)), jobs.to_owned()]);
    }
    let _ = write!(text, "\n{table}");
    if look.peers.is_empty() {
        text.push_str("no process is running\n");
    }
    text
}

fn connections(text: &mut String, look: &Look) {
    let Some(stats) = &look.stats else { return };
    let _ = write!(text, "connections  {}", stats.total);
    for (state, count) in &stats.by_state {
        let _ = write!(text, "   {state} {count}");
    }
    text.push('\n');
    let (due, expired, paused, refreshed) = (stats.due, stats.expired, stats.paused, stats.refreshed);
    let _ = writeln!(
        text,
        "             due {due}   expired {expired}   paused {paused}   refreshed in the last minute {refreshed}"
    );
    let hint = if stats.failed_jobs > 0 { "   evergrant jobs list" } else { "" };
    let _ = writeln!(text, "failed jobs  {} open{hint}", stats.failed_jobs);
}

fn apps(text: &mut String, look: &Look) {
    let mut table =
        Table::new(["provider app", "state", "since", "due", "oldest due", "refreshed/min", "not/min", "why"]);
    for provider in &look.providers {
        let app = look.apps.get(provider).filter(|app| app.state != AppState::Open);
        let backlog = look.backlog.get(provider);
        let due = backlog.map_or_else(
            || "-".to_owned(),
            |backlog| if backlog.due >= u64::from(COUNTED) { format!("{COUNTED}+") } else { backlog.due.to_string() },
        );
        let rates = look.rates.get(provider).copied().unwrap_or_default();
        table.row([
            provider.to_string(),
            app.map_or(AppState::Open, |app| app.state).to_string(),
            ago(look.at, app.map(|app| app.since)),
            due,
            ago(look.at, backlog.and_then(|backlog| backlog.oldest)),
            rates.refreshed.to_string(),
            rates.other.to_string(),
            app.and_then(|app| app.message.clone()).unwrap_or_default(),
        ]);
    }
    let _ = write!(text, "\n{table}");
}

/// How long ago, in its largest unit; `-` if never.
fn ago(now: Timestamp, at: Option<Timestamp>) -> String {
    let Some(at) = at else { return "-".to_owned() };
    let seconds = until(at, now).as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use evergrant_contract::app::App;
    use evergrant_contract::census::{Backlog, QueueLevel, QueueName};
    use evergrant_contract::connection::Stats;
    use evergrant_contract::controls::{Order, Pause, PauseTarget, Pauses};
    use evergrant_contract::ids::ProviderName;
    use evergrant_contract::job::JobKind;
    use evergrant_contract::ports::Peer;
    use evergrant_contract::state::State;
    use evergrant_contract::timing::before;

    use super::super::look::Rates;
    use super::*;

    fn troubled() -> Look {
        let at: Timestamp = "2026-11-23T03:00:00Z".parse().unwrap();
        let ago = |seconds| before(at, Duration::from_secs(seconds));
        let (na, eu): (ProviderName, ProviderName) = ("amazon-na".parse().unwrap(), "amazon-eu".parse().unwrap());
        let held = App {
            provider: eu.clone(),
            state: AppState::Fault,
            since: ago(300),
            probe_at: Some(at),
            code: Some("invalid_client".to_owned()),
            message: Some("the provider refuses the app's credentials".to_owned()),
        };
        let stats = Stats {
            total: 600,
            by_state: State::ALL.iter().map(|state| (*state, if *state == State::Active { 600 } else { 0 })).collect(),
            due: 240,
            expired: 3,
            refreshed: 51,
            failed_jobs: 31,
            ..Stats::default()
        };
        let order = Order { by: "cli ada".to_owned(), why: "a\nrelease".to_owned(), at: ago(60) };
        let peer = Peer {
            process: "018f0000-0000-7000-8000-000000000001".parse().unwrap(),
            role: "worker".to_owned(),
            primary_key: "b1c803705da61b39".to_owned(),
            keys: Vec::new(),
            seen_at: ago(7),
            drain: None,
        };
        Look {
            at,
            mode: "cluster".to_owned(),
            stats: Some(stats),
            providers: BTreeSet::from([na.clone(), eu.clone()]),
            apps: BTreeMap::from([(eu.clone(), held)]),
            backlog: BTreeMap::from([
                (na.clone(), Backlog { due: 40, oldest: Some(ago(4)) }),
                (eu, Backlog { due: COUNTED.into(), oldest: Some(ago(310)) }),
            ]),
            rates: BTreeMap::from([(na, Rates { refreshed: 51, other: 2 })]),
            queues: vec![QueueLevel { queue: QueueName::RefreshDue, waiting: 12, consumers: 3 }],
            peers: vec![peer],
            pauses: Pauses::from(vec![Pause { target: PauseTarget::Queue(JobKind::RefreshDue), order }]),
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_troubled_night_on_one_page() {
        insta::assert_snapshot!(frame(&troubled()));
    }

    #[test]
    fn what_cannot_be_seen_hides_nothing_else() {
        let notes = vec!["connections: the store is unavailable: gone".to_owned()];
        let frame = frame(&Look { stats: None, notes, ..troubled() });
        assert!(frame.contains("! connections: the store is unavailable") && frame.contains("refresh_due"), "{frame}");
    }
}

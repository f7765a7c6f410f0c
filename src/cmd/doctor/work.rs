//! Whether the work gets done: who does it, what waits for them, and what was given up on.

use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::census::{QueueLevel, QueueName};
use evergrant_contract::ports::{Peer, Store};
use evergrant_contract::timing::{before, until};

use super::Report;
use crate::peers::ALIVE_FOR;
use crate::shape::Shape;

/// Due for longer than this is late: a scheduler looks far more often.
const LATE: Duration = Duration::from_mins(5);
/// Counting what is due stops here.
const COUNTED: u32 = 10_000;
/// How long counting may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Processes that were heard of so long ago and are gone are named.
const LATELY: Duration = Duration::from_mins(10);

pub(super) async fn examine(report: &mut Report, shape: &Shape, now: Timestamp) {
    let store = shape.store.as_ref();
    if shape.queue_is_shared {
        examine_processes(report, store).await;
        match shape.queue.levels().await {
            Ok(levels) => levels.iter().for_each(|level| examine_queue(report, level)),
            Err(error) => report.fail("queues", error.to_string(), "see docs/OPERATIONS.md#the-broker-was-lost"),
        }
    }
    examine_backlog(report, store, now).await;
    match store.stats(now, now).await.map(|stats| stats.failed_jobs) {
        Ok(0) => report.ok("failed jobs", "none open"),
        Ok(open) => report.warn(
            "failed jobs",
            format!("{open} open"),
            "`evergrant jobs list` shows them; mend their cause, then replay: docs/OPERATIONS.md#failed-jobs",
        ),
        // Whoever counts the connections has said so already.
        Err(_) => {}
    }
}

async fn examine_processes(report: &mut Report, store: &dyn Store) {
    const SEE: &str = "see docs/OPERATIONS.md#a-process-does-not-run";
    let (Ok(alive), Ok(lately)) = (store.peers(ALIVE_FOR).await, store.peers(LATELY).await) else { return };
    let runs =
        |peers: &[Peer], role: &str| peers.iter().filter(|peer| peer.role == role || peer.role == "serve").count();
    for role in ["scheduler", "worker"] {
        match runs(&alive, role) {
            0 => report.warn(role, "none is running", SEE),
            running => report.ok(role, format!("{running} running")),
        }
    }
    for peer in lately.iter().filter(|peer| !alive.iter().any(|other| other.process == peer.process)) {
        let found = format!("{} {} has not been heard of since {}", peer.role, peer.process, peer.seen_at.to_rfc3339());
        report.warn("processes", found, SEE);
    }
}

fn examine_queue(report: &mut Report, level: &QueueLevel) {
    let QueueLevel { queue, waiting, consumers } = *level;
    let found = format!("{waiting} waiting, {consumers} consumers");
    match queue {
        QueueName::DeadLetters if waiting == 0 => {}
        QueueName::DeadLetters => report.warn(
            queue.as_str(),
            format!("{waiting} messages that nobody can read"),
            "a running worker takes them into the failed jobs: docs/OPERATIONS.md#failed-jobs",
        ),
        QueueName::RefreshDue | QueueName::ForceRefresh if consumers == 0 && waiting > 0 => {
            report.fail(queue.as_str(), found, "no worker takes jobs: docs/OPERATIONS.md#a-process-does-not-run");
        }
        QueueName::RefreshDue | QueueName::ForceRefresh => report.ok(queue.as_str(), found),
    }
}

async fn examine_backlog(report: &mut Report, store: &dyn Store, now: Timestamp) {
    let Ok(heads) = store.headcount(PATIENCE).await else { return };
    let mut providers: Vec<_> = heads.into_iter().map(|head| head.provider).collect();
    providers.sort();
    providers.dedup();
    let mut is_late = false;
    for provider in providers {
        let Ok(backlog) = store.backlog(&provider, now, COUNTED).await else { continue };
        let Some(oldest) = backlog.oldest.filter(|oldest| *oldest < before(now, LATE)) else { continue };
        is_late = true;
        let more = if backlog.due >= u64::from(COUNTED) { " or more" } else { "" };
        report.warn(
            "backlog",
            format!("{provider}: {}{more} due, the oldest for {} s", backlog.due, until(oldest, now).as_secs()),
            "see whether the app is held or paused, and docs/OPERATIONS.md#the-backlog-grows",
        );
    }
    if !is_late {
        report.ok("backlog", "nothing is late");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_nobody_takes_from_keeps_the_system_from_working() {
        let told = |queue, waiting, consumers| {
            let mut report = Report::default();
            examine_queue(&mut report, &QueueLevel { queue, waiting, consumers });
            (report.has_failure(), report.text())
        };
        assert!(told(QueueName::RefreshDue, 3, 0).0);
        assert!(!told(QueueName::RefreshDue, 0, 0).0, "nothing is to be taken");
        assert!(!told(QueueName::ForceRefresh, 3, 2).0);
        assert_eq!(told(QueueName::DeadLetters, 0, 0).1, "");
        let (fails, text) = told(QueueName::DeadLetters, 2, 0);
        assert!(!fails && text.contains("2 messages that nobody can read"), "{text}");
    }
}

//! `evergrant connections refresh` with a filter: many, and nobody waits for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;

use anyhow::anyhow;
use evergrant_api::{Asked, RefreshOrder, RefreshPage, Refreshes, ReplayError, Way};
use evergrant_contract::connection::ConnectionFilter;
use evergrant_contract::ids::ConnectionId;
use evergrant_contract::ports::{QueueError, Store};
use serde::Serialize;

use super::super::bulk::Bulk;
use super::super::{actor, clock, keyring, one_line, unreachable};
use crate::cli::RefreshArgs;
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::{Output, Table};
use crate::shape::Shape;

/// Connections that are left alone and are told one by one.
const TOLD: usize = 20;

/// What came of it all.
#[derive(Default, Serialize)]
struct Refreshed {
    dry_run: bool,
    /// How many were looked at.
    handled: u64,
    /// Of how many a refresh was asked for, or would be.
    asked: u64,
    outcomes: BTreeMap<Asked, u64>,
    /// The first of those that are left alone.
    left_alone: Vec<LeftAlone>,
    /// Somebody stopped it before its end.
    stopped: bool,
    /// The last one that was looked at: where to go on from.
    last: Option<ConnectionId>,
}

#[derive(Serialize)]
struct LeftAlone {
    connection: ConnectionId,
    outcome: Asked,
}

impl Refreshed {
    fn add(&mut self, done: &[(ConnectionId, Asked)]) {
        for (connection, outcome) in done {
            self.handled += 1;
            *self.outcomes.entry(*outcome).or_default() += 1;
            self.last = Some(*connection);
            if outcome.is_asked() {
                self.asked += 1;
            } else if self.left_alone.len() < TOLD {
                self.left_alone.push(LeftAlone { connection: *connection, outcome: *outcome });
            }
        }
    }
}

pub(super) async fn run(config: &Config, args: &RefreshArgs) -> Result<(), Failed> {
    let filter = args.filter.filter(clock().now());
    if filter == ConnectionFilter::default() && !args.all {
        return Err(Failed::new(Exit::Usage, anyhow!("say which connections: one by its id, a filter, or --all")));
    }
    let shape = Shape::open(config, keyring(config)?, clock()).await.map_err(unreachable)?;
    let way = if shape.queue_is_shared { Way::Queue(Arc::clone(&shape.queue)) } else { Way::Row };
    let refreshed = all(Arc::clone(&shape.store), way, &filter, args).await;
    shape.close().await;
    refreshed
}

async fn all(store: Arc<dyn Store>, way: Way, filter: &ConnectionFilter, args: &RefreshArgs) -> Result<(), Failed> {
    let clock = clock();
    let total = how_many(&*store, filter).await?;
    if args.all && !args.dry_run && !args.yes {
        confirm(total)?;
    }
    let order = RefreshOrder {
        is_dry_run: args.dry_run,
        actor: actor(&args.operator.who),
        reason: one_line(&args.operator.why),
        traceparent: None,
    };
    let refreshes = Refreshes::new(store, way, Arc::clone(&clock));
    let mut sum = Refreshed { dry_run: args.dry_run, ..Refreshed::default() };
    let mut bulk = Bulk::begin(clock, args.rate, args.limit, total.unwrap_or_default());
    let mut after = args.after;
    let trouble = loop {
        let RefreshPage { done, next, trouble } = refreshes.page(filter, after, bulk.size(), &order).await?;
        sum.add(&done);
        bulk.advance(done.len(), sum.asked);
        let goes_on = match trouble {
            Some(ReplayError::Crowded { .. } | ReplayError::Queue(QueueError::Full)) => bulk.outwaits_the_crowd().await,
            Some(trouble) => break Some(trouble),
            None if next.is_none() || bulk.is_full() => break None,
            None => bulk.goes_on().await,
        };
        if !goes_on {
            sum.stopped = true;
            break None;
        }
        after = next;
    };
    drop(bulk);
    Output::stdout(args.output.json).data(&sum, text)?;
    complaint(&sum, trouble)
}

/// How many the filter names, where that is known without reading them.
async fn how_many(store: &dyn Store, filter: &ConnectionFilter) -> Result<Option<u64>, Failed> {
    let by_state = ConnectionFilter { states: filter.states.clone(), ..ConnectionFilter::default() };
    if *filter != by_state {
        return Ok(None);
    }
    let now = clock().now();
    let stats = store.stats(now, now).await?;
    let is_meant = |state| filter.states.is_empty() || filter.states.contains(state);
    Ok(Some(stats.by_state.iter().filter(|(state, _)| is_meant(state)).map(|(_, count)| count).sum()))
}

/// Nobody refreshes everything by a slip of the hand.
fn confirm(total: Option<u64>) -> Result<(), Failed> {
    if !io::stdin().is_terminal() {
        return Err(Failed::new(
            Exit::Usage,
            anyhow!("--all asks whether you are sure: add --yes where nobody can answer"),
        ));
    }
    let which = total
        .map_or_else(|| "all connections that the filters name".to_owned(), |total| format!("all {total} connections"));
    write!(io::stderr(), "Refresh {which}, whether they need it or not? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(anyhow!("nothing was done").into()) }
}

fn text(refreshed: &Refreshed) -> String {
    let verb = if refreshed.dry_run { "would be refreshed" } else { "are being refreshed" };
    let mut text = format!("{} of {} connections {verb}.\n", refreshed.asked, refreshed.handled);
    let mut table = Table::new(["connections", "outcome", "that is"]);
    for (outcome, count) in &refreshed.outcomes {
        table.row([count.to_string(), outcome.to_string(), outcome.told().to_owned()]);
    }
    if !refreshed.outcomes.is_empty() {
        let _ = write!(text, "\n{table}");
    }
    if !refreshed.left_alone.is_empty() {
        let mut table = Table::new(["left alone", "outcome"]);
        for left in &refreshed.left_alone {
            table.row([left.connection.to_string(), left.outcome.to_string()]);
        }
        let _ = write!(text, "\n{table}");
        let more = refreshed.handled - refreshed.asked - refreshed.left_alone.len() as u64;
        if more > 0 {
            let _ = writeln!(text, "and {more} more");
        }
    }
    text
}

/// Connections that have ended are no failure: there is nothing to be refreshed. To be broken off is one.
fn complaint(refreshed: &Refreshed, trouble: Option<ReplayError>) -> Result<(), Failed> {
    let go_on =
        refreshed.last.map_or_else(|| "repeat the command".to_owned(), |last| format!("go on with --after {last}"));
    if let Some(trouble) = trouble {
        return Err(Failed::new(Exit::Unreachable, anyhow!("{trouble}. {go_on}")));
    }
    if refreshed.stopped {
        return Err(anyhow!("stopped: {go_on}").into());
    }
    Ok(())
}

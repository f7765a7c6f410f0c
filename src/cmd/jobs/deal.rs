//! `evergrant jobs replay` and `evergrant jobs discard`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use evergrant_api::{Deed, Done, Order, Outcome, Page, ReplayError, Replays, Way};
use evergrant_contract::failed_job::{FailedJobFilter, FailedJobState};
use evergrant_contract::job::{Job, Payload};
use evergrant_contract::ports::{Clock, QueueError, Store};
use serde::Serialize;

use super::super::bulk::Bulk;
use super::super::{actor, clock, keyring, one_line, unreachable, with_store};
use super::find;
use crate::cli::{DiscardArgs, ReplayArgs, WhichJobsArgs};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::{Output, Table};
use crate::shape::Shape;

/// Failed jobs that stay open and are told one by one.
const TOLD: usize = 20;
/// The progress does not count further than this before it begins.
const COUNTED: u64 = 1_000_000;

pub(super) async fn replay(config: &Config, args: &ReplayArgs) -> Result<(), Failed> {
    let edited = args.payload.as_deref().map(edited).transpose()?;
    if edited.is_some() && args.which.ids.len() != 1 {
        return Err(Failed::new(Exit::Usage, anyhow!("--payload is for one failed job")));
    }
    named(&args.which)?;
    let shape = Shape::open(config, keyring(config)?, clock()).await.map_err(unreachable)?;
    let way = if shape.queue_is_shared { Way::Queue(Arc::clone(&shape.queue)) } else { Way::Row };
    let dealt = deal(Arc::clone(&shape.store), way, Deed::Replay, &args.which, edited.as_ref()).await;
    shape.close().await;
    dealt
}

pub(super) async fn discard(config: &Config, args: &DiscardArgs) -> Result<(), Failed> {
    named(&args.which)?;
    with_store(config, async |store| deal(store, Way::Row, Deed::Discard, &args.which, None).await).await
}

/// What came of it all.
#[derive(Default, Serialize)]
struct Dealt {
    dry_run: bool,
    /// How many were looked at.
    handled: u64,
    /// How many were closed, or would be.
    closed: u64,
    outcomes: BTreeMap<Outcome, u64>,
    /// The first of those that stay open.
    left_open: Vec<LeftOpen>,
    /// Somebody stopped it before its end.
    stopped: bool,
}

#[derive(Serialize)]
struct LeftOpen {
    id: String,
    connection: Option<String>,
    outcome: Outcome,
}

impl Dealt {
    fn add(&mut self, done: &[Done]) {
        for done in done {
            self.handled += 1;
            *self.outcomes.entry(done.outcome).or_default() += 1;
            if done.outcome.closes_as().is_some() {
                self.closed += 1;
            } else if self.left_open.len() < TOLD {
                let connection = done.connection.map(|id| id.to_string());
                self.left_open.push(LeftOpen { id: done.id.to_string(), connection, outcome: done.outcome });
            }
        }
    }
}

async fn deal(
    store: Arc<dyn Store>,
    way: Way,
    deed: Deed,
    which: &WhichJobsArgs,
    edited: Option<&Payload>,
) -> Result<(), Failed> {
    let clock = clock();
    let order = Order {
        deed,
        is_dry_run: which.dry_run,
        actor: actor(&which.who),
        reason: one_line(&which.reason),
        traceparent: None,
    };
    let replays = Replays::new(Arc::clone(&store), way, Arc::clone(&clock));
    let mut dealt = Dealt { dry_run: which.dry_run, ..Dealt::default() };
    let trouble = match &which.ids[..] {
        [] => all(&*store, &replays, clock, &order, which, &mut dealt).await?,
        [one] => {
            let job = find(&*store, *one).await?;
            dealt.add(&[replays.one(&job, edited, &order).await?]);
            None
        }
        some => {
            let page = replays.some(some, &order).await?;
            dealt.add(&page.done);
            page.trouble
        }
    };
    Output::stdout(which.output.json).data(&dealt, |dealt| text(dealt, deed))?;
    complaint(&dealt, trouble)
}

/// Page by page, until there are no more, somebody stops it, or something breaks it off. What is dealt with is closed, so the
/// same command goes on where this one ended.
async fn all(
    store: &dyn Store,
    replays: &Replays,
    clock: Arc<dyn Clock>,
    order: &Order,
    which: &WhichJobsArgs,
    dealt: &mut Dealt,
) -> Result<Option<ReplayError>, Failed> {
    let filter = which.filter.filter(vec![FailedJobState::Open], clock.now());
    let total = store.count_failed_jobs(&filter, COUNTED).await?;
    let mut bulk = Bulk::begin(clock, which.rate, which.limit, total);
    let mut after = None;
    loop {
        let Page { done, next, trouble } = replays.page(&filter, after, bulk.size(), order).await?;
        dealt.add(&done);
        bulk.advance(done.len(), dealt.closed);
        let goes_on = match trouble {
            Some(ReplayError::Crowded { .. } | ReplayError::Queue(QueueError::Full)) => bulk.outwaits_the_crowd().await,
            Some(trouble) => return Ok(Some(trouble)),
            None if next.is_none() || bulk.is_full() => return Ok(None),
            None => bulk.goes_on().await,
        };
        if !goes_on {
            dealt.stopped = true;
            return Ok(None);
        }
        after = next;
    }
}

/// Nobody replays or discards everything by leaving something out.
fn named(which: &WhichJobsArgs) -> Result<(), Failed> {
    let nothing = FailedJobFilter::default();
    if which.all || !which.ids.is_empty() || which.filter.filter(Vec::new(), clock().now()) != nothing {
        return Ok(());
    }
    Err(Failed::new(Exit::Usage, anyhow!("say which failed jobs: their ids, a filter, or --all")))
}

fn edited(path: &Path) -> Result<Payload, Failed> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        let read = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()));
        text = read.map_err(|error| Failed::new(Exit::NotFound, error))?;
    }
    let job = Job::decode(text.as_bytes()).with_context(|| format!("the payload in {}", path.display()));
    Ok(job.map_err(|error| Failed::new(Exit::Usage, error))?.payload)
}

fn text(dealt: &Dealt, deed: Deed) -> String {
    let did = match (deed, dealt.dry_run) {
        (Deed::Replay, false) => "replayed",
        (Deed::Replay, true) => "would be replayed",
        (Deed::Discard, false) => "discarded",
        (Deed::Discard, true) => "would be discarded",
    };
    let mut text = format!("{} of {} failed jobs {did}.\n", dealt.closed, dealt.handled);
    let mut table = Table::new(["jobs", "outcome", "that is"]);
    for (outcome, count) in &dealt.outcomes {
        table.row([count.to_string(), outcome.to_string(), outcome.told().to_owned()]);
    }
    if !dealt.outcomes.is_empty() {
        let _ = write!(text, "\n{table}");
    }
    if !dealt.left_open.is_empty() {
        let mut table = Table::new(["left as it is", "connection", "outcome"]);
        for left in &dealt.left_open {
            table.row([
                left.id.clone(),
                left.connection.clone().unwrap_or_else(|| "-".to_owned()),
                left.outcome.to_string(),
            ]);
        }
        let _ = write!(text, "\n{table}");
        let more = dealt.handled - dealt.closed;
        if more > dealt.left_open.len() as u64 {
            let _ = writeln!(text, "and {} more", more - dealt.left_open.len() as u64);
        }
    }
    text
}

fn complaint(dealt: &Dealt, trouble: Option<ReplayError>) -> Result<(), Failed> {
    if let Some(trouble) = trouble {
        let why = anyhow!("{trouble}. What was dealt with is closed: repeat the command to go on");
        return Err(Failed::new(Exit::Unreachable, why));
    }
    if dealt.stopped {
        return Err(anyhow!("stopped: what was dealt with is closed, repeat the command to go on").into());
    }
    let left = dealt.handled - dealt.closed;
    if left > 0 && !dealt.dry_run {
        return Err(anyhow!("{left} failed jobs were left as they are: see above").into());
    }
    Ok(())
}

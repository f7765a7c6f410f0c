//! `evergrant workers`.

use anyhow::anyhow;
use evergrant_contract::controls::{Drain, Ordered};
use evergrant_contract::ids::ProcessId;
use evergrant_contract::operations::Action;
use evergrant_contract::ports::{Peer, Store};
use serde_json::json;

use super::pause::{line, order};
use super::with_store;
use crate::cli::{DrainArgs, ResumeWorkerArgs, WorkersCommand};
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::output::{self, Output, Table};
use crate::peers::ALIVE_FOR;

pub(super) async fn run(config: &Config, command: &WorkersCommand) -> Result<(), Failed> {
    with_store(config, async |store| match command {
        WorkersCommand::List(output) => list(&*store, output.json).await,
        WorkersCommand::Drain(args) => drain(&*store, args).await,
        WorkersCommand::Resume(args) => resume(&*store, args).await,
    })
    .await
}

async fn list(store: &dyn Store, json: bool) -> Result<(), Failed> {
    let mut peers = store.peers(ALIVE_FOR).await?;
    peers.retain(Peer::runs_workers);
    Ok(Output::stdout(json).data(&peers, |peers| list_text(peers))?)
}

fn list_text(peers: &[Peer]) -> String {
    if peers.is_empty() {
        return format!("No process that takes jobs was heard of within {} seconds.", ALIVE_FOR.as_secs());
    }
    let mut table = Table::new(["process", "role", "last heard of", "jobs", "by", "why"]);
    for peer in peers {
        let (jobs, by, why) = match &peer.drain {
            None => ("taken".to_owned(), String::new(), String::new()),
            Some(Drain { order, done_at }) => {
                let jobs = match done_at {
                    Some(at) => format!("drained {}", output::time(Some(*at))),
                    None => "finishing those in hand".to_owned(),
                };
                (jobs, order.by.clone(), order.why.clone())
            }
        };
        table.row([peer.process.to_string(), peer.role.clone(), output::time(Some(peer.seen_at)), jobs, by, why]);
    }
    table.to_string()
}

async fn drain(store: &dyn Store, args: &DrainArgs) -> Result<(), Failed> {
    let order = order(&args.why, &args.who.who);
    if order.why.is_empty() {
        return Err(Failed::new(
            Exit::Usage,
            anyhow!("--why is empty: others see this worker idle and want to know why"),
        ));
    }
    worker(store, args.process).await?;
    let audit = line(&order, Action::DrainWorker, args.process.to_string(), "draining");
    let drain = Drain { order, done_at: None };
    let (drain, was_drained) = match store.drain(args.process, &drain, &audit).await? {
        Ordered::Done => (drain, false),
        Ordered::Already(standing) => (standing, true),
        Ordered::NotFound => return Err(gone(args.process)),
    };
    let data = json!({ "process": args.process, "drain": drain, "was_drained": was_drained });
    Ok(Output::stdout(args.output.json).data(&data, |_| {
        if was_drained {
            return format!("It is drained already: by {}, {}", drain.order.by, drain.order.why);
        }
        "It takes no new jobs within a second, and finishes those in hand: `evergrant workers list` shows when that is done."
            .to_owned()
    })?)
}

async fn resume(store: &dyn Store, args: &ResumeWorkerArgs) -> Result<(), Failed> {
    worker(store, args.process).await?;
    let order = order(&args.operator.why, &args.operator.who);
    let audit = line(&order, Action::ResumeWorker, args.process.to_string(), "resumed");
    let was_drained = store.undrain(args.process, &audit).await?.is_some();
    let data = json!({ "process": args.process, "was_drained": was_drained });
    let told = if was_drained { "It takes jobs again within a second." } else { "It takes jobs: it was not drained." };
    Ok(Output::stdout(args.output.json).data(&data, |_| told.to_owned())?)
}

/// The live process, if it takes jobs at all.
async fn worker(store: &dyn Store, process: ProcessId) -> Result<Peer, Failed> {
    let peer = store.peers(ALIVE_FOR).await?.into_iter().find(|peer| peer.process == process);
    let peer = peer.ok_or_else(|| gone(process))?;
    if !peer.runs_workers() {
        return Err(Failed::new(Exit::Usage, anyhow!("process {process} is `{}`, which takes no jobs", peer.role)));
    }
    Ok(peer)
}

fn gone(process: ProcessId) -> Failed {
    Failed::new(Exit::NotFound, anyhow!("there is no live process {process}; `evergrant workers list` shows them"))
}

//! After an outage everything is due at once: memory stays bounded, and everybody has their turn.

use anyhow::{Result, ensure};
use evergrant_vault::Keyring;
use sqlx::Connection as _;

use super::drain::drain;
use super::throughput::until_settled;
use crate::figure::{Figure, Target};
use crate::mock::firsts;
use crate::number::{count, float};
use crate::product::Product;
use crate::rows::{Crowd, fill_postgres};
use crate::screen;
use crate::usage::Memory;
use crate::world::{Lab, Mock, quick_mock};

pub(super) const TOLD: &str = "1,000,000 connections are due when the scheduler starts. The most memory that worker and scheduler ever had, as the kernel \
counts it: <= 150 MB and <= 100 MB. No connection starves: all are refreshed, none more than 40,000 turns (twice what may wait in \
the queue) after its own.";

const ALL: usize = 1_000_000;
const MEGABYTE: f64 = 1e6;
/// `scheduler.queue_high_water`, twice: a job can be published a second time.
const TURNS_LATE_MAX: f64 = 40_000.0;

pub(super) async fn herd(lab: &Lab) -> Result<Vec<Figure>> {
    let due = lab.scale.pick(300, 60_000, ALL);
    let key = Keyring::generate_key();
    let mock = Mock::start(lab, "herd", quick_mock(due, 0)?).await?;
    let database = lab.servers()?.database().await?;
    let mut product = Product::cluster(lab, "herd", &key, &mock, &database)?;
    screen::progress(&format!("storing {due} rows"));
    let mut db = database.connect().await?;
    fill_postgres(&mut db, &Keyring::parse(&key)?, Crowd { due, not_due: 0 }).await?;
    db.close().await?;
    let (worker, _) = product.start("worker").await?;
    let (scheduler, _) = product.start("scheduler").await?;
    let parts = [worker.clone(), scheduler.clone(), mock.part.clone()];
    let tenth = (due as u64 / 10).max(1);
    let mut told = 0;
    let drained = drain(&mock, &parts, due, |calls| {
        if calls / tenth > told {
            told = calls / tenth;
            screen::progress(&format!("{calls} of {due}"));
        }
        Ok(())
    });
    let drained = drained.await?;
    until_settled(&database, due).await?;
    ensure!(drained.counts.spent_twice == 0, "{} refresh tokens were spent twice", drained.counts.spent_twice);
    let [worker, scheduler] = [worker.pid, scheduler.pid].map(Memory::of);
    let [worker, scheduler] = [worker?, scheduler?].map(|memory| float(memory.most) / MEGABYTE);
    let late = most_turns_late(&firsts(mock.address).await?);
    product.household.all_alive()?;
    drop((product, mock));
    database.remove(lab.servers()?).await?;
    screen::progress(&format!("worker {worker:.0} MB, scheduler {scheduler:.0} MB, at most {late:?} turns late"));
    let late = late.map_or(f64::INFINITY, |turns| float(count(turns)));
    let conditions = format!("{due} due at once, refreshed at {:.0}/s", drained.window.per_second);
    let figure = |what, value, unit, target| {
        let figure = Figure::new("herd", what, value, unit, target).under(&conditions);
        figure.with("window", &drained.window).only_if(due == ALL)
    };
    Ok(vec![
        figure("worker's memory, at most", worker, "MB", Target::AtMost(150.0)),
        figure("scheduler's memory, at most", scheduler, "MB", Target::AtMost(100.0)),
        figure("turns after its own, at most", late, "", Target::AtMost(TURNS_LATE_MAX)),
    ])
}

/// Connections are in the order in which they fell due. How many turns after its own the least lucky had its own; `None` if
/// somebody never had one.
fn most_turns_late(firsts: &[u32]) -> Option<usize> {
    let mut served: Vec<_> = (0..firsts.len()).collect();
    served.sort_by_key(|number| (firsts[*number], *number));
    let late = served.iter().enumerate().map(|(turn, number)| turn.saturating_sub(*number)).max().unwrap_or_default();
    firsts.iter().all(|first| *first > 0).then_some(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_lucky_is_found() {
        assert_eq!(most_turns_late(&[5, 6, 7, 8]), Some(0));
        assert_eq!(most_turns_late(&[9, 6, 7, 8]), Some(3), "the first came last");
        assert_eq!(most_turns_late(&[5, 5, 5, 5]), Some(0), "those of the same moment had their turns");
        assert_eq!(most_turns_late(&[5, 0, 7]), None, "one was left out");
    }
}

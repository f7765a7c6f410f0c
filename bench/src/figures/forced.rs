//! Forced refreshes: somebody holds a token that was refused, and waits.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use evergrant_vault::Keyring;
use sqlx::Connection as _;

use super::drain::drain;
use crate::figure::{Figure, Target};
use crate::http::{Connection, Question};
use crate::load::at_once;
use crate::mock::counts;
use crate::number::{count, float, millis};
use crate::product::Product;
use crate::rows::{Crowd, Made, fill_postgres};
use crate::screen;
use crate::stats::{Spread, median};
use crate::world::{Database, Lab, Mock, quick_mock};

pub(super) const IDLE: &str = "One caller forces one connection after another, 25 a second, over a running cluster in which nothing is due; \
from the request to the answer, less the provider's latency (0 ms: all of its round trip counts as ours). p50 <= 2 ms, \
p99 <= 10 ms.";
pub(super) const BESIDE: &str = "The same with a provider that takes 20 ms, first while nothing is due, then while 100,000 due jobs drain as fast \
as they can: p99 over those 20 ms, against p99 over those 20 ms when idle. <= 2.";
pub(super) const COALESCING: &str = "1,000 callers at 3 API processes force the same connection at the same moment; the provider takes 20 ms. 1 call \
of the provider, the last answer within 150 ms; the median of several times.";

/// Of the provider, where it has one.
const LATENCY: Duration = Duration::from_millis(20);
/// Between two forced refreshes of one caller: the system is idle again.
const PAUSE: Duration = Duration::from_millis(40);
const BODY: &str = r#"{"observed_version":1}"#;

/// Whether what is timed now is what is to be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Counts,
    Over,
}

struct System<'a> {
    product: Product<'a>,
    mock: Mock,
    database: Database,
    made: Vec<Made>,
    key: String,
}

impl<'a> System<'a> {
    async fn new(lab: &'a Lab, name: &str, crowd: Crowd, latency: Duration) -> Result<Self> {
        let key = Keyring::generate_key();
        let latency_ms = u64::try_from(latency.as_millis())?;
        let mock = Mock::start(lab, name, quick_mock(crowd.due + crowd.not_due, latency_ms)?).await?;
        let database = lab.servers()?.database().await?;
        let product = Product::cluster(lab, name, &key, &mock, &database)?;
        let mut db = database.connect().await?;
        let made = fill_postgres(&mut db, &Keyring::parse(&key)?, crowd).await?;
        db.close().await?;
        let key = product.api_key("impatient", &["tokens:read", "tokens:refresh"])?;
        Ok(Self { product, mock, database, made, key })
    }

    fn question(&self, number: usize) -> Question {
        let id = self.made[number].id;
        Question::post(format!("/api/connections/{id}/force-refresh"), BODY).by(&self.key)
    }

    /// Forces some connections, one after another: how long those took that count.
    async fn force(
        &self,
        api: SocketAddr,
        numbers: impl Iterator<Item = usize>,
        mut phase: impl FnMut() -> Phase,
    ) -> Result<Vec<Duration>> {
        let mut connection = Connection::open(api).await?;
        let mut times = Vec::new();
        for number in numbers {
            let question = self.question(number);
            let begun = Instant::now();
            connection.ask(&question).await?.ok().context("a forced refresh")?;
            let took = begun.elapsed();
            match phase() {
                Phase::Before => {}
                Phase::Counts => times.push(took),
                Phase::Over => break,
            }
            tokio::time::sleep(PAUSE.saturating_sub(took)).await;
        }
        Ok(times)
    }

    async fn end(self, lab: &Lab) -> Result<()> {
        let counts = counts(self.mock.address).await?;
        ensure!(counts.spent_twice == 0, "{} refresh tokens were spent twice", counts.spent_twice);
        self.product.household.all_alive()?;
        drop((self.product, self.mock));
        self.database.remove(lab.servers()?).await
    }
}

/// Nothing else to do.
pub(super) async fn idle(lab: &Lab) -> Result<Vec<Figure>> {
    let many = lab.scale.pick(10, 200, 1_000);
    let mut system = System::new(lab, "forced-idle", Crowd { due: 0, not_due: many + 10 }, Duration::ZERO).await?;
    let (_, api) = system.product.start("api").await?;
    system.product.start("worker").await?;
    system.product.start("scheduler").await?;
    // Connections, statements and caches of the first few are those of a start.
    system.force(api, many..many + 10, || Phase::Counts).await?;
    let times = system.force(api, 0..many, || Phase::Counts).await?;
    system.end(lab).await?;
    let spread = Spread::over(&times, Duration::ZERO);
    screen::progress(&format!("{spread:?}"));
    let figure = |what, value, most| {
        Figure::new("forced-idle", what, value, "ms", Target::AtMost(most))
            .under(format!("{many} forced refreshes, one at a time, 25/s, provider latency 0 ms"))
            .with("spread", spread)
    };
    Ok(vec![figure("forced refresh, p50", spread.p50_ms, 2.0), figure("forced refresh, p99", spread.p99_ms, 10.0)])
}

/// A backlog beside it.
pub(super) async fn beside_a_backlog(lab: &Lab) -> Result<Vec<Figure>> {
    let due = lab.scale.pick(3_000, 40_000, 100_000);
    let many = lab.scale.pick(20, 150, 1_000);
    // As many as it takes until all has drained.
    let beside = 20 * many;
    let crowd = Crowd { due, not_due: many + beside + 10 };
    let mut system = System::new(lab, "forced-beside", crowd, LATENCY).await?;
    let (_, api) = system.product.start("api").await?;
    system.product.start("worker").await?;
    let (warm, first) = (due + many + beside, due);
    system.force(api, warm..warm + 10, || Phase::Counts).await?;
    let idle = system.force(api, first..first + many, || Phase::Counts).await?;
    // Now somebody finds what is due.
    system.product.spawn("scheduler")?;
    let (forced_before, refreshes) = ((many + 10) as u64, AtomicU64::default());
    let draining = drain(&system.mock, &[], due + many + 10, |calls| {
        refreshes.store(calls.saturating_sub(forced_before), Relaxed);
        Ok(())
    });
    let phase = || match refreshes.load(Relaxed) {
        // Forced ones are among them.
        calls if calls < due as u64 / 50 => Phase::Before,
        calls if calls < due as u64 => Phase::Counts,
        _ => Phase::Over,
    };
    let (drained_at, loaded) = tokio::join!(draining, system.force(api, first + many..warm, phase));
    let (window, loaded) = (drained_at?.window, loaded?);
    system.end(lab).await?;
    ensure!(!loaded.is_empty(), "the backlog was gone before a single forced refresh was answered");
    let [idle_over, loaded_over] = [&idle, &loaded].map(|times| Spread::over(times, LATENCY));
    let [idle_all, loaded_all] = [&idle, &loaded].map(|times| Spread::over(times, Duration::ZERO));
    screen::progress(&format!("idle {idle_over:?}; beside {loaded_over:?}; {:.0}/s drained", window.per_second));
    let conditions = format!(
        "{due} due drain at {:.0}/s; provider latency 20 ms, taken off; {} forced idle, {} beside",
        window.per_second, idle_over.count, loaded_over.count
    );
    let of = "forced-under-backlog";
    let figure = |what, value, unit, target| {
        Figure::new(of, what, value, unit, target)
            .under(&conditions)
            .with("idle", idle_over)
            .with("beside", loaded_over)
    };
    Ok(vec![
        figure("forced beside a backlog, p99", loaded_over.p99_ms, "ms", Target::Told),
        figure("times p99 when idle", loaded_over.p99_ms / idle_over.p99_ms, "", Target::AtMost(2.0)),
        figure("the same, provider included", loaded_all.p99_ms / idle_all.p99_ms, "", Target::Told),
    ])
}

/// Everybody at once.
pub(super) async fn coalescing(lab: &Lab) -> Result<Vec<Figure>> {
    let callers = lab.scale.pick(60, 1_000, 1_000);
    let times = lab.scale.pick(1, 5, 11);
    let mut system = System::new(lab, "coalescing", Crowd { due: 0, not_due: times + 20 }, LATENCY).await?;
    let mut apis = Vec::new();
    for _ in 0..3 {
        apis.push(system.product.start("api").await?.1);
    }
    system.product.start("worker").await?;
    for (number, api) in apis.iter().enumerate() {
        system.force(*api, times + number..=times + number, || Phase::Counts).await?;
    }
    let before = counts(system.mock.address).await?.refreshes;
    let mut slowest = Vec::new();
    for number in 0..times {
        let load = at_once(&apis, &system.question(number), callers).await?;
        ensure!(load.statuses.keys().eq([&200]), "answers were {:?}", load.statuses);
        slowest.push(millis(load.lasted));
        tokio::time::sleep(PAUSE).await;
    }
    let calls = counts(system.mock.address).await?.refreshes - before;
    system.end(lab).await?;
    screen::progress(&format!("{calls} calls for {times} times {callers} callers; slowest {slowest:.0?} ms"));
    let conditions = format!("{callers} callers at 3 API processes, {times} times, provider latency 20 ms included");
    let figure = |what, value, unit, target| {
        Figure::new("coalescing", what, value, unit, target).under(&conditions).with("slowest_ms", &slowest)
    };
    Ok(vec![
        figure("calls of the provider, each time", float(calls) / float(count(times)), "", Target::AtMost(1.0)),
        figure("last of 1,000 answers", median(&slowest).unwrap_or(f64::NAN), "ms", Target::AtMost(150.0)),
    ])
}

/// Runs a command of the program without holding anybody up.
pub(super) async fn in_background(mut command: Command) -> Result<()> {
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

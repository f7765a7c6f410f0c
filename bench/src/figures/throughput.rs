//! Refreshes in a second: the product, what everybody writes first, and the least that has to be done.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use evergrant_contract::secret::Secret;
use evergrant_vault::Keyring;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::drain::{Drained, drain};
use crate::figure::{Figure, Target};
use crate::product::Product;
use crate::rows::{Crowd, fill_postgres, fill_sqlite};
use crate::stats::median;
use crate::usage::Part;
use crate::window::Window;
use crate::world::{Database, Household, Lab, Mock, quick_mock};
use crate::{mock, screen};

pub(super) const CLUSTER: &str = "A backlog is refreshed by one scheduler and one worker beside one API, on private servers with fsync; then \
by naive and by floor, on fresh databases with rows of the same kind. Provider latency 0 ms. Rates are taken between 10 % and \
90 % of the backlog, at the provider. >= 4 x naive and >= 0.7 x floor; ratios are medians over the rounds of the run.";
pub(super) const CPU: &str = "CPU time of scheduler, worker and API within the same window as throughput-cluster. <= 0.07 s for 1,000 refreshes.";
pub(super) const EMBEDDED: &str =
    "A backlog is refreshed by one `serve`; then by the floor on SQLite. Every commit is synced. >= 0.8 x floor.";

/// The processes of ours that cost CPU.
const OURS: [&str; 4] = ["scheduler", "worker", "api", "serve"];
/// The mock must have room left, or it is what is measured.
const MOCK_SHARE_MAX: f64 = 0.8;
/// From the last answer of the provider to the commit of the last row.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// How the provider answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers {
    pub(super) latency_ms: u64,
    pub(super) slow_one_in: u64,
    pub(super) slow_ms: u64,
}

impl Answers {
    /// All alike.
    pub(super) const fn after(latency_ms: u64) -> Self {
        Self { latency_ms, slow_one_in: 0, slow_ms: 0 }
    }

    fn of(self, grants: usize) -> Result<mock::Args> {
        let Self { latency_ms, slow_one_in, slow_ms } = self;
        Ok(mock::Args { slow_one_in, slow_ms, ..quick_mock(grants, latency_ms)? })
    }
}

/// All parts on this machine.
pub(super) async fn cluster(lab: &Lab) -> Result<Vec<Figure>> {
    let few = lab.scale.pick(300, 12_000, 40_000);
    let many = lab.scale.pick(300, 40_000, 200_000);
    let mut rounds = Vec::new();
    for round in 1..=lab.rounds {
        let naive = baseline(lab, "naive", few).await.context("naive")?;
        tell(round, "naive", &naive.window);
        let floor = baseline(lab, "floor", many).await.context("floor")?;
        tell(round, "floor", &floor.window);
        let product = product(lab, "product", many, Answers::after(0)).await.context("product")?;
        tell(round, "product", &product.window);
        rounds.push([naive, floor, product].map(|drained| drained.window));
    }
    let of = |at: usize, value: fn(&Window) -> f64| {
        median(&rounds.iter().map(|round| value(&round[at])).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let ratio = |below: usize| {
        let ratios: Vec<_> = rounds.iter().map(|round| round[2].per_second / round[below].per_second).collect();
        median(&ratios).unwrap_or(f64::NAN)
    };
    // What CPU time each costs would be the ratio on a machine that does nothing else: other work disturbs it less.
    let by_cpu = |below: usize| {
        let ratios: Vec<_> = rounds.iter().map(|round| round[below].all_cpu_us() / round[2].all_cpu_us()).collect();
        median(&ratios).unwrap_or(f64::NAN)
    };
    let cpu = median(&rounds.iter().map(|round| round[2].cpu_seconds_per_thousand(&OURS)).collect::<Vec<_>>());
    let conditions = format!(
        "{many} due (naive {few}), provider latency 0 ms, 1 scheduler, 1 worker, 1 API, {} rounds, {} CPUs for everything",
        lab.rounds,
        Lab::cpus()
    );
    let of_name = "throughput-cluster";
    let figure = |what, value, unit, target| Figure::new(of_name, what, value, unit, target).under(&conditions);
    Ok(vec![
        figure("refreshes", of(2, |w| w.per_second), "/s", Target::Told).with("rounds", &rounds),
        figure("naive", of(0, |w| w.per_second), "/s", Target::Told),
        figure("floor", of(1, |w| w.per_second), "/s", Target::Told),
        figure("times naive", ratio(0), "", Target::AtLeast(4.0)),
        figure("times floor", ratio(1), "", Target::AtLeast(0.7)),
        figure("times naive, by CPU", by_cpu(0), "", Target::Told),
        figure("times floor, by CPU", by_cpu(1), "", Target::Told),
        Figure::new("cpu", "CPU for 1,000 refreshes, ours", cpu.unwrap_or(f64::NAN), "s", Target::AtMost(0.07))
            .under(&conditions)
            .with("cpu_us_each", rounds.iter().map(|round| &round[2].cpu_us).collect::<Vec<_>>()),
    ])
}

/// One process, one file.
pub(super) async fn embedded(lab: &Lab) -> Result<Vec<Figure>> {
    let many = lab.scale.pick(300, 20_000, 100_000);
    let mut rounds = Vec::new();
    for round in 1..=lab.rounds {
        let floor = floor_on_sqlite(lab, many).await.context("floor")?;
        tell(round, "floor", &floor.window);
        let product = embedded_product(lab, many).await.context("product")?;
        tell(round, "product", &product.window);
        rounds.push([floor, product].map(|drained| drained.window));
    }
    let of = |at: usize| median(&rounds.iter().map(|round| round[at].per_second).collect::<Vec<_>>());
    let ratios: Vec<_> = rounds.iter().map(|round| round[1].per_second / round[0].per_second).collect();
    let conditions = format!("{many} due, provider latency 0 ms, 1 serve, {} rounds, {} CPUs", lab.rounds, Lab::cpus());
    let figure = |what, value: Option<f64>, unit, target| {
        Figure::new("throughput-embedded", what, value.unwrap_or(f64::NAN), unit, target).under(&conditions)
    };
    Ok(vec![
        figure("refreshes", of(1), "/s", Target::Told).with("rounds", &rounds),
        figure("floor on SQLite", of(0), "/s", Target::Told),
        figure("times floor", median(&ratios), "", Target::AtLeast(0.8)),
    ])
}

fn tell(round: usize, name: &str, window: &Window) {
    screen::progress(&format!("round {round}, {name}: {}", window.told()));
}

/// A way of its own, over rows of the same kind.
async fn baseline(lab: &Lab, name: &'static str, due: usize) -> Result<Drained> {
    let servers = lab.servers()?;
    let (database, key, mock) = prepared(lab, name, due, Answers::after(0)).await?;
    let mut household = Household::new(lab, name)?;
    let mut command = Command::new(&lab.bench);
    command.args([name, "--token-url", &mock.token_url(), "--due", &due.to_string()]);
    command.env("DATABASE_URL", &database.url).env("AMQP_URL", &servers.amqp_url).env("FERNET_KEY", key.expose());
    let client = household.start("client", &mut command)?;
    let drained = watch(lab, &mock, [client], due).await?;
    until_settled(&database, due).await?;
    drop((household, mock));
    database.remove(servers).await?;
    Ok(drained)
}

/// The cluster shape with a backlog that the scheduler finds when it starts.
pub(super) async fn product(lab: &Lab, name: &str, due: usize, answers: Answers) -> Result<Drained> {
    let servers = lab.servers()?;
    let (database, key, mock) = prepared(lab, name, due, answers).await?;
    let mut product = Product::cluster(lab, name, &key, &mock, &database)?;
    let mut ours = Vec::new();
    for role in ["api", "worker", "scheduler"] {
        ours.push(product.start(role).await?.0);
    }
    let drained = watch(lab, &mock, ours, due).await?;
    until_settled(&database, due).await?;
    product.household.all_alive()?;
    drop((product, mock));
    database.remove(servers).await?;
    Ok(drained)
}

/// A database with so many due rows, their key, and a mock that knows their grants.
async fn prepared(lab: &Lab, name: &str, due: usize, answers: Answers) -> Result<(Database, Secret, Mock)> {
    let (key, mock) = (Keyring::generate_key(), Mock::start(lab, name, answers.of(due)?).await?);
    let database = lab.servers()?.database().await?;
    Product::cluster(lab, name, &key, &mock, &database)?;
    let mut db = database.connect().await?;
    fill_postgres(&mut db, &Keyring::parse(&key)?, Crowd { due, not_due: 0 }).await?;
    db.close().await?;
    Ok((database, key, mock))
}

async fn watch(lab: &Lab, mock: &Mock, ours: impl IntoIterator<Item = Part>, due: usize) -> Result<Drained> {
    let servers = lab.servers.as_ref().map(|servers| servers.parts.clone()).unwrap_or_default();
    let parts: Vec<_> = ours.into_iter().chain([mock.part.clone()]).chain(servers).collect();
    let drained = drain(mock, &parts, due, |_| Ok(())).await?;
    ensure!(drained.counts.spent_twice == 0, "{} refresh tokens were spent twice", drained.counts.spent_twice);
    ensure!(drained.counts.nonsense == 0, "the mock was asked nonsense {} times", drained.counts.nonsense);
    let busy = drained.window.cpu_us.get("mock").copied().unwrap_or_default() * drained.window.per_second / 1e6;
    ensure!(!lab.scale.counts() || busy < MOCK_SHARE_MAX, "the mock is the bottleneck: busy for {busy:.2} of the time");
    Ok(drained)
}

/// Every row is one version on, and nobody holds it.
pub(super) async fn until_settled(database: &Database, due: usize) -> Result<()> {
    let mut db = database.connect().await?;
    let sql = "SELECT count(*) FROM schedules WHERE version = 2 AND lease_owner IS NULL AND state = 'active'";
    let begun = std::time::Instant::now();
    loop {
        let settled: i64 = sqlx::query_scalar(sql).fetch_one(&mut db).await?;
        if usize::try_from(settled)? == due {
            return Ok(db.close().await?);
        }
        ensure!(begun.elapsed() < SETTLE_LIMIT, "{settled} of {due} rows have their new tokens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn floor_on_sqlite(lab: &Lab, due: usize) -> Result<Drained> {
    let key = Keyring::generate_key();
    let mock = Mock::start(lab, "floor-sqlite", quick_mock(due, 0)?).await?;
    let mut product = Product::embedded(lab, "floor-sqlite", &key, &mock)?;
    fill_sqlite(&product.file(), &Keyring::parse(&key)?, Crowd { due, not_due: 0 }).await?;
    let mut command = Command::new(&lab.bench);
    command.args(["floor-sqlite", "--token-url", &mock.token_url(), "--due", &due.to_string()]);
    command.env("DATABASE_URL", format!("sqlite://{}", product.file().display())).env("FERNET_KEY", key.expose());
    let client = product.household.start("client", &mut command)?;
    let drained = watch(lab, &mock, [client], due).await?;
    until_settled_in(&product.file(), due).await?;
    Ok(drained)
}

async fn embedded_product(lab: &Lab, due: usize) -> Result<Drained> {
    let key = Keyring::generate_key();
    let mock = Mock::start(lab, "embedded", quick_mock(due, 0)?).await?;
    let mut product = Product::embedded(lab, "embedded", &key, &mock)?;
    fill_sqlite(&product.file(), &Keyring::parse(&key)?, Crowd { due, not_due: 0 }).await?;
    let (serve, _) = product.spawn("serve")?;
    let drained = watch(lab, &mock, [serve], due).await?;
    until_settled_in(&product.file(), due).await?;
    product.household.all_alive()?;
    Ok(drained)
}

async fn until_settled_in(file: &std::path::Path, due: usize) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(5));
    let mut db = SqliteConnection::connect_with(&options).await?;
    let begun = std::time::Instant::now();
    loop {
        let settled: i64 =
            sqlx::query_scalar("SELECT count(*) FROM schedules WHERE version = 2 AND lease_owner IS NULL")
                .fetch_one(&mut db)
                .await?;
        if usize::try_from(settled)? == due {
            return Ok(db.close().await?);
        }
        ensure!(begun.elapsed() < SETTLE_LIMIT, "{settled} of {due} rows have their new tokens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

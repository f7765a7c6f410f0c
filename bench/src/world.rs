//! What everything is measured in: servers, databases, the processes of one measurement.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use uuid::Uuid;
use xtask::services::{Postgres, Process, Rabbit, Running, Warden, free_ports};

use crate::http::{Question, ask};
use crate::scale::Scale;
use crate::usage::Part;
use crate::{mock, screen};

/// The longest wait for a process to be ready, on a machine that has other things to do.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// Between two questions whether it is.
const READY_LOOK: Duration = Duration::from_millis(5);

/// What a run measures with.
pub(crate) struct Lab {
    pub(crate) scale: Scale,
    /// `evergrant`.
    pub(crate) program: PathBuf,
    /// This program: mock, baselines and load generators are processes of it.
    pub(crate) bench: PathBuf,
    /// More settings for `evergrant`, for trying something out.
    pub(crate) settings: Vec<(String, String)>,
    /// Rounds of measurements that are compared with each other; ratios are medians over them.
    pub(crate) rounds: usize,
    /// Where processes log.
    pub(crate) logs: PathBuf,
    /// `None`: nothing that is measured needs them.
    pub(crate) servers: Option<Servers>,
}

impl Lab {
    pub(crate) fn servers(&self) -> Result<&Servers> {
        self.servers.as_ref().context("this measurement needs servers and has none")
    }

    /// How many CPUs there are.
    pub(crate) fn cpus() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
    }
}

/// PostgreSQL and RabbitMQ, with `fsync` on: private ones, unless they were named.
pub(crate) struct Servers {
    pub(crate) postgres_url: String,
    pub(crate) amqp_url: String,
    /// What the private ones cost can be told.
    pub(crate) parts: Vec<Part>,
    _private: (Option<Postgres>, Option<Rabbit>),
}

impl Servers {
    /// Uses those that are named and starts the others.
    pub(crate) fn start(postgres_url: Option<&str>, amqp_url: Option<&str>) -> Result<Self> {
        let (postgres, rabbit) = std::thread::scope(|scope| {
            let rabbit = scope.spawn(|| amqp_url.is_none().then(Rabbit::start).transpose());
            let postgres = postgres_url.is_none().then(Postgres::start).transpose();
            (postgres, rabbit.join().unwrap_or_else(|_| Err(anyhow!("the start of RabbitMQ panicked"))))
        });
        let (postgres, rabbit) = (postgres?, rabbit?);
        let part = |name, process: &Process| Part { name, pid: process.pid, is_family: true };
        let postgres_part = postgres.as_ref().and_then(Postgres::process).map(|process| part("postgres", process));
        let rabbit_part = rabbit.as_ref().and_then(Rabbit::process).map(|process| part("rabbit", process));
        let url = |named: Option<&str>, own: Option<String>| named.map(str::to_owned).or(own).unwrap_or_default();
        Ok(Self {
            postgres_url: url(postgres_url, postgres.as_ref().map(Postgres::url)),
            amqp_url: url(amqp_url, rabbit.as_ref().map(Rabbit::url)),
            parts: postgres_part.into_iter().chain(rabbit_part).collect(),
            _private: (postgres, rabbit),
        })
    }

    /// What they are, for the report.
    pub(crate) async fn told(&self) -> Result<Vec<String>> {
        let mut db = self.admin().await?;
        let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut db).await?;
        let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut db).await?;
        db.close().await?;
        Ok(vec![format!("PostgreSQL {version}, fsync {fsync}"), "RabbitMQ, one node, quorum queues".to_owned()])
    }

    async fn admin(&self) -> Result<PgConnection> {
        let options: PgConnectOptions = self.postgres_url.parse()?;
        Ok(options.disable_statement_logging().connect().await?)
    }

    /// An empty database.
    pub(crate) async fn database(&self) -> Result<Database> {
        let name = format!("evergrant_bench_{}", Uuid::now_v7().simple());
        let mut admin = self.admin().await?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await?;
        admin.close().await?;
        let options: PgConnectOptions = self.postgres_url.parse()?;
        let options = options.disable_statement_logging().database(&name);
        let url = options.to_url_lossy().to_string();
        Ok(Database { name, url, options })
    }
}

/// A database of its own for one measurement.
pub(crate) struct Database {
    name: String,
    pub(crate) url: String,
    options: PgConnectOptions,
}

impl Database {
    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        Ok(self.options.connect().await?)
    }

    /// Drops it: what comes next shall find the disk and the caches as this one did.
    pub(crate) async fn remove(self, servers: &Servers) -> Result<()> {
        let mut admin = servers.admin().await?;
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
        sqlx::raw_sql("CHECKPOINT").execute(&mut admin).await?;
        Ok(admin.close().await?)
    }
}

/// Processes of one measurement. Dropping it ends them, the last one first; so does the end of this process, whatever ends
/// it.
pub(crate) struct Household {
    running: Vec<(&'static str, Running)>,
    /// Where they may write; gone in the end.
    pub(crate) folder: PathBuf,
    logs: PathBuf,
    warden: Warden,
}

impl Household {
    /// Nobody yet. What they print is added to files in a folder of this name.
    pub(crate) fn new(lab: &Lab, name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("evergrant-bench-").tempdir()?.keep();
        let warden = Warden::start("TERM", &folder)?;
        let logs = lab.logs.join(name);
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
        Ok(Self { running: Vec::new(), folder, logs, warden })
    }

    /// Starts one.
    pub(crate) fn start(&mut self, name: &'static str, command: &mut Command) -> Result<Part> {
        let log = self.log(&format!("{name}-{}", self.running.len()));
        let running = Running::start(command.current_dir(&self.folder), &log)?;
        let part = Part { name, pid: running.process().pid, is_family: false };
        self.running.push((name, running));
        let all: Vec<_> = self.running.iter().map(|(_, running)| running.process()).collect();
        self.warden.watch(&all)?;
        Ok(part)
    }

    /// The file that a process of this name logs to.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Fails if anybody has ended.
    pub(crate) fn all_alive(&self) -> Result<()> {
        match self.running.iter().find(|(_, running)| !running.process().is_alive()) {
            Some((name, _)) => bail!("{name} has ended: see {}", self.logs.display()),
            None => Ok(()),
        }
    }

    /// Waits until somebody answers there with a success.
    pub(crate) async fn until_ready(&self, address: SocketAddr, path: &str) -> Result<()> {
        let begun = Instant::now();
        let question = Question::get(path);
        while !ask(address, &question).await.is_ok_and(|answer| answer.status.is_success()) {
            self.all_alive()?;
            if begun.elapsed() > READY_LIMIT {
                bail!("nothing is ready on {address} after {} s: see {}", READY_LIMIT.as_secs(), self.logs.display());
            }
            tokio::time::sleep(READY_LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Household {
    fn drop(&mut self) {
        // The warden sees to whoever does not end.
        for (_, running) in self.running.iter_mut().rev() {
            let _ = running.stop(Signal::TERM);
        }
    }
}

/// An address that nobody has.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let [port] = free_ports()?;
    Ok((Ipv4Addr::LOCALHOST, port).into())
}

/// A mock that runs.
pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    pub(crate) part: Part,
    _household: Household,
}

impl Mock {
    /// Starts one that knows so many grants.
    pub(crate) async fn start(lab: &Lab, name: &str, args: mock::Args) -> Result<Self> {
        let mut household = Household::new(lab, name)?;
        let mut command = Command::new(&lab.bench);
        command.arg("mock");
        for (flag, value) in [
            ("--port", args.port.to_string()),
            ("--grants", args.grants.to_string()),
            ("--latency-ms", args.latency_ms.to_string()),
            ("--slow-one-in", args.slow_one_in.to_string()),
            ("--slow-ms", args.slow_ms.to_string()),
        ] {
            command.arg(flag).arg(value);
        }
        let part = household.start("mock", &mut command)?;
        let address = (Ipv4Addr::LOCALHOST, args.port).into();
        household.until_ready(address, "/counts").await?;
        Ok(Self { address, part, _household: household })
    }

    /// The endpoint.
    pub(crate) fn token_url(&self) -> String {
        format!("http://{}/token", self.address)
    }
}

/// How a mock answers that is as quick as it can be.
pub(crate) fn quick_mock(grants: usize, latency_ms: u64) -> Result<mock::Args> {
    let [port] = free_ports()?;
    Ok(mock::Args { port, grants: u32::try_from(grants)?, latency_ms, slow_one_in: 0, slow_ms: 0 })
}

/// A folder without anything in it.
pub(crate) fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    screen::progress(&format!("processes log to {}", folder.display()));
    Ok(folder.to_owned())
}

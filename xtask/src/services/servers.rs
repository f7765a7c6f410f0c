//! Both servers, for the time of one command.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::install::Need;
use super::state::DetachedServers;
use super::{AMQP_URL, DATABASE_URL, PRIVATE_SERVERS, Postgres, Rabbit};
use crate::workspace;

/// The servers of one run. Those that the environment names already are used as they are.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    postgres: Option<Postgres>,
    rabbit: Option<Rabbit>,
}

impl Servers {
    /// Those that the environment does not name.
    pub(crate) fn wanted() -> Vec<Need> {
        let all = [(DATABASE_URL, Need::Postgres), (AMQP_URL, Need::Rabbit)];
        all.into_iter().filter(|(name, _)| workspace::environment(name).is_none()).map(|(_, need)| need).collect()
    }

    /// Starts them side by side: RabbitMQ alone takes ten seconds.
    pub(crate) fn start(wanted: &[Need]) -> Result<Self> {
        let wants = |need| wanted.contains(&need);
        thread::scope(|scope| {
            let rabbit = scope.spawn(|| wants(Need::Rabbit).then(Rabbit::start).transpose());
            let postgres = wants(Need::Postgres).then(Postgres::start).transpose();
            let rabbit = rabbit.join().unwrap_or_else(|_| Err(anyhow!("the start of RabbitMQ panicked")));
            Ok(Self { postgres: postgres?, rabbit: rabbit? })
        })
    }

    /// Tells a command where they are.
    pub(crate) fn tell<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.postgres.as_ref().map(|postgres| (DATABASE_URL, postgres.url())));
        command.envs(self.rabbit.as_ref().map(|rabbit| (AMQP_URL, rabbit.url())));
        let both_are_ours = self.postgres.is_some() && self.rabbit.is_some();
        command.envs(both_are_ours.then_some((PRIVATE_SERVERS, "required")))
    }

    /// Lets both outlive this process.
    pub(crate) fn detach(self) -> Option<DetachedServers> {
        Some(DetachedServers { postgres: self.postgres?.detach(), rabbit: self.rabbit?.detach() })
    }

    /// Copies their logs before they go.
    pub(crate) fn keep_logs(&self, folder: &Path) -> Result<()> {
        let postgres = self.postgres.as_ref().map(|postgres| (postgres.log(), "postgres.log"));
        let rabbit = self.rabbit.as_ref().map(|rabbit| (rabbit.log(), "rabbitmq.log"));
        for (log, name) in postgres.into_iter().chain(rabbit) {
            fs::copy(&log, folder.join(name)).with_context(|| format!("cannot copy {}", log.display()))?;
        }
        Ok(())
    }
}

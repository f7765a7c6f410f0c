//! A private RabbitMQ node: its own folder, name, cookie, ports and port mapper, nothing shared with the system's.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::ports::{free_ports, random_hex};
use super::process::Process;
use super::programs::RabbitPrograms;
use super::running::Running;
use super::state::ServerState;
use super::warden::Warden;

/// The longest wait for the node: an old RabbitMQ on a busy machine boots for half a minute.
const READY_LIMIT: Duration = Duration::from_mins(2);
/// The longest wait for the port mapper, which has nothing to load.
const MAPPER_LIMIT: Duration = Duration::from_secs(10);
/// The longest wait for one answer to a probe.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// A running (or killed) private RabbitMQ node. Dropping it ends the node and removes its folder; so does the end of this
/// process, whatever ends it. All calls block.
#[derive(Debug)]
pub struct Rabbit {
    programs: RabbitPrograms,
    folder: PathBuf,
    name: String,
    password: String,
    ports: Ports,
    /// Lives as long as this value: a node that is killed finds its mapper again.
    mapper: Option<Running>,
    server: Option<Running>,
    warden: Option<Warden>,
}

/// All on 127.0.0.1.
#[derive(Debug)]
struct Ports {
    amqp: u16,
    /// For other Erlang nodes, such as `rabbitmqctl`.
    distribution: u16,
    /// Where the node's name is mapped to the port above.
    mapper: u16,
}

impl Rabbit {
    /// Starts a node in a new folder: ten seconds or more.
    pub fn start() -> Result<Self> {
        let programs = RabbitPrograms::find()?;
        let folder = tempfile::Builder::new().prefix("evergrant-rabbitmq-").tempdir()?.keep();
        // Nobody will look at its data again, and its own way of stopping takes seconds.
        let warden = Some(Warden::start("KILL", &folder)?);
        let [amqp, distribution, mapper] = free_ports()?;
        let ports = Ports { amqp, distribution, mapper };
        let name = format!("evergrant-{}@localhost", random_hex()?);
        let mut rabbit =
            Self { programs, folder, name, password: random_hex()?, ports, mapper: None, server: None, warden };
        rabbit.write_configuration().context("cannot make a private RabbitMQ")?;
        rabbit.launch_mapper().context("cannot start the port mapper of a private RabbitMQ")?;
        rabbit.launch().context("cannot start a private RabbitMQ")?;
        Ok(rabbit)
    }

    /// Where an administrator connects. The same for the whole life of this value, kills and restarts included.
    pub fn url(&self) -> String {
        format!("amqp://evergrant:{}@127.0.0.1:{}/%2f", self.password, self.ports.amqp)
    }

    /// Everything the node has printed, across restarts.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Runs `rabbitmqctl` on this node: alarms, policies, queues. Takes seconds.
    pub fn ctl(&self, args: &[&str]) -> Result<String> {
        let program = self.programs.server.with_file_name("rabbitmqctl");
        let output = Command::new(&program).args(args).envs(self.environment()).current_dir(&self.folder).output();
        let output = output.with_context(|| format!("cannot start {}", program.display()))?;
        if !output.status.success() {
            anyhow::bail!("rabbitmqctl {} failed:\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Kills the node at once, as a power cut would. Give a queue declared for the first time some seconds before: old
    /// RabbitMQ versions lose what they have not yet written about a brand-new quorum queue.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.kill()?;
        self.tell_warden()
    }

    /// Starts it again on the same port and data: after a [`kill`](Self::kill), or shutting it down in good order first.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.stop(Signal::TERM)?;
        }
        self.launch().context("cannot restart the private RabbitMQ")
    }

    /// The process at the top of it, while it runs; its children are part of it.
    pub fn process(&self) -> Option<&Process> {
        self.server.as_ref().map(Running::process)
    }

    /// Lets the node outlive this process. The state is what is needed to end it later.
    pub(crate) fn detach(mut self) -> ServerState {
        if let Some(warden) = self.warden.take() {
            warden.dismiss();
        }
        let processes = [self.server.take(), self.mapper.take()];
        let processes = processes.iter().flatten().map(|running| running.process().clone()).collect();
        ServerState { url: self.url(), folder: self.folder.clone(), processes }
    }

    fn write_configuration(&self) -> Result<()> {
        let home = self.folder.join("home");
        fs::create_dir(&home)?;
        write_private(&home.join(".erlang.cookie"), &random_hex()?, 0o400)?;
        let settings = format!(
            "listeners.tcp.default = 127.0.0.1:{}\n\
             default_user = evergrant\n\
             default_pass = {}\n\
             # Only for developing and tests: a full disk shall not stop them before it is really full.\n\
             disk_free_limit.absolute = 50MB\n",
            self.ports.amqp, self.password
        );
        write_private(&self.folder.join("rabbitmq.conf"), &settings, 0o600)?;
        write_private(&self.folder.join("enabled_plugins"), "[].\n", 0o600)
    }

    /// RabbitMQ would start one that detaches itself and outlives everything: ours runs first, as our child.
    fn launch_mapper(&mut self) -> Result<()> {
        let port = self.ports.mapper;
        let mut command = Command::new(&self.programs.epmd);
        command.args(["-address", "127.0.0.1", "-port"]).arg(port.to_string());
        let log = self.log();
        self.mapper = Some(Running::start(&mut command, &log)?);
        self.tell_warden()?;
        let mapper = self.mapper.as_mut().context("just started")?;
        mapper.wait_ready(MAPPER_LIMIT, &log, || TcpStream::connect(("127.0.0.1", port)).is_ok())
    }

    fn launch(&mut self) -> Result<()> {
        let (log, port) = (self.log(), self.ports.amqp);
        let mut command = Command::new(&self.programs.server);
        command.envs(self.environment()).current_dir(&self.folder);
        self.server = Some(Running::start(&mut command, &log)?);
        self.tell_warden()?;
        let server = self.server.as_mut().context("just started")?;
        server.wait_ready(READY_LIMIT, &log, || greets(port).is_ok_and(|greeted| greeted))
    }

    /// Every place where RabbitMQ would otherwise look at or write to the system's own.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        vec![
            ("HOME", path("home")),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_EPMD_PORT", self.ports.mapper.to_string()),
            ("RABBITMQ_NODENAME", self.name.clone()),
            ("RABBITMQ_DIST_PORT", self.ports.distribution.to_string()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
            ("RABBITMQ_MNESIA_BASE", path("data")),
            ("RABBITMQ_LOG_BASE", path("logs")),
            ("RABBITMQ_LOGS", "-".to_owned()),
            ("RABBITMQ_PID_FILE", path("pid")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", path("generated")),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", path("no-rabbitmq-env.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", path("no-advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
        ]
    }

    fn tell_warden(&mut self) -> Result<()> {
        let processes: Vec<_> = self.server.iter().chain(&self.mapper).map(Running::process).collect();
        self.warden.as_mut().map_or(Ok(()), |warden| warden.watch(&processes))
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        let ended = [self.server.take(), self.mapper.take()].iter_mut().flatten().all(|running| running.kill().is_ok());
        // What would not end is left to the warden, which is dropped after this.
        if ended {
            let _ = self.tell_warden();
        }
    }
}

fn write_private(path: &Path, text: &str, mode: u32) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Whether an AMQP server answers the protocol header with a method frame. Listening is not enough: ports open early.
fn greets(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PROBE_LIMIT))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut frame_type = [0];
    stream.read_exact(&mut frame_type)?;
    Ok(frame_type == [1])
}

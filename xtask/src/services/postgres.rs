//! A private PostgreSQL: its own folder, port and password, nothing shared with the system's.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::ports::{free_ports, random_hex};
use super::process::Process;
use super::programs::PostgresPrograms;
use super::running::Running;
use super::state::ServerState;
use super::warden::Warden;

/// The longest wait for the server, recovery after a kill included.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// "Fast" shutdown: sessions are closed, everything is written.
const FAST: Signal = Signal::INT;
/// "Immediate" shutdown: like a crash, but shared memory is given back. For data that nobody will look at again.
pub(crate) const IMMEDIATE: Signal = Signal::QUIT;

/// A running (or killed) private PostgreSQL with `fsync` on. Dropping it ends the server and removes its folder; so does
/// the end of this process, whatever ends it. All calls block.
#[derive(Debug)]
pub struct Postgres {
    programs: PostgresPrograms,
    folder: PathBuf,
    port: u16,
    password: String,
    server: Option<Running>,
    warden: Option<Warden>,
}

impl Postgres {
    /// Makes a database cluster in a new folder and starts the server: about two seconds.
    pub fn start() -> Result<Self> {
        let programs = PostgresPrograms::find()?;
        let folder = tempfile::Builder::new().prefix("evergrant-postgres-").tempdir()?.keep();
        let warden = Some(Warden::start("QUIT", &folder)?);
        let [port] = free_ports()?;
        let mut postgres = Self { programs, folder, port, password: random_hex()?, server: None, warden };
        postgres.init().context("cannot make a private PostgreSQL")?;
        postgres.launch().context("cannot start a private PostgreSQL")?;
        Ok(postgres)
    }

    /// Where a superuser connects. The same for the whole life of this value, kills and restarts included.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same for another database of this server.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://evergrant:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Everything the server has printed, across restarts.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Kills the server and all its sessions at once, as a power cut would.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        server.kill()?;
        self.tell_warden()
    }

    /// Starts it again on the same port and data: after a [`kill`](Self::kill), or shutting it down in good order first.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.stop(FAST)?;
        }
        self.launch().context("cannot restart the private PostgreSQL")
    }

    /// The process at the top of it, while it runs; its children are part of it.
    pub fn process(&self) -> Option<&Process> {
        self.server.as_ref().map(Running::process)
    }

    /// Lets the server outlive this process. The state is what is needed to end it later.
    pub(crate) fn detach(mut self) -> ServerState {
        if let Some(warden) = self.warden.take() {
            warden.dismiss();
        }
        let processes = self.server.take().iter().map(|server| server.process().clone()).collect();
        ServerState { url: self.url(), folder: self.folder.clone(), processes }
    }

    fn init(&self) -> Result<()> {
        self.programs.give(&self.folder)?;
        let password_file = self.folder.join("password");
        fs::write(&password_file, &self.password)?;
        self.programs.give(&password_file)?;
        let output = self
            .programs
            .command("initdb")
            .arg("--pgdata")
            .arg(self.folder.join("data"))
            .arg("--pwfile")
            .arg(&password_file)
            // What initdb writes need not survive a power cut; what the server writes is another matter, and is synced.
            .args(["--username=evergrant", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"])
            .current_dir(&self.folder)
            .output()
            .context("cannot start initdb")?;
        if !output.status.success() {
            bail!("initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        fs::remove_file(password_file)?;
        Ok(())
    }

    fn launch(&mut self) -> Result<()> {
        let mut command = self.server_command();
        let server = self.server.insert(Running::start(&mut command, &self.folder.join("log"))?);
        if let Some(warden) = &mut self.warden {
            warden.watch(&[server.process()])?;
        }
        let (programs, port) = (&self.programs, self.port);
        server.wait_ready(READY_LIMIT, &self.folder.join("log"), || {
            let mut probe = Command::new(programs.path("pg_isready"));
            probe.args(["--quiet", "--host=127.0.0.1", "--port"]).arg(port.to_string());
            probe.status().is_ok_and(|status| status.success())
        })
    }

    fn server_command(&self) -> Command {
        let mut command = self.programs.command("postgres");
        command.current_dir(&self.folder).arg("-D").arg(self.folder.join("data"));
        let settings = [
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.folder.display()),
            "listen_addresses=127.0.0.1".to_owned(),
            "fsync=on".to_owned(),
            // Test binaries run beside each other, each with pools of its own.
            "max_connections=300".to_owned(),
            // In files of the folder instead of /dev/shm, so that nothing of a killed server stays behind.
            "dynamic_shared_memory_type=mmap".to_owned(),
        ];
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        command
    }

    fn tell_warden(&mut self) -> Result<()> {
        let processes: Vec<_> = self.server.iter().map(Running::process).collect();
        self.warden.as_mut().map_or(Ok(()), |warden| warden.watch(&processes))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An error leaves the rest to the warden, which is dropped after this.
        if let Some(mut server) = self.server.take()
            && server.stop(IMMEDIATE).is_ok()
        {
            let _ = self.tell_warden();
        }
    }
}

//! A whole system of real processes against a simulated Amazon.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use evergrant_sim::{LedgerEntry, Rotation, Sim, SimOptions};
use evergrant_testkit::secrets;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;
use uuid::Uuid;

use super::database::{Database, history_of_sqlite};
use super::export::Export;
use super::leaks;
use super::process::{Env, Process, evergrant};
use super::servers::Servers;
use super::settings::{Pace, environment};
use super::tap::{Heard, Tap};
use super::turn::Turn;

const CLIENT_SECRET: &str = "an-e2e-client-secret-that-nobody-may-see";
const SESSION_SECRET: &str = "an-e2e-session-secret-that-nobody-may-see";

/// One of the two shapes of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One process on SQLite.
    Embedded,
    /// Two schedulers, three workers and an API on PostgreSQL and RabbitMQ.
    Cluster,
}

/// What a world is like.
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    /// The folder of its logs; the name of the test.
    pub(crate) name: &'static str,
    pub(crate) pace: Pace,
    pub(crate) token_lifetime: Duration,
    /// Of every answer of the simulated Amazon.
    pub(crate) latency: Duration,
    /// What becomes of a spent refresh token.
    pub(crate) rotation: Rotation,
    /// Whether it kills PostgreSQL or RabbitMQ.
    pub(crate) own_servers: bool,
    pub(crate) log_level: &'static str,
}

impl Plan {
    pub(crate) const fn new(shape: Shape, name: &'static str) -> Self {
        Self {
            shape,
            name,
            pace: Pace::Quick,
            token_lifetime: Duration::from_secs(12),
            latency: Duration::from_millis(20),
            rotation: Rotation::Strict { retry_until_successor_used: true },
            own_servers: false,
            log_level: "debug",
        }
    }
}

/// The cluster's half of a world.
pub(crate) struct Cluster {
    pub(crate) database: Database,
    pub(crate) servers: Servers,
    pub(crate) namespace: String,
    pub(crate) tap: Option<Tap>,
    heard: Heard,
}

/// Processes, services and a simulated Amazon. End it with [`World::end`], which searches all that it left for secrets.
pub(crate) struct World {
    pub(crate) shape: Shape,
    pub(crate) token_lifetime: Duration,
    pub(crate) sim: Sim,
    pub(crate) processes: Vec<Process>,
    pub(crate) cluster: Option<Cluster>,
    pub(crate) env: Env,
    /// What single processes are given on top of that, by their names.
    pub(crate) env_apart: BTreeMap<String, Env>,
    pub(crate) folder: TempDir,
    /// Every secret that was ever given to a process.
    secrets: Vec<String>,
    pub(super) logs: PathBuf,
    started: usize,
    ended: bool,
    pub(crate) runtime: Runtime,
    _turn: Turn,
}

impl World {
    /// Makes a world in which nothing runs yet. `None`: its services cannot be had here, which was said loudly.
    pub(crate) fn new(plan: &Plan) -> Option<Self> {
        let turn = Turn::wait();
        let servers = match plan.shape {
            Shape::Embedded => None,
            Shape::Cluster => Some(if plan.own_servers { Servers::own()? } else { Servers::shared()? }),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = SimOptions {
            token_lifetime: plan.token_lifetime,
            rotation: plan.rotation,
            latency: plan.latency,
            client_secrets: vec![CLIENT_SECRET.to_owned()],
            ..SimOptions::default()
        };
        let client_id = options.client_id.clone();
        let sim = runtime.block_on(Sim::start(options)).unwrap();
        let logs = empty_log_folder(plan);
        let mut env = environment(plan.pace, plan.log_level);
        env.insert("AMAZON_CLIENT_ID".to_owned(), client_id);
        env.insert("AMAZON_CLIENT_SECRET".to_owned(), CLIENT_SECRET.to_owned());
        env.insert("AMAZON_TOKEN_URL".to_owned(), sim.token_url().to_string());
        env.insert("AMAZON_AUTHORIZE_URL".to_owned(), sim.url().join("ap/oa").unwrap().to_string());
        env.insert("AMAZON_API_URL".to_owned(), sim.url().to_string());
        env.insert("AMAZON_IDENTITY_URL".to_owned(), sim.url().to_string());
        env.insert("JWT_SECRET_KEY".to_owned(), SESSION_SECRET.to_owned());
        let mut world = Self {
            shape: plan.shape,
            token_lifetime: plan.token_lifetime,
            sim,
            processes: Vec::new(),
            cluster: None,
            env,
            env_apart: BTreeMap::new(),
            folder: tempfile::tempdir().unwrap(),
            secrets: vec![CLIENT_SECRET.to_owned(), SESSION_SECRET.to_owned()],
            logs,
            started: 0,
            ended: false,
            runtime,
            _turn: turn,
        };
        world.set_key(&fernet::Fernet::generate_key());
        if let Some(servers) = servers {
            world.join(servers);
        }
        Some(world)
    }

    /// Makes it a cluster on these servers.
    fn join(&mut self, servers: Servers) {
        let database = self.runtime.block_on(Database::create(&servers.database_url));
        let namespace = format!("e2e-{}", Uuid::now_v7().simple());
        for url in [&servers.database_url, &servers.amqp_url] {
            let url = Url::parse(url).unwrap();
            self.secrets.extend(url.password().map(str::to_owned));
        }
        let settings = [
            ("EVERGRANT_MODE", "cluster"),
            ("DATABASE_URL", &database.url),
            ("AMQP_URL", &servers.amqp_url),
            ("EVERGRANT_BROKER_NAMESPACE", &namespace),
            ("EVERGRANT_DATABASE_POOL_SIZE", "4"),
        ];
        self.env.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self.cluster = Some(Cluster { database, servers, namespace, tap: None, heard: Heard::default() });
        self.ask(&["migrate"]).success();
        self.listen();
    }

    /// Hears what is published from now on; again after the broker was killed.
    pub(crate) fn listen(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            let tap = Tap::open(&cluster.servers.amqp_url, &cluster.namespace, &cluster.heard);
            cluster.tap = Some(self.runtime.block_on(tap));
        }
    }

    /// The cluster's half.
    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        self.cluster.as_mut().expect("this world is a cluster")
    }

    /// Gives processes that start from now on this `FERNET_KEY`.
    pub(crate) fn set_key(&mut self, key: &str) {
        self.secrets.extend(key.split(',').map(str::to_owned));
        self.env.insert("FERNET_KEY".to_owned(), key.to_owned());
    }

    /// Gives processes that start from now on this setting.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Nobody may see this from now on, wherever it was written.
    pub(crate) fn keep_secret(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    /// Makes an API key.
    pub(crate) fn api_key(&mut self, name: &str, scopes: &[&str], user: Option<&str>) -> String {
        let mut args = vec!["api-keys", "create", name];
        args.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
        args.extend(user.iter().flat_map(|user| ["--user", user]));
        let key = self.ask_in_private(&args).success().stdout.trim().to_owned();
        assert!(key.starts_with("egk_"), "this is no API key");
        self.keep_secret(&key);
        key
    }

    /// Where the processes with a role answer.
    pub(crate) fn addresses(&self, role: &str) -> Vec<String> {
        let with_role = self.processes.iter().filter(|process| process.role() == role);
        with_role.map(|process| process.address().expect("it listens")).collect()
    }

    /// The `FERNET_KEY` of processes that start now.
    pub(crate) fn key(&self) -> &str {
        &self.env["FERNET_KEY"]
    }

    /// Imports so many users of the original project, all of them good for the simulated Amazon.
    pub(crate) fn import(&mut self, users: usize) -> Vec<String> {
        let export = Export::new(&self.sim, users, self.key());
        let file = self.folder.path().join("users.json");
        export.write(&file);
        let answer = self.ask(&["connections", "import", file.to_str().unwrap(), "--json"]);
        assert_eq!(answer.code, i32::from(export.broken > 0), "{}", answer.stderr);
        let summary = &answer.json()["summary"];
        let number = |name: &str| usize::try_from(summary[name].as_u64().unwrap()).unwrap();
        assert_eq!(
            (number("inserted"), number("bad"), number("without_tokens")),
            (export.users.len(), export.broken, export.without_tokens)
        );
        fs::remove_file(file).unwrap();
        export.users
    }

    /// Starts every process of this shape and waits until all are ready.
    pub(crate) fn start(&mut self) {
        let roles: &[&str] = match self.shape {
            Shape::Embedded => &["serve"],
            Shape::Cluster => &["scheduler", "scheduler", "worker", "worker", "worker", "api"],
        };
        for (number, role) in roles.iter().enumerate() {
            self.spawn(&format!("{role}-{number}"), role);
        }
        self.processes.iter_mut().for_each(Process::until_ready);
    }

    /// Starts one process, which may not be ready yet. One with the name of an earlier one finds its folder again.
    pub(crate) fn spawn(&mut self, name: &str, role: &str) -> usize {
        let process = self.spawn_apart(name, role);
        self.processes.push(process);
        self.processes.len() - 1
    }

    /// Starts one process that is not counted among the world's.
    pub(crate) fn spawn_apart(&mut self, name: &str, role: &str) -> Process {
        self.started += 1;
        let log = self.logs.join(format!("{:02}-{name}.log", self.started));
        Process::spawn(name, role, self.folder.path(), &self.env_of(name), log)
    }

    /// Kills a process and starts it again.
    pub(crate) fn restart(&mut self, index: usize) {
        let (name, role) = (self.processes[index].name.clone(), self.processes[index].role().to_owned());
        self.processes[index].kill();
        self.processes[index] = self.spawn_apart(&name, &role);
        self.processes[index].until_ready();
    }

    /// What a process of this name is started with.
    pub(crate) fn env_of(&self, name: &str) -> Env {
        let mut env = self.env.clone();
        env.extend(self.env_apart.get(name).cloned().unwrap_or_default());
        // Embedded, the command line opens the server's own file; in a cluster nothing but the spool is in the folder.
        let folder = if self.shape == Shape::Embedded { "data" } else { name };
        env.insert("EVERGRANT_DATA_DIR".to_owned(), self.folder.path().join(folder).display().to_string());
        env
    }

    /// The folder in which a process keeps what must survive it.
    pub(crate) fn data_folder(&self, name: &str) -> PathBuf {
        self.env_of(name)["EVERGRANT_DATA_DIR"].clone().into()
    }

    /// Runs a command that prints a secret to whoever asked for it: nothing of that is kept with the logs.
    pub(crate) fn ask_in_private(&self, args: &[&str]) -> Answer {
        let output = evergrant(self.folder.path(), &self.env_of("cli"), args).output().expect("the program starts");
        Answer::from(output)
    }

    /// Runs a command to its end. What it prints is searched for secrets as well.
    pub(crate) fn ask(&mut self, args: &[&str]) -> Answer {
        self.ask_with_input(args, "")
    }

    /// The same, with something to read.
    pub(crate) fn ask_with_input(&mut self, args: &[&str], input: &str) -> Answer {
        let mut command = evergrant(self.folder.path(), &self.env_of("cli"), args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("its input");
        // A command that reads nothing may have ended already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let answer = Answer::from(child.wait_with_output().unwrap());
        let mut log = OpenOptions::new().create(true).append(true).open(self.logs.join("commands.log")).unwrap();
        writeln!(log, "{args:?} ended with {}\n{}\n{}", answer.code, answer.stdout, answer.stderr).unwrap();
        answer
    }

    /// The account of every grant.
    pub(crate) fn ledger(&self) -> BTreeMap<String, LedgerEntry> {
        self.sim.ledger().into_iter().map(|entry| (entry.user_id.clone(), entry)).collect()
    }

    /// What all processes that ever were have logged.
    pub(crate) fn all_logs(&self) -> String {
        let files = fs::read_dir(&self.logs).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()).collect()
    }

    /// Stops every process in good order.
    pub(crate) fn stop(&mut self) {
        for process in &self.processes {
            if let Some(metrics) = process.metrics() {
                fs::write(self.logs.join(format!("{}.metrics", process.name)), metrics).unwrap();
            }
        }
        self.processes.iter().for_each(Process::terminate);
        for mut process in self.processes.drain(..) {
            let status = process.until_ended();
            assert!(status.success(), "{} ended with {status}", process.name);
        }
    }

    /// Leaves something beside the logs, where it is searched for secrets as well.
    pub(crate) fn keep_with_logs(&self, name: &str, text: &str) {
        fs::write(self.logs.join(name), text).unwrap();
    }

    /// Leaves a summary beside the logs.
    pub(crate) fn summarize(&self, summary: &Value) {
        fs::write(self.logs.join("summary.json"), summary.to_string()).unwrap();
    }

    /// Stops everything and searches all that was left behind for secrets.
    pub(crate) fn end(mut self) {
        self.stop();
        self.search_for_secrets();
        self.ended = true;
    }

    fn search_for_secrets(&self) {
        let named: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        leaks::search_files(&self.logs, &named);
        if let Some(cluster) = &self.cluster {
            let heard = cluster.heard.text();
            assert!(!heard.is_empty(), "no job and no event was heard: the search would prove nothing");
            secrets::assert_none("a job or an event", &heard, &named);
            for (name, rows) in self.runtime.block_on(cluster.database.tables()) {
                leaks::search_rows(&format!("the table {name}"), &rows, &named);
                if name == "attempts" || name == "failed_jobs" {
                    secrets::assert_none(&name, &rows, &named);
                }
            }
        } else {
            let folder = self.data_folder("cli");
            let database = database_file(&folder);
            secrets::assert_none("the history", &self.runtime.block_on(history_of_sqlite(&database)), &named);
            for file in files_of(&folder) {
                let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
                leaks::search_rows(&file.display().to_string(), &text, &named);
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.processes.clear();
        if let Some(cluster) = self.cluster.take() {
            self.runtime.block_on(cluster.database.remove());
        }
        assert!(
            self.ended || std::thread::panicking(),
            "a test must end its world, which is when secrets are searched"
        );
    }
}

/// What a command printed and how it ended.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// What it printed with `--json`.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|_| panic!("this is no JSON: {}\n{}", self.stdout, self.stderr))
    }

    /// Fails the test unless it did what was asked.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

fn empty_log_folder(plan: &Plan) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let logs = target.join("test-logs/e2e").join(plan.name);
    let _ = fs::remove_dir_all(&logs);
    fs::create_dir_all(&logs).unwrap();
    logs
}

pub(super) fn database_file(folder: &Path) -> PathBuf {
    let is_database =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "db" || extension == "sqlite");
    files_of(folder).into_iter().find(is_database).expect("a database")
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).collect()
}

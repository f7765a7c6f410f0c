//! The system under a run: its processes, their links, and somebody who starts again whatever ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use evergrant_sim::Rotation;
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use super::disk::Disk;
use super::eyes::{Eyes, Place};
use super::links::Links;
use super::load::{Addresses, Asker};
use super::record::Record;
use super::schedule::Schedule;
use super::skew::{self, Clocks};
use super::watch::Watch;
use crate::support::{Plan, Shape, World};

/// Connections of a run.
pub(super) const CONNECTIONS: usize = 240;
/// How long their access tokens live.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(20);
/// How long a token may be over after a fault has ended: a lease of nine seconds, its grace of two, and the longest back-off,
/// look and start of a process on a busy machine.
pub(super) const ALLOWANCE: Duration = Duration::from_secs(9 + 2 + 9);
/// The longest request of the API, as it is configured here.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(9);
/// Of the file that a full disk fills; in a cluster this worker's.
const ON_THE_DISK: &str = "worker-2";

/// Everything of a run.
pub(super) struct System {
    /// Dropped before the world's folder goes.
    pub(super) disk: Option<Disk>,
    pub(super) clocks: Option<Clocks>,
    pub(super) links: BTreeMap<String, Links>,
    /// Sessions that take PostgreSQL's places away.
    pub(super) strangers: Vec<PgConnection>,
    pub(super) world: World,
    pub(super) record: Record,
    pub(super) eyes: Eyes,
    /// Processes that shall not run just now.
    pub(super) down: BTreeSet<String>,
    addresses: Addresses,
    tasks: Vec<JoinHandle<()>>,
}

impl System {
    /// Starts all of it and imports the connections. `None`: its services cannot be had here, which was said loudly.
    pub(super) fn start(shape: Shape, name: &'static str, seed: u64, schedule: &Schedule) -> Option<Self> {
        let rotation = Rotation::Strict { retry_until_successor_used: !schedule.is_merciless };
        let plan = Plan {
            token_lifetime: TOKEN_LIFETIME,
            rotation,
            own_servers: true,
            log_level: "info",
            ..Plan::new(shape, name)
        };
        let mut world = World::new(&plan)?;
        for (setting, value) in [
            ("EVERGRANT_FORCE_WAIT_MS", "6000"),
            ("EVERGRANT_FORCE_FRESH_SECS", "1"),
            ("EVERGRANT_FORCE_COOL_DOWN_MS", "1000"),
            ("EVERGRANT_API_REQUEST_TIMEOUT_MS", "9000"),
        ] {
            world.set(setting, value);
        }
        let names: Vec<String> =
            roles(shape).iter().enumerate().map(|(index, role)| format!("{role}-{index}")).collect();
        let links = names.iter().map(|name| (name.clone(), Links::lay(&mut world, name))).collect();
        let clocks = schedule.has_jumps().then(|| Clocks::wind(&mut world, &names)).flatten();
        let disk = schedule.has_full_disk().then(|| Disk::mount(&world.data_folder(ON_THE_DISK))).flatten();
        let place = place(&world);
        let mut system = Self {
            disk,
            clocks,
            links,
            strangers: Vec::new(),
            world,
            record: Record::default(),
            eyes: Eyes::new(place.clone()),
            down: BTreeSet::new(),
            addresses: Addresses::default(),
            tasks: Vec::new(),
        };
        for (name, role) in names.iter().zip(roles(shape)) {
            system.world.spawn(name, role);
        }
        for process in &mut system.world.processes {
            process.until_ready();
        }
        system.world.import(CONNECTIONS);
        system.look_on(place, seed, !schedule.has_jumps());
        Some(system)
    }

    /// Those who ask and who watch begin.
    fn look_on(&mut self, place: Place, seed: u64, trusts_store: bool) {
        // Whichever test comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().build().unwrap();
        let key = self.world.api_key("load", &["tokens:read", "tokens:refresh"], None);
        let connections: Arc<Vec<String>> = Arc::new(self.world.rows().into_values().map(|row| row.id).collect());
        self.supervise();
        let _inside = self.world.runtime.enter();
        let names: Vec<String> =
            self.addresses.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        let answering = names.into_iter().filter(|name| name.starts_with("api") || name.starts_with("serve"));
        for (number, name) in answering.flat_map(|name| [name.clone(), name.clone(), name]).enumerate() {
            let asker = Asker {
                name,
                addresses: Arc::clone(&self.addresses),
                key: key.clone(),
                connections: Arc::clone(&connections),
                record: self.record.clone(),
                profile: self.world.sim.url().join("user/profile").unwrap().to_string(),
                http: http.clone(),
            };
            self.tasks.push(asker.start(seed.wrapping_mul(31).wrapping_add(number as u64)));
        }
        let watch = Watch {
            eyes: Eyes::new(place),
            ledger: self.world.sim.url().join("sim/ledger").unwrap().to_string(),
            http,
            record: self.record.clone(),
            trusts_store,
            told: BTreeSet::new(),
        };
        self.tasks.push(watch.start());
    }

    /// Those who ask go home; whoever watches stays no longer either.
    pub(super) fn let_go(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }

    /// Starts again what has ended and shall run, as every supervisor does, and learns where it listens.
    pub(super) fn supervise(&mut self) {
        for index in 0..self.world.processes.len() {
            let process = &mut self.world.processes[index];
            let name = process.name.clone();
            if self.down.contains(&name) {
                continue;
            }
            if !process.is_alive() {
                self.record.count("ended by itself");
                if !self.record.is_excused(Instant::now(), ALLOWANCE) {
                    self.record.breach(format!("{name} has ended by itself"));
                }
                self.revive(index);
            }
            let is_known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name);
            if !is_known && let Some(address) = self.world.processes[index].address() {
                self.addresses.lock().unwrap_or_else(PoisonError::into_inner).insert(name, address);
            }
        }
    }

    /// Kills a process, which stays down until it is revived.
    pub(super) fn kill(&mut self, index: usize) {
        let process = &mut self.world.processes[index];
        let pid = process.pid();
        process.kill();
        skew::tidy(pid);
        self.down.insert(process.name.clone());
    }

    /// Starts a process that has ended.
    pub(super) fn revive(&mut self, index: usize) {
        let (name, role) = (self.world.processes[index].name.clone(), self.world.processes[index].role().to_owned());
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        self.world.processes[index] = self.world.spawn_apart(&name, &role);
        self.down.remove(&name);
    }

    /// The processes with a role.
    pub(super) fn with_role(&self, role: &str) -> Vec<usize> {
        let all = self.world.processes.iter().enumerate();
        all.filter(|(_, process)| process.role() == role).map(|(index, _)| index).collect()
    }

    /// The process whose disk fills up.
    pub(super) fn on_the_disk(&self) -> usize {
        self.world.processes.iter().position(|process| process.name == ON_THE_DISK).unwrap_or(0)
    }
}

fn roles(shape: Shape) -> &'static [&'static str] {
    match shape {
        Shape::Embedded => &["serve"],
        Shape::Cluster => &["scheduler", "scheduler", "worker", "worker", "worker", "api", "api"],
    }
}

fn place(world: &World) -> Place {
    match world.env.get("DATABASE_URL") {
        Some(url) => Place::Cluster(Box::new(url.parse().expect("a URL of PostgreSQL"))),
        None => Place::Embedded(world.data_folder("cli").join("evergrant.db")),
    }
}

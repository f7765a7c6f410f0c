//! How each fault is made, and how it ends.

use std::time::Duration;

use evergrant_sim::{ErrorBody, Fault as Trouble, FaultKind};
use evergrant_testkit::Way;

use super::schedule::{Broker, Fault, Kind, Link, Mood, Store};
use super::system::System;

impl System {
    /// Makes the fault.
    pub(super) fn begin(&mut self, fault: Fault) {
        let victims = self.victims(fault);
        let names = victims.iter().map(|index| self.world.processes[*index].name.clone()).collect::<Vec<_>>();
        self.record.begins(fault, names.clone());
        match fault.kind {
            Kind::Kill(_) => victims.iter().for_each(|index| self.kill(*index)),
            Kind::KillAt(point) => self.kill_at(point, victims[0]),
            Kind::Freeze(_) => victims.iter().for_each(|index| self.world.processes[*index].freeze()),
            Kind::Broker(trouble) => self.begin_broker(trouble),
            Kind::Store(trouble) => self.begin_store(trouble),
            Kind::Link(link, ill) => names.iter().for_each(|name| self.links[name].spoil(link, ill)),
            Kind::Clock(minutes) => self.set_clocks(&names, minutes),
            Kind::Provider(mood) => self.begin_mood(mood),
            Kind::DiskFull => self.begin_full_disk(victims[0]),
        }
    }

    /// Ends it.
    pub(super) fn end(&mut self, fault: Fault) {
        let victims = self.victims(fault);
        let names = victims.iter().map(|index| self.world.processes[*index].name.clone()).collect::<Vec<_>>();
        match fault.kind {
            Kind::Kill(_) | Kind::KillAt(_) => victims.iter().for_each(|index| self.revive(*index)),
            Kind::Freeze(_) => victims.iter().for_each(|index| self.world.processes[*index].thaw()),
            Kind::Broker(trouble) => self.end_broker(trouble),
            Kind::Store(trouble) => self.end_store(trouble),
            Kind::Link(link, ill) => names.iter().for_each(|name| self.links[name].mend(link, ill)),
            Kind::Clock(_) => self.set_clocks(&names, 0),
            Kind::Provider(mood) => self.end_mood(mood),
            Kind::DiskFull => self.end_full_disk(victims[0]),
        }
        self.record.ends(fault);
    }

    /// The processes that a fault befalls.
    fn victims(&self, fault: Fault) -> Vec<usize> {
        let roles: &[&str] = match fault.kind {
            Kind::Kill(part) | Kind::Freeze(part) => &[part.role()],
            Kind::KillAt(_) | Kind::Link(Link::Provider, _) => &["worker", "serve"],
            Kind::Clock(_) => &["worker", "scheduler", "serve"],
            Kind::Link(..) => &["scheduler", "worker", "api"],
            Kind::DiskFull => return vec![self.on_the_disk()],
            Kind::Broker(_) | Kind::Store(_) | Kind::Provider(_) => &[],
        };
        let candidates: Vec<usize> = roles.iter().flat_map(|role| self.with_role(role)).collect();
        match fault.victim {
            Some(victim) if !candidates.is_empty() => vec![candidates[victim % candidates.len()]],
            _ => candidates,
        }
    }

    fn set_clocks(&self, names: &[String], minutes: i32) {
        if let Some(clocks) = &self.clocks {
            for name in names {
                clocks.set(name, minutes);
            }
        }
    }

    // ---------------------------------------------------------------------------------------------------------- broker

    fn begin_broker(&mut self, trouble: Broker) {
        let cluster = self.world.cluster();
        match trouble {
            Broker::Restart => cluster.servers.rabbit().restart().unwrap(),
            Broker::Kill => return cluster.servers.rabbit().kill().unwrap(),
            Broker::MemoryAlarm => return self.high_watermark("0"),
            Broker::QueuesDeleted => {}
        }
        // What hears jobs and events was cut off, or is asked to delete queues by a line that may have been.
        self.world.listen();
        if trouble == Broker::QueuesDeleted {
            let namespace = self.world.cluster().namespace.clone();
            let cluster = self.world.cluster.as_ref().expect("this world is a cluster");
            let tap = cluster.tap.as_ref().expect("a cluster has a tap");
            for kind in ["refresh_due", "force_refresh"] {
                self.world.runtime.block_on(tap.delete(&format!("{namespace}.v1.{kind}")));
            }
        }
    }

    fn end_broker(&mut self, trouble: Broker) {
        match trouble {
            Broker::Kill => {
                self.world.cluster().servers.rabbit().restart().unwrap();
                self.world.listen();
            }
            Broker::MemoryAlarm => self.high_watermark("0.4"),
            Broker::Restart | Broker::QueuesDeleted => {}
        }
    }

    fn high_watermark(&mut self, share: &str) {
        self.world.cluster().servers.rabbit().ctl(&["set_vm_memory_high_watermark", share]).unwrap();
    }

    // -------------------------------------------------------------------------------------------------------- provider

    fn begin_mood(&self, mood: Mood) {
        let trouble = match mood {
            Mood::Down => Trouble::new(FaultKind::Status { status: 503, body: ErrorBody::Json }),
            Mood::Throttling => Trouble::new(FaultKind::Throttle { retry_after_secs: Some(1), as_date: false }),
            Mood::Html => Trouble::new(FaultKind::HtmlOk {}),
            Mood::Hanging => Trouble::new(FaultKind::Hang { ms: 5_000 }),
            Mood::LosingReplies => Trouble::new(FaultKind::LostReply {}).with_probability(0.5),
            Mood::RefusingSecret => return self.world.sim.set_client_secrets(["another-one".to_owned()]),
        };
        self.world.sim.set_faults([trouble]);
    }

    fn end_mood(&self, mood: Mood) {
        if mood == Mood::RefusingSecret {
            self.world.sim.set_client_secrets([self.world.env["AMAZON_CLIENT_SECRET"].clone()]);
        } else {
            self.world.sim.clear_faults();
        }
    }

    // ------------------------------------------------------------------------------------------------------------ disk

    /// Embedded, SQLite has no room. In a cluster the store goes while answers are on their way, and the worker that holds
    /// them is told to stop and finds no room to spool them.
    fn begin_full_disk(&mut self, victim: usize) {
        let Some(disk) = &self.disk else { return };
        disk.fill();
        if self.world.cluster.is_some() {
            let link = &self.links[&self.world.processes[victim].name].provider;
            link.hold(Way::Down);
            self.until("an answer on its way", |system| {
                system.links[&system.world.processes[victim].name].provider.is_holding(Way::Down)
            });
            self.begin_store(Store::Kill);
            let process = &self.world.processes[victim];
            self.links[&process.name].provider.thaw();
            self.down.insert(process.name.clone());
            std::thread::sleep(Duration::from_millis(500));
            self.world.processes[victim].terminate();
        }
    }

    fn end_full_disk(&mut self, victim: usize) {
        if self.disk.is_none() {
            return;
        }
        if self.world.cluster.is_some() {
            // It holds what it has until its deadline, then gives up: with nowhere to put it, that is all it can do.
            self.world.processes[victim].until_ended();
            self.end_store(Store::Kill);
        }
        if let Some(disk) = &self.disk {
            disk.free();
        }
        if self.world.cluster.is_some() {
            self.revive(victim);
        }
    }
}

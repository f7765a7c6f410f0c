//! The operator's hand at the command line.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::strike::{Disaster, POISON};
use super::{GUIDE, Hand, SECTION, patience};
use crate::support::wait::within;
use crate::support::{Answer, World};

/// The documented commands, in their order: what is done here is what is written there.
pub(super) struct CommandLine(VecDeque<String>);

impl CommandLine {
    pub(super) fn new() -> Self {
        let section = GUIDE.split(SECTION).nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
        let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its commands");
        let command = |line: &str| line.split(" #").next().unwrap_or_default().trim().to_owned();
        Self(block.lines().map(command).collect())
    }

    /// Runs the next command, which must be this one; `id` takes the place of `ID`.
    #[track_caller]
    fn run(&mut self, world: &mut World, command: &str, id: &str) -> Answer {
        assert_eq!(self.0.pop_front().as_deref(), Some(command), "the guide has another order");
        let command = command.replace("ID", id);
        let args: Vec<_> = command.split_whitespace().skip(1).collect();
        world.ask(&args)
    }
}

impl Hand for CommandLine {
    fn look(&mut self, disaster: &mut Disaster) {
        let world = &mut disaster.world;
        let doctor = self.run(world, "evergrant doctor", "");
        assert_eq!(doctor.code, 1);
        assert!(doctor.stdout.contains("amazon-eu    fault since"), "{}", doctor.stdout);
        assert!(doctor.stdout.contains("amazon-na    outage since"), "{}", doctor.stdout);
        assert!(doctor.stdout.contains("FERNET_KEY lacks the key"), "{}", doctor.stdout);
        assert!(self.run(world, "evergrant keys list", "").success().stdout.contains("MISSING"));
        assert!(self.run(world, "evergrant jobs list", "").success().stdout.contains("the provider is down"));
    }

    fn put_right(&mut self, disaster: &mut Disaster) {
        let patience = patience(disaster);
        let (world, revoked) = (&mut disaster.world, disaster.revoked.len());
        within(patience, "both provider apps to be open", || {
            let doctor = world.ask(&["doctor"]);
            (doctor.code == 0 && !doctor.stdout.contains("outage since")).then_some(())
        });
        let dry = self.run(world, "evergrant jobs replay --all --dry-run", "").success();
        assert!(dry.stdout.contains("would be replayed") && dry.stdout.contains("unreadable"), "{}", dry.stdout);
        let replayed = self.run(world, "evergrant jobs replay --all --reason recovered", "");
        assert_eq!(replayed.code, 1, "one is left open: {}", replayed.stdout);
        let left = world.ask(&["jobs", "list", "--json"]).success().json();
        let left = left["items"].as_array().unwrap();
        assert_eq!((left.len(), &left[0]["payload"]), (1, &json!(POISON)), "{left:?}");
        let id = left[0]["id"].as_str().unwrap().to_owned();
        self.run(world, "evergrant jobs discard ID --reason poison", &id).success();
        self.run(world, "evergrant connections refresh --expired", "").success();
        within(patience, "all but those that were revoked to be active", || {
            let active = world.stats(crate::support::rows::now())?.in_state("active");
            (active == disaster.total - revoked as u64).then_some(())
        });
        self.run(world, "evergrant connections list --state needs_reauth", "").success();
        let ended: Value =
            world.ask(&["connections", "list", "--state", "needs_reauth", "--limit", "10000", "--json"]).json();
        let ended = ended.as_array().unwrap();
        assert!(ended.iter().all(|row| row["reason"] == "grant_invalid"), "{ended:?}");
        assert_eq!(ended.len(), revoked);
    }

    fn see_that_all_is_well(&mut self, disaster: &mut Disaster) {
        self.run(&mut disaster.world, "evergrant connections stats --since 1h", "").success();
        self.run(&mut disaster.world, "evergrant doctor", "").success();
        assert!(self.0.is_empty(), "the guide goes on: {:?}", self.0);
    }
}

//! The operator's hand at the web page: frontend/e2e/disaster.ts, in a real browser.

use serde_json::json;

use super::strike::{Disaster, POISON};
use super::{Hand, patience};
use crate::support::Browser;

const SCRIPT: &str = "disaster.ts";

/// A browser, in which each look is a test of the script.
pub(super) struct Page(Browser);

impl Page {
    /// `None`: there is no browser here, which was said loudly.
    pub(super) fn new() -> Option<Self> {
        Browser::new().map(Self)
    }

    fn play(&mut self, test: &str, disaster: &mut Disaster) {
        let told = json!({
            "total": disaster.total,
            "revoked": disaster.revoked.len(),
            "processes": disaster.world.processes.len(),
            "poison": POISON,
            "patience_ms": patience(disaster).as_millis(),
        });
        self.0.play(&disaster.world, SCRIPT, test, &told);
    }
}

impl Hand for Page {
    fn look(&mut self, disaster: &mut Disaster) {
        self.0.let_in(&mut disaster.world);
        self.play("an operator looks at everything", disaster);
    }

    fn put_right(&mut self, disaster: &mut Disaster) {
        self.play("an operator puts everything right", disaster);
    }

    fn see_that_all_is_well(&mut self, disaster: &mut Disaster) {
        self.play("an operator sees that all is well", disaster);
    }
}

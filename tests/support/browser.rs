//! A person at the web page: a script of frontend/e2e, played in Chromium.

use std::fs::{self, File};
use std::path::Path;

use evergrant_testkit::secrets;
use serde_json::{Value, json};
use uuid::Uuid;
use xtask::playwright;

use super::World;

const OPERATOR: &str = "operator@example.com";

/// A browser, and an operator who may sign in.
pub(crate) struct Browser {
    password: String,
    /// Scripts that were played.
    played: usize,
}

impl Browser {
    /// `None`: there is no browser here, or no page, which was said loudly.
    pub(crate) fn new() -> Option<Self> {
        let password = format!("{}-{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        playwright::startable().then_some(Self { password, played: 0 })
    }

    /// Makes the operator.
    pub(crate) fn let_in(&self, world: &mut World) {
        world.keep_secret(&self.password);
        let add = ["users", "add", OPERATOR, "--name", "Olive Operator", "--admin", "--password"];
        world.ask_with_input(&add, &self.password).success();
    }

    /// Plays one test of a script, which finds in its environment what it is told. Fails the test with what Playwright says.
    pub(crate) fn play(&mut self, world: &World, script: &str, test: &str, told: &Value) {
        self.played += 1;
        let urls: Vec<_> = world.addresses("api").iter().map(|address| format!("http://{address}")).collect();
        let amazon = world.sim.url();
        let amazon = amazon.as_str().trim_end_matches('/');
        let system = json!([{
            "shape": "cluster", "urls": urls, "amazon": amazon, "email": OPERATOR, "password": self.password,
        }]);
        // It names a password, so only we may read it, and it goes when the script has ended.
        let file = tempfile::NamedTempFile::new().unwrap();
        serde_json::to_writer(&file, &system).unwrap();
        let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser").join(script);
        let log = world.logs.join(format!("page-{}.log", self.played));
        let output = File::create(&log).unwrap();
        let mut playwright = playwright::command(file.path(), &results).unwrap();
        playwright.args(["--grep", &format!("{test}$")]).env("EVERGRANT_BROWSER_SCRIPT", script);
        playwright.env("EVERGRANT_BROWSER_TOLD", told.to_string());
        let status = playwright.stdout(output.try_clone().unwrap()).stderr(output).status().expect("npm starts");
        let said = fs::read_to_string(&log).unwrap();
        secrets::assert_none("what Playwright says", &said, &[&self.password]);
        assert!(status.success(), "{test}: {said}\nwhat it left is in {}", results.display());
        assert!(said.contains("1 passed"), "{script} has no test that is called {test:?}: {said}");
    }
}

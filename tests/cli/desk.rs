//! Where a user sits: a folder, an environment, and the program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use evergrant_sim::{Sim, SimOptions};
use evergrant_testkit::secrets;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Env, evergrant};

/// A key that tests may know, so that its fingerprint is the same in every snapshot.
pub(super) const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const CLIENT_SECRET: &str = "a-client-secret-that-nobody-may-see";

/// What differs from run to run, and what snapshots have in its place.
const FILTERS: [(&str, &str); 10] = [
    ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "[time]"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "[time]"),
    (r"(?m)^\d\d:\d\d:\d\d\.\d{3} ", "[clock] "),
    (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:[port]"),
    (r"expires in \d+ seconds", "expires in [n] seconds"),
    (r"seconds=\d+", "seconds=[n]"),
    (r"TOOK +", "TOOK  "),
    (r"\d+ ms from", "[n] ms from"),
    (r"\d+ ms  +", "[n] ms  "),
];

/// A folder of its own, gone afterwards, and the settings of a user.
pub(super) struct Desk {
    pub(super) folder: TempDir,
    pub(super) env: Env,
}

/// What a command said and how it ended.
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Desk {
    pub(super) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), env: Env::new() };
        desk.with("FERNET_KEY", KEY).with("EVERGRANT_LISTEN", "127.0.0.1:0")
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Configured for a simulated Amazon.
    pub(super) async fn at_a_simulated_amazon() -> (Self, Sim) {
        let client_secrets = vec![CLIENT_SECRET.to_owned()];
        let options = SimOptions { client_secrets, ..SimOptions::default() };
        let client_id = options.client_id.clone();
        let sim = Sim::start(options).await.unwrap();
        let desk = Self::new()
            .with("AMAZON_CLIENT_ID", &client_id)
            .with("AMAZON_CLIENT_SECRET", CLIENT_SECRET)
            .with("AMAZON_TOKEN_URL", sim.token_url().as_str());
        (desk, sim)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs a command to its end. What it says holds no secret.
    pub(super) fn run(&self, args: &[&str]) -> Said {
        self.run_with_input(args, "")
    }

    pub(super) fn run_with_input(&self, args: &[&str], input: &str) -> Said {
        let said = self.run_unwatched(args, input);
        for text in [&said.out, &said.err] {
            secrets::assert_none(&args.join(" "), text, &[KEY, CLIENT_SECRET]);
        }
        said
    }

    /// For the one command that shows a key.
    pub(super) fn run_unwatched(&self, args: &[&str], input: &str) -> Said {
        let mut command = evergrant(self.path(), &self.env, args);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the program starts");
        // A command that ends before it has read everything closes the pipe, which is its right.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Said { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Takes over a user's grant at the simulated Amazon: the id of its connection.
    pub(super) fn connect(&self, sim: &Sim, user: &str) -> String {
        let issued = sim.grant(user);
        let row = serde_json::json!({
            "user_id": user, "access_token": issued.access_token, "refresh_token": issued.refresh_token,
            "expires_at": issued.expires_at.to_rfc3339(),
        });
        self.run_with_input(&["connections", "import", "-"], &row.to_string()).ended(0);
        let listed = self.run(&["connections", "list", "--user", user, "--json"]).ended(0).json();
        listed[0]["id"].as_str().expect("an id").to_owned()
    }
}

impl Said {
    #[track_caller]
    pub(super) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.everything());
        self
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// As a terminal shows it, and how it ended.
    pub(super) fn everything(&self) -> String {
        let code = self.code.map_or_else(|| "by a signal".to_owned(), |code| code.to_string());
        format!("{}{}[exit {code}]", self.out, self.err)
    }
}

/// Several scenes of one walk through the program, as a terminal shows them.
pub(super) fn scenes<'a>(scenes: impl IntoIterator<Item = (&'a str, Said)>) -> String {
    let shown = scenes.into_iter().map(|(what, said)| format!("$ {what}\n{}\n", said.everything()));
    shown.collect::<Vec<_>>().join("\n")
}

/// Compares with tests/snapshots/`name`.snap, what differs from run to run taken out.
#[track_caller]
pub(super) fn assert_shows(name: &str, shown: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, replacement) in FILTERS {
        settings.add_filter(pattern, replacement);
    }
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

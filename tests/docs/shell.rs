//! A person's terminal: commands are run one after the other, and variables stay from one to the next.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What has to be there to run the commands of a document.
const PROGRAMS: [&str; 3] = ["bash", "curl", "jq"];

/// A terminal.
pub(super) struct Shell {
    folder: TempDir,
    env: BTreeMap<String, String>,
}

impl Shell {
    /// A terminal with these variables, in which `evergrant` can be called. `None`: a program is missing, which was said
    /// loudly.
    pub(super) fn open(env: BTreeMap<String, String>) -> Option<Self> {
        let is_missing = |program: &&str| Command::new(program).arg("--version").output().is_err();
        let missing: Vec<_> = PROGRAMS.into_iter().filter(is_missing).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let is_required = variable("EVERGRANT_REQUIRE_SERVICES") == "1";
            assert!(!is_required, "this test needs {missing} (EVERGRANT_REQUIRE_SERVICES=1 forbids to skip it)");
            // Straight to the stream: the test harness would swallow a print of a test that passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: the commands of a document need {missing}");
            return None;
        }
        Some(Self { folder: tempfile::tempdir().unwrap(), env })
    }

    /// Runs commands as a person pastes them: what they print, or how they failed.
    pub(super) fn run(&self, commands: &str) -> Result<String, String> {
        // Every variable that the commands set is there for the next ones.
        let script = format!(
            "set -euo pipefail\n[ ! -e variables ] || . ./variables\nset -o allexport\n{commands}\nset +o allexport\n\
             export -p > variables"
        );
        let program = Path::new(env!("CARGO_BIN_EXE_evergrant"));
        let path = format!("{}:{}", program.parent().expect("a folder").display(), variable("PATH"));
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-c", &script]).env_clear().envs(&self.env).env("PATH", path);
        let output = bash.current_dir(self.folder.path()).stdin(Stdio::null()).output().expect("bash starts");
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap());
        }
        Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }

    /// The value of a variable that commands have set.
    pub(super) fn value(&self, name: &str) -> String {
        self.run(&format!("printf %s \"${name}\"")).unwrap()
    }

    /// Where it is.
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but their environment")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[test]
fn variables_and_files_stay_and_a_failure_is_told() {
    let Some(shell) = Shell::open(BTreeMap::from([("A".to_owned(), "1".to_owned())])) else { return };
    assert_eq!(shell.run("B=$(echo \"$A 2\")").unwrap(), "");
    assert_eq!(shell.run("echo \"$B\" | tee file").unwrap(), "1 2\n");
    assert_eq!(shell.value("B"), "1 2");
    assert_eq!(fs::read_to_string(shell.folder().join("file")).unwrap(), "1 2\n");
    assert!(shell.run("cat missing").unwrap_err().contains("missing"));
    assert!(shell.run("false | true").is_err());
    assert!(shell.run("echo \"$NO_SUCH_VARIABLE\"").unwrap_err().contains("unbound variable"));
}

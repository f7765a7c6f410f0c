//! The private servers, for real: they survive kills with their data, and nothing of them survives their owner.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xtask::services::{Postgres, Rabbit, startable};

fn sql(postgres: &Postgres, sql: &str) -> String {
    let mut psql = Command::new("psql");
    let output = psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname"]).arg(postgres.url());
    let output = output.args(["--command", sql]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Living processes that work in this folder or name it in their arguments or environment.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap().as_bytes();
    let holds = |bytes: Vec<u8>| bytes.windows(name.len()).any(|window| window == name);
    let ours = |process: &PathBuf| {
        // PostgreSQL's sessions overwrite their arguments and environment with a title.
        std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
            || ["cmdline", "environ"].iter().any(|file| std::fs::read(process.join(file)).is_ok_and(holds))
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(ours);
    processes.map(|process| std::fs::read_to_string(process.join("cmdline")).unwrap_or_default()).collect()
}

/// Waits for a thing that other processes do.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn postgres_survives_kills_and_leaves_nothing_behind() {
    if !startable() {
        return;
    }
    let mut postgres = Postgres::start().unwrap();
    let folder = postgres.log().parent().unwrap().to_owned();
    let url = postgres.url();
    sql(&postgres, "CREATE TABLE kept (n int)");
    for n in 1..=5 {
        sql(&postgres, &format!("INSERT INTO kept VALUES ({n})"));
        let mut session = Command::new("psql")
            .args(["--command", "SELECT 'busy', pg_sleep(600)", &url])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("a session is busy", || {
            sql(&postgres, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT ''busy''%'") == "1"
        });
        assert!(processes_of(&folder).len() > 5);
        postgres.kill().unwrap();
        assert_eq!(processes_of(&folder).len(), 1, "only the warden, no orphaned session");
        assert!(!session.wait().unwrap().success());
        postgres.restart().unwrap();
        assert_eq!(sql(&postgres, "SELECT count(*) FROM kept"), n.to_string());
    }
    postgres.restart().unwrap();
    assert_eq!(sql(&postgres, "SELECT count(*) FROM kept"), "5");
    assert_eq!(postgres.url(), url);

    drop(postgres);
    // Helpers of a killed server end when their pipes do: a moment later on a busy machine.
    eventually("nothing is left", || processes_of(&folder).is_empty());
    assert!(!folder.exists());
}

#[test]
fn a_killed_postgres_can_be_dropped() {
    if !startable() {
        return;
    }
    let mut postgres = Postgres::start().unwrap();
    let folder = postgres.log().parent().unwrap().to_owned();
    postgres.kill().unwrap();
    postgres.kill().unwrap();
    drop(postgres);
    assert!(!folder.exists());
}

#[test]
fn rabbit_survives_kills_and_leaves_nothing_behind() {
    if !startable() {
        return;
    }
    let mut rabbit = Rabbit::start().unwrap();
    let folder = rabbit.log().parent().unwrap().to_owned();
    let url = rabbit.url();
    rabbit.ctl(&["add_vhost", "kept"]).unwrap();
    for _ in 0..3 {
        rabbit.kill().unwrap();
        rabbit.restart().unwrap();
        assert!(rabbit.ctl(&["list_vhosts", "--quiet"]).unwrap().contains("kept"));
    }
    rabbit.restart().unwrap();
    assert!(rabbit.ctl(&["list_vhosts", "--quiet"]).unwrap().contains("kept"));
    assert_eq!(rabbit.url(), url);
    assert!(rabbit.ctl(&["no_such_command"]).is_err());

    drop(rabbit);
    // Helpers of a killed server end when their pipes do: a moment later on a busy machine.
    eventually("nothing is left", || processes_of(&folder).is_empty());
    assert!(!folder.exists());
}

#[test]
fn kill_nine_of_the_owner_ends_its_servers() {
    if !startable() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL's own user must get through.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut owner = Command::new(env!("CARGO_BIN_EXE_xtask"));
    owner.args(["services", "run", "sh", "-c", "echo started; read -r end"]).env("TMPDIR", folder.path());
    owner.env_remove("EVERGRANT_TEST_DATABASE_URL").env_remove("EVERGRANT_TEST_AMQP_URL");
    let mut owner = owner.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.into_iter().any(|line| line == "started"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a folder for each server");

    // The pipe stays open: the command that it runs would otherwise end, and the servers for that reason.
    let pipe = owner.stdin.take();
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the folders go", || std::fs::read_dir(folder.path()).unwrap().count() == 0);
    drop(pipe);
    eventually("the servers and the command end", || processes_of(folder.path()).is_empty());
}

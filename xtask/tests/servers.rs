//! The private servers, for real: they survive kills with their data, and nothing of them survives their owner.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xtask::services::{Postgres, Rabbit, installed};

/// Loudly nothing to do where the servers are not installed, unless `cargo xtask test` said that they are.
#[expect(clippy::disallowed_methods, reason = "a test decides by its environment what it needs")]
fn can_run() -> bool {
    let Err(missing) = installed() else { return true };
    assert!(std::env::var("EVERGRANT_REQUIRE_SERVICES").is_err(), "{missing}");
    eprintln!("SKIPPED: {missing}");
    false
}

fn sql(postgres: &Postgres, sql: &str) -> String {
    let mut psql = Command::new("psql");
    let output = psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname"]).arg(postgres.url());
    let output = output.args(["--command", sql]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Living processes that name this folder in their arguments or environment.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap().as_bytes();
    let holds = |bytes: Vec<u8>| bytes.windows(folder.len()).any(|window| window == folder);
    let ours = |process: &PathBuf| {
        ["cmdline", "environ"].iter().any(|file| std::fs::read(process.join(file)).is_ok_and(holds))
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
    if !can_run() {
        return;
    }
    let mut postgres = Postgres::start().unwrap();
    let folder = postgres.log().parent().unwrap().to_owned();
    let url = postgres.url();
    sql(&postgres, "CREATE TABLE kept (n int)");
    for n in 1..=5 {
        sql(&postgres, &format!("INSERT INTO kept VALUES ({n})"));
        postgres.kill().unwrap();
        assert_eq!(processes_of(&folder).len(), 1, "only the warden, no orphaned session");
        postgres.restart().unwrap();
        assert_eq!(sql(&postgres, "SELECT count(*) FROM kept"), n.to_string());
    }
    postgres.restart().unwrap();
    assert_eq!(sql(&postgres, "SELECT count(*) FROM kept"), "5");
    assert_eq!(postgres.url(), url);

    drop(postgres);
    assert_eq!(processes_of(&folder), Vec::<String>::new());
    assert!(!folder.exists());
}

#[test]
fn a_killed_postgres_can_be_dropped() {
    if !can_run() {
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
    if !can_run() {
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
    assert_eq!(processes_of(&folder), Vec::<String>::new());
    assert!(!folder.exists());
}

/// Not a test by itself: the process that [`kill_nine_of_the_owner_ends_its_servers`] starts and kills.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn owner() {
    let (postgres, rabbit) = xtask::services::start_both().unwrap();
    println!("folder {}", postgres.log().parent().unwrap().display());
    println!("folder {}", rabbit.log().parent().unwrap().display());
    std::thread::park();
}

#[test]
fn kill_nine_of_the_owner_ends_its_servers() {
    if !can_run() {
        return;
    }
    let myself = std::env::current_exe().unwrap();
    let mut owner = Command::new(myself);
    let mut owner =
        owner.args(["owner", "--exact", "--ignored", "--nocapture"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let folder = |line: String| line.split_once("folder ").map(|(_, folder)| PathBuf::from(folder));
    let folders: Vec<PathBuf> = lines.filter_map(folder).take(2).collect();
    assert_eq!(folders.len(), 2);
    assert!(folders.iter().all(|folder| folder.exists() && processes_of(folder).len() > 1));

    owner.kill().unwrap();
    owner.wait().unwrap();
    for folder in folders {
        eventually("the servers end", || processes_of(&folder).is_empty());
        eventually("the folder goes", || !folder.exists());
    }
}

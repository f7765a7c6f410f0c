//! `cargo xtask prepare`: the committed data (`.sqlx`) by which the compiler checks SQL without a database.
//!
//! sqlx's macros write it themselves while they compile against a live, migrated database. So each crate is compiled once
//! against a throw-away one, with `SQLX_OFFLINE_DIR` naming an empty folder, which then is compared or copied into place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::services::{self, Need, Postgres};
use crate::{screen, workspace};

/// The migrated, empty database that the compiler asks.
pub(super) const SCHEMA_DATABASE: &str = "evergrant_schema";

/// What to do with what the compiler found.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Change nothing: fail if the committed data is not current
    #[arg(long)]
    check: bool,
}

impl Args {
    /// What `--check` means.
    pub(super) fn check() -> Self {
        Self { check: true }
    }
}

/// Files by name: one query each.
type Queries = BTreeMap<String, Vec<u8>>;

/// Prepares or checks both databases.
pub fn run(args: &Args) -> Result<()> {
    let given = workspace::environment(services::DATABASE_URL);
    services::install_what_is_missing(&[Need::Psql, Need::Sqlite])?;
    if given.is_none() {
        services::install_what_is_missing(&[Need::Postgres])?;
    }
    let postgres = if given.is_some() { None } else { Some(Postgres::start()?) };
    let server = given.or_else(|| postgres.as_ref().map(Postgres::url)).context("one of both")?;
    let folder = tempfile::tempdir()?;

    let in_postgres = make_postgres_schema(&server)?;
    prepare("evergrant-cluster", "common/cluster", ("PG_DATABASE_URL", &in_postgres), args.check)?;
    let in_sqlite = make_sqlite_schema(&folder.path().join("schema.db"))?;
    prepare("evergrant-embedded", "common/embedded", ("SQLITE_DATABASE_URL", &in_sqlite), args.check)
}

/// Makes the schema database on a server anew and answers its URL.
pub(super) fn make_postgres_schema(server: &str) -> Result<String> {
    let program = services::psql().context("PostgreSQL's client (psql) is not installed")?;
    let psql = |url: &str| {
        let mut psql = workspace::command(&program);
        psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", url]);
        psql.env("PGOPTIONS", "--client-min-messages=warning");
        psql
    };
    let schema = with_database(server, SCHEMA_DATABASE);
    let drop = format!("DROP DATABASE IF EXISTS {SCHEMA_DATABASE} WITH (FORCE)");
    let create = format!("CREATE DATABASE {SCHEMA_DATABASE}");
    workspace::run(psql(server).args(["--command", &drop, "--command", &create]))?;
    for migration in migrations("postgres")? {
        workspace::run(psql(&schema).arg("--single-transaction").arg("--file").arg(migration))?;
    }
    Ok(schema)
}

/// The URL of another database on the same server.
pub(super) fn with_database(server: &str, database: &str) -> String {
    let (address, parameters) = server.split_once('?').unwrap_or((server, ""));
    let after_scheme = address.find("://").map_or(0, |at| at + 3);
    let end = address[after_scheme..].find('/').map_or(address.len(), |at| after_scheme + at);
    let separator = if parameters.is_empty() { "" } else { "?" };
    format!("{}/{database}{separator}{parameters}", &address[..end])
}

fn make_sqlite_schema(file: &Path) -> Result<String> {
    for migration in migrations("sqlite")? {
        let sql = File::open(&migration)?;
        workspace::run(workspace::command("sqlite3").args(["-batch", "-bail"]).arg(file).stdin(sql))?;
    }
    Ok(format!("sqlite://{}", file.display()))
}

/// The migrations of one database, in their order.
fn migrations(database: &str) -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join("migrations").join(database);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    Ok(files)
}

fn prepare(package: &str, folder: &str, (variable, url): (&str, &str), check: bool) -> Result<()> {
    screen::step(&format!("{package}: compiling against a migrated database"));
    let found = compile(package, folder, variable, url)?;
    let committed = workspace::root().join(folder).join(".sqlx");
    let before = read(&committed)?;
    let changes = compare(&before, &found);
    if changes.is_empty() {
        screen::say(&format!("{folder}/.sqlx is current: {} queries", found.len()));
        return Ok(());
    }
    let changes = changes.join("\n    ");
    if check {
        bail!("{folder}/.sqlx is not current:\n    {changes}\nRun `cargo xtask prepare` and commit what it changes.");
    }
    write(&committed, &before, &found)?;
    screen::say(&format!("{folder}/.sqlx has {} queries now:\n    {changes}", found.len()));
    Ok(())
}

/// Compiles every target of a crate anew, and answers what the macros wrote.
fn compile(package: &str, folder: &str, variable: &str, url: &str) -> Result<Queries> {
    let output = tempfile::tempdir()?;
    // The macros run only when the crate is compiled, and cargo compiles only what is newer than its last build. Every
    // other target of the crate depends on this file.
    touch(&workspace::root().join(folder).join("src/lib.rs"))?;
    let mut cargo = workspace::cargo();
    cargo.args(["check", "--package", package, "--all-targets"]);
    cargo.env(variable, url).env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", output.path());
    workspace::run(&mut cargo)?;
    read(output.path())
}

#[expect(clippy::disallowed_methods, reason = "file times are compared by cargo, not by the product")]
fn touch(file: &Path) -> Result<()> {
    let touched =
        File::options().append(true).open(file).and_then(|open| open.set_modified(std::time::SystemTime::now()));
    touched.with_context(|| format!("cannot touch {}", file.display()))
}

fn read(folder: &Path) -> Result<Queries> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Queries::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    let mut queries = Queries::new();
    for entry in entries {
        let entry = entry?;
        queries.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(queries)
}

/// What differs, one line a query.
fn compare(before: &Queries, after: &Queries) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("no longer used: {name}"));
    let new_or_changed = after.iter().filter_map(|(name, found)| match before.get(name) {
        None => Some(format!("new: {name}")),
        Some(was) if was != found => Some(format!("changed: {name}")),
        Some(_) => None,
    });
    gone.chain(new_or_changed).collect()
}

fn write(folder: &Path, before: &Queries, after: &Queries) -> Result<()> {
    fs::create_dir_all(folder)?;
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, query) in after {
        fs::write(folder.join(name), query)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(pairs: &[(&str, &str)]) -> Queries {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let before = queries(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let after = queries(&[("b", "1"), ("c", "2"), ("d", "1")]);
        assert_eq!(compare(&before, &after), ["no longer used: a", "changed: c", "new: d"]);
        assert!(compare(&after, &after).is_empty());
    }

    #[test]
    fn writing_makes_the_folder_equal() {
        let folder = tempfile::tempdir().unwrap();
        let committed = folder.path().join(".sqlx");
        assert!(read(&committed).unwrap().is_empty());
        for wanted in [queries(&[("a", "1"), ("b", "1")]), queries(&[("b", "2"), ("c", "1")])] {
            write(&committed, &read(&committed).unwrap(), &wanted).unwrap();
            assert_eq!(read(&committed).unwrap(), wanted);
        }
    }

    #[test]
    fn another_database_of_the_same_server() {
        for (server, expected) in [
            ("postgres://u:p@127.0.0.1:5432/postgres", "postgres://u:p@127.0.0.1:5432/x"),
            ("postgres://u:p@127.0.0.1:5432", "postgres://u:p@127.0.0.1:5432/x"),
            ("postgres://h/a?sslmode=require", "postgres://h/x?sslmode=require"),
        ] {
            assert_eq!(with_database(server, "x"), expected);
        }
    }

    #[test]
    fn both_databases_have_migrations_in_order() {
        for database in ["postgres", "sqlite"] {
            let files = migrations(database).unwrap();
            assert!(!files.is_empty() && files.is_sorted());
        }
    }
}

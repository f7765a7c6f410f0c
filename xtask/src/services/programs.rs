//! Where the programs of PostgreSQL and RabbitMQ are, and as whom they run.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The oldest major version of PostgreSQL that Evergrant supports.
const OLDEST_POSTGRES: u32 = 15;

/// Whether this process is the superuser.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The programs of one PostgreSQL version.
#[derive(Clone, Debug)]
pub(crate) struct PostgresPrograms {
    folder: PathBuf,
    /// The user and group to run as, when we are root: PostgreSQL refuses to.
    owner: Option<(u32, u32)>,
}

impl PostgresPrograms {
    /// The newest on this machine.
    pub(crate) fn find() -> Result<Self> {
        // Debian and Red Hat keep the servers out of PATH, one folder per version.
        let versioned = ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt"];
        let folders = versioned.iter().flat_map(|parent| versions_in(Path::new(parent))).chain(path_folders());
        let newest = folders.filter_map(|folder| Some((major_version(&folder)?, folder))).max();
        let Some((version, folder)) = newest else { bail!("PostgreSQL (initdb, postgres) is not installed") };
        if version < OLDEST_POSTGRES {
            bail!("PostgreSQL {version} in {} is too old: {OLDEST_POSTGRES} or newer is needed", folder.display());
        }
        let owner = if is_root() { Some(postgres_user()?) } else { None };
        Ok(Self { folder, owner })
    }

    /// The path of a program.
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// A command for a program that must not run as root. `setpriv` becomes the program, so the child is the server.
    pub(crate) fn command(&self, program: &str) -> Command {
        let Some((user, group)) = self.owner else { return Command::new(self.path(program)) };
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
        command.arg("--").arg(self.path(program));
        command
    }

    /// Makes a file or folder the property of the user that the server runs as.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        let Some((user, group)) = self.owner else { return Ok(()) };
        chown(path, Some(user), Some(group)).with_context(|| format!("cannot give {} to postgres", path.display()))
    }
}

/// The programs of RabbitMQ.
#[derive(Clone, Debug)]
pub(crate) struct RabbitPrograms {
    /// The start script.
    pub(crate) server: PathBuf,
    /// Erlang's port mapper.
    pub(crate) epmd: PathBuf,
}

impl RabbitPrograms {
    /// Those of this machine.
    pub(crate) fn find() -> Result<Self> {
        // Debian puts a wrapper in PATH that insists on the system's own user and folders: look behind it first.
        let mut server = vec![PathBuf::from("/usr/lib/rabbitmq/bin")];
        server.extend(path_folders());
        server.push(PathBuf::from("/opt/homebrew/opt/rabbitmq/sbin"));
        let mut epmd: Vec<_> = path_folders().collect();
        epmd.push(PathBuf::from("/opt/homebrew/opt/erlang/bin"));
        Ok(Self {
            server: first_with("rabbitmq-server", &server).context("RabbitMQ (rabbitmq-server) is not installed")?,
            epmd: first_with("epmd", &epmd).context("Erlang (epmd), which RabbitMQ needs, is not in PATH")?,
        })
    }
}

/// PostgreSQL's client.
pub(crate) fn psql() -> Option<PathBuf> {
    PostgresPrograms::find().map(|programs| programs.path("psql")).ok().or_else(|| in_path("psql"))
}

/// A Chromium, whoever built it.
pub(crate) fn chromium() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(in_path)
}

/// A program of PATH.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    first_with(program, &path_folders().collect::<Vec<_>>())
}

fn first_with(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The folders of PATH, and those that hold servers and are missing from the PATH of common users.
fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    folders.into_iter().chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
}

/// `15/bin`, `pgsql-16/bin`, `postgresql@17/bin` in a folder.
fn versions_in(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let named_by_version = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("pgsql-") || name.starts_with("postgresql@") || name.parse::<u32>().is_ok()
    });
    named_by_version.map(|entry| entry.path().join("bin")).collect()
}

/// The version of the server in a folder; none if there is no complete one.
fn major_version(folder: &Path) -> Option<u32> {
    if !["initdb", "postgres", "pg_isready", "psql"].iter().all(|program| folder.join(program).is_file()) {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.20 (Debian ...)`, or `18beta1`.
fn parse_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The user that Debian's package makes for the server.
fn postgres_user() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    parse_user(&users, "postgres").context(
        "PostgreSQL refuses to run as root, and there is no user `postgres` to run it as: \
         make one (`useradd --system postgres`), or run this as another user",
    )
}

fn parse_user(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_releases_and_betas_are_read() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("command not found"), None);
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/var:/bin/sh\n";
        assert_eq!(parse_user(users, "postgres"), Some((101, 104)));
        assert_eq!(parse_user(users, "rabbitmq"), None);
        assert_eq!(parse_user("postgres:x:many:104::/:", "postgres"), None);
    }

    #[test]
    fn only_folders_named_by_a_version_are_candidates() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["15", "pgsql-16", "postgresql@17", "share"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        assert_eq!(versions_in(parent.path()).len(), 3);
        assert!(versions_in(&parent.path().join("missing")).is_empty());
    }
}

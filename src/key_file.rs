//! Files with a secret in them, which this program generates once or an operator mounts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use evergrant_contract::secret::Secret;

/// A key file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the key file {path} cannot be {action}: {source}")]
pub struct KeyFileError {
    /// Its path.
    pub path: PathBuf,
    /// `read` or `written`.
    pub action: &'static str,
    /// Why.
    pub source: io::Error,
}

/// What the file holds.
pub fn read(path: &Path) -> Result<Secret, KeyFileError> {
    fs::read_to_string(path).map(Secret::new).map_err(|source| error(path, "read", source))
}

/// Says so if other users of the machine can read the file.
pub fn warn_if_readable_by_others(path: &Path) {
    if fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        tracing::warn!(file = %path.display(), "The key file can be read by other users; run chmod 600 on it");
    }
}

/// Writes a new secret aside and links it into place, unless there is one: of two processes that start together one wins,
/// and nobody ever reads half a key. `true`: it is ours.
pub fn write_once(path: &Path, secret: &Secret) -> Result<bool, KeyFileError> {
    let aside = path.with_extension(format!("key.{}", std::process::id()));
    let written = write_aside(&aside, secret).and_then(|()| match fs::hard_link(&aside, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        linked => linked.map(|()| true),
    });
    let removed = fs::remove_file(&aside);
    let is_ours = written.map_err(|source| error(path, "written", source))?;
    removed.map_err(|source| error(&aside, "written", source))?;
    if is_ours {
        sync_folder(path).map_err(|source| error(path, "written", source))?;
    }
    Ok(is_ours)
}

/// Changes what the file holds, all at once: whoever reads it sees the old or the new, and a power cut leaves one of them.
/// Of two processes that change it at once one waits for the other. `None` changes nothing.
pub fn change(path: &Path, change: impl FnOnce(&Secret) -> Option<Secret>) -> Result<bool, KeyFileError> {
    let lock = path.with_extension("key.lock");
    let held = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
    let held = held.and_then(|file| file.lock().map(|()| file)).map_err(|source| error(&lock, "written", source))?;
    let Some(new) = change(&read(path)?) else { return Ok(false) };
    let aside = path.with_extension(format!("key.{}", std::process::id()));
    let written = write_aside(&aside, &new).and_then(|()| fs::rename(&aside, path)).and_then(|()| sync_folder(path));
    written.map_err(|source| error(path, "written", source))?;
    drop(held);
    Ok(true)
}

fn write_aside(aside: &Path, secret: &Secret) -> io::Result<()> {
    if let Some(folder) = aside.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(aside)?;
    file.write_all(secret.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// A key that a power cut takes away takes all that it opens with it.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn error(path: &Path, action: &'static str, source: io::Error) -> KeyFileError {
    KeyFileError { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_keys_made_at_once_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fernet.key");
        assert!(write_once(&path, &Secret::new("first")).unwrap());
        assert!(!write_once(&path, &Secret::new("second")).unwrap());
        assert_eq!(read(&path).ok().unwrap().expose(), "first\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn a_change_is_whole_and_of_two_at_once_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fernet.key");
        write_once(&path, &Secret::new("0")).unwrap();
        let add = |name: usize| {
            change(&path, |held| Some(Secret::new(format!("{name},{}", held.expose().trim())))).unwrap();
        };
        std::thread::scope(|scope| (1..=8).for_each(|name| drop(scope.spawn(move || add(name)))));
        let held = read(&path).ok().unwrap();
        let mut names: Vec<usize> = held.expose().trim().split(',').map(|name| name.parse().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, (0..=8).collect::<Vec<_>>());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!change(&path, |_| None).unwrap());
    }
}

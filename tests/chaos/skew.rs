//! Clocks that jump, by libfaketime: the program needs no hook for it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::World;

/// The wall clocks of the processes of a run. What measures time by the clock that never jumps is left alone.
pub(super) struct Clocks {
    folder: PathBuf,
}

impl Clocks {
    /// Puts the library into the processes of these names, which must not have been started. `None`: it is not installed,
    /// which was said loudly.
    pub(super) fn wind(world: &mut World, names: &[String]) -> Option<Self> {
        let Some(library) = library() else {
            eprintln!("SKIPPED clock jumps: libfaketime is not installed");
            return None;
        };
        let clocks = Self { folder: world.folder.path().to_owned() };
        for name in names {
            clocks.set(name, 0);
            let env = [
                ("LD_PRELOAD", library.display().to_string()),
                ("FAKETIME_TIMESTAMP_FILE", clocks.file(name).display().to_string()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
                // The older name of the same.
                ("DONT_FAKE_MONOTONIC", "1".to_owned()),
                // The file is read again after so many seconds.
                ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ];
            let apart = world.env_apart.entry(name.clone()).or_default();
            apart.extend(env.map(|(name, value)| (name.to_owned(), value)));
        }
        Some(clocks)
    }

    /// Puts a process's clock so many minutes ahead of the true one.
    pub(super) fn set(&self, name: &str, minutes: i32) {
        // In one step: half a file would be no time at all.
        let (file, new) = (self.file(name), self.folder.join("clock.new"));
        fs::write(&new, format!("{:+}\n", minutes * 60)).unwrap();
        fs::rename(new, file).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("clock-{name}"))
    }
}

/// What the library leaves behind of a process that was killed.
pub(super) fn tidy(pid: u32) {
    for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
        // There is nothing unless its clock was wound.
        let _ = fs::remove_file(Path::new("/dev/shm").join(name));
    }
}

/// Where Debian and its kin have it.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let places = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    places.chain([PathBuf::from("/usr/lib/faketime/libfaketimeMT.so.1")]).find(|place| place.exists())
}

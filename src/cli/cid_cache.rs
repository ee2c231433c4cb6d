//! CIDs that were computed before, by path, size and modification time.
//!
//! One file a path, so that nothing piles up as files change: a line of JSON, and its SHA-256. A
//! cache that cannot be read, written or believed is a warning and a miss.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cache_dir::write_atomically;
use crate::content::{Cid, Profile, parse_cid};
use crate::source::Stamp;

/// A file that was written to so lately may be written to again within the same tick of the file
/// system's clock, and would look unchanged: its CID is not kept.
const TOO_FRESH: Duration = Duration::from_secs(2);

/// The CIDs kept in a directory.
pub(super) struct CidCache {
    dir: Option<PathBuf>,
    warned: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Line {
    /// For people: what counts is the hash of the path, which is the file's name.
    path: String,
    size: u64,
    mtime_ns: i128,
    profile: String,
    cid: String,
}

impl CidCache {
    /// Keeps them below this cache directory; without one, keeps nothing.
    pub(super) fn new(cache_dir: Option<PathBuf>) -> Self {
        Self {
            dir: cache_dir.map(|dir| dir.join("cids")),
            warned: AtomicBool::new(false),
        }
    }

    /// The CID that the file at `path` had in this state.
    pub(super) fn get(&self, path: &Path, stamp: &Stamp, profile: Profile) -> Option<Cid> {
        let place = self.place(path, profile)?;
        let text = match fs::read_to_string(&place) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return None,
            Err(e) => {
                self.warn(&format!("cannot read {}: {e}", place.display()));
                return None;
            }
        };
        let Some((line, cid)) = understand(&text) else {
            log::warn!("cache: {} is damaged and not used", place.display());
            return None;
        };
        let same = line.size == stamp.size()
            && line.mtime_ns == stamp.mtime_ns()
            && line.profile == profile.name();
        same.then_some(cid)
    }

    /// Keeps a CID. `since` is when the file was found in this state and its hashing began.
    pub(super) fn put(
        &self,
        path: &Path,
        stamp: &Stamp,
        profile: Profile,
        cid: &Cid,
        since: SystemTime,
    ) {
        let Some(place) = self.place(path, profile) else {
            return;
        };
        if was_fresh(stamp, since) {
            return;
        }
        let line = Line {
            path: path.to_string_lossy().into_owned(),
            size: stamp.size(),
            mtime_ns: stamp.mtime_ns(),
            profile: profile.name().into(),
            cid: cid.to_string(),
        };
        let line = serde_json::to_string(&line).expect("strings and numbers are always JSON");
        let text = format!("{line}\n{}\n", hex(line.as_bytes()));
        if let Err(e) = write_atomically(&place, text.as_bytes()) {
            self.warn(&format!("cannot write {}: {e}", place.display()));
        }
    }

    fn place(&self, path: &Path, profile: Profile) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?;
        let full = fs::canonicalize(path).ok()?;
        let name = hex(full.as_os_str().as_bytes());
        Some(dir.join(profile.name()).join(name))
    }

    /// Once: what is wrong with one file is most often wrong with all.
    fn warn(&self, what: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!("cache: {what}; CIDs are computed anew at each start");
        }
    }
}

fn understand(text: &str) -> Option<(Line, Cid)> {
    let (line, sum) = text.split_once('\n')?;
    if sum.trim_end() != hex(line.as_bytes()) {
        return None;
    }
    let line: Line = serde_json::from_str(line).ok()?;
    let cid = parse_cid(&line.cid).ok()?;
    Some((line, cid))
}

fn was_fresh(stamp: &Stamp, then: SystemTime) -> bool {
    let then = then.duration_since(UNIX_EPOCH).unwrap_or_default();
    let settled = then.saturating_sub(TOO_FRESH);
    // A time to come is as suspect as one just gone.
    i128::try_from(settled.as_nanos()).is_ok_and(|settled| stamp.mtime_ns() > settled)
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Importer;

    struct Room {
        dir: tempfile::TempDir,
        path: PathBuf,
        cid: Cid,
    }

    impl Room {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("blob");
            let cid = Importer::new(Profile::default()).finish();
            let room = Self { dir, path, cid };
            room.write(b"x", Duration::from_secs(60));
            room
        }

        fn write(&self, bytes: &[u8], age: Duration) {
            fs::write(&self.path, bytes).expect("a file");
            let file = fs::File::options().write(true).open(&self.path);
            let set = file.and_then(|file| file.set_modified(SystemTime::now() - age));
            set.expect("the modification time");
        }

        fn stamp(&self) -> Stamp {
            Stamp::of(&self.path.metadata().expect("the file"))
        }

        fn cache(&self) -> CidCache {
            CidCache::new(Some(self.dir.path().join("cache")))
        }

        fn get(&self) -> Option<Cid> {
            self.cache()
                .get(&self.path, &self.stamp(), Profile::default())
        }

        fn put(&self) {
            let cache = self.cache();
            let (stamp, now) = (self.stamp(), SystemTime::now());
            cache.put(&self.path, &stamp, Profile::default(), &self.cid, now);
        }

        fn kept(&self) -> PathBuf {
            let place = self.cache().place(&self.path, Profile::default());
            place.expect("a place")
        }
    }

    #[test]
    fn kept_for_this_state_and_profile_only() {
        let room = Room::new();
        assert_eq!(room.get(), None);
        room.put();
        assert_eq!(room.get(), Some(room.cid));
        let other = Profile::UNIXFS_V0_2015;
        assert_eq!(room.cache().get(&room.path, &room.stamp(), other), None);
        room.write(b"xy", Duration::from_secs(60));
        assert_eq!(room.get(), None);
        room.write(b"x", Duration::from_secs(50));
        assert_eq!(room.get(), None);
    }

    #[test]
    fn what_was_just_written_is_not_kept() {
        let room = Room::new();
        room.write(b"x", Duration::ZERO);
        room.put();
        assert_eq!(room.get(), None);
    }

    #[test]
    fn damage_is_a_miss() {
        let room = Room::new();
        room.put();
        let good = fs::read(room.kept()).expect("kept");
        for at in 0..good.len() - 1 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(room.kept(), &bad).expect("damaged");
            assert_eq!(room.get(), None, "byte {at}");
            fs::write(room.kept(), &good[..at]).expect("cut");
            assert_eq!(room.get(), None, "cut at {at}");
        }
        room.put();
        assert_eq!(room.get(), Some(room.cid));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_a_miss() {
        let room = Room::new();
        fs::write(room.dir.path().join("cache"), b"a file").expect("in the way");
        room.put();
        assert_eq!(room.get(), None);
        assert!(
            CidCache::new(None)
                .place(&room.path, Profile::default())
                .is_none()
        );
    }
}

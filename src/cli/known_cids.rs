//! CIDs and hash trees of local files that were computed before, by path, size and modification time.
//!
//! There is one file for each path and profile, so that old versions do not accumulate: a line of JSON,
//! and its SHA-256. If the blob has more than one leaf, another file has the hashes of its leaves, 32
//! bytes each, from which the tree is rebuilt and compared with the CID. A file that cannot be read or
//! written, or is damaged, is a warning and a miss.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::atomic_write::write_atomically;
use crate::content::{Cid, Profile, Tree, parse_cid};
use crate::source::Stamp;

/// The CID of a file that was written less than this long ago is not kept: a second write within the same
/// tick of the filesystem's clock would go unnoticed.
const TOO_FRESH: Duration = Duration::from_secs(2);

/// The CIDs kept in a directory.
pub(super) struct KnownCids {
    dir: Option<PathBuf>,
    warned: AtomicBool,
}

#[derive(Serialize, Deserialize)]
struct Line {
    /// For people. The file's name, which is the hash of the path, decides.
    path: String,
    size: u64,
    mtime_ns: i128,
    profile: String,
    cid: String,
}

impl KnownCids {
    /// Keeps them below this cache directory. Without one, keeps nothing.
    pub(super) fn new(cache_dir: Option<PathBuf>) -> Self {
        Self {
            dir: cache_dir.map(|dir| dir.join("cids")),
            warned: AtomicBool::new(false),
        }
    }

    /// The tree of the file at `path` in this state.
    pub(super) fn get(&self, path: &Path, stamp: &Stamp, profile: Profile) -> Option<Tree> {
        let place = self.place(path, profile)?;
        let text = self.read(&place)?;
        let Some((line, cid)) = understand(&text) else {
            log::warn!("cache: {} is damaged and not used", place.display());
            return None;
        };
        let same = line.size == stamp.size()
            && line.mtime_ns == stamp.mtime_ns()
            && line.profile == profile.name;
        if !same {
            return None;
        }
        if let Some(tree) = Tree::of_one_leaf(profile, line.size, &cid) {
            return Some(tree);
        }
        let place = leaves_beside(&place);
        let hashes = self.read(&place)?;
        let tree = Tree::of_leaf_hashes(profile, line.size, &hashes);
        let tree = tree.filter(|tree| tree.cid() == cid);
        if tree.is_none() {
            log::warn!("cache: {} is damaged and not used", place.display());
        }
        tree
    }

    fn read(&self, place: &Path) -> Option<Vec<u8>> {
        match fs::read(place) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => {
                self.warn(&format!("cannot read {}: {e}", place.display()));
                None
            }
        }
    }

    /// Keeps a tree. `since` is when the file was found in this state, before it was hashed.
    pub(super) fn put(
        &self,
        path: &Path,
        stamp: &Stamp,
        profile: Profile,
        tree: &Tree,
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
            profile: profile.name.into(),
            cid: tree.cid().to_string(),
        };
        let line = serde_json::to_string(&line).expect("strings and numbers are always JSON");
        let text = format!("{line}\n{}\n", sha256_hex(line.as_bytes()));
        let write = |place: &Path, bytes: &[u8]| {
            let written = write_atomically(place, bytes);
            written.inspect_err(|e| self.warn(&format!("cannot write {}: {e}", place.display())))
        };
        // The line last: until then, the leaves do not match its CID and are not used.
        if tree.leaves() > 1 && write(&leaves_beside(&place), tree.leaf_hashes()).is_err() {
            return;
        }
        // The warning was logged, and nothing depends on the file.
        let _ = write(&place, text.as_bytes());
    }

    fn place(&self, path: &Path, profile: Profile) -> Option<PathBuf> {
        let dir = self.dir.as_ref()?;
        let full = fs::canonicalize(path).ok()?;
        let name = sha256_hex(full.as_os_str().as_bytes());
        Some(dir.join(profile.name).join(name))
    }

    /// Warns once: a problem of one file is usually one of all.
    fn warn(&self, what: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!("cache: {what}; CIDs are computed again at each start");
        }
    }
}

fn leaves_beside(place: &Path) -> PathBuf {
    place.with_extension("leaves")
}

fn understand(text: &[u8]) -> Option<(Line, Cid)> {
    let (line, sum) = std::str::from_utf8(text).ok()?.split_once('\n')?;
    if sum.trim_end() != sha256_hex(line.as_bytes()) {
        return None;
    }
    let line: Line = serde_json::from_str(line).ok()?;
    let cid = parse_cid(&line.cid).ok()?;
    Some((line, cid))
}

fn was_fresh(stamp: &Stamp, then: SystemTime) -> bool {
    let then = then.duration_since(UNIX_EPOCH).unwrap_or_default();
    let settled = then.saturating_sub(TOO_FRESH);
    // A time in the future is not reliable either.
    i128::try_from(settled.as_nanos()).is_ok_and(|settled| stamp.mtime_ns() > settled)
}

fn sha256_hex(bytes: &[u8]) -> String {
    crate::ranges::hex(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two leaves.
    const LEN: usize = (1 << 20) + 1;

    struct Room {
        dir: tempfile::TempDir,
        path: PathBuf,
        tree: Tree,
    }

    impl Room {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("blob");
            let bytes = vec![7; LEN];
            let tree = Tree::import(&bytes[..], Profile::default(), |_| true).expect("read");
            let room = Self { dir, path, tree };
            room.write(&bytes, Duration::from_secs(60));
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

        fn cache(&self) -> KnownCids {
            KnownCids::new(Some(self.dir.path().join("cache")))
        }

        fn get(&self) -> Option<Tree> {
            self.cache()
                .get(&self.path, &self.stamp(), Profile::default())
        }

        fn put(&self) {
            let cache = self.cache();
            let (stamp, now) = (self.stamp(), SystemTime::now());
            cache.put(&self.path, &stamp, Profile::default(), &self.tree, now);
        }

        fn kept(&self) -> PathBuf {
            let place = self.cache().place(&self.path, Profile::default());
            place.expect("a place")
        }
    }

    #[test]
    fn a_known_cid_is_for_one_file_state_and_profile() {
        let room = Room::new();
        assert_eq!(room.get(), None);
        room.put();
        assert_eq!(room.get().as_ref(), Some(&room.tree));
        let other = Profile::UNIXFS_V0_2015;
        assert_eq!(room.cache().get(&room.path, &room.stamp(), other), None);
        room.write(&[7; LEN + 1], Duration::from_secs(60));
        assert_eq!(room.get(), None);
        room.write(&[7; LEN], Duration::from_secs(50));
        assert_eq!(room.get(), None);
    }

    #[test]
    fn a_file_just_written_is_not_remembered() {
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
        let leaves = leaves_beside(&room.kept());
        let good = fs::read(&leaves).expect("kept");
        assert_eq!(good.len(), 2 * 32);
        for bad in [&good[..32], &good[1..], &[0; 64], b""] {
            fs::write(&leaves, bad).expect("damaged");
            assert_eq!(room.get(), None, "{bad:?}");
        }
        fs::remove_file(&leaves).expect("removed");
        assert_eq!(room.get(), None);
        room.put();
        assert_eq!(room.get().as_ref(), Some(&room.tree));
    }

    #[test]
    fn the_cid_of_one_leaf_is_its_tree() {
        let mut room = Room::new();
        let tree = Tree::import(&b"x"[..], Profile::default(), |_| true);
        room.tree = tree.expect("read");
        room.write(b"x", Duration::from_secs(60));
        room.put();
        assert!(!leaves_beside(&room.kept()).exists());
        assert_eq!(room.get().as_ref(), Some(&room.tree));
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_a_miss() {
        let room = Room::new();
        fs::write(room.dir.path().join("cache"), b"a file").expect("in the way");
        room.put();
        assert_eq!(room.get(), None);
        assert!(
            KnownCids::new(None)
                .place(&room.path, Profile::default())
                .is_none()
        );
    }
}

//! Files that take long to make or to download: made once and kept below target/.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The directory that `make` filled, in this run or in an earlier one. `recipe` is what its content
/// depends on, such as a version or the text that says how it is made: with another one it is made
/// anew. If `make` panics, nothing is kept.
pub fn once(name: &str, recipe: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(base).expect("cargo's directory for tests");
    let lock = fs::File::create(base.join(format!("{name}.lock"))).expect("a lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("a lock");
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    let done = base.join(format!("{name}-{:016x}", hasher.finish()));
    if !done.is_dir() {
        let making = tempfile::tempdir_in(base).expect("a directory");
        make(making.path());
        fs::rename(making.keep(), &done).expect("in the same directory");
    }
    done
}

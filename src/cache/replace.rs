//! Atomic writes: a file is written under a temporary name and renamed, within the cache's size.

use std::io::{self, ErrorKind};
use std::sync::atomic::Ordering::Relaxed;

use super::block::HEAD;
use super::disk::Handle;
use super::shared::Shared;
use super::{evict, usage};

/// Writes or replaces a file of about `len` bytes, not counting holes. Evicts files for it; false if there is still no
/// room.
pub(super) fn replace(
    shared: &Shared,
    path: &str,
    len: u64,
    write: &dyn Fn(&dyn Handle) -> io::Result<()>,
) -> io::Result<bool> {
    let disk = &*shared.disk;
    // Most file systems allocate units of 4096 bytes.
    let need = len.next_multiple_of(HEAD);
    let old = disk.open(path).and_then(|file| file.stat());
    let old = old.map_or(0, |stat| stat.taken);
    // Counted before the write: other writers must respect it.
    let known = usage::add(disk, need as i64)?;
    let give_back = |bytes: u64| drop(usage::add(disk, -(bytes as i64)));
    if !evict::make_room(shared, known, need)? {
        give_back(need);
        return Ok(false);
    }
    let temporary = shared.temporary.fetch_add(1, Relaxed);
    let name = format!("tmp/{}-{temporary}", std::process::id());
    let put = || {
        let file = match disk.create(&name) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                disk.make_dirs("tmp")?;
                disk.create(&name)?
            }
            // Left by an earlier process with the same id.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                disk.remove(&name)?;
                disk.create(&name)?
            }
            other => other?,
        };
        write(&*file)?;
        match disk.rename(&name, path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
                disk.make_dirs(dir)?;
                disk.rename(&name, path)
            }
            other => other,
        }
    };
    match put() {
        Ok(()) => {
            shared.status.lock().written += need;
            if old > 0 {
                give_back(old);
            }
            Ok(true)
        }
        Err(e) => {
            // It may not exist.
            let _ = disk.remove(&name);
            give_back(need);
            Err(e)
        }
    }
}

//! Panics on demand, for tests of what the panic of one request does.
//!
//! `AIOZFS_TEST_PANIC=thread:<name>` makes every read of a file of that name panic on the thread that
//! serves the kernel, `task:<name>` in the task that waits for the bytes. Debug builds only.

use crate::fs::Ino;
use crate::volume::Volume;

/// Where the code of a read runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Thread,
    Task,
}

/// Panics if the environment variable names this place and file.
#[cfg(debug_assertions)]
pub(super) fn panic_if_asked(place: Place, volume: &Volume, ino: Ino) {
    use std::sync::LazyLock;
    static ASKED: LazyLock<Option<(Place, String)>> = LazyLock::new(|| {
        let asked = std::env::var("AIOZFS_TEST_PANIC").ok()?;
        let (place, name) = asked.split_once(':')?;
        let place = match place {
            "thread" => Place::Thread,
            "task" => Place::Task,
            _ => return None,
        };
        Some((place, name.to_owned()))
    });
    if let Some((asked, name)) = &*ASKED
        && *asked == place
        && volume.tree().path(ino) == name.as_bytes()
    {
        panic!("asked for by AIOZFS_TEST_PANIC");
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn panic_if_asked(_: Place, _: &Volume, _: Ino) {}

//! Panics on demand, for tests of what the panic of one request does.
//!
//! `AIOZFS_TEST_PANIC=thread:<name>` makes every read of a file of that name panic on the thread that
//! serves the kernel, `task:<name>` in the task that waits for the bytes. Debug builds only.

use crate::fs::Ino;
use crate::volume::Volume;

/// Panics if the environment variable names this place and file.
#[cfg(debug_assertions)]
pub(super) fn panic_if_asked(place: &str, volume: &Volume, ino: Ino) {
    use std::sync::LazyLock;
    static ASKED: LazyLock<String> =
        LazyLock::new(|| std::env::var("AIOZFS_TEST_PANIC").unwrap_or_default());
    if let Some((asked, name)) = ASKED.split_once(':')
        && asked == place
        && volume.tree().path(ino) == name.as_bytes()
    {
        panic!("asked for by AIOZFS_TEST_PANIC");
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn panic_if_asked(_: &str, _: &Volume, _: Ino) {}

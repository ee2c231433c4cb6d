//! Progress while the headers of a tar are read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::progress::Progress;
use crate::reader::Watch;

/// A walk that takes no longer shows nothing.
const SHORT: Duration = Duration::from_millis(500);

/// Shows a bar on a terminal while a walk lasts.
pub(super) fn watch() -> Watch {
    let began = Instant::now();
    let shown: Mutex<Option<Progress>> = Mutex::default();
    Watch(Some(Arc::new(move |at, size| {
        let mut shown = shown.lock();
        if at >= size {
            *shown = None;
        } else if began.elapsed() > SHORT {
            let bar = || Progress::bytes("reading the headers of the tar", Some(size));
            shown.get_or_insert_with(bar).set(at);
        }
    })))
}

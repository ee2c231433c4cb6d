//! Progress on a terminal: bytes done, rate, time left. Without a terminal, nothing.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error; nothing if that is not a terminal. Removed when dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// A bar that counts bytes up to `total`; without a total, it only counts.
    pub(super) fn bytes(what: &str, total: Option<u64>) -> Self {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            ),
            None => (
                ProgressBar::no_length(),
                "{msg} {spinner} {bytes} {bytes_per_sec}",
            ),
        };
        let style = ProgressStyle::with_template(template);
        let bar = bar.with_style(style.expect("the templates above are valid"));
        let progress = Self(bar);
        progress.what(what);
        progress
    }

    /// Sets the name of what is being done.
    pub(super) fn what(&self, what: &str) {
        // A file name may contain control characters.
        let printable = what.replace(|c: char| c.is_control(), "\u{fffd}");
        self.0.set_message(printable);
    }

    /// Adds bytes that are done.
    pub(super) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Sets the bytes that are done.
    pub(super) fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Prints while the bar is hidden.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

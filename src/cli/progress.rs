//! Progress on a terminal: bytes done, rate, time left. Without a terminal, nothing.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::show::printable;

/// Work that takes less time than this shows no spinner.
const SHORT: Duration = Duration::from_secs(1);

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(100);

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
        self.0.set_message(printable(what));
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

/// A spinner for work of unknown length, once that takes longer than a second. Removed when dropped.
pub(super) struct Waiting(Option<(Sender<()>, JoinHandle<()>)>);

impl Waiting {
    pub(super) fn for_(what: &'static str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let (ended, end) = mpsc::channel();
        let thread = thread::spawn(move || {
            if end.recv_timeout(SHORT) == Err(RecvTimeoutError::Timeout) {
                let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
                let style = style.expect("the template above is valid");
                let spinner = ProgressBar::new_spinner().with_style(style);
                spinner.set_message(what);
                spinner.enable_steady_tick(TURN);
                let _ = end.recv();
                spinner.finish_and_clear();
            }
        });
        Self(Some((ended, thread)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((ended, thread)) = self.0.take() {
            drop(ended);
            // The line is free again only when the spinner is gone.
            let _ = thread.join();
        }
    }
}

//! What signals do to a process that serves a mount.
//!
//! The default action of most signals is to end the process (signal(7)), which leaves a dead mount
//! behind. So every signal that can be caught either unmounts or does nothing. Signals of a fault in
//! the program, as SIGSEGV, are handled in `crash`.

use std::io;

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::session::Stopper;

/// Signals that ask the process to end, or announce that it will have to: a power failure (SIGPWR),
/// the limit of CPU time (SIGXCPU).
const ENDING: [libc::c_int; 8] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGQUIT,
    libc::SIGABRT,
    libc::SIGPWR,
    libc::SIGSYS,
    libc::SIGTRAP,
    libc::SIGXCPU,
];

/// Signals that mean nothing to a mount. With SIGXFSZ caught, a write beyond the limit of a file's
/// size is an ordinary error (EFBIG).
const IDLE: [libc::c_int; 8] = [
    libc::SIGALRM,
    libc::SIGIO,
    libc::SIGPROF,
    libc::SIGSTKFLT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGVTALRM,
    libc::SIGXFSZ,
];

/// What SIGHUP does.
pub enum Hangup {
    /// The terminal is gone: unmount.
    Unmount,
    /// A process without a terminal is asked to read its files again: call these, in this order. They may block.
    Run(Vec<Box<dyn FnMut() + Send>>),
}

/// The caught signals of this process. They have no effect until [`stop`](Self::stop) is called.
pub struct Signals {
    ending: Vec<Signal>,
    /// `None` if the process was started with SIGHUP ignored, as by nohup(1).
    hangup: Option<Signal>,
}

impl Signals {
    /// Catches all signals. Call it before mounting: a signal that arrives between the mount and the
    /// installation of its handler would leave a dead mount.
    pub fn catch(runtime: &Handle) -> io::Result<Self> {
        let _guard = runtime.enter();
        let catch = |number| signal(SignalKind::from_raw(number));
        let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
        for number in IDLE.into_iter().chain(real_time) {
            // The handler stays installed when the value is dropped.
            let _ = catch(number)?;
        }
        let hangup = if is_ignored(libc::SIGHUP) {
            None
        } else {
            Some(catch(libc::SIGHUP)?)
        };
        Ok(Self {
            ending: ENDING.into_iter().map(catch).collect::<Result<_, _>>()?,
            hangup,
        })
    }

    /// Makes the signals unmount; SIGHUP does what `on_hangup` says.
    pub fn stop(self, stopper: &Stopper, runtime: &Handle, mut on_hangup: Hangup) {
        for mut signal in self.ending {
            let stopper = stopper.clone();
            runtime.spawn(async move {
                while signal.recv().await.is_some() {
                    stopper.stop();
                }
            });
        }
        let Some(mut hangup) = self.hangup else {
            return;
        };
        let stopper = stopper.clone();
        runtime.spawn(async move {
            while hangup.recv().await.is_some() {
                match &mut on_hangup {
                    Hangup::Unmount => {
                        log::warn!("SIGHUP: the terminal is gone; unmounting");
                        stopper.stop();
                    }
                    Hangup::Run(actions) => {
                        tokio::task::block_in_place(|| actions.iter_mut().for_each(|act| act()));
                    }
                }
            }
        });
    }
}

/// Whether this process ignores a signal (proc(5), SigIgn).
fn is_ignored(number: libc::c_int) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_ignored_in(&status, number)
}

fn is_ignored_in(status: &str, number: libc::c_int) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_bits_of_a_mask() {
        let status = "Name:\taiozfs\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\n";
        for (number, ignored) in [
            (libc::SIGHUP, true),
            (libc::SIGPIPE, true),
            (libc::SIGINT, false),
        ] {
            assert_eq!(is_ignored_in(status, number), ignored, "{number}");
        }
        assert!(!is_ignored_in("", libc::SIGHUP));
    }
}

//! Why a command failed, and its exit code.

use std::fmt;
use std::process::ExitCode;

use crate::library::{ListError, Unopened};

/// The exit code for invalid arguments. clap uses the same.
pub(super) const MISUSED: u8 = 2;

/// The exit code of mount(8) for "incorrect invocation".
pub(super) const MOUNT_MISUSED: u8 = 1;

/// The exit code of mount(8) for "mount failure".
const MOUNT_FAILED: u8 = 32;

/// Why a command failed: one line for the user, with the remedy in it, and an exit code.
#[derive(Debug)]
pub struct Failure {
    message: String,
    kind: Kind,
}

/// The kind of failure. Each has its exit code, which scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The work could not be done.
    Work,
    /// The arguments are invalid.
    Usage,
}

impl Failure {
    /// The work could not be done (exit code 1).
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            message: one_line(&message.to_string()),
            kind: Kind::Work,
        }
    }

    /// The arguments are invalid (exit code 2).
    pub fn usage(message: impl fmt::Display) -> Self {
        Self {
            message: one_line(&message.to_string()),
            kind: Kind::Usage,
        }
    }

    /// The same failure, with `what` before its message.
    pub(super) fn of(self, what: impl fmt::Display) -> Self {
        Self {
            message: one_line(&format!("{what}: {}", self.message)),
            ..self
        }
    }

    /// There is no list of archives.
    pub(super) fn of_list(error: ListError) -> Self {
        match error {
            ListError::Wrong(why) => Self::usage(why),
            ListError::Unreadable(why) => Self::new(why),
        }
    }

    /// As the reason why there is no list of archives.
    pub(super) fn into_list_error(self) -> ListError {
        match self.kind {
            Kind::Usage => ListError::Wrong(self.message),
            Kind::Work => ListError::Unreadable(self.message),
        }
    }

    /// As the reason why an archive of a library cannot be opened.
    pub(super) fn into_unopened(self) -> Unopened {
        Unopened::Setup(self.message)
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> ExitCode {
        match self.kind {
            Kind::Work => ExitCode::from(1),
            Kind::Usage => ExitCode::from(MISUSED),
        }
    }

    /// The exit code of a mount(8) helper, as listed in mount(8).
    pub(super) fn exit_code_of_mount(&self) -> ExitCode {
        match self.kind {
            Kind::Work => ExitCode::from(MOUNT_FAILED),
            Kind::Usage => ExitCode::from(MOUNT_MISUSED),
        }
    }
}

/// Replaces line breaks and control characters, which texts from servers may contain and a terminal must
/// not receive.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

//! Mounting in the background.
//!
//! The command starts itself again as a child with `--foreground`, and returns when the child reports
//! that the mount is ready. This avoids a fork of a process that has threads. Until then, the child's
//! messages and exit code become the command's own.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{ExitCode, Stdio};

use rustix::process::Signal;

use super::{Failure, arguments};

/// Set for the child, which then reports when it is ready, and leaves the terminal.
const CHILD: &str = "AIOZFS_BACKGROUND_CHILD";

/// What the child writes to its standard output when it is ready.
const READY: &str = "ready";

/// Starts this command again as a child with `--foreground` and waits until it is ready or fails.
/// `arguments`: the command's, with the program's name first.
pub(super) fn start(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let failed = |e: io::Error| Failure::new(format!("cannot continue in the background: {e}"));
    let mut arguments = arguments.to_vec();
    // Directly after the name of the command: after a `--` it would not be an option.
    arguments.insert(arguments.len().min(2), "--foreground".into());
    let mut child = arguments::command(&arguments)
        .map_err(failed)?
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        // After an error, the exit code says what happened.
        let _ = BufReader::new(out).read_line(&mut said);
    }
    if said.trim_end() == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait().map_err(failed)?;
    match status.code() {
        // It has reported why on standard error, which it shares with this process.
        Some(code) if code != 0 => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        _ => Err(Failure::new(format!(
            "the background process ended early: {status}"
        ))),
    }
}

/// Whether this process is the child of a command that mounts.
pub(super) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Must be called first in the child: if the command is killed while the child starts, the child ends too.
pub(super) fn tie_to_parent() {
    if is_child() {
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    }
}

/// Must be called in the child when it is ready: lets the command return, starts a session of its own,
/// and leaves the terminal.
pub(super) fn report_ready() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(None)?;
    // Fails if this process already leads a group; then there is no session to leave.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")?;
    let mut out = io::stdout();
    writeln!(out, "{READY}")?;
    out.flush()?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

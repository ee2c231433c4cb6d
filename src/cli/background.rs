//! Going on in the background.
//!
//! The command starts itself once more as a child that stays in the foreground, and returns when
//! the child says that the tree is usable. No fork of a process that has threads; the child's
//! messages until then, and its exit code, are the command's own.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{ExitCode, Stdio};

use rustix::process::Signal;

use super::{Failure, arguments};

/// Set for the child; it then says when it is ready, and cuts its ties.
const CHILD: &str = "AIOZFS_BACKGROUND_CHILD";

/// What the child writes to its standard output when it is ready.
const READY: &str = "ready";

/// Starts this command again as a child with `--foreground` and waits until it is ready or fails.
/// `arguments` are those of the command, its program's name first.
pub(super) fn start(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let failed = |e: io::Error| Failure::new(format!("cannot go on in the background: {e}"));
    let mut arguments = arguments.to_vec();
    // Right behind the name of the command: after a `--` it would not be an option.
    arguments.insert(arguments.len().min(2), "--foreground".into());
    let mut child = arguments::command(&arguments)
        .map_err(failed)?
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut said = String::new();
    if let Some(out) = child.stdout.take() {
        // An error reads as nothing said: the exit code tells.
        let _ = BufReader::new(out).read_line(&mut said);
    }
    if said.trim_end() == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait().map_err(failed)?;
    match status.code() {
        // It has said why on standard error, which it shares with us.
        Some(code) if code != 0 => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        _ => Err(Failure::new(format!(
            "the background process ended early: {status}"
        ))),
    }
}

/// Whether this process is such a child.
pub(super) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Called first thing in the child: should the command be killed while the child still starts,
/// nothing is left running.
pub(super) fn tie_to_parent() {
    if is_child() {
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
    }
}

/// Called in the child when it is ready: lets the command return, and goes on alone, in a session
/// of its own and with nothing of the terminal's.
pub(super) fn report_ready() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(None)?;
    // Fails if we lead a process group already, and then there is nothing to leave.
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

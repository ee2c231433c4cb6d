//! Where log lines go: standard error, a file, the journal, or the system's log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use log::Level;
use parking_lot::Mutex;

use crate::cli::show::printable;

/// Where syslog daemons listen (syslog(3)).
const SYSLOG_SOCKET: &str = "/dev/log";

/// Where journald listens for messages with fields ("Native Journal Protocol" of systemd).
const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// Device and inode number of the stream that systemd connected with the journal (systemd.exec(5)).
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// The facility "daemon" of RFC 5424, section 6.2.1.
const DAEMON: u8 = 3;

enum Sink {
    Stderr,
    /// Standard error, which the journal reads line by line; each begins with its priority (sd-daemon(3)).
    JournalLines,
    File(File, PathBuf),
    Journal(UnixDatagram),
    Syslog(UnixDatagram),
    Nowhere,
}

static SINK: Mutex<Sink> = Mutex::new(Sink::Stderr);

/// The fields that each message has in the journal, each with its line end.
static FIELDS: Mutex<String> = Mutex::new(String::new());

/// Logs to standard error. If systemd connected that with the journal, the messages have their priority and
/// fields.
pub(super) fn to_stderr() {
    *SINK.lock() = match (is_journal(), connect(JOURNAL_SOCKET)) {
        (false, _) => Sink::Stderr,
        (true, Ok(socket)) => Sink::Journal(socket),
        (true, Err(_)) => Sink::JournalLines,
    };
}

/// Continues the log in a file, to which lines are appended. `path` is absolute.
pub fn to_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    *SINK.lock() = Sink::File(file, path.to_owned());
    Ok(())
}

/// Continues the log in the journal, else in the system's log. Without one, as in a container, nothing is
/// logged.
pub fn to_system() {
    let journal = connect(JOURNAL_SOCKET).map(Sink::Journal);
    let system = journal.or_else(|_| connect(SYSLOG_SOCKET).map(Sink::Syslog));
    *SINK.lock() = system.unwrap_or(Sink::Nowhere);
}

/// Opens the log again: the file, which logrotate(8) may have renamed, or the system's log, whose daemon
/// may have restarted. If this fails, the log stays as it is.
pub fn reopen() {
    let path = match &*SINK.lock() {
        Sink::File(_, path) => Some(path.clone()),
        Sink::Stderr | Sink::JournalLines => return,
        Sink::Journal(_) | Sink::Syslog(_) | Sink::Nowhere => None,
    };
    match path {
        None => to_system(),
        Some(path) => {
            if let Err(e) = to_file(&path) {
                let path = path.display();
                log::warn!("log file {path}: {e}; the log continues in the old file");
            }
        }
    }
}

/// Says what this process mounts, and where. The journal's messages have it in fields.
pub fn describe(source: &str, mountpoint: &Path) {
    let (source, mountpoint) = (printable(source), mountpoint.display().to_string());
    let mountpoint = printable(&mountpoint);
    *FIELDS.lock() = format!("AIOZFS_SOURCE={source}\nAIOZFS_MOUNTPOINT={mountpoint}\n");
}

/// Writes a message, which is one line.
pub(super) fn write(level: Level, module: &str, text: &str) {
    let (word, severity) = (word(level), severity(level));
    // An error of the log must not fail a read.
    match &mut *SINK.lock() {
        Sink::Stderr => drop(writeln!(io::stderr(), "aiozfs: {word}: {text}")),
        Sink::JournalLines => drop(writeln!(io::stderr(), "<{severity}>{text}")),
        Sink::File(file, _) => {
            let time = humantime::format_rfc3339_millis(std::time::SystemTime::now());
            // In one call, since other processes may write to the same file.
            let _ = file.write_all(format!("{time} {word}: {text}\n").as_bytes());
        }
        Sink::Journal(socket) => {
            let entry = journal_entry(severity, module, text, &FIELDS.lock());
            let _ = socket.send(entry.as_bytes());
        }
        Sink::Syslog(socket) => {
            let (priority, pid) = (DAEMON << 3 | severity, std::process::id());
            let line = format!("<{priority}>aiozfs[{pid}]: {word}: {text}\n");
            let _ = socket.send(line.as_bytes());
        }
        Sink::Nowhere => {}
    }
}

/// An entry of the journal: a line for each field. No value has a line break in it.
fn journal_entry(severity: u8, module: &str, text: &str, fields: &str) -> String {
    format!(
        "MESSAGE={text}\nPRIORITY={severity}\nSYSLOG_FACILITY={DAEMON}\nSYSLOG_IDENTIFIER=aiozfs\nAIOZFS_MODULE={module}\n{fields}"
    )
}

fn connect(path: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

/// Whether standard error is the stream that JOURNAL_STREAM names: it may have been redirected since.
fn is_journal() -> bool {
    let named = std::env::var(JOURNAL_STREAM).ok();
    let is_it = |named: String| {
        let stat = rustix::fs::fstat(io::stderr()).ok()?;
        Some(named == format!("{}:{}", stat.st_dev, stat.st_ino))
    };
    named.and_then(is_it).unwrap_or(false)
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// RFC 5424, section 6.2.1.
fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

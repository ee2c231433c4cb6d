//! Where log lines go: standard error, a file, or the system's log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use env_logger::{Target, WriteStyle};
use log::{Level, LevelFilter};

/// Where syslog daemons and journald listen (syslog(3)).
const SYSLOG_SOCKET: &str = "/dev/log";

/// The facility "daemon" of RFC 5424, section 6.2.1, as a priority value.
const FACILITY_DAEMON: u8 = 3 << 3;

enum Sink {
    Stderr,
    File(File, PathBuf),
    Syslog(UnixDatagram),
    Nowhere,
}

static SINK: Mutex<Sink> = Mutex::new(Sink::Stderr);

/// Starts logging to standard error, at level warn, info, debug or trace for a `verbosity` (count of `-v`)
/// of 0, 1, 2 or more. Panics are logged.
pub(super) fn init(verbosity: u8) {
    let level = match verbosity {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let mut builder = env_logger::Builder::new();
    // Libraries log one level less.
    let theirs = match level {
        LevelFilter::Trace => LevelFilter::Debug,
        _ => LevelFilter::Error,
    };
    // It logs each refused certificate once a connection; the error of the command says the same.
    let certificates = match level {
        LevelFilter::Trace => LevelFilter::Debug,
        _ => LevelFilter::Off,
    };
    builder
        .filter_level(theirs)
        .filter_module("rustls_platform_verifier", certificates)
        // It logs what it signs.
        .filter_module("reqsign", LevelFilter::Off)
        .filter_module("aiozfs", level)
        .target(Target::Pipe(Box::new(Writer)))
        .write_style(WriteStyle::Never)
        .format(|out, record| {
            let text = printable(&record.args().to_string());
            let level = record.level();
            match &*sink() {
                Sink::Stderr => writeln!(out, "aiozfs: {}: {text}", word(level)),
                Sink::File(..) => {
                    let time = humantime::format_rfc3339_millis(std::time::SystemTime::now());
                    writeln!(out, "{time} {}: {text}", word(level))
                }
                Sink::Syslog(_) => {
                    let priority = FACILITY_DAEMON | severity(level);
                    let pid = std::process::id();
                    writeln!(out, "<{priority}>aiozfs[{pid}]: {}: {text}", word(level))
                }
                Sink::Nowhere => Ok(()),
            }
        });
    // A second call, as in tests, has no effect.
    let _ = builder.try_init();
    std::panic::set_hook(Box::new(|info| log::error!("{info}")));
}

/// Continues the log in a file, to which lines are appended. `path` is absolute.
pub(super) fn to_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    *sink() = Sink::File(file, path.to_owned());
    Ok(())
}

/// Opens the log again: the file, which logrotate(8) may have renamed, or the system's log, whose daemon
/// may have restarted. If this fails, the log stays as it is.
pub(super) fn reopen() {
    let path = match &*sink() {
        Sink::File(_, path) => Some(path.clone()),
        Sink::Stderr => return,
        Sink::Syslog(_) | Sink::Nowhere => None,
    };
    match path {
        None => to_syslog(),
        Some(path) => {
            if let Err(e) = to_file(&path) {
                let path = path.display();
                log::warn!("log file {path}: {e}; the log continues in the old file");
            }
        }
    }
}

/// Continues the log in the system's log. Without one, as in a container, nothing is logged.
pub(super) fn to_syslog() {
    let connected = UnixDatagram::unbound().and_then(|socket| {
        socket.connect(SYSLOG_SOCKET)?;
        Ok(socket)
    });
    *sink() = connected.map_or(Sink::Nowhere, Sink::Syslog);
}

fn sink() -> MutexGuard<'static, Sink> {
    SINK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Replaces control characters, which names in archives may contain.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
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

/// Writes whole lines to the sink.
struct Writer;

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *sink() {
            Sink::Stderr => io::stderr().write_all(line)?,
            Sink::File(file, _) => file.write_all(line)?,
            // An error of the log must not fail a read.
            Sink::Syslog(socket) => drop(socket.send(line)),
            Sink::Nowhere => {}
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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

/// Starts logging to standard error. `verbosity` counts `-v`: warnings, then what is done, then
/// how, then everything. Panics become log lines.
pub(super) fn init(verbosity: u8) {
    let level = match verbosity {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let mut builder = env_logger::Builder::new();
    // Libraries talk of their own affairs; theirs are worth hearing one level later.
    let theirs = match level {
        LevelFilter::Trace => LevelFilter::Debug,
        _ => LevelFilter::Error,
    };
    // It logs each certificate that it refuses, once a connection. The command's own error says so too.
    let certificates = match level {
        LevelFilter::Trace => LevelFilter::Debug,
        _ => LevelFilter::Off,
    };
    builder
        .filter_level(theirs)
        .filter_module("rustls_platform_verifier", certificates)
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
    // A second start, as in tests, keeps the first.
    let _ = builder.try_init();
    std::panic::set_hook(Box::new(|info| log::error!("{info}")));
}

/// Goes on in a file, to which lines are added. `path` is absolute.
pub(super) fn to_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    *sink() = Sink::File(file, path.to_owned());
    Ok(())
}

/// Opens the log anew: the file under its name if another has that name by now (logrotate(8)), the
/// system's log if its daemon was started again. What cannot be opened stays as it is.
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
                log::warn!("log file {path}: {e}; going on in the one that was open");
            }
        }
    }
}

/// Goes on in the system's log; silently nowhere if there is none, as in a container.
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

/// Names in archives may hold anything; a terminal or a log gets none of it.
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

/// Passes whole lines on to the sink.
struct Writer;

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *sink() {
            Sink::Stderr => io::stderr().write_all(line)?,
            Sink::File(file, _) => file.write_all(line)?,
            // A full or vanished log is no reason to fail a read.
            Sink::Syslog(socket) => drop(socket.send(line)),
            Sink::Nowhere => {}
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! `aiozfs mounts`.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use indicatif::{HumanBytes, HumanDuration};
use rustix::io::Errno;
use serde::Serialize;

use super::Failure;
use super::show;
use crate::mount::{self, Found};

/// List the mounts of aiozfs, of all users.
///
/// A mount whose process has died is listed as such; 'aiozfs umount' clears it. Another user's mount answers only
/// that user, and not root either, unless it was mounted with --allow-other.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct MountsArgs {
    /// Print a JSON array, one mount a line
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs mounts
  aiozfs mounts --json | jq -r '.[] | select(.state == \"dead\") | .mountpoint' | xargs -n 1 aiozfs umount";

pub(super) fn mounts(args: &MountsArgs) -> Result<ExitCode, Failure> {
    let found = mount::mounts();
    let found = found.map_err(|e| Failure::new(format!("the table of mounts: {e}")))?;
    show::print(|out| {
        if args.json {
            json(&found, out)
        } else {
            found.iter().try_for_each(|mount| text(mount, out))
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a mount can be used.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It answers.
    Mounted,
    /// Its process has died.
    Dead,
    /// It belongs to another user.
    Foreign,
    /// Its process is stopped, or it is another version of aiozfs.
    Silent,
}

impl State {
    fn of(mount: &Found) -> Self {
        match &mount.report {
            Ok(_) => State::Mounted,
            Err(e) => match Errno::from_io_error(e) {
                Some(Errno::NOTCONN | Errno::CONNABORTED) => State::Dead,
                Some(Errno::ACCESS | Errno::PERM) => State::Foreign,
                _ => State::Silent,
            },
        }
    }
}

fn text(mount: &Found, out: &mut dyn Write) -> io::Result<()> {
    let mountpoint = show::quoted(mount.mountpoint.as_os_str().as_bytes());
    let source = show::quoted(mount.source.as_bytes());
    let state = match (&mount.report, State::of(mount)) {
        (Ok(report), _) => format!(
            "process {}, {}, read {}, fetched {}",
            report.pid,
            HumanDuration(Duration::from_secs(report.uptime_s as u64)),
            HumanBytes(report.bytes_read),
            HumanBytes(report.bytes_fetched)
        ),
        (Err(_), State::Dead) => {
            format!("dead: its process is gone; 'aiozfs umount {mountpoint}' clears it")
        }
        (Err(_), State::Foreign) => "of another user".to_owned(),
        (Err(e), _) => format!("no answer: {e}"),
    };
    writeln!(out, "{source} on {mountpoint} ({state})")
}

/// A mount in JSON. Unknown values are left out.
#[derive(Serialize)]
struct Row {
    mountpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mountpoint_hex: Option<String>,
    source: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// When it was mounted, as in RFC 3339, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_read: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_fetched: Option<u64>,
}

fn json(found: &[Found], out: &mut dyn Write) -> io::Result<()> {
    let now = SystemTime::now();
    let rows = found.iter().map(|mount| {
        let report = mount.report.as_ref().ok();
        let path = mount.mountpoint.as_os_str().as_bytes();
        let (mountpoint, mountpoint_hex) = show::text_and_hex(path);
        let since = report.and_then(|r| now.checked_sub(Duration::from_secs_f64(r.uptime_s)));
        Row {
            mountpoint,
            mountpoint_hex,
            source: mount.source.clone(),
            state: State::of(mount),
            pid: report.map(|report| report.pid),
            since: since.map(|since| humantime::format_rfc3339_seconds(since).to_string()),
            bytes_read: report.map(|report| report.bytes_read),
            bytes_fetched: report.map(|report| report.bytes_fetched),
        }
    });
    show::json_array(rows, out)
}

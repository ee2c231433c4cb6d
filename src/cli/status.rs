//! `aiozfs status`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{HumanBytes, HumanDuration};
use serde::Serialize;

use super::show::{self, count, printable};
use super::{Failure, completions, units};
use crate::library::ArchiveStatus;
use crate::mount::{self, Report};

/// Show a mount's statistics: bytes, requests, latency, memory, streams.
///
/// The same numbers are in the attribute 'user.aiozfs.status' of the mount's root.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatusArgs {
    /// The directory it is mounted on
    #[arg(add = completions::mountpoints())]
    mountpoint: PathBuf,
    /// Print JSON: one object on one line
    #[arg(long)]
    json: bool,
    /// Print again after each interval, by default every second, with rates, until the mount is gone
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1s",
        value_parser = units::duration
    )]
    watch: Option<Duration>,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs status /mnt/video
  aiozfs status --watch /mnt/video
  aiozfs status --json --watch=10s /mnt/video >> video.log
  aiozfs status --json /mnt/video | jq .bytes_fetched";

pub(super) fn status(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let mut shown = Shown::default();
    loop {
        let report = match Status::of(&args.mountpoint) {
            Ok(report) => report,
            // It was unmounted while it was watched.
            Err(mount::Stuck::NotOurs(_)) if shown.last.is_some() => break,
            Err(e) => return Err(Failure::new(e)),
        };
        let text = if args.json {
            serde_json::to_string(&report).map_err(Failure::new)? + "\n"
        } else {
            shown.text(&report, args.watch.is_some())
        };
        if !show::print_more(|out| out.write_all(text.as_bytes()))? {
            break;
        }
        shown.last = Some((report, Instant::now()));
        match args.watch {
            Some(pause) => thread::sleep(pause),
            None => break,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The status of a mount, with a line for each archive of a library.
#[derive(Debug, Serialize)]
struct Status {
    #[serde(flatten)]
    report: Report,
    /// The archives of a library, in the order of names.
    #[serde(skip_serializing_if = "Option::is_none")]
    library: Option<Vec<ArchiveStatus>>,
}

impl Status {
    fn of(mountpoint: &Path) -> Result<Self, mount::Stuck> {
        let report = mount::report(mountpoint)?;
        let has_list = report.archives.is_some();
        let library = has_list.then(|| mount::archives(mountpoint)).transpose()?;
        Ok(Self { report, library })
    }
}

/// The previous output, when the status is printed repeatedly.
#[derive(Default)]
struct Shown {
    last: Option<(Status, Instant)>,
    lines: usize,
}

impl Shown {
    /// The text for people. On a terminal it replaces the previous one.
    fn text(&mut self, status: &Status, is_watched: bool) -> String {
        let since = self.last.as_ref().filter(|_| is_watched);
        let since = since.map(|(last, at)| (&last.report, at.elapsed()));
        let mut text = text(&status.report, since);
        text.extend(status.library.iter().map(|archives| library(archives)));
        let lines = std::mem::replace(&mut self.lines, text.lines().count());
        match (lines, io::stdout().is_terminal()) {
            (0, _) => text,
            // Moves to the first of those lines and erases everything below (ECMA-48: CPL, ED).
            (lines, true) => format!("\x1b[{lines}F\x1b[J{text}"),
            (_, false) => format!("\n{text}"),
        }
    }
}

/// `before`: an earlier report, and how long ago that was.
fn text(report: &Report, before: Option<(&Report, Duration)>) -> String {
    let with_rate = |of: fn(&Report) -> u64| {
        let all = HumanBytes(of(report));
        match before {
            // After another mount, the counters begin at zero.
            Some((last, ago)) if of(last) <= of(report) => {
                let bytes = (of(report) - of(last)) as f64 / ago.as_secs_f64().max(1e-3);
                format!("{all}, {}/s", HumanBytes(bytes as u64))
            }
            _ => all.to_string(),
        }
    };
    let (read, fetched) = (with_rate(|r| r.bytes_read), with_rate(|r| r.bytes_fetched));
    let share = match report.bytes_read {
        0 => String::new(),
        read => format!(
            ", {} % of it from memory",
            report.bytes_from_memory * 100 / read
        ),
    };
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<9} {}", printable(&value));
    };
    match report.archives {
        None => line("archive", report.origin().to_owned()),
        Some(all) => {
            let open = report.archives_open.unwrap_or(0);
            let all = count(all, "archive", "archives");
            line("library", format!("{all}, {open} of them open"));
        }
    }
    line(
        "",
        format!(
            "{}, {} entries; mounted for {} by process {} (aiozfs {})",
            HumanBytes(report.blob_size),
            report.entries,
            HumanDuration(Duration::from_secs(report.uptime_s as u64)),
            report.pid,
            report.version
        ),
    );
    line("read", read + &share);
    line(
        "fetched",
        format!(
            "{fetched} in {}, {} of them in flight",
            count(report.requests, "request", "requests"),
            report.requests_in_flight
        ),
    );
    line("from disk", with_rate(|r| r.bytes_from_disk));
    line(
        "latency",
        format!(
            "{} median, {} 99th percentile",
            milliseconds(report.median_latency_ms),
            milliseconds(report.p99_latency_ms)
        ),
    );
    line(
        "memory",
        format!(
            "{} of {}",
            HumanBytes(report.memory_used),
            HumanBytes(report.memory_limit)
        ),
    );
    line("errors", report.errors.to_string());
    for (at, stream) in report.streams.iter().enumerate() {
        let name = if at == 0 { "streams" } else { "" };
        line(
            name,
            format!(
                "{}: at {} of the archive, {} ahead, window {}",
                stream.file.as_deref().unwrap_or("between files"),
                HumanBytes(stream.at),
                HumanBytes(stream.ahead),
                HumanBytes(stream.window)
            ),
        );
    }
    text
}

/// A line for each archive of a library that was opened since the mount.
fn library(archives: &[ArchiveStatus]) -> String {
    let mut text = String::new();
    let used = archives.iter().filter(|archive| archive.sums.opened > 0);
    for archive in used.clone() {
        let what = match &archive.error {
            Some(error) => error.clone(),
            None => format!(
                "{} read, {} fetched in {} requests, {} errors, {} files open",
                HumanBytes(archive.sums.bytes_read),
                HumanBytes(archive.sums.bytes_fetched),
                archive.sums.requests,
                archive.sums.errors,
                archive.files_open
            ),
        };
        let line = format!("{:<9} {}: {what}", archive.state, archive.name);
        text += &printable(&line);
        text.push('\n');
    }
    let others = archives.len() - used.count();
    if others > 0 {
        let others = count(others as u64, "archive", "archives");
        text += &format!("closed    {others} that no program has looked into\n");
    }
    text
}

fn milliseconds(ms: f64) -> String {
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(bytes: u64) -> Report {
        let text = format!(
            r#"{{"version": "1.2.3", "pid": 7, "uptime_s": 61.5, "url": "http://h/a.zip",
            "blob_size": 1048576, "entries": 3, "bytes_read": {bytes}, "bytes_from_memory": 512,
            "bytes_fetched": {bytes}, "bytes_from_disk": {bytes}, "requests": 4, "requests_in_flight": 1, "errors": 0,
            "median_latency_ms": 5.25, "p99_latency_ms": 110.5, "memory_used": 1048576,
            "memory_limit": 134217728, "streams": [
            {{"file": "a\u001b[2J.ts", "at": 2048, "window": 4096, "ahead": 1024}},
            {{"at": 0, "window": 0, "ahead": 0}}], "what a later version adds": 1}}"#
        );
        serde_json::from_str(&text).expect("a report")
    }

    #[test]
    fn a_text_for_people() {
        let expected = "\
archive   http://h/a.zip
          1.00 MiB, 3 entries; mounted for 61 seconds by process 7 (aiozfs 1.2.3)
read      1.00 KiB, 50 % of it from memory
fetched   1.00 KiB in 4 requests, 1 of them in flight
from disk 1.00 KiB
latency   5.2 ms median, 110 ms 99th percentile
memory    1.00 MiB of 128.00 MiB
errors    0
streams   a\u{fffd}[2J.ts: at 2.00 KiB of the archive, 1.00 KiB ahead, window 4.00 KiB
          between files: at 0 B of the archive, 0 B ahead, window 0 B
";
        assert_eq!(text(&report(1024), None), expected);
    }

    #[test]
    fn archives_of_a_library_have_a_line_each() {
        let archives: Vec<ArchiveStatus> = serde_json::from_str(
            r#"[{"name": "a", "source": "http://h/a", "state": "open", "entries": 3, "files_open": 1,
            "opened": 2, "bytes_read": 1024, "bytes_fetched": 2048, "bytes_from_disk": 0, "requests": 4,
            "errors": 0},
            {"name": "b", "source": "http://h/b", "state": "failed", "error": "it is gone", "files_open": 0,
            "opened": 1, "bytes_read": 0, "bytes_fetched": 0, "bytes_from_disk": 0, "requests": 1,
            "errors": 0},
            {"name": "c", "source": "http://h/c", "state": "closed", "files_open": 0, "opened": 0,
            "bytes_read": 0, "bytes_fetched": 0, "bytes_from_disk": 0, "requests": 0, "errors": 0}]"#,
        )
        .expect("archives");
        let expected = "\
open      a: 1.00 KiB read, 2.00 KiB fetched in 4 requests, 0 errors, 1 files open
failed    b: it is gone
closed    1 archive that no program has looked into
";
        assert_eq!(library(&archives), expected);
    }

    #[test]
    fn rates_since_the_last_time() {
        let (last, now) = (report(1024), report(1024 + 4096));
        let shown = text(&now, Some((&last, Duration::from_secs(2))));
        assert!(
            shown.contains("read      5.00 KiB, 2.00 KiB/s, 10 %"),
            "{shown}"
        );
        // Mounted again in between.
        let shown = text(&last, Some((&now, Duration::from_secs(2))));
        assert!(!shown.contains("/s"), "{shown}");
    }
}

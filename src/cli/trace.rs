//! `aiozfs trace`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Failure, completions, show};
use crate::mount::{self, Stuck, TraceEvent, TracePage};

/// Show the reads and requests of a mount as they end, with their times.
///
/// Of a library, it shows all archives, also how long each took to open, or why it cannot be opened. Ends with Ctrl-C, or
/// when the mount is gone. A mount that nobody watches is not slowed down. Only root and the user who mounted may watch.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TraceArgs {
    /// The directory it is mounted on
    #[arg(add = completions::mountpoints())]
    mountpoint: PathBuf,
    /// Print JSON: one object a line
    #[arg(long)]
    json: bool,
    /// Only these kinds of events, separated by commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    only: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Reads of programs, as the kernel asks for them
    Read,
    /// Requests for bytes that a program waits for
    Demand,
    /// Requests for bytes that a program may need later
    Readahead,
    /// Archives of a library that are opened, with all requests that this takes
    Open,
}

impl Kind {
    /// Whether the value of the option is the name of the event's kind.
    fn is_of(self, event: &TraceEvent) -> bool {
        let value = self.to_possible_value();
        value.is_some_and(|value| value.get_name() == event.kind)
    }
}

const EXAMPLES: &str = "\
The columns: when it began, kind, milliseconds, offset+length, where the bytes
came from, file. The offset of a read is in the file, that of a request in the
archive. In a library, the file's path begins with the name of its archive.

Examples:
  aiozfs trace /mnt/video
  aiozfs trace --only demand,readahead /mnt/video
  aiozfs trace --only open /mnt/films
  aiozfs trace --json /mnt/video | jq 'select(.ms > 100)'";

/// The pause between two questions, and how many events at once mean that there are more.
const PAUSE: Duration = Duration::from_millis(100);
const MANY: usize = 100;

pub(super) fn trace(args: &TraceArgs) -> Result<ExitCode, Failure> {
    let first = mount::trace(&args.mountpoint, None).map_err(Failure::new)?;
    tell!(
        "aiozfs: watching {}; Ctrl-C ends it",
        args.mountpoint.display()
    );
    let mut from = first.next;
    loop {
        let page = match mount::trace(&args.mountpoint, Some(from)) {
            Ok(page) => page,
            // It was unmounted.
            Err(Stuck::NotOurs(_)) => break,
            Err(e) => return Err(Failure::new(e)),
        };
        if page.lost > 0 {
            tell!(
                "aiozfs: {} events came too fast and are not shown",
                page.lost
            );
        }
        if !show::print_more(|out| print(args, &page, out))? {
            break;
        }
        from = page.next;
        if page.events.len() < MANY {
            thread::sleep(PAUSE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(args: &TraceArgs, page: &TracePage, out: &mut dyn Write) -> io::Result<()> {
    let is_wanted = |event: &&TraceEvent| {
        args.only.is_empty() || args.only.iter().any(|kind| kind.is_of(event))
    };
    for event in page.events.iter().filter(is_wanted) {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(event)?)?;
        } else {
            writeln!(out, "{}", text(event))?;
        }
    }
    out.flush()
}

fn text(event: &TraceEvent) -> String {
    let range = format!("{}+{}", event.offset, event.length);
    let path = [&event.archive, &event.file].map(|name| name.as_deref());
    let file = match path {
        [Some(archive), Some(file)] => format!("{archive}/{file}"),
        [archive, file] => archive.or(file).unwrap_or("-").to_owned(),
    };
    let mut line = format!(
        "{} {:<9} {:>9.3} {range:<20} {:<8} {file}",
        event.time, event.kind, event.ms, event.from
    );
    if let Some(error) = &event.error {
        line += ": ";
        line += error;
    }
    show::printable(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let mut event = TraceEvent {
            time: "2026-01-02T03:04:05.678Z".into(),
            kind: "read".into(),
            archive: None,
            file: Some("a\n.ts".into()),
            offset: 131_072,
            length: 4096,
            from: "memory".into(),
            ms: 0.0125,
            error: None,
        };
        assert_eq!(
            text(&event),
            "2026-01-02T03:04:05.678Z read          0.013 131072+4096          memory   a\u{fffd}.ts"
        );
        event.archive = Some("films/b".into());
        assert!(text(&event).ends_with(" films/b/a\u{fffd}.ts"));
        event.file = None;
        assert!(text(&event).ends_with(" films/b"));
        event.error = Some("no".into());
        assert!(text(&event).ends_with(" films/b: no"));
    }
}

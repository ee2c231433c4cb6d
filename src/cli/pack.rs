//! `aiozfs pack`: packs a folder into an archive.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use clap::{Args, ValueHint};
use indicatif::HumanBytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::Serialize;

use super::progress::{Progress, Waiting};
use super::{Failure, runtime, show, units};
use crate::archive::{Kind, MAX_ALIGN, Timestamp};
use crate::content::{Cid, Importer, Profile};
use crate::pack::{ByRange, Control, Output, PackOptions, Plan, Warning};

/// Pack a folder with HLS or DASH into an archive for streaming.
///
/// All files of the folder are stored uncompressed, media in playback order. Playlists get links to
/// byte ranges of the archive, so that players play it from any node. The same folder gives the same
/// archive on every machine. Prints the archive's CID, its length in bytes and its number of entries.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PackArgs {
    /// The folder to pack
    #[arg(value_hint = ValueHint::DirPath)]
    dir: PathBuf,
    /// The archive file to write; - means standard output
    out: PathBuf,
    /// Modification time of all entries, as 2024-02-29T12:00:00Z or @SECONDS since 1970 [default:
    /// each file's own]
    #[arg(long, value_name = "TIME", value_parser = mtime)]
    mtime: Option<Timestamp>,
    /// Alignment of each entry's data in bytes: a power of two up to 32K
    #[arg(long, value_name = "SIZE", value_parser = align, default_value = "1")]
    align: u64,
    /// Only warn of links to missing files and of malformed playlists
    #[arg(long)]
    allow_missing: bool,
    /// Store playlists unchanged, without range links
    #[arg(long)]
    no_links: bool,
    /// Also write playlists to this folder that play the archive from any HTTP server with Range
    /// support
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    byterange_playlists: Option<PathBuf>,
    /// URL of the archive in those playlists [default: the archive's file name, relative to DIR]
    #[arg(long, value_name = "URL", requires = "byterange_playlists", value_parser = archive_url)]
    archive_url: Option<String>,
    /// Print the offset and size of each entry, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of text, without warnings on standard error
    #[arg(long)]
    json: bool,
    /// Do not wait for the disk (fsync) before the archive gets its name
    #[arg(long)]
    no_sync: bool,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs pack ./movie movie.zip
  aiozfs pack --dry-run ./movie movie.zip
  aiozfs pack --json ./movie movie.zip | jq -r .cid
  aiozfs pack --mtime @0 ./movie - | ssh node 'cat > movie.zip'
  aiozfs pack ./movie movie.zip --byterange-playlists ./public --archive-url https://cdn.example.com/movie.zip";

pub(super) fn pack(args: &PackArgs) -> Result<ExitCode, Failure> {
    let to_stdout = args.out == Path::new("-");
    let by_range = by_range(args, to_stdout)?;
    if to_stdout && !args.dry_run && io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a terminal cannot show an archive; give a file name, or use a pipe",
        ));
    }
    let options = PackOptions {
        mtime: args.mtime,
        align: args.align,
        links: !args.no_links,
        allow_missing: args.allow_missing,
    };
    let waiting = Waiting::for_("reading the folder");
    let plan = Plan::of(&args.dir, options).map_err(Failure::new)?;
    drop(waiting);
    if !args.json {
        warn(plan.warnings());
    }
    if args.dry_run {
        return dry_run(&plan, args.json);
    }
    let cancelled = cancel_on_signals()?;
    let mut importer = Importer::new(Profile::UNIXFS_V1_2025);
    let bar = Progress::bytes("packing", Some(plan.size()));
    let control = Control {
        tap: &mut |bytes| importer.push(bytes),
        progress: &mut |written| bar.add(written),
        cancelled: &cancelled,
    };
    let done = if to_stdout {
        plan.write(&mut show::stdout()?, control)
    } else {
        Output::create(&args.out, &args.dir).and_then(|mut out| {
            plan.write(&mut out, control)?;
            out.finish(!args.no_sync)
        })
    };
    drop(bar);
    done.map_err(Failure::new)?;
    if let Some(by_range) = by_range {
        let warnings = plan.write_byterange_playlists(&by_range);
        let warnings = warnings.map_err(Failure::new)?;
        // With range links, the same warnings have been printed already.
        if args.no_links && !args.json {
            warn(&warnings);
        }
    }
    let cid = importer.finish();
    let summary = if args.json {
        show::json(&Json::of(&plan, Some(&cid)))
    } else {
        sum_up(&plan);
        let entries = plan.items().len();
        format!("{cid} {} bytes, {entries} entries", plan.size())
    };
    if to_stdout {
        tell!("{summary}");
    } else {
        show::print(|out| writeln!(out, "{summary}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what would be where.
fn dry_run(plan: &Plan, json: bool) -> Result<ExitCode, Failure> {
    if json {
        let json = show::json(&Json::of(plan, None));
        show::print(|out| writeln!(out, "{json}"))?;
    } else {
        show::print(|out| write_layout(plan, out))?;
        sum_up(plan);
    }
    Ok(ExitCode::SUCCESS)
}

/// The archive in JSON.
#[derive(Serialize)]
struct Json<'a> {
    /// With `--dry-run` there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<String>,
    size: u64,
    entries: usize,
    /// With `--dry-run`, what would be where.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<Vec<ItemJson<'a>>>,
    warnings: Vec<WarningJson<'a>>,
    /// Links that lead nowhere.
    nowhere: Vec<WarningJson<'a>>,
    /// Files that no playlist links to.
    unlinked: &'a [String],
}

#[derive(Serialize)]
struct ItemJson<'a> {
    path: &'a str,
    kind: &'static str,
    offset: u64,
    size: u64,
}

#[derive(Serialize)]
struct WarningJson<'a> {
    playlist: &'a str,
    line: u32,
    what: String,
}

impl<'a> Json<'a> {
    fn of(plan: &'a Plan, cid: Option<&Cid>) -> Self {
        let layout = plan.items().iter().map(|item| ItemJson {
            path: &item.path,
            kind: show::kind(item.kind),
            offset: item.extent.offset,
            size: item.extent.len,
        });
        let warnings = |of: &'a [Warning]| {
            let of = of.iter().map(|Warning { playlist, problem }| WarningJson {
                playlist,
                line: problem.line,
                what: problem.what.to_string(),
            });
            of.collect()
        };
        Self {
            cid: cid.map(Cid::to_string),
            size: plan.size(),
            entries: plan.items().len(),
            layout: cid.is_none().then(|| layout.collect()),
            warnings: warnings(plan.warnings()),
            nowhere: warnings(plan.nowhere()),
            unlinked: plan.unlinked(),
        }
    }
}

/// The most lines of a list that are printed.
const MAX_LINES: usize = 20;

fn warn(warnings: &[Warning]) {
    for warning in warnings.iter().take(MAX_LINES) {
        tell!("aiozfs: warning: {}", line(warning));
    }
    if let Some(more) = warnings.len().checked_sub(MAX_LINES).filter(|n| *n > 0) {
        tell!("aiozfs: and {more} more warnings");
    }
}

/// Lists probable mistakes: an empty folder, links to missing files, including those that the standard permits, and
/// files that no playlist links to.
fn sum_up(plan: &Plan) {
    if plan.items().is_empty() {
        tell!("aiozfs: warning: the folder is empty, and so is the archive");
    }
    list("links that lead nowhere", plan.nowhere().iter().map(line));
    let unlinked = plan.unlinked().iter().map(|path| shown(path));
    list("files that no playlist links to", unlinked);
}

fn list(title: &str, lines: impl ExactSizeIterator<Item = String>) {
    let len = lines.len();
    if len == 0 {
        return;
    }
    tell!("aiozfs: {title}: {len}");
    for line in lines.take(MAX_LINES) {
        tell!("  {line}");
    }
    if len > MAX_LINES {
        tell!("  and {} more", len - MAX_LINES);
    }
}

/// A warning in one line.
fn line(Warning { playlist, problem }: &Warning) -> String {
    let (line, what) = (problem.line, &problem.what);
    format!("{}, line {line}: {what}", shown(playlist))
}

/// A path whose control characters are escaped: a terminal would obey them.
fn shown(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The folder of the byte range playlists, and the URL of the archive in them.
fn by_range(args: &PackArgs, to_stdout: bool) -> Result<Option<ByRange>, Failure> {
    let Some(dir) = &args.byterange_playlists else {
        return Ok(None);
    };
    let url = match (&args.archive_url, args.out.file_name()) {
        (Some(url), _) => url.clone(),
        (None, Some(name)) if !to_stdout => reference(name),
        _ => {
            return Err(Failure::usage(
                "byte range playlists need the URL of the archive; give it with --archive-url",
            ));
        }
    };
    let by_range = ByRange::new(dir, url, &args.dir).map_err(Failure::new)?;
    Ok(Some(by_range))
}

/// The relative reference (RFC 3986) to a file in the same folder.
fn reference(name: &OsStr) -> String {
    // Escapes colons, too: one could end a scheme.
    const KEPT: AsciiSet = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    percent_encode(name.as_encoded_bytes(), &KEPT).to_string()
}

/// Parses `--archive-url`. It must fit into a playlist.
fn archive_url(text: &str) -> Result<String, String> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == '"';
    if text.is_empty() || text.contains(is_bad) {
        return Err(format!(
            "'{text}' is not a URL; escape white space and quotes, as in %20"
        ));
    }
    Ok(text.to_owned())
}

fn write_layout(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:>15} {:>15}  name", "offset", "size")?;
    for item in plan.items() {
        let mark = match item.kind {
            Kind::Dir => "/",
            Kind::Symlink => " (symbolic link)",
            Kind::File | Kind::Special => "",
        };
        let extent = item.extent;
        writeln!(
            out,
            "{:>15} {:>15}  {}{mark}",
            extent.offset, extent.len, item.path
        )?;
    }
    let directory = plan.directory_offset();
    let rest = plan.size() - directory;
    writeln!(out, "{directory:>15} {rest:>15}  (central directory)")?;
    writeln!(
        out,
        "{} bytes ({}), {} entries; the last {} bytes hold the index and all playlists",
        plan.size(),
        HumanBytes(plan.size()),
        plan.items().len(),
        plan.tail()
    )
}

/// A flag that SIGINT, SIGTERM and SIGHUP set.
fn cancel_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    let runtime = runtime::new()?;
    let ended = runtime.block_on(async { runtime::end_on_signals() })?;
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = cancelled.clone();
    std::thread::spawn(move || {
        runtime.block_on(ended);
        flag.store(true, Relaxed);
    });
    Ok(cancelled)
}

/// Parses `--mtime`.
fn mtime(text: &str) -> Result<Timestamp, String> {
    if let Some(secs) = text.strip_prefix('@') {
        let secs = secs
            .parse()
            .map_err(|_| format!("'{text}' is not @ and a number of seconds"))?;
        return Ok(Timestamp { secs, nanos: 0 });
    }
    let time = humantime::parse_rfc3339_weak(text)
        .map_err(|e| format!("'{text}' is not a time ({e}); write it like 2024-02-29T12:00:00Z"))?;
    // This syntax has no years before 1970.
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Timestamp {
        secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: 0,
    })
}

/// Parses `--align`.
fn align(text: &str) -> Result<u64, String> {
    let size = units::size(text)?;
    if size.is_power_of_two() && size <= MAX_ALIGN {
        Ok(size)
    } else {
        Err(format!("'{text}' is not a power of two up to 32K"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_alignments() {
        let of = |text| mtime(text).map(|time| time.secs).map_err(drop);
        assert_eq!(of("@5"), Ok(5));
        assert_eq!(of("@-5"), Ok(-5));
        assert_eq!(of("2024-02-29T12:34:56Z"), Ok(1_709_210_096));
        assert_eq!(of("2024-02-29 12:34:56"), Ok(1_709_210_096));
        assert_eq!(of("yesterday"), Err(()));
        assert_eq!(align("4096"), Ok(4096));
        assert_eq!(align("4k"), Ok(4096));
        for wrong in ["0", "3", "64k", "x"] {
            assert!(align(wrong).is_err(), "{wrong}");
        }
    }
}

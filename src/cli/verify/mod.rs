//! `aiozfs verify`: reads everything once, verifies it against the CID and compares it with its CRC-32.
//!
//! The archive is read in windows, several at once, and not through the reader's memory, since no byte is
//! needed twice. The bytes are compared in order with the entries that they belong to.

mod content;
mod entries;
mod fetch;
mod report;

use std::ffi::OsString;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Args;
use futures_util::{StreamExt, stream};

use super::patterns::selected;
use super::progress::Progress;
use super::unmounted::{ReadArgs, SourceArgs, resolve};
use super::{Failure, completions, runtime, show};
use crate::archive::{EntryId, Index};
use crate::decode::{Memory, Password};
use crate::ranges::{RangeSet, len};
use crate::reader::Archive;
use entries::Entries;
use fetch::{fetch, windows};
use report::{Bad, Report, Subject};

/// How many windows are fetched at once.
const AT_ONCE: usize = 8;

/// A compressed entry of at least this many stored bytes is read apart from others.
const LARGE: u64 = 16 << 20;

/// A gap of up to this many bytes between two files is read too, which costs less than a request.
const GAP: u64 = 256 * 1024;

/// Read an archive, or some of its files, and report what is damaged or forged.
///
/// For a CID, every byte is verified against it. Every file is compared with its CRC-32, compressed ones after
/// decoding, on all cores. A tar has no checksums of content: its headers are checked. Prints a line for
/// each bad extent, and a summary. The exit code is 1 if anything is bad,
/// or if a file could not be compared and no CID proves it. Reads everything from servers,
/// not from the cache, except with --offline.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Only these files, and what is below these directories; * ? [a-z] {a,b} and ** as in a shell [default:
    /// everything]
    #[arg(value_name = "PATH|GLOB", add = completions::paths())]
    paths: Vec<OsString>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadArgs,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs verify ./holiday.zip
  aiozfs verify bafybei...
  aiozfs verify --gateway http://127.0.0.1:8080 bafybei... 720p '*.m3u8'
  aiozfs verify --json https://example.com/holiday.zip | jq '.bad[].name'

Each bad extent is a line: the file, the bytes of the archive, and why.
  720p_0001.ts: bytes 1048576-2097151 (1048576): ... they do not match the CID";

pub(super) fn verify(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let access = resolve(&args.source, &args.read)?.without_cache();
    let (subject, report) = runtime::run(async {
        let archive = access.open_archive().await?.archive;
        let subject = Subject {
            source: access.location.shown(),
            is_verified: access.is_verified(),
            format: archive.index().format(),
        };
        let password = access.password_for(archive.index());
        let memory = Memory::new(access.options.reader.memory);
        let report = run(&archive, &args.paths, (password.as_ref(), &memory)).await?;
        Ok((subject, report))
    })?;
    let text = if args.json {
        report.json(&subject)
    } else {
        report.text(&subject)
    };
    show::print(|out| out.write_all(text.as_bytes()))?;
    let is_good = report.is_good() && report.is_complete(&subject);
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// What codecs need: the password, and the memory that they share.
type With<'a> = (Option<&'a Password>, &'a Arc<Memory>);

async fn run(archive: &Archive, paths: &[OsString], with: With<'_>) -> Result<Report, Failure> {
    let index = archive.index();
    let chosen = selected(paths, index)?;
    let ranges = if paths.is_empty() {
        std::iter::once(0..index.blob_size()).collect()
    } else {
        spans(index, &chosen)
    };
    let total = ranges.iter().map(len).sum();
    let progress = Progress::bytes("verifying", Some(total));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let tasks = stream::iter(tasks(index, chosen, ranges));
    let parts = tasks.map(|task| read_through(archive, task, with, &progress));
    let mut parts = parts.buffer_unordered(cores);
    let mut report = Report::default();
    while let Some(part) = parts.next().await {
        report.add(part?);
    }
    if index.ending().is_damage()
        && let Some(why) = index.problem()
    {
        let behind = index.cd_range().start..index.blob_size();
        report.bad(Bad::between(index, behind, why));
    }
    Ok(report)
}

/// Entries to compare, and the ranges to read for them.
type Task = (Vec<EntryId>, Vec<Range<u64>>);

/// Divides the work: each large compressed entry is read apart. So several are decoded at once.
fn tasks(index: &Index, chosen: Vec<EntryId>, ranges: Vec<Range<u64>>) -> Vec<Task> {
    let is_large = |id: &EntryId| {
        let is_compressed = !index.is_stored(*id) && index.readable(*id).is_ok();
        is_compressed && index.get(*id).compressed_size >= LARGE
    };
    let (large, others): (Vec<_>, Vec<_>) = chosen.into_iter().partition(is_large);
    let mut rest: RangeSet = ranges.into_iter().collect();
    let mut tasks = Vec::new();
    for id in large {
        let span = entries::span(index, id);
        rest.remove(&span);
        tasks.push((vec![id], vec![span]));
    }
    tasks.push((others, rest.to_vec()));
    tasks
}

async fn read_through(
    archive: &Archive,
    (chosen, ranges): Task,
    (password, memory): With<'_>,
    progress: &Progress,
) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut entries = Entries::new(archive.index(), chosen, password, memory, &mut report);
    let source = archive.source();
    let fetched = stream::iter(windows(source.clone(), ranges)).map(|window| {
        // A task of its own, so that leaves are hashed on all threads.
        let source = source.clone();
        tokio::spawn(async move { fetch(&*source, window).await })
    });
    let mut fetched = fetched.buffered(AT_ONCE);
    while let Some(window) = fetched.next().await {
        let outcomes = window.map_err(Failure::new)?;
        for outcome in outcomes.map_err(Failure::new)? {
            entries.take(&outcome, &mut report).await;
            progress.add(len(&outcome.range));
        }
    }
    drop(fetched);
    // Only if a local header is longer than the central directory indicates.
    while let Some(rest) = entries.rest() {
        let outcomes = fetch(&**source, rest).await.map_err(Failure::new)?;
        for outcome in outcomes {
            entries.take(&outcome, &mut report).await;
        }
    }
    entries.end(&mut report).await;
    Ok(report)
}

/// The ranges of these entries, headers included, with neighbours joined.
fn spans(index: &Index, chosen: &[EntryId]) -> Vec<Range<u64>> {
    let mut spans: Vec<Range<u64>> = Vec::new();
    for id in chosen {
        let span = entries::span(index, *id);
        match spans.last_mut() {
            Some(last) if span.start <= last.end + GAP => last.end = last.end.max(span.end),
            _ => spans.push(span),
        }
    }
    spans
}

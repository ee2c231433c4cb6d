//! `aiozfs fetch`.

use std::ffi::OsString;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::HumanBytes;
use serde::Serialize;

use super::access::{Access, AccessArgs};
use super::explain::explain_open;
use super::mount_options::MountOptions;
use super::patterns::selected;
use super::progress::Progress;
use super::show;
use super::{Failure, completions, config, fetch_index, logging, runtime};
use crate::archive::{Index, Kind};
use crate::cache::{Cache, Cached};
use crate::ranges::{RangeSet, arrange_by_key, len};
use crate::source::{Priority, Result as SourceResult, Source};
use crate::volume::{Location, Opened};

/// The length of a request in bytes: long enough that the round trip is a small part of it.
const PART: u64 = 4 << 20;

/// The number of concurrent requests. A link with a long round trip needs many to be saturated.
const PARTS: usize = 12;

/// How often bytes that could not be stored are fetched again.
const ROUNDS: usize = 3;

/// How long to wait for the disk before the next request.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fetch an archive, or some of its files, into the cache and pin it, for use without a network.
///
/// Bytes that are already in the cache are not fetched again, so an interrupted fetch can be resumed.
/// Without PATH, fetches the whole archive.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct FetchArgs {
    /// The archive: an http(s) URL, an object (s3://BUCKET/KEY, gs:// or az://), a CID or a path
    /// below one, id:TEXT for an id of another network, or the name of an archive in the configuration
    #[arg(add = completions::sources())]
    source: String,
    /// Files and directories of the archive; * ? [a-z] {a,b} and ** as in a shell
    #[arg(value_name = "PATH|GLOB", add = completions::paths())]
    paths: Vec<OsString>,
    /// Fetch nothing for keeps, but decode compressed files once and keep where decoding can restart: later
    /// mounts then read anywhere in them without decoding what lies before. Not to be confused with
    /// 'aiozfs index', which writes the list of files
    #[arg(long)]
    index: bool,
    /// Print the result as JSON: one object
    #[arg(long)]
    json: bool,
    /// Open the archive with this index, which 'aiozfs index' wrote, instead of reading its own: a file, a URL or a CID.
    /// Other commands call this option --index
    #[arg(long, value_name = "FILE|URL", add = completions::sources())]
    index_file: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs fetch bafybei...
  aiozfs fetch bafybei... master_playlist.m3u8 '720p*' subtitles
  aiozfs fetch https://example.com/holiday.zip '**/*.jpg'
  aiozfs fetch --index https://example.com/logs.zip
  aiozfs mount --offline bafybei... /mnt/video     # then, without a network
  aiozfs cache unpin bafybei...                    # it may be evicted again";

pub(super) fn fetch(args: &FetchArgs) -> Result<ExitCode, Failure> {
    logging::init(args.verbose);
    let location = config::locate(&args.source)?;
    if let Location::File(path) = &location {
        let path = path.display();
        return Err(Failure::usage(format!(
            "{path} is a local file, so it need not be fetched"
        )));
    }
    let access = args.access.resolve(location, &MountOptions::default())?;
    let access = access.with_index("--index-file ", args.index_file.as_deref())?;
    let Some(cache) = access.options.cache.clone() else {
        return Err(Failure::new(
            "the cache is disabled or cannot be used; see --cache-dir and --cache-size",
        ));
    };
    if args.index {
        let done = runtime::run(fetch_index::index(&access, &cache, &args.paths))?;
        return done.report(args.json);
    }
    let done = runtime::run(fetch_missing(&access, &cache, &args.paths))?;
    show::print_result(args.json, &done, |out| {
        let (kept, fetched) = (HumanBytes(done.kept), HumanBytes(done.fetched));
        let source = &done.source;
        writeln!(
            out,
            "{source}: {kept} in the cache, pinned; {fetched} fetched"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Bytes of the archive.
#[derive(Serialize)]
struct Fetched {
    /// The name of the archive in the cache.
    source: String,
    kept: u64,
    fetched: u64,
}

async fn fetch_missing(
    access: &Access,
    cache: &Cache,
    paths: &[OsString],
) -> Result<Fetched, Failure> {
    let Opened {
        location,
        archive,
        cached,
        ..
    } = access.open_archive().await?;
    let name = location.shown().1;
    let (index, source) = (archive.index().clone(), archive.source().clone());
    // The bytes do not go through its memory.
    drop(archive);
    let cached = cached.ok_or_else(|| Failure::new("this source cannot be cached"))?;
    let ranges = wanted(&index, paths)?.into_iter();
    let ranges = merged(ranges.map(|r| source.verification_unit(r)).collect());
    let kept = total(&ranges);
    has_room(cache, kept)?;
    cached
        .pin(ranges.clone())
        .await
        .map_err(|e| Failure::new(format!("{name} cannot be pinned: {e}")))?;
    let mut missing = cached.missing(ranges.clone()).await;
    let fetched = total(&missing);
    let progress = Progress::bytes("fetching", Some(fetched));
    for round in 0..ROUNDS {
        if missing.is_empty() {
            break;
        }
        if round > 0 {
            log::info!("fetch: {} bytes were not kept", total(&missing));
        }
        let parts = stream::iter(parts(&missing))
            .map(|part| fetch_part(&*source, &cached, part, &progress))
            .buffer_unordered(PARTS);
        let done: SourceResult<Vec<()>> = parts.try_collect().await;
        done.map_err(|e| explain_open(&access.location, &e.into()))?;
        tokio::task::block_in_place(|| cache.settle(PATIENCE));
        missing = cached.missing(ranges.clone()).await;
    }
    match total(&missing) {
        0 => Ok(Fetched {
            source: name,
            kept,
            fetched,
        }),
        left => Err(Failure::new(format!(
            "{} of {} could not be stored: the disk is full or fails, or the rest of the cache is pinned; free space, see 'aiozfs cache', then fetch again to continue",
            HumanBytes(left),
            HumanBytes(kept)
        ))),
    }
}

/// The ranges of the files that `paths` name, and of the central directory.
fn wanted(index: &Index, paths: &[OsString]) -> Result<Vec<Range<u64>>, Failure> {
    let all = 0..index.blob_size();
    if paths.is_empty() {
        return Ok(vec![all]);
    }
    let directory = index.cd_range().start..all.end;
    let mut ranges = vec![directory];
    for id in selected(paths, index)? {
        if index.get(id).kind != Kind::Dir {
            ranges.push(index.span(id));
        }
    }
    Ok(ranges)
}

/// Ranges in order, with neighbours joined.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    arrange_by_key(&mut ranges, |range| range.start);
    ranges.into_iter().collect::<RangeSet>().to_vec()
}

fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(len).sum()
}

/// Pieces of at most [`PART`] bytes, which end at its multiples.
fn parts(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let each = ranges.iter().flat_map(|range| {
        let parts = range.start / PART..range.end.div_ceil(PART);
        parts.map(|part| range.start.max(part * PART)..range.end.min((part + 1) * PART))
    });
    each.collect()
}

/// Fails if the cache is too small to pin all of it.
fn has_room(cache: &Cache, bytes: u64) -> Result<(), Failure> {
    let content = cache.content().map_err(Failure::new)?;
    if bytes <= content.filled {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "this needs {}, but the cache holds at most {}; raise --cache-size, here and for mounts",
            HumanBytes(bytes),
            HumanBytes(content.filled)
        )))
    }
}

async fn fetch_part(
    source: &dyn Source,
    cached: &Cached,
    part: Range<u64>,
    progress: &Progress,
) -> SourceResult<()> {
    cached.wait_for_disk(PATIENCE).await;
    let mut stream = source.read(part, Priority::Demand);
    while let Some(chunk) = stream.try_next().await? {
        progress.add(chunk.bytes.len() as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_at_multiples_of_the_part_size() {
        let ranges = merged(vec![
            PART + 5..2 * PART,
            0..7,
            3..10,
            2 * PART..2 * PART + 1,
        ]);
        assert_eq!(ranges, [0..10, PART + 5..2 * PART + 1]);
        let parts = parts(&ranges);
        assert_eq!(parts, [0..10, PART + 5..2 * PART, 2 * PART..2 * PART + 1]);
        assert_eq!(total(&parts), total(&ranges));
    }
}

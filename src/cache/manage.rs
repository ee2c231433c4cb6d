//! Commands on a cache: list, pin, remove, prune, verify.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::IgnoredAny;

use super::Cache;
use super::blob::dir;
use super::block::{BLOCK, HEAD, Head};
use super::clock::now;
use super::disk::Handle;
use super::evict::{self, FileKind, Inventory};
use super::metadata::{Counts, Metadata};
use super::record::{self, Framed};
use super::shared::{Shared, damaged};
use super::{pinning, pins, usage};
use crate::content::parse_cid;
use crate::ranges::{arrange_by_key, hex};

/// A cached blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CachedBlob {
    /// The name of its directory, which identifies it.
    pub id: String,
    /// `cid`: verified when read; `believed`: a CID's content, unverified; `id`: content of another
    /// network; `url`.
    pub kind: String,
    /// Its name for people, without secrets.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// The version of a URL.
    pub version: Option<String>,
    /// The disk space that it takes, in bytes.
    pub taken: u64,
    /// Pinned bytes, cached or not.
    pub pinned: u64,
    /// When it was first seen, in seconds since 1970.
    pub since: i64,
    /// When it was last used, likewise.
    pub used: i64,
    /// Bytes that were read from the cache.
    pub hits: u64,
    /// Bytes that had to be fetched.
    pub misses: u64,
}

/// The content of a cache. The default is that of no cache.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Content {
    /// The disk space that it takes, in bytes.
    pub taken: u64,
    /// The most disk space that it may take, in bytes.
    pub size: u64,
    /// How much of `size` is filled; the rest is a reserve for several writers.
    pub filled: u64,
    /// The blobs, the most recently used first.
    pub blobs: Vec<CachedBlob>,
}

/// The result of verifying cached files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Verified {
    /// Disk space of intact files, in bytes.
    pub good: u64,
    /// Number of damaged files, which were removed.
    pub damaged: u64,
}

impl Cache {
    /// Lists the cached blobs.
    pub fn content(&self) -> io::Result<Content> {
        let shared = &self.0.shared;
        let survey = evict::survey(&*shared.disk)?;
        let each = survey.blobs.iter().enumerate();
        let mut blobs: Vec<CachedBlob> = each
            .map(|(at, dir)| cached_blob(shared, &survey, at, dir))
            .collect();
        arrange_by_key(&mut blobs, |kept| std::cmp::Reverse(kept.used));
        Ok(Content {
            taken: survey.taken,
            size: shared.size(),
            filled: evict::filled(shared.size()),
            blobs,
        })
    }

    /// Pins all of a blob: its bytes, cached now or later, are not evicted.
    pub fn pin(&self, blob: &CachedBlob) -> io::Result<()> {
        let all: Range<u64> = 0..blob.size;
        pinning::add(&self.0.shared, &dir(&blob.id), &[all])
    }

    /// Removes all pins of a blob.
    pub fn unpin(&self, blob: &CachedBlob) -> io::Result<()> {
        pinning::clear(&self.0.shared, &dir(&blob.id))
    }

    /// Removes a blob, pinned or not. Returns the disk space freed, in bytes.
    pub fn remove(&self, blob: &CachedBlob) -> io::Result<u64> {
        evict::remove_blob(&*self.0.shared.disk, &dir(&blob.id))
    }

    /// Evicts files, but none that is pinned, until the cache takes at most `size` bytes. Returns the
    /// disk space freed, in bytes.
    pub fn prune(&self, size: u64) -> io::Result<u64> {
        let disk = &*self.0.shared.disk;
        let before = usage::add(disk, 0)?;
        let survey = evict::survey(disk)?;
        let wanted = survey.taken.saturating_sub(size);
        let victims = evict::victims(disk, &survey, wanted, size);
        let freed = evict::remove(disk, &survey, &victims);
        usage::set(disk, before, survey.taken.saturating_sub(freed), now())?;
        Ok(freed)
    }

    /// Reads all files of a blob and compares them with their checksums; removes damaged ones. Calls
    /// `progress` with the disk space of each file.
    pub fn verify(&self, blob: &CachedBlob, progress: &dyn Fn(u64)) -> io::Result<Verified> {
        let shared = &self.0.shared;
        let mut survey = Inventory::default();
        survey.add_blob(&*shared.disk, dir(&blob.id))?;
        let mut verified = Verified::default();
        for item in &survey.items {
            match is_good(shared, blob, &item.path, item.what) {
                Some(true) => verified.good += item.stat.taken,
                Some(false) => {
                    shared.discard(&item.path, &damaged("it"));
                    verified.damaged += 1;
                }
                None => {} // evicted just now
            }
            progress(item.stat.taken);
        }
        Ok(verified)
    }
}

fn cached_blob(shared: &Shared, survey: &Inventory, at: usize, dir: &str) -> CachedBlob {
    let disk = &*shared.disk;
    let metadata: Option<Metadata> = record::read(disk, &format!("{dir}/record"));
    let counts: Counts = record::read(disk, &format!("{dir}/counts")).unwrap_or_default();
    let items = || survey.items.iter().filter(|item| item.blob == at);
    let files_used = items().map(|item| item.stat.used).max();
    // A blob whose record is lost is listed, too: a user may want to remove it.
    let metadata = metadata.unwrap_or_else(|| Metadata {
        kind: "unknown".into(),
        name: "?".into(),
        size: 0,
        version: None,
        since: items().map(|item| item.stat.written).min().unwrap_or(0),
    });
    CachedBlob {
        id: dir.trim_start_matches("blobs/").to_owned(),
        taken: items().map(|item| item.stat.taken).sum(),
        pinned: pins::of(disk, dir).bytes(metadata.size),
        used: files_used.unwrap_or(0).max(counts.last),
        hits: counts.hits,
        misses: counts.misses,
        kind: metadata.kind,
        name: metadata.name,
        size: metadata.size,
        version: metadata.version,
        since: metadata.since,
    }
}

/// Whether a file is intact; `None` if it does not exist.
fn is_good(shared: &Shared, blob: &CachedBlob, path: &str, what: FileKind) -> Option<bool> {
    let file: Arc<dyn Handle> = shared.disk.open(path).ok()?.into();
    let name = path.rsplit('/').next().unwrap_or_default();
    let read = |most: usize| record::read_small(&*file, most).ok().flatten();
    let is_good = match what {
        FileKind::Block(number) => {
            let bytes = read((HEAD + BLOCK) as usize)?;
            let head = bytes.get(..HEAD as usize);
            let head = head.and_then(|head| {
                let key = head.get(8..40)?.try_into().ok()?;
                // The directory's name is the beginning of the key.
                let is_here = hex(key).starts_with(&blob.id);
                Head::decode(head, key, number).filter(|_| is_here)
            });
            head.is_some_and(|head| {
                head.ranges().iter().all(|run| {
                    let span = head.span_to_verify(run);
                    let (from, to) = (HEAD + span.start, HEAD + span.end);
                    let bytes = bytes.get(from as usize..to as usize);
                    bytes.is_some_and(|bytes| head.verifies(span.start, bytes))
                })
            })
        }
        FileKind::Record => {
            read(1 << 20).is_some_and(|bytes| record::unseal::<IgnoredAny>(&bytes).is_some())
        }
        FileKind::Artifact => match parse_cid(name) {
            Ok(cid) => read(4 << 20).is_some_and(|bytes| cid.verify(&bytes).is_ok()),
            Err(_) => Framed::is_good(file.clone()),
        },
    };
    Some(is_good)
}

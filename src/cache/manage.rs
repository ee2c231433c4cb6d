//! What people do with a cache: look at it, pin, remove, prove.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use super::Cache;
use super::block::{BLOCK, HEAD, Head};
use super::clock::now;
use super::disk::Handle;
use super::evict::{self, Survey, What};
use super::metadata::{Counts, Metadata};
use super::record::{self, Framed};
use super::shared::{Shared, damaged};
use super::{pinning, pins, usage};
use crate::content::parse_cid;
use crate::ranges::hex;

/// A blob, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its directory in the cache, which tells it from all others.
    pub id: String,
    /// `cid`: proven when it is read; `believed`: a CID's content as its gateways gave it; `id`:
    /// likewise, of another network; `url`.
    pub kind: String,
    /// What it is called, without secrets.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Of a URL: which version of what is there.
    pub version: Option<String>,
    /// What it takes of the disk, in bytes.
    pub taken: u64,
    /// Bytes of it that are pinned, whether they have come or not.
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

/// All that is in a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Content {
    /// What it takes of the disk, in bytes.
    pub taken: u64,
    /// What it may take.
    pub size: u64,
    /// What is filled of that, so that it holds while several write.
    pub filled: u64,
    /// The blobs, the one that was used last first.
    pub blobs: Vec<Kept>,
}

/// What came of proving what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Verified {
    /// Bytes of the disk that are as they were written.
    pub good: u64,
    /// Files that were not, and are gone.
    pub damaged: u64,
}

impl Cache {
    /// What there is.
    pub fn content(&self) -> io::Result<Content> {
        let shared = &self.0.shared;
        let survey = evict::survey(&*shared.disk)?;
        let each = survey.blobs.iter().enumerate();
        let mut blobs: Vec<Kept> = each
            .map(|(at, dir)| kept(shared, &survey, at, dir))
            .collect();
        blobs.sort_by_key(|kept| std::cmp::Reverse(kept.used));
        Ok(Content {
            taken: survey.taken,
            size: shared.size,
            filled: evict::filled(shared.size),
            blobs,
        })
    }

    /// Pins all of a blob: what is kept of it, and what comes.
    pub fn pin(&self, blob: &Kept) -> io::Result<()> {
        let all: Range<u64> = 0..blob.size;
        pinning::add(&self.0.shared, &dir(blob), &[all])
    }

    /// Pins nothing of a blob.
    pub fn unpin(&self, blob: &Kept) -> io::Result<()> {
        pinning::clear(&self.0.shared, &dir(blob))
    }

    /// Removes a blob, pinned or not. Returns how many bytes of the disk came free.
    pub fn remove(&self, blob: &Kept) -> io::Result<u64> {
        evict::remove_blob(&*self.0.shared.disk, &dir(blob))
    }

    /// Evicts what is worth the least until no more than `size` bytes are taken. What is pinned
    /// stays. Returns how many bytes of the disk came free.
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

    /// Reads all that there is of a blob and compares it with its checksums; what is damaged is
    /// removed. `told` gets the bytes of the disk that were looked at, file by file.
    pub fn verify(&self, blob: &Kept, told: &dyn Fn(u64)) -> io::Result<Verified> {
        let shared = &self.0.shared;
        let mut survey = Survey::default();
        survey.add_blob(&*shared.disk, dir(blob))?;
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
            told(item.stat.taken);
        }
        Ok(verified)
    }
}

fn dir(blob: &Kept) -> String {
    format!("blobs/{}", blob.id)
}

fn kept(shared: &Shared, survey: &Survey, at: usize, dir: &str) -> Kept {
    let disk = &*shared.disk;
    let metadata: Option<Metadata> = record::read(disk, &format!("{dir}/record"));
    let counts: Counts = record::read(disk, &format!("{dir}/counts")).unwrap_or_default();
    let items = || survey.items.iter().filter(|item| item.blob == at);
    let files_used = items().map(|item| item.stat.used).max();
    // Its record may have been lost; then little is known of it, and it can still be removed.
    let metadata = metadata.unwrap_or_else(|| Metadata {
        kind: "unknown".into(),
        name: "?".into(),
        size: 0,
        version: None,
        since: items().map(|item| item.stat.written).min().unwrap_or(0),
    });
    Kept {
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

/// Whether a file is what was written; `None` if it is not there.
fn is_good(shared: &Shared, blob: &Kept, path: &str, what: What) -> Option<bool> {
    let file: Arc<dyn Handle> = shared.disk.open(path).ok()?.into();
    let name = path.rsplit('/').next().unwrap_or_default();
    let read = |most: usize| record::read_small(&*file, most).ok().flatten();
    let is_good = match what {
        What::Block(number) => {
            let bytes = read((HEAD + BLOCK) as usize)?;
            let head = bytes.get(..HEAD as usize);
            let head = head.and_then(|head| {
                let key = head.get(8..40)?.try_into().ok()?;
                // Its key is cut to make the name of the directory.
                let is_here = hex(key).starts_with(&blob.id);
                Head::decode(head, key, number).filter(|_| is_here)
            });
            head.is_some_and(|head| {
                head.ranges().iter().all(|run| {
                    let span = head.to_prove(run);
                    let (from, to) = (HEAD + span.start, HEAD + span.end);
                    let bytes = bytes.get(from as usize..to as usize);
                    bytes.is_some_and(|bytes| head.proves(span.start, bytes))
                })
            })
        }
        What::Record => read(1 << 20).is_some_and(|bytes| record::is_sealed(&bytes)),
        What::Kept => match parse_cid(name) {
            Ok(cid) => read(4 << 20).is_some_and(|bytes| cid.verify(&bytes).is_ok()),
            Err(_) => Framed::is_good(file.clone()),
        },
    };
    Some(is_good)
}

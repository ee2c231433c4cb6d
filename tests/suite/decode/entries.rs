//! Compressed content, archives of it, and readers of them.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aiozfs::archive::EntryId;
use aiozfs::decode::Error;
use aiozfs::volume::{self, FileError, Location, Options, Verify, Volume, open_cache};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use tokio::runtime::Runtime;

use crate::common::zips::{Item, Zip};

/// How the kernel reads.
const STEP: usize = 128 << 10;

/// Bytes that compress in part: phrases in random order, runs and noise.
pub fn plain(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let phrases: Vec<u8> = std::iter::repeat_with(|| random.alphanumeric() as u8)
        .take(40_000)
        .collect();
    let mut out = Vec::with_capacity(len + 400);
    while out.len() < len {
        let at = random.usize(..phrases.len() - 400);
        match random.u8(0..20) {
            0 => out.extend([random.u8(..); 300]),
            1 => (0..50).for_each(|_| out.extend(random.u64(..).to_le_bytes())),
            _ => out.extend_from_slice(&phrases[at..at + random.usize(20..100)]),
        }
    }
    out.truncate(len);
    out
}

pub fn deflated(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// An entry that claims to be `plain`, with these stored bytes.
pub fn item(name: &str, plain: &[u8], stored: Vec<u8>) -> Item {
    Item::new(name, stored).with(|item| {
        let (size, compressed) = (plain.len() as u32, item.data.len() as u32);
        item.method = 8;
        item.crc = crc32fast::hash(plain);
        item.sizes = (size, compressed);
        item.local_numbers = (item.crc, compressed, size);
    })
}

/// A part of a long entry, in plain bytes.
pub const PART: usize = 1 << 20;

/// An entry of a gibibyte: seven parts of a mebibyte, over and over. Returns the archive and the parts.
pub fn gibibyte() -> (Vec<u8>, Vec<Vec<u8>>) {
    let parts: Vec<Vec<u8>> = (0..7).map(|seed| plain(seed, PART)).collect();
    let stored: Vec<Vec<u8>> = parts.iter().map(|part| flushed(part)).collect();
    let (mut data, mut crc) = (Vec::new(), crc32fast::Hasher::new());
    for part in 0..1024 {
        data.extend_from_slice(&stored[part % 7]);
        crc.update(&parts[part % 7]);
    }
    data.extend([3, 0]); // an empty last block
    let item = Item::new("gibibyte", data).with(|item| {
        let (size, compressed) = (1 << 30, item.data.len() as u32);
        item.method = 8;
        item.crc = crc.finalize();
        item.sizes = (size, compressed);
        item.local_numbers = (item.crc, compressed, size);
    });
    (zip(vec![item]), parts)
}

/// Deflated so that more can follow.
fn flushed(plain: &[u8]) -> Vec<u8> {
    let mut compress = flate2::Compress::new(Compression::new(6), false);
    let mut out = Vec::with_capacity(plain.len() + 1000);
    compress
        .compress_vec(plain, &mut out, flate2::FlushCompress::Full)
        .expect("memory");
    assert_eq!(compress.total_in() as usize, plain.len());
    out
}

pub fn zip(items: Vec<Item>) -> Vec<u8> {
    Zip::of(items).finish()
}

/// An archive that is open, with the runtime that reads it.
pub struct Opened {
    pub runtime: Runtime,
    pub volume: Arc<Volume>,
}

impl Opened {
    pub fn file(archive: &Path, options: Options) -> Self {
        Self::at(&Location::File(archive.to_path_buf()), options)
    }

    /// An archive on a server, with a cache.
    pub fn url(url: &str, cache: &Path, mut options: Options) -> Self {
        options.cache = Some(open_cache(cache, Some(1 << 30)).expect("a cache"));
        Self::at(&Location::Url(url.to_owned()), options)
    }

    fn at(location: &Location, options: Options) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let volume = runtime.block_on(volume::open(location, &options));
        let volume = Arc::new(volume.expect("an archive"));
        Self { runtime, volume }
    }

    pub fn id(&self, name: &str) -> EntryId {
        let ino = self
            .runtime
            .block_on(self.volume.find(name.as_bytes(), false));
        let entry = self.volume.tree().entry(ino.expect("a file"));
        entry.expect("an entry")
    }

    pub fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, FileError> {
        let decoder = self.volume.decoder();
        let read = self.runtime.block_on(decoder.read(self.id(name), range));
        read.map_err(FileError::from)
    }

    /// Reads all of a file, as `cp` does.
    pub fn read_through(&self, name: &str, len: u64) -> Result<Vec<u8>, Error> {
        let (decoder, id) = (self.volume.decoder(), self.id(name));
        self.runtime.block_on(async {
            let mut all = Vec::new();
            for start in (0..len.max(1)).step_by(STEP) {
                let end = len.min(start + STEP as u64);
                all.extend(decoder.read(id, start..end).await?);
            }
            Ok(all)
        })
    }

    /// Ends it. What it keeps is on disk then.
    pub fn end(self, cache: Option<&aiozfs::cache::Cache>) {
        self.volume.close();
        if let Some(cache) = cache {
            cache.settle(Duration::from_secs(20));
        }
        self.runtime.shutdown_timeout(Duration::from_secs(10));
    }
}

pub fn options(spacing: u64) -> Options {
    Options {
        verify: Some(Verify::Crc),
        checkpoint_spacing: Some(spacing),
        ..Options::default()
    }
}

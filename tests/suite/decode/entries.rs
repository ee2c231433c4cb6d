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

/// Bytes that compress in part: words, runs and noise.
pub fn plain(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut out = Vec::with_capacity(len + 20_000);
    while out.len() < len {
        match random.u8(0..8) {
            0 => out.extend(std::iter::repeat_n(random.u8(..), random.usize(1..5000))),
            1 => out.extend(std::iter::repeat_with(|| random.u8(..)).take(3000)),
            _ => (0..2000).for_each(|_| {
                let _ = write!(out, "word{} ", random.u16(..2000));
            }),
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

    /// Why reading all of a file fails.
    pub fn failure(&self, name: &str, len: u64) -> Error {
        let decoder = self.volume.decoder();
        let id = self.id(name);
        let read = async {
            for start in (0..len.max(1)).step_by(128 << 10) {
                decoder
                    .read(id, start..len.min(start + (128 << 10)))
                    .await?;
            }
            Ok::<(), Error>(())
        };
        self.runtime.block_on(read).expect_err("it is wrong")
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

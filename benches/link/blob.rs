//! Blobs that are computed and not stored: archives of files whose bytes follow from their offset.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use aiozfs::archive::{Kind, NewEntry, Timestamp, end_records};
use bytes::Bytes;

/// What a file has in it.
#[derive(Debug, Clone)]
pub struct Content {
    bytes: Origin,
    crc32: u32,
}

#[derive(Debug, Clone)]
enum Origin {
    /// So many bytes that look random, of this seed.
    Made {
        seed: u64,
        len: u64,
    },
    Kept(Bytes),
}

impl Content {
    /// So many bytes that look random, of this seed.
    pub fn made(seed: u64, len: u64) -> Self {
        Self::of(Origin::Made { seed, len })
    }

    /// These.
    pub fn kept(bytes: impl Into<Bytes>) -> Self {
        Self::of(Origin::Kept(bytes.into()))
    }

    fn of(bytes: Origin) -> Self {
        let mut content = Self { bytes, crc32: 0 };
        content.crc32 = content.crc32_of(0..content.len());
        content
    }

    pub fn len(&self) -> u64 {
        match &self.bytes {
            Origin::Made { len, .. } => *len,
            Origin::Kept(bytes) => bytes.len() as u64,
        }
    }

    /// Of all of it.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    /// Appends a part of it.
    fn copy(&self, range: Range<u64>, out: &mut Vec<u8>) {
        match &self.bytes {
            Origin::Kept(bytes) => {
                out.extend_from_slice(&bytes[range.start as usize..range.end as usize]);
            }
            Origin::Made { seed, .. } => {
                let words = range.start / 8..range.end.div_ceil(8);
                let begin = out.len();
                out.extend(words.clone().flat_map(|at| word(*seed, at).to_le_bytes()));
                let skip = (range.start - words.start * 8) as usize;
                out.copy_within(begin + skip.., begin);
                out.truncate(begin + (range.end - range.start) as usize);
            }
        }
    }

    /// The CRC-32 of a part of it.
    pub fn crc32_of(&self, range: Range<u64>) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        let (mut at, mut piece) = (range.start, Vec::new());
        while at < range.end {
            let end = (at + (1 << 20)).min(range.end);
            piece.clear();
            self.copy(at..end, &mut piece);
            crc.update(&piece);
            at = end;
        }
        crc.finalize()
    }
}

/// SplitMix64, at any place of its sequence.
fn word(seed: u64, at: u64) -> u64 {
    let mut z = (seed << 40 | at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An archive.
pub struct Blob {
    /// What begins at these offsets.
    pieces: Vec<(u64, Content)>,
    size: u64,
    /// Paths and contents.
    pub files: Vec<(String, Content)>,
}

impl Blob {
    /// The archive of these files, in this order on the line.
    pub fn of(files: Vec<(String, Content)>) -> Self {
        let (mut pieces, mut at, mut directory) = (Vec::new(), 0, Vec::new());
        for (path, content) in &files {
            let entry = NewEntry {
                path,
                kind: Kind::File,
                mode: 0o644,
                mtime: Timestamp {
                    secs: 1_700_000_000,
                    nanos: 0,
                },
                size: content.len(),
                playable: None,
            };
            let crc32 = content.crc32();
            directory.extend(entry.central_record(at, crc32));
            let header = entry.local_header(at, 1, crc32);
            pieces.push((at, Content::kept(header)));
            at += pieces.last().expect("a header").1.len();
            pieces.push((at, content.clone()));
            at += content.len();
        }
        let end = end_records(files.len() as u64, at, directory.len() as u64);
        directory.extend(end);
        let size = at + directory.len() as u64;
        pieces.push((at, Content::kept(directory)));
        Self {
            pieces,
            size,
            files,
        }
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn content(&self, path: &str) -> &Content {
        let found = self.files.iter().find(|(name, _)| name == path);
        &found.expect("a file of the archive").1
    }

    /// A part of it, which lies within.
    pub fn read(&self, range: Range<u64>) -> Vec<u8> {
        let mut out = Vec::with_capacity((range.end - range.start + 8) as usize);
        let first = self.pieces.partition_point(|(at, _)| *at <= range.start) - 1;
        for (at, content) in &self.pieces[first..] {
            if *at >= range.end {
                break;
            }
            let part = range.start.max(*at) - at..range.end.min(at + content.len()) - at;
            if part.start < part.end {
                content.copy(part, &mut out);
            }
        }
        out
    }
}

/// The files of four renditions of a film, and their total length.
pub fn hls() -> Vec<(String, Content)> {
    let mut files = Vec::new();
    // Bytes of a segment of two seconds, as a film of five minutes has them.
    let renditions = [
        ("1080p", 1_530_000),
        ("480p", 470_000),
        ("360p", 230_000),
        ("720p", 1_020_000),
    ];
    for (rendition, (name, usual)) in renditions.iter().enumerate() {
        let mut playlist = String::from("#EXTM3U\n#EXT-X-TARGETDURATION:2\n");
        for segment in 0..150 {
            let seed = (1 + rendition as u64) << 10 | segment;
            let len = usual - usual / 8 + word(seed, 0) % (usual / 4);
            let file = format!("{name}_{segment:04}.ts");
            playlist.push_str(&format!("#EXTINF:2,\n{file}\n"));
            files.push((format!("hls/{file}"), Content::made(seed, len)));
        }
        playlist.push_str("#EXT-X-ENDLIST\n");
        let path = format!("hls/{name}_playlist.m3u8");
        files.push((path, Content::kept(playlist)));
    }
    files
}

/// In the order that other programs leave: that of a directory's hashes, which is none.
pub fn shuffled(mut files: Vec<(String, Content)>) -> Vec<(String, Content)> {
    let mut at = 0;
    files.sort_by_cached_key(|_| {
        at += 1;
        word(7, at)
    });
    files
}

/// A film that players can open, its index at the end; `None` without ffmpeg.
pub fn movie(dir: &Path) -> Option<Content> {
    let path = dir.join("movie.mp4");
    let graph = "testsrc2=size=1280x720:rate=30:duration=60";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", graph])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:duration=60"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "60"])
        .args([
            "-b:v", "4M", "-maxrate", "4M", "-bufsize", "8M", "-c:a", "aac",
        ])
        .arg(&path)
        .stdin(Stdio::null())
        .status();
    made.ok().filter(|status| status.success())?;
    let bytes = fs::read(path).expect("what ffmpeg wrote");
    Some(Content::kept(bytes))
}

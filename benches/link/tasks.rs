//! What users do with a mounted archive.

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::blob::Blob;
use super::shape::Shape;

/// A task, with the archive that it is done on.
pub struct Task {
    pub name: &'static str,
    pub archive: &'static str,
    /// The clock starts before the mount, not after it.
    pub with_mount: bool,
    /// Done once before the clock starts.
    pub before: Before,
    /// Seconds that it takes at the least over a link.
    pub limit: fn(&Shape, &Blob) -> f64,
    /// Seconds that it may take at 50 ms, 25 MB/s a connection and 100 MB/s in all.
    pub bar: f64,
    /// Does it.
    pub run: fn(&Path, &Blob) -> Vec<Seen>,
}

/// Bytes that were read, to be compared when the clock has stopped.
pub struct Seen {
    path: String,
    range: Range<u64>,
    crc32: u32,
}

impl Seen {
    /// Fails if they are not those of the archive.
    pub fn check(&self, blob: &Blob) {
        let content = blob.content(&self.path);
        let right = if self.range.end - self.range.start == content.len() {
            content.crc32()
        } else {
            content.crc32_of(self.range.clone())
        };
        assert_eq!(self.crc32, right, "{} {:?}", self.path, self.range);
    }
}

/// What is done before the clock starts.
#[derive(Clone, Copy, PartialEq)]
pub enum Before {
    Nothing,
    /// The same, in the same mount.
    Same,
    /// The same, in a mount that is gone; its cache is not.
    OtherMount,
}

const BIG: &str = "big.bin";
const MIB: u64 = 1 << 20;

pub const TASKS: [Task; 12] = [
    Task {
        name: "mount + ls",
        archive: "movie.zip",
        with_mount: true,
        before: Before::Nothing,
        limit: |shape, _| shape.limit(2.0, 0),
        bar: 0.15,
        run: |mount, _| {
            let names = fs::read_dir(mount).expect("a directory");
            assert!(names.count() >= 1);
            Vec::new()
        },
    },
    Task {
        name: "ffprobe",
        archive: "movie.zip",
        with_mount: false,
        before: Before::Nothing,
        limit: |shape, _| shape.limit(2.0, 0),
        bar: 0.3,
        run: |mount, _| {
            let shown = ffmpeg(
                "ffprobe",
                &["-show_entries", "format=duration", "-of", "csv=p=0"],
                mount,
            );
            assert!(shown.starts_with("60."), "{shown}");
            Vec::new()
        },
    },
    Task {
        name: "5 seeks, one frame each",
        archive: "movie.zip",
        with_mount: false,
        before: Before::Nothing,
        limit: |shape, _| shape.limit(2.0 + 5.0, 0),
        bar: 1.3,
        run: |mount, _| {
            for second in ["40", "6", "30", "56", "18"] {
                ffmpeg("ffmpeg", &["-ss", second], mount);
            }
            Vec::new()
        },
    },
    Task {
        name: "150 HLS segments in order",
        archive: "movie.zip",
        with_mount: false,
        before: Before::Nothing,
        limit: |shape, blob| shape.limit(1.0, total(blob, "hls/720p_")),
        bar: 1.9,
        run: |mount, _| segments(mount),
    },
    Task {
        name: "150 segments of an ordered archive",
        archive: "ordered.zip",
        with_mount: false,
        before: Before::Nothing,
        limit: |shape, blob| shape.limit(1.0, total(blob, "hls/720p_")),
        bar: 1.85,
        run: |mount, _| segments(mount),
    },
    Task {
        name: "604 files, all of hls/",
        archive: "movie.zip",
        with_mount: false,
        before: Before::Nothing,
        limit: |shape, blob| shape.limit(1.0, total(blob, "hls/")),
        bar: 5.6,
        run: |mount, _| {
            let names = fs::read_dir(mount.join("hls")).expect("a directory");
            let names = names.map(|entry| entry.expect("an entry").file_name());
            let mut names: Vec<_> = names.collect();
            names.sort();
            assert_eq!(names.len(), 604);
            let paths = names.iter().map(|name| format!("hls/{}", name.display()));
            paths.map(|path| whole(mount, path)).collect()
        },
    },
    Task {
        name: "256 MiB in sequence",
        archive: "big.zip",
        with_mount: false,
        before: Before::Nothing,
        limit: |shape, _| shape.limit(1.0, 256 * MIB),
        bar: 3.0,
        run: |mount, _| sequence(mount, 0..256 * MIB),
    },
    Task {
        name: "50 random reads of 64 KiB",
        archive: "big.zip",
        with_mount: false,
        before: Before::Nothing,
        limit: |shape, _| 50.0 * shape.limit(1.0, 64 << 10),
        bar: 2.9,
        run: |mount, _| {
            let file = File::open(mount.join(BIG)).expect("it opens");
            let (mut at, mut bytes) = (7u64, vec![0; 64 << 10]);
            let reads = (0..50).map(|_| {
                at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let from = (at >> 20) % (1024 * MIB - (64 << 10));
                file.read_exact_at(&mut bytes, from).expect("bytes");
                Seen {
                    path: BIG.into(),
                    range: from..from + (64 << 10),
                    crc32: crc32fast::hash(&bytes),
                }
            });
            reads.collect()
        },
    },
    Task {
        name: "8 readers of 32 MiB each",
        archive: "big.zip",
        with_mount: false,
        before: Before::Nothing,
        limit: |shape, _| shape.limit(1.0, 256 * MIB),
        bar: 3.1,
        run: |mount, _| {
            std::thread::scope(|scope| {
                let readers = [0, 1, 2, 3, 4, 5, 6, 7].map(|reader| {
                    let from = reader * 128 * MIB;
                    scope.spawn(move || sequence(mount, from..from + 32 * MIB))
                });
                let seen = readers.into_iter().map(|reader| reader.join());
                seen.flat_map(|seen| seen.expect("right bytes")).collect()
            })
        },
    },
    Task {
        name: "find, 100,000 files",
        archive: "many.zip",
        with_mount: true,
        before: Before::Nothing,
        limit: |shape, blob| shape.limit(3.0, blob.size() - blob.files.len() as u64 * 150),
        bar: 0.9,
        run: |mount, _| {
            let found = Command::new("find")
                .args([".", "-type", "f", "-size", "+0"])
                .current_dir(mount)
                .output();
            let found = found.expect("find").stdout;
            let lines = found.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(lines, 100_000);
            Vec::new()
        },
    },
    Task {
        name: "256 MiB again, same mount",
        archive: "big.zip",
        with_mount: false,
        before: Before::Same,
        limit: |_, _| 0.0,
        bar: f64::INFINITY,
        run: |mount, _| sequence(mount, 0..256 * MIB),
    },
    Task {
        name: "256 MiB after a remount",
        archive: "big.zip",
        with_mount: true,
        before: Before::OtherMount,
        limit: |_, _| 0.0,
        bar: 0.6,
        run: |mount, _| sequence(mount, 0..256 * MIB),
    },
];

fn total(blob: &Blob, prefix: &str) -> u64 {
    let files = blob
        .files
        .iter()
        .filter(|(name, _)| name.starts_with(prefix));
    files.map(|(_, content)| content.len()).sum()
}

fn segments(mount: &Path) -> Vec<Seen> {
    let names = (0..150).map(|segment| format!("hls/720p_{segment:04}.ts"));
    names.map(|name| whole(mount, name)).collect()
}

/// Reads a file as `cp` does.
fn whole(mount: &Path, path: String) -> Seen {
    let mut file = File::open(mount.join(&path)).expect("it opens");
    let (mut crc, mut buffer, mut end) = (crc32fast::Hasher::new(), vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer).expect("bytes") {
            0 => break,
            read => {
                crc.update(&buffer[..read]);
                end += read as u64;
            }
        }
    }
    Seen {
        path,
        range: 0..end,
        crc32: crc.finalize(),
    }
}

fn sequence(mount: &Path, range: Range<u64>) -> Vec<Seen> {
    let file = File::open(mount.join(BIG)).expect("it opens");
    let (mut crc, mut buffer) = (crc32fast::Hasher::new(), vec![0; 1 << 20]);
    for at in range.clone().step_by(1 << 20) {
        file.read_exact_at(&mut buffer, at).expect("bytes");
        crc.update(&buffer);
    }
    vec![Seen {
        path: BIG.into(),
        range,
        crc32: crc.finalize(),
    }]
}

/// Runs it on the film; it must have nothing to complain of.
fn ffmpeg(program: &str, args: &[&str], mount: &Path) -> String {
    let mut command = Command::new(program);
    command
        .args(["-v", "error"])
        .args(args)
        .arg("-i")
        .arg(mount.join("movie.mp4"));
    if program == "ffmpeg" {
        command.args(["-frames:v", "1", "-f", "null", "-"]);
    }
    let done = command.stdin(Stdio::null()).output().expect(program);
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    String::from_utf8(done.stdout).expect("text")
}

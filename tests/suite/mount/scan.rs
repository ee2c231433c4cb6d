//! Programs that look at every file and read little of each: media servers, thumbnailers, indexers. What is fetched
//! stays near what they read. Bounds are bytes and requests, never time.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::common::fault::FaultNode;
use crate::common::mount::{Mount, xattr};
use crate::common::run::{self, run, tool};
use crate::common::{archives, made, tree};

const FILMS: usize = 24;

/// How many programs look at once.
const AT_ONCE: usize = 8;

/// A film of 6 MB with its index at the end, as most cameras and tools write it.
fn film() -> Vec<u8> {
    let made = made::once("film", "film-2", |dir| {
        let picture = "testsrc2=size=640x360:rate=15:duration=2,noise=alls=60:allf=t";
        let mut ffmpeg = tool("ffmpeg");
        ffmpeg
            .current_dir(dir)
            .args(["-v", "error", "-f", "lavfi", "-i", picture])
            .args(["-f", "lavfi", "-i", "sine=frequency=440:duration=2"])
            .args([
                "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p", "-c:a", "aac",
            ])
            .arg("film.mov");
        run(&mut ffmpeg).ok("ffmpeg");
    });
    fs::read(made.join("film.mov")).expect("the film")
}

/// An archive of films with these names, on a server that counts.
fn served(names: &[String]) -> (FaultNode, u64) {
    let (folder, out) = (tree::temp(), tree::temp());
    let film = film();
    for name in names {
        tree::write(folder.path(), name, &film);
    }
    let file = out.path().join("films.zip");
    archives::zipfile(folder.path(), &file);
    let archive = fs::read(file).expect("the archive");
    let size = archive.len() as u64;
    (FaultNode::start(archive), size)
}

/// How many bytes ffprobe read of a file, by its own account.
fn ffprobe(film: &Path) -> u64 {
    let mut ffprobe = tool("ffprobe");
    ffprobe.args(["-v", "verbose", "-show_format", "-show_streams"]);
    let said = run(ffprobe.arg(film)).ok("ffprobe");
    assert!(said.stdout.contains("codec_name=mjpeg"), "{film:?}");
    let line = said.stderr.lines().find(|line| line.contains("bytes read"));
    let line = line.expect("ffprobe tells what it read");
    let words: Vec<_> = line.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| *word == "bytes")
        .expect("it is there");
    words[at - 1].parse().expect("a number")
}

/// 64 KiB at the start and at the end.
fn head_and_tail(film: &Path) -> u64 {
    let file = File::open(film).expect("it opens");
    let size = file.metadata().expect("its size").len();
    let mut buffer = vec![0; 64 << 10];
    file.read_exact_at(&mut buffer, 0).expect("the start");
    file.read_exact_at(&mut buffer, size - (64 << 10))
        .expect("the end");
    2 * (64 << 10)
}

/// Files of a film library, or of a series, which is read ahead across files.
fn names(pattern: &str) -> Vec<String> {
    let name = |n: usize| {
        let letter = char::from(b'A' + n as u8).to_string();
        let number = format!("{:02}", n + 1);
        pattern
            .replace("LETTER", &letter)
            .replace("NUMBER", &number)
    };
    (0..FILMS).map(name).collect()
}

/// What came of a look at every film.
#[derive(Debug)]
struct Looked {
    /// Bytes that the programs read, by their own account.
    read: u64,
    /// What the server sent. What was on its way when a seek cancelled it counts, too.
    fetched: u64,
    /// What the mount received.
    received: u64,
    requests: u64,
    archive: u64,
}

fn look_at_all(pattern: &str, options: &[&str], look: fn(&Path) -> u64) -> Looked {
    let names = names(pattern);
    let (node, archive) = served(&names);
    let mount = Mount::with(node.url(), options);
    let read = AtomicU64::new(0);
    run::each(names, AT_ONCE, |name| {
        read.fetch_add(look(&mount.join(name)), SeqCst);
    });
    let status = xattr(mount.path(), "status").expect("an attribute");
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    mount.end();
    Looked {
        read: read.into_inner(),
        received: status["bytes_fetched"].as_u64().expect("a number"),
        fetched: node.sent(),
        requests: node.requests(),
        archive,
    }
}

const PATTERNS: [&str; 2] = ["LETTER.mov", "Show S01ENUMBER.mov"];

/// A media server's look at 24 films read 6 MB and made the mount fetch 115, because each first sequential read
/// began a read-ahead of megabytes.
#[test]
fn without_read_ahead_ffprobe_costs_little_more_than_it_reads() {
    for pattern in PATTERNS {
        let looked = look_at_all(pattern, &["--read-ahead", "0"], ffprobe);
        // The kernel reads 128 KiB at a time.
        assert!(
            looked.fetched < 5 * looked.read / 2,
            "{pattern}: {looked:?}"
        );
        assert!(looked.requests < 6 * FILMS as u64, "{pattern}: {looked:?}");
    }
}

#[test]
fn without_read_ahead_the_ends_of_files_cost_little_more_than_they_have() {
    for pattern in PATTERNS {
        let looked = look_at_all(pattern, &["-o", "read_ahead=0"], head_and_tail);
        assert!(looked.fetched < 2 * looked.read, "{pattern}: {looked:?}");
        assert!(looked.requests < 3 * FILMS as u64, "{pattern}: {looked:?}");
    }
}

#[test]
fn a_bounded_read_ahead_costs_less_than_half_of_the_films() {
    for pattern in PATTERNS {
        let looked = look_at_all(pattern, &["--read-ahead", "512K"], ffprobe);
        assert!(looked.fetched < looked.archive / 2, "{pattern}: {looked:?}");
    }
}

#[test]
fn with_read_ahead_no_byte_is_fetched_twice() {
    for pattern in PATTERNS {
        let looked = look_at_all(pattern, &[], ffprobe);
        assert!(
            looked.received < looked.archive + (1 << 20),
            "{pattern}: {looked:?}"
        );
        // What is on its way when a seek cancels it may have to come again.
        assert!(
            looked.fetched < looked.archive + looked.archive / 32,
            "{pattern}: {looked:?}"
        );
    }
}

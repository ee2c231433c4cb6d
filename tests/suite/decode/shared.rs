//! Many archives with compressed entries share memory and threads.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use aiozfs::decode::Decoding;
use aiozfs::reader::SharedMemory;
use aiozfs::volume::{self, Location, Volume};
use futures_util::future::join_all;

use super::entries::{deflated, item, options, plain, zip};
use super::hostile::zstd_with_window;
use crate::common::mount::Mount;
use crate::common::{run, tree};

const MIB: usize = 1 << 20;

/// Small files in each archive.
const SMALL: usize = 6;

/// An archive of a large file, whose decoder needs a window of 8 MiB, and small ones. Returns the large file, too.
fn archive(path: &Path) -> Vec<u8> {
    let (large, stored) = zstd_with_window(23);
    let mut items = vec![item("large", &large, stored).with(|item| item.method = 93)];
    items.extend((0..SMALL).map(|n| {
        let small = small(n);
        item(&format!("small{n}"), &small, deflated(&small, 1))
    }));
    fs::write(path, zip(items)).expect("a file");
    large
}

fn small(number: usize) -> Vec<u8> {
    plain(number as u64 + 7, MIB)
}

/// Each archive had a bound of its own for codecs, of at least 10 MiB, and small entries were not counted. So a library
/// passed its bound by as much as it had archives.
#[test]
fn decoders_of_many_archives_share_one_memory_bound() {
    const ARCHIVES: usize = 24;
    const MEMORY: u64 = 16;
    let dir = tree::temp();
    let path = dir.path().join("a.zip");
    let large = archive(&path);
    let adds: Vec<String> = (0..ARCHIVES)
        .map(|n| format!("--add=f{n}={}", path.display()))
        .collect();
    let mut args: Vec<&str> = adds.iter().map(String::as_str).collect();
    let memory = format!("--memory={MEMORY}M");
    args.push(&memory);
    let mount = Mount::library(&args);
    run::each((0..ARCHIVES).collect(), ARCHIVES, |n: usize| {
        let dir = mount.join(format!("f{n}"));
        let file = File::open(dir.join("large")).expect("it opens");
        let mut buffer = vec![0; MIB / 2];
        for at in [2, 5] {
            file.read_exact_at(&mut buffer, (at * MIB) as u64)
                .expect("bytes");
            assert!(buffer == large[at * MIB..][..MIB / 2], "f{n}");
        }
        let number = n % SMALL;
        let read = fs::read(dir.join(format!("small{number}"))).expect("a small file");
        assert!(read == small(number), "small file {number} of f{n}");
    });
    let peak = mount.peak_memory();
    let bound = (MEMORY << 20) + 64_000_000;
    assert!(peak <= bound, "{peak} of {bound} bytes");
    mount.assert_no_complaint();
}

/// Walks of many archives waited for memory on all threads that may block, and walks that held it waited for a thread.
#[tokio::test(flavor = "multi_thread")]
async fn memory_for_decoding_is_within_its_bound_and_is_given_back_by_archives_that_close() {
    const ARCHIVES: usize = 40;
    let dir = tree::temp();
    let path = dir.path().join("a.zip");
    let large = Arc::new(archive(&path));
    let decoding = Decoding::default();
    let mut options = options(256 << 10);
    options.reader.shared = Some(SharedMemory::new(16 << 20, u64::MAX));
    options.decoding = Some(decoding.clone());
    let location = Location::File(path);
    let opened = (0..ARCHIVES).map(|_| volume::open(&location, &options));
    let volumes: Vec<Arc<Volume>> = join_all(opened)
        .await
        .into_iter()
        .map(|volume| Arc::new(volume.expect("an archive")))
        .collect();
    // Half of the memory, where a codec of bzip2 and a small entry get what they need at least.
    let bound = decoding.bound();
    assert!((8 << 20..=16 << 20).contains(&bound), "{bound}");

    let (ended, most) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let watcher = thread::spawn({
        let (decoding, ended, most) = (decoding.clone(), ended.clone(), most.clone());
        move || {
            while !ended.load(SeqCst) {
                most.fetch_max(decoding.held(), SeqCst);
                thread::sleep(Duration::from_micros(200));
            }
        }
    });
    let reads = volumes
        .iter()
        .enumerate()
        .flat_map(|(n, volume)| (0..=SMALL).map(move |entry| (n, entry, volume.clone())));
    let reads = reads.map(|(n, entry, volume)| {
        let large = large.clone();
        tokio::spawn(async move {
            let id = volume.archive().index().id(entry).expect("an entry");
            let at = if entry == 0 { (1 + n % 7) * MIB } else { 0 };
            let range = at as u64..(at + MIB / 4) as u64;
            let read = volume.decoder().read(id, range).await.expect("bytes");
            let small = if entry == 0 {
                Vec::new()
            } else {
                small(entry - 1)
            };
            let whole = if entry == 0 { &*large } else { &small };
            assert!(read == whole[at..][..MIB / 4], "entry {entry} of {n}");
        })
    });
    for read in join_all(reads.collect::<Vec<_>>()).await {
        read.expect("no panic");
    }
    ended.store(true, SeqCst);
    watcher.join().expect("no panic");
    let most = most.load(SeqCst);
    assert!(most > bound / 2 && most <= bound, "{most} of {bound} bytes");
    for volume in &volumes {
        volume.close();
    }
    drop(volumes);
    let given_back = || decoding.held() == 0;
    for _ in 0..500 {
        if given_back() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(given_back(), "{} bytes are held", decoding.held());
}

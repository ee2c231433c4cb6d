//! The cache as a source: cached bytes are right, and no fault of a disk becomes an error of a read.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::common::disk::{Fault, FaultDisk};
use crate::common::kept::{Below, Kept, PATIENCE, blocks, files, folder, read, taken};
use crate::common::tree;
use aiozfs::cache::{Ask, Cache, Cached, Folder, Key};
use aiozfs::source::{Offline, Priority, Source};
use futures_util::StreamExt;

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_read_once_are_not_requested_again() {
    let blob = tree::bytes(1, 5_300_000);
    let (dir, below) = (tree::temp(), Below::new(&blob));
    let first = Kept::at(dir.path(), below.clone());
    // In pieces that touch, overlap and leave gaps, so that blocks are put together.
    let read = [
        0..70_000,
        70_000..1_500_000,
        1_400_000..1_700_000,
        3_000_000..3_000_001,
        4_000_000..blob.len() as u64,
    ];
    for range in &read {
        first.expect(&blob, range.clone()).await;
    }
    first.settle();
    assert!(below.asked() > 0);

    let second = Kept::at(dir.path(), below.clone());
    for range in &read {
        second.expect(&blob, range.clone()).await;
    }
    assert_eq!(below.asked(), 0, "all of it was kept, its size as well");
    // What was not read comes from below, and only that.
    second.expect(&blob, 0..blob.len() as u64).await;
    let missing = (4_000_000 - 1_700_000) - 1;
    let asked = below.asked();
    assert!(
        asked >= missing && asked <= missing + 65_536,
        "{asked} of {missing}"
    );
    second.settle();
    let third = Kept::at(dir.path(), Arc::new(Offline));
    third.expect(&blob, 0..blob.len() as u64).await;
}

/// To look for each block took an `open` that failed, on another thread, before a server was asked:
/// 1,800 of them in a read of 256 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_block_is_looked_up_once() {
    let blob = tree::bytes(8, 30 * MIB as usize);
    // What is known is known for a second, and pieces of blocks are written after that.
    for _ in 0..20 {
        let dir = tree::temp();
        let disk = Arc::new(FaultDisk::good(Folder::open(dir.path()).expect("a cache")));
        let kept = Kept::on(disk.clone(), 1 << 30, Below::new(&blob));
        kept.source.open(0).await.expect("open");
        kept.settle();
        let (start, before) = (Instant::now(), disk.operations());
        for at in (0..30 * MIB).step_by(MIB as usize) {
            kept.expect(&blob, at..at + 5).await;
        }
        let operations = disk.operations() - before;
        if start.elapsed() < Duration::from_secs(1) {
            assert!(operations < 10, "{operations} operations");
            return;
        }
    }
    panic!("never within a second");
}

/// A mount that has seen that nothing is there sees what another one keeps, a moment later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_of_another_mount_are_found() {
    let blob = tree::bytes(9, 5 * MIB as usize);
    let (dir, below) = (tree::temp(), Below::new(&blob));
    let early = Kept::at(dir.path(), below.clone());
    early.expect(&blob, 4 * MIB..5 * MIB).await;
    early.settle();
    below.asked();
    early.expect(&blob, 4 * MIB..5 * MIB).await;
    assert_eq!(below.asked(), 0, "what it keeps itself it finds at once");
    let other = Kept::at(dir.path(), below.clone());
    other.expect(&blob, 0..4 * MIB).await;
    other.settle();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    below.asked();
    early.expect(&blob, 0..4 * MIB).await;
    assert_eq!(below.asked(), 0, "it was kept");
}

/// A bit that turns on the disk: wherever it is, the block is a miss, and written anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_block_is_a_miss_and_is_removed() {
    let blob = tree::bytes(2, MIB as usize);
    let (dir, below) = (tree::temp(), Below::new(&blob));
    let kept = Kept::at(dir.path(), below.clone());
    kept.expect(&blob, 0..MIB).await;
    kept.settle();
    let block = blocks(dir.path()).pop().expect("a block");
    let good = fs::read(&block).expect("the block");
    let places = [0, 8, 40, 50, 64, 600, 4095, 4096, 70_000, good.len() - 1];
    for at in places {
        let file = File::options().write(true).open(&block).expect("the block");
        file.write_all_at(&[good[at] ^ 0x10], at as u64)
            .expect("damaged");
        below.asked();
        kept.expect(&blob, 0..MIB).await;
        assert!(below.asked() > 0, "byte {at} was not missed");
        kept.settle();
        assert_eq!(fs::read(&block).ok().as_ref(), Some(&good), "byte {at}");
    }
    for len in [0, 100, 4096, 500_000] {
        let file = File::options().write(true).open(&block).expect("the block");
        file.set_len(len).expect("cut");
        kept.expect(&blob, 0..MIB).await;
        assert!(below.asked() > 0, "cut at {len}");
        kept.settle();
    }
    // A block in the place of another is none.
    fs::rename(&block, block.with_file_name("1")).expect("renamed");
    let double = [blob.clone(), tree::bytes(3, MIB as usize)].concat();
    let other = tree::temp();
    let both = Kept::at(other.path(), Below::new(&double));
    both.expect(&double, 0..2 * MIB).await;
    both.settle();
    let mut pair = blocks(other.path());
    pair.sort();
    fs::copy(&pair[0], &pair[1]).expect("copied");
    both.expect(&double, 0..2 * MIB).await;
}

/// Bytes that the verifier rejected are dropped, and not stored again in this mount.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_bytes_are_dropped() {
    let good = tree::bytes(4, 3 * MIB as usize);
    let mut bad = good.clone();
    bad[1_500_000] ^= 1;
    let dir = tree::temp();
    let lied = Kept::at(dir.path(), Below::new(&bad));
    lied.expect(&bad, 0..3 * MIB).await;
    lied.settle();
    let below = Below::new(&good);
    let kept = Kept::at(dir.path(), below.clone());
    kept.source.open(0).await.expect("open");
    let mut stream = kept.source.read(MIB..2 * MIB, Priority::Demand);
    let chunk = stream.next().await.expect("a chunk").expect("bytes");
    kept.source.reject(&chunk.origin, 1_500_000..1_500_001);
    kept.expect(&good, 0..3 * MIB).await;
    assert!(below.asked() > 0);
    kept.settle();
    Kept::at(dir.path(), below).expect(&good, 0..3 * MIB).await;
}

/// What a mount does: reads in pieces, ends, and comes again.
async fn some_mounts(disk: &Arc<FaultDisk>, blob: &[u8], size: u64) {
    let len = blob.len() as u64;
    for _ in 0..2 {
        let kept = Kept::on(disk.clone(), size, Below::new(blob));
        for range in [0..100_000, MIB - 5..MIB + 5, 7..len] {
            kept.expect(blob, range).await;
        }
        kept.settle();
    }
}

/// Each kind of fault at each step: never a wrong byte, never an error, and what is left behind is
/// a cache. `stride`: from one step to the next.
async fn faults_at_every_step(size: u64, stride: usize) {
    let blob: Arc<[u8]> = tree::bytes(5, MIB as usize + 200_000).into();
    let dir = tree::temp();
    let disk = Arc::new(FaultDisk::good(Folder::open(dir.path()).expect("a cache")));
    some_mounts(&disk, &blob, size).await;
    let steps = disk.operations();
    assert!(steps > 50, "{steps}");
    let each = Fault::ALL.map(|fault| {
        let blob = blob.clone();
        tokio::spawn(async move {
            // Errors that go on differ in little but their words.
            let stride = match fault {
                Fault::Errno(_) => stride * 5,
                _ => stride,
            };
            for at in (0..steps).step_by(stride) {
                fault_at(fault, at, &blob, size).await;
            }
        })
    });
    for done in each {
        done.await.expect("no fault is an error");
    }
}

async fn fault_at(fault: Fault, at: u64, blob: &[u8], size: u64) {
    let dir = tree::temp();
    let len = blob.len() as u64;
    let open = || Folder::open(dir.path()).expect("a cache");
    let disk = Arc::new(FaultDisk::bad(open(), fault, at));
    some_mounts(&disk, blob, size).await;
    // Only what is there: right, or not there.
    let alone = Kept::on(Arc::new(open()), size, Arc::new(Offline));
    for start in (0..len).step_by(300_000) {
        let range = start..(start + 300_000).min(len);
        if let Ok(got) = alone.read(range.clone()).await {
            let want = &blob[range.start as usize..range.end as usize];
            assert_eq!(tree::differs(want, &got), None, "{fault:?} at {at}");
        }
    }
    // And it can be used again.
    let below = Below::new(blob);
    let again = Kept::on(Arc::new(open()), size, below.clone());
    again.expect(blob, 0..len).await;
    again.settle();
    if size > 10 * MIB {
        below.asked();
        again.expect(blob, 0..len).await;
        assert_eq!(below.asked(), 0, "{fault:?} at {at}: it is not kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_a_disk_is_an_error() {
    faults_at_every_step(1 << 30, 1).await;
}

/// The same where something has to go for whatever comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_a_full_cache_is_an_error() {
    faults_at_every_step(1_100_000, 3).await;
}

/// Writing is behind, within a bound, and what a slow disk cannot take is dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_delays_no_read() {
    let blob = tree::bytes(6, 64 * MIB as usize);
    let (dir, below) = (tree::temp(), Below::new(&blob));
    let disk = Arc::new(FaultDisk::good(Folder::open(dir.path()).expect("a cache")));
    let kept = Kept::on(disk.clone(), 1 << 30, below.clone());
    kept.source.open(0).await.expect("open");
    disk.slow_down(Duration::from_millis(200));
    let start = Instant::now();
    kept.expect(&blob, 0..64 * MIB).await;
    // To write a block takes six operations: half of them, which find no room to wait, would take 38 s.
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    disk.slow_down(Duration::ZERO);
    kept.settle();
    let kept_blocks = blocks(dir.path()).len();
    assert!((1..60).contains(&kept_blocks), "{kept_blocks} blocks");
}

/// A disk that does not answer at all is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_disk_delays_no_read() {
    let blob = tree::bytes(7, 8 * MIB as usize);
    let dir = tree::temp();
    let disk = Arc::new(FaultDisk::good(Folder::open(dir.path()).expect("a cache")));
    let kept = Kept::on(disk.clone(), 1 << 30, Below::new(&blob));
    kept.expect(&blob, 0..8 * MIB).await;
    kept.settle();
    disk.slow_down(Duration::from_secs(8));
    let start = Instant::now();
    for start in 0..8 {
        kept.expect(&blob, start * MIB..(start + 1) * MIB).await;
    }
    assert!(
        start.elapsed() < Duration::from_secs(7),
        "one wait, not eight"
    );
    disk.slow_down(Duration::ZERO);
}

/// Pretends that all blocks were written and used this long ago.
fn age(dir: &Path, by: Duration) {
    let then = SystemTime::now() - by;
    for path in blocks(dir) {
        let file = File::options().write(true).open(path).expect("a block");
        let times = fs::FileTimes::new().set_accessed(then).set_modified(then);
        file.set_times(times).expect("times");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_size_limit_holds_and_frequent_blocks_survive_a_copy_of_everything() {
    const SIZE: u64 = 40 * MIB;
    let blob = tree::bytes(8, 160 * MIB as usize);
    let (dir, below) = (tree::temp(), Below::new(&blob));
    let mount = || Kept::on(folder(dir.path()), SIZE, below.clone());
    let often = 0..12 * MIB;
    let first = mount();
    first.expect(&blob, often.clone()).await;
    first.settle();
    age(dir.path(), Duration::from_secs(7200));
    // The next day it is read again,
    let second = mount();
    second.expect(&blob, often.clone()).await;
    // and then all of it, by two at once.
    let third = mount();
    let len = blob.len() as u64;
    for start in (0..len).step_by(4 * MIB as usize) {
        let range = start..(start + 4 * MIB).min(len);
        tokio::join!(
            second.expect(&blob, range.clone()),
            third.expect(&blob, len - range.end..len - range.start)
        );
        let taken = taken(dir.path());
        assert!(taken <= SIZE + SIZE / 20, "{taken} of {SIZE}");
    }
    second.settle();
    third.settle();
    let taken = taken(dir.path());
    assert!(taken <= SIZE && taken > SIZE / 2, "{taken} of {SIZE}");
    below.asked();
    mount().expect(&blob, often).await;
    assert_eq!(below.asked(), 0, "what is read often is still there");
}

/// The number that processes keep together may be lost or wrong: all is counted anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_size_count_is_counted_again() {
    const SIZE: u64 = 20 * MIB;
    let blob = tree::bytes(9, 18 * MIB as usize);
    let dir = tree::temp();
    for lost in [
        None,
        Some(&b""[..]),
        Some(&b"nonsense nonsense nonsense"[..]),
    ] {
        let below = Below::new(&blob);
        let kept = Kept::on(folder(dir.path()), SIZE, below);
        kept.expect(&blob, 0..18 * MIB).await;
        kept.settle();
        let usage = dir.path().join("v1/usage");
        match lost {
            None => fs::remove_file(usage).expect("it is there"),
            Some(bytes) => fs::write(usage, bytes).expect("damaged"),
        }
        let other = tree::bytes(10, 18 * MIB as usize);
        let cache = Cache::new(folder(dir.path()), SIZE);
        let key = Key::id("another", &[]);
        let source = Cached::new(Below::new(&other), &cache, key, Ask::Always);
        source.open(0).await.expect("open");
        let got = read(&source, 0..18 * MIB).await.expect("bytes");
        assert_eq!(tree::differs(&other, &got), None);
        cache.settle(PATIENCE);
        let taken = taken(dir.path());
        assert!(taken <= SIZE + SIZE / 20, "{taken} of {SIZE}");
    }
}

/// A directory that others may write to: they can put nothing in ours, and see nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_is_private_and_follows_no_links() {
    let (dir, elsewhere) = (tree::temp(), tree::temp());
    let at = dir.path().join("made/on/the/way");
    let blob = tree::bytes(11, 100_000);
    let kept = Kept::at(&at, Below::new(&blob));
    kept.expect(&blob, 0..100_000).await;
    kept.settle();
    for path in [at.clone(), at.join("v1"), at.join("v1/blobs")] {
        let mode = fs::metadata(&path).expect("a directory").mode();
        assert_eq!(mode & 0o777, 0o700, "{}", path.display());
    }
    for path in files(&at) {
        let mode = fs::metadata(&path).expect("a file").mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let refused = |make: &dyn Fn(&Path)| {
        let dir = tree::temp();
        make(dir.path());
        Folder::open(dir.path()).err().map(|e| e.to_string())
    };
    let link = refused(&|dir| symlink(elsewhere.path(), dir.join("v1")).expect("a link"));
    assert!(link.is_some_and(|e| e.contains("v1 is not a directory; run: rm '")));
    // A block that is a link is none.
    let block = blocks(&at).pop().expect("a block");
    let target = elsewhere.path().join("target");
    fs::rename(&block, &target).expect("moved");
    symlink(&target, &block).expect("a link");
    let below = Below::new(&blob);
    let kept = Kept::at(&at, below.clone());
    kept.expect(&blob, 0..100_000).await;
    assert!(below.asked() > 0);
    kept.settle();
    assert!(target.exists(), "what it led to is as it was");
}

#[test]
fn another_format_is_discarded() {
    let dir = tree::temp();
    for name in ["v0", "v12", "vx", "cids"] {
        tree::write(dir.path(), &format!("{name}/deep/file"), b"old");
    }
    Folder::open(dir.path()).expect("a cache");
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["cids", "v1", "vx"]);
}

/// After a `chmod -R g+rX` of a home directory, the cache was refused with "others may look into its
/// directory of this format", and nothing was kept any more.
#[tokio::test]
async fn a_directory_readable_by_others_is_made_private_again() {
    let (dir, blob) = (tree::temp(), tree::bytes(12, 3_000_000));
    let kept = Kept::at(dir.path(), Below::new(&blob));
    kept.expect(&blob, 0..3_000_000).await;
    kept.settle();
    let root = dir.path().join("v1");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    for open in [0o750, 0o755, 0o770, 0o711] {
        set(&root, open);
        let below = Below::new(&blob);
        let kept = Kept::at(dir.path(), below.clone());
        assert_eq!(mode(&root), 0o700);
        kept.expect(&blob, 0..3_000_000).await;
        assert_eq!(below.asked(), 0, "all of it is still kept: {open:o}");
        kept.settle();
    }
    // What others could write is not believed: a forged block would pass its checksum.
    let forged = blocks(dir.path()).pop().expect("a block");
    for path in forged
        .ancestors()
        .skip(1)
        .take_while(|path| path.starts_with(&root))
    {
        set(path, 0o770);
    }
    set(&forged, 0o660);
    let below = Below::new(&blob);
    let kept = Kept::at(dir.path(), below.clone());
    assert!(!forged.exists());
    kept.expect(&blob, 0..3_000_000).await;
    let asked = below.asked();
    assert!(
        asked > 0 && asked < 3_000_000,
        "the others are still kept: {asked}"
    );
    kept.settle();
    for path in forged
        .ancestors()
        .skip(1)
        .take_while(|path| path.starts_with(&root))
    {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
}

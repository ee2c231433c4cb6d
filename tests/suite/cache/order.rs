//! The order in which a sequential read of cached blocks reaches the disk.

use std::sync::Arc;
use std::time::Duration;

use crate::common::disk::FaultDisk;
use crate::common::tree;
use aiozfs::cache::{Ask, Cache, Cached, Folder, Key};
use aiozfs::content::Cid;
use aiozfs::reader::{BlobReader, ReaderOptions};
use aiozfs::source::{Memory, Source};

const MIB: u64 = 1 << 20;

/// Parts of read-ahead ended anywhere, so that a block lay in two or three of them; each opened its
/// file, read its head and then its bytes, and proved the page that they shared. Half of the time of a
/// read after a remount went by with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_block_is_opened_and_read_once() {
    const BLOCKS: u64 = 40;
    let blob = tree::bytes(11, BLOCKS as usize * MIB as usize);
    let dir = tree::temp();
    let disk = Arc::new(FaultDisk::good(Folder::open(dir.path()).expect("a cache")));
    let cid: Cid = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
        .parse()
        .expect("a CID");
    let mount = || {
        let cache = Cache::new(disk.clone(), 1 << 30);
        let below = Arc::new(Memory::new("memory", blob.clone()));
        let source = Cached::new(below, &cache, Key::believed(&cid), Ask::Always);
        (cache, Arc::new(source) as Arc<dyn Source>)
    };
    // As a file lies behind its header, and as the kernel reads it.
    let reads = (0..BLOCKS).map(|n| n * MIB + 40..((n + 1) * MIB + 40).min(BLOCKS * MIB));
    let read_all = async |source: Arc<dyn Source>| {
        let reader = BlobReader::open(source, 0, ReaderOptions::default());
        let reader = reader.await.expect("a reader");
        for range in reads.clone() {
            let got = reader
                .read(range.clone(), BLOCKS * MIB)
                .await
                .expect("bytes");
            let want = &blob[range.start as usize..range.end as usize];
            assert_eq!(tree::differs(want, &got), None, "{range:?}");
        }
    };

    // So that all is written, bytes are not dropped: half of what may wait, and then a pause.
    let (cache, source) = mount();
    source.open(0).await.expect("opened");
    for start in (0..BLOCKS).step_by(8) {
        let range = start * MIB..(start + 8) * MIB;
        let mut stream = source.read(range, aiozfs::source::Priority::Demand);
        while let Some(chunk) = futures_util::StreamExt::next(&mut stream).await {
            chunk.expect("a chunk");
        }
        cache.settle(Duration::from_secs(20));
    }

    let (_cache, source) = mount();
    let before = disk.operations();
    read_all(source).await;
    let operations = disk.operations() - before;
    // To open it, to read it, to look when it was used last; some more at the beginning.
    assert!(operations < 3 * BLOCKS + 24, "{operations} operations");
}

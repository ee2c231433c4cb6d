//! Faults of one decoder of an entry while others go through it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use aiozfs::decode::{Decoder, Decoding};

use super::entries::{deflated, item, zip};
use super::gated::{Gated, MIB, Stored, decoder, id, position, until};

/// Bytes in a block of decoded bytes.
const BLOCK: u64 = 128 << 10;

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

/// A decoder went on for one reader, and failed because a server did not give its bytes. The read of another reader, far
/// ahead, failed too, although another decoder was on its way to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_byte_fails_only_reads_that_no_other_decoder_serves() {
    const BLOCKS: u64 = 136;
    let content = noise(1, (BLOCKS * BLOCK) as usize);
    let stored = deflated(&content, 1);
    // Noise does not get shorter.
    assert!(stored.len() >= content.len());
    let blob = zip(vec![item("f", &content, stored.clone())]);
    let start = position(&blob, &stored[..100]);
    let of_block = |block: u64| start + block * BLOCK..start + (block + 1) * BLOCK;
    let source = Gated::new(blob);
    let decoding = Decoding::default();
    let decoder = decoder(source.clone(), Stored::default(), 16 * MIB, &decoding).await;
    let f = id(&decoder, 0);
    let range_of = |block: u64| block * BLOCK..block * BLOCK + 1000;
    let spawn = |block: u64| {
        let (decoder, range) = (decoder.clone(), range_of(block));
        tokio::spawn(async move { decoder.read(f, range).await })
    };
    let at_the_gate = || source.waiting.load(SeqCst) > 0;
    let right = |block: u64| &content[range_of(block).start as usize..][..1000];

    // A decoder is on its way to block 130, and rests at the gate, because its reader has gone.
    assert!(decoder.read(f, range_of(0)).await.expect("bytes") == right(0));
    source.gate(of_block(8));
    let gone = spawn(130);
    until("a read at the gate", at_the_gate).await;
    gone.abort();
    assert!(gone.await.is_err_and(|e| e.is_cancelled()));
    source.open_gate();
    let passed = decoder.pass(f, Arc::new(|_| ())).await;
    passed.expect("its checkpoints are made");

    // Another one is on its way to block 100, from a checkpoint.
    let walks = decoder.work().walks.load(SeqCst);
    source.gate(of_block(100));
    let other = spawn(100);
    until("a read at the gate", at_the_gate).await;
    assert_eq!(decoder.work().walks.load(SeqCst), walks + 1);
    // The first one goes on.
    source.set_missing(of_block(25));
    let read = decoder.read(f, range_of(30)).await;
    read.expect_err("a byte is missing");
    assert_eq!(decoder.work().walks.load(SeqCst), walks + 1);
    source.open_gate();
    let other = other.await.expect("no panic");
    assert!(other.expect("its decoder has its bytes") == right(100));
    decoder.close();
}

/// Frames of Zstandard with checksums. Returns the content as well.
fn frames(count: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let content = noise(2, count * FRAME);
    let mut encoder = zstd::bulk::Compressor::new(1).expect("memory");
    encoder.include_checksum(true).expect("a valid option");
    let frames = content.chunks(FRAME);
    let frames = frames.map(|frame| encoder.compress(frame).expect("memory"));
    let frames = frames.collect();
    (content, frames)
}

const FRAME: usize = 100_000;

async fn read_all(decoder: &Decoder, number: usize, range: Range<u64>) -> Vec<u8> {
    let mut all = Vec::new();
    for start in range.clone().step_by(BLOCK as usize) {
        let end = range.end.min(start + BLOCK);
        let read = decoder.read(id(decoder, number), start..end).await;
        all.extend(read.expect("the data is fetched again"));
    }
    all
}

/// Data that was wrong was fetched again and right then. Wrong data at a later place was not fetched again: reads of it
/// failed.
#[tokio::test(flavor = "multi_thread")]
async fn each_fault_that_is_mended_leaves_the_next_one_another_try() {
    let (content, frames) = frames(60);
    let blob = zip(vec![
        item("f", &content, frames.concat()).with(|item| item.method = 93),
    ]);
    // Frames that end within a block, so that the fault is found before the block is given out.
    let wrong = [11, 31, 51].map(|n| position(&blob, &frames[n][FRAME - 100..]) + 50);
    let source = Gated::new(blob);
    source.set_wrong_once(&wrong);
    let decoding = Decoding::default();
    let decoder = decoder(source, Stored::default(), 16 * MIB, &decoding).await;
    let reports = Arc::new(AtomicUsize::new(0));
    decoder.on_wrong({
        let reports = reports.clone();
        Arc::new(move |_| {
            reports.fetch_add(1, SeqCst);
        })
    });
    let read = read_all(&decoder, 0, 0..content.len() as u64).await;
    assert!(read == content);
    // What was given out before a fault was found may have been wrong, too.
    until("three reports", || reports.load(SeqCst) == 3).await;
    decoder.close();
}

/// Small entries held memory while they waited for threads of their archive, which waited for a silent server. Small
/// entries of other archives got no memory meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn small_entries_that_wait_for_threads_leave_memory_to_other_archives() {
    // The number of threads that begin decoders of an archive.
    const THREADS: usize = 16;
    const SMALL: usize = 900_000;
    let zeros = vec![0; 2 << 20];
    let of_zeros = deflated(&zeros, 1);
    let small = noise(3, SMALL);
    let of_small = deflated(&small, 1);
    let large = (0..THREADS).map(|n| {
        let large = item(&format!("{n}"), &zeros, of_zeros.clone());
        // What lies between is not fetched together with the data.
        large.with(|item| item.behind = vec![0; 200_000])
    });
    let mut items: Vec<_> = large.collect();
    let smalls = ["a", "b"].map(|name| item(name, &small, of_small.clone()));
    items.extend(smalls);
    let blob = zip(items);
    let first = position(&blob, &of_small[..100]);
    let silent = Gated::new(blob);
    let other = Gated::new(zip(vec![item("c", &small, of_small)]));
    let decoding = Decoding::default();
    let [silent_one, other_one] = [&silent, &other]
        .map(|source| decoder(source.clone(), Stored::default(), 64 * MIB, &decoding));
    let (silent_one, other_one) = (silent_one.await, other_one.await);
    silent.gate(0..first - 100_000);
    let spawn = |number: usize| {
        let (decoder, id) = (silent_one.clone(), id(&silent_one, number));
        tokio::spawn(async move { decoder.read(id, 0..1000).await })
    };
    let larges: Vec<_> = (0..THREADS).map(spawn).collect();
    let walks = || silent_one.work().walks.load(SeqCst);
    until("decoders that wait", || walks() == THREADS as u64).await;
    let smalls = [spawn(THREADS), spawn(THREADS + 1)];
    // Their bytes come, and they wait for a thread.
    tokio::time::sleep(Duration::from_millis(300)).await;

    let read = other_one.read(id(&other_one, 0), 0..1000);
    let read = tokio::time::timeout(Duration::from_secs(5), read).await;
    let read = read.expect("there is memory").expect("bytes");
    assert!(read == small[..1000]);

    silent.open_gate();
    for read in larges {
        assert!(read.await.expect("no panic").expect("zeros") == [0; 1000]);
    }
    for read in smalls {
        assert!(read.await.expect("no panic").expect("bytes") == small[..1000]);
    }
    silent_one.close();
    other_one.close();
}

//! Decoders whose readers have gone, and decoders and checkpoints of data that was found to be wrong.

use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use aiozfs::archive::EntryId;
use aiozfs::decode::{Decoder, Decoding};

use super::entries::{deflated, item, plain, zip};
use super::gated::{Gated, MIB, Stored, decoder, id, position, until};
use crate::common::zips::Item;

/// A read was cancelled while its decoder waited for bytes. When they came, the decoder was scheduled again and again for
/// the block that nobody wanted any more. It never rested for long enough that others could get its memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_whose_reader_has_gone_leaves_its_memory_to_others() {
    let noise = plain(1, 8 << 20);
    let content = [&noise[..], &noise[..1 << 20]].concat();
    let mut encoder = zstd::bulk::Compressor::new(1).expect("memory");
    let window = zstd::zstd_safe::CParameter::WindowLog(23);
    encoder.set_parameter(window).expect("a valid window");
    let stored = encoder.compress(&content).expect("memory");
    let one = |name: &str| item(name, &content, stored.clone()).with(|item| item.method = 93);
    let blob = zip(vec![one("a"), one("b")]);
    let middle = position(&blob, &stored[..100]) + stored.len() as u64 / 2;
    let source = Gated::new(blob);
    source.gate(middle..middle + 1);
    let decoder = decoder(
        source.clone(),
        Stored::default(),
        16 * MIB,
        &Decoding::default(),
    )
    .await;
    let [a, b] = [0, 1].map(|number| id(&decoder, number));

    let end = content.len() as u64 - 1000;
    let read = tokio::spawn({
        let decoder = decoder.clone();
        async move { decoder.read(a, end..end + 1000).await }
    });
    until("a read at the gate", || source.waiting.load(SeqCst) > 0).await;
    read.abort();
    assert!(read.await.is_err_and(|e| e.is_cancelled()));
    source.open_gate();

    let read = decoder.read(b, end..end + 1000).await;
    assert!(read.expect("its decoder gets the memory") == content[end as usize..]);
    assert_eq!(decoder.work().walks.load(SeqCst), 2);
    decoder.close();
}

/// Noise that comes again and again, so that a wrong byte in it does, too. Deflate stores it as it is at first, so that
/// no decoder notices. Returns the content, and what it is compressed to.
fn echo(len: usize) -> (Vec<u8>, Vec<u8>) {
    const NOISE: usize = 20_000;
    let mut random = fastrand::Rng::with_seed(6);
    let mut noise = || random.u8(..);
    let first: Vec<u8> = std::iter::repeat_with(&mut noise).take(NOISE).collect();
    let mut plain = first.clone();
    while plain.len() < len {
        plain.extend_from_slice(&first);
        plain.extend(std::iter::repeat_with(&mut noise).take(NOISE / 4));
    }
    plain.truncate(len);
    let mut compress = flate2::Compress::new(flate2::Compression::new(6), false);
    let mut stored = Vec::with_capacity(len);
    for (part, flush) in [
        (&plain[..NOISE], flate2::FlushCompress::Sync),
        (&plain[NOISE..], flate2::FlushCompress::Finish),
    ] {
        let done = compress.compress_vec(part, &mut stored, flush);
        done.expect("memory");
    }
    assert_eq!(compress.total_in() as usize, len);
    (plain, stored)
}

/// Reads a range in steps, as the kernel does.
async fn read_all(decoder: &Decoder, id: EntryId, range: Range<u64>) -> Vec<u8> {
    let mut all = Vec::new();
    for start in range.clone().step_by(128 << 10) {
        let end = range.end.min(start + (128 << 10));
        all.extend(decoder.read(id, start..end).await.expect("bytes"));
    }
    all
}

/// Checkpoints are stored while an entry is decoded. If its data turned out to be wrong at its end, they stayed on disk,
/// and the next mount began at them.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_of_wrong_data_are_taken_back_from_the_store() {
    let (plain, stored) = echo(12 << 20);
    let blob = zip(vec![item("f", &plain, stored)]);
    let wrong = position(&blob, &plain[..100]) + 50;
    let source = Gated::new(blob);
    source.set_wrong(Some(wrong));
    let stored = Stored::default();
    let decoder = decoder(source, stored.clone(), 16 * MIB, &Decoding::default()).await;
    let id = id(&decoder, 0);
    read_all(&decoder, id, 0..11 * MIB).await;
    assert!(
        stored.counts().iter().any(|count| *count >= 16),
        "{:?}",
        stored.counts()
    );
    let end = plain.len() as u64;
    let read = decoder.read(id, end - 1000..end).await;
    read.expect_err("the byte is still wrong");
    assert_eq!(stored.counts().last(), Some(&0), "{:?}", stored.counts());
    decoder.close();
}

/// A read found a checkpoint, and its decoder was to begin there as soon as there was a thread for it. Meanwhile another
/// reader came to the end of the entry and found its data to be wrong. The decoder began nevertheless, and the read got
/// wrong bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_does_not_begin_at_a_checkpoint_that_was_found_to_be_wrong_meanwhile() {
    // The number of threads that begin decoders.
    const THREADS: usize = 16;
    let (content, stored) = echo(16 << 20);
    let zeros = vec![0; 2 << 20];
    let of_zeros = deflated(&zeros, 1);
    let mut items = vec![item("f", &content, stored)];
    let others = (0..THREADS).map(|n| {
        let other = item(&format!("{n}"), &zeros, of_zeros.clone());
        // What lies between is not fetched together with the data.
        other.with(|item: &mut Item| item.behind = vec![0; 200_000])
    });
    items.extend(others);
    let data_of_f = items[0].data.len() as u64;
    let blob = zip(items);
    let first = position(&blob, &content[..100]);
    let gate = first + data_of_f..blob.len() as u64 - 10_000;
    let source = Gated::new(blob);
    source.set_wrong(Some(first + 50));
    let stored = Stored::default();
    // Enough for all decoders.
    let decoder = decoder(
        source.clone(),
        stored.clone(),
        64 * MIB,
        &Decoding::default(),
    )
    .await;
    let f = id(&decoder, 0);
    read_all(&decoder, f, 0..61 * MIB / 4).await;
    source.set_wrong(None);
    source.gate(gate);

    let walks = || decoder.work().walks.load(SeqCst);
    let (before, mut others) = (walks(), Vec::new());
    for n in 0..THREADS {
        let (decoder, id) = (decoder.clone(), id(&decoder, n + 1));
        others.push(tokio::spawn(async move { decoder.read(id, 0..10).await }));
    }
    // Each keeps its thread: it waits for bytes at the gate.
    until("decoders that wait", || walks() == before + THREADS as u64).await;
    let spawn = |range: Range<u64>| {
        let decoder = decoder.clone();
        tokio::spawn(async move { decoder.read(f, range).await })
    };
    let at = 3 * MIB / 2;
    let read = spawn(at..at + 1000);
    // It looks up its checkpoint.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let last = spawn(16 * MIB - 1000..16 * MIB);
    until("the end of the entry", || {
        stored.counts().last() == Some(&0)
    })
    .await;
    source.open_gate();

    let (read, last) = (read.await.expect("no panic"), last.await.expect("no panic"));
    assert!(last.expect("its end") == content[(16 << 20) - 1000..]);
    let at = at as usize;
    assert!(
        read.expect("bytes") == content[at..at + 1000],
        "wrong bytes"
    );
    for other in others {
        assert!(other.await.expect("no panic").expect("zeros") == [0; 10]);
    }
    decoder.close();
}

//! What is read, and what is requested ahead of it.

use super::*;
use crate::reader::schedule::stream::Wanted;

const KB: u64 = 1024;
const GROWTH: Growth = Growth {
    max_window: 8 << 20,
    leap: 8,
};

/// Records a read that waits.
fn note(streams: &mut Streams, range: Range<u64>, limit: u64) -> Noted {
    streams.note(&range, limit, true, GROWTH, Instant::now())
}

/// Reads all of `file` in the kernel's steps.
fn read(streams: &mut Streams, file: &Range<u64>) -> StreamId {
    let steps = file.clone().step_by(128 << 10);
    let steps = steps.map(|at| note(streams, at..(at + 128 * KB).min(file.end), file.end));
    steps.last().expect("a file that is not empty").stream
}

fn expect(streams: &mut Streams, here: &Range<u64>, is_new: bool, next: &[Range<u64>]) {
    let found = streams.expect(here, is_new, next, GROWTH.max_window);
    assert!(found.is_some(), "a reader in {here:?}");
}

fn get(streams: &mut Streams, id: StreamId) -> &mut Stream {
    streams.get(id).expect("a stream that is followed")
}

/// All that a stream would request now.
fn requests(streams: &mut Streams, id: StreamId) -> Vec<Range<u64>> {
    let stream = get(streams, id);
    let requests = std::iter::from_fn(|| {
        let range = stream.next_request(512 * KB, 1)?.range;
        stream.set_requested(&range, range.end);
        Some(range)
    });
    requests.collect()
}

/// Requests are widened to verification units, and a file ends in the middle of one. In later extents
/// the stream did not record that, and requested the same range again and again.
#[test]
fn a_request_widened_beyond_its_extent_is_made_once() {
    let mut streams = Streams::default();
    let (first, second, third) = (10 << 20..11 << 20, 4 << 20..5 << 20, 30 << 20..31 << 20);
    let id = read(&mut streams, &first);
    let next = [second.clone(), third.clone()];
    expect(&mut streams, &first, true, &next);
    let stream = get(&mut streams, id);
    let mut made: Vec<Range<u64>> = Vec::new();
    while let Some(Wanted { range, .. }) = stream.next_request(512 * KB, 1) {
        stream.set_requested(&range, range.end + 300 * KB);
        made.push(range);
        assert!(made.len() < 10, "{made:?}");
    }
    assert_eq!(made.first().map(|r| r.start), Some(second.start));
    assert_eq!(made.last().map(|r| r.end), Some(third.end));
}

/// Files lie side by side, and a verification unit ends in the middle of one. What it brought of the
/// next file left memory before the stream led there, and was fetched again.
#[test]
fn bytes_beyond_the_extent_of_a_widened_request_are_held() {
    let mut streams = Streams::default();
    let (first, second, rest) = (0..200 * KB, 200 * KB..400 * KB, 400 * KB..2048 * KB);
    let (unit, one) = (1024 * KB, std::slice::from_ref);
    let id = read(&mut streams, &first);
    expect(&mut streams, &first, true, one(&second));
    let stream = get(&mut streams, id);
    let range = stream.next_request(512 * KB, 1).expect("a file").range;
    assert_eq!(range, second);
    stream.set_requested(&range, unit);
    assert!(stream.will_read(&(768 * KB..unit)));
    expect(&mut streams, &first, false, one(&rest));
    let stream = get(&mut streams, id);
    let range = stream.next_request(512 * KB, 1).expect("the rest").range;
    assert_eq!(range.start, unit);
    stream.set_requested(&range, 2 * unit);
    assert!(!stream.will_read(&(2 * unit..3 * unit)));
}

#[test]
fn one_read_starts_no_read_ahead() {
    let mut streams = Streams::default();
    let id = note(&mut streams, 0..128 * KB, 1 << 30).stream;
    assert!(requests(&mut streams, id).is_empty());
    let other = note(&mut streams, 500 << 20..(500 << 20) + 4096, 1 << 30);
    assert_ne!(other.stream, id);
}

/// Each first request had at least 256 KiB, also the fiftieth of a reader that jumped about: four
/// times the bytes, and an answer that came behind some of them.
#[test]
fn random_reads_request_only_their_bytes() {
    let mut streams = Streams::default();
    let (file, other) = (1 << 30, 2 << 30);
    let mut beyond = |at: u64, limit: u64| {
        let range = at..at + 64 * KB;
        let id = note(&mut streams, range.clone(), limit).stream;
        let demand = get(&mut streams, id).demand(&range, 512 * KB);
        demand.range.end - range.end
    };
    for n in 1..=JUMPS as u64 {
        assert_eq!(beyond((50 * n) << 20, file), 192 * KB);
    }
    assert_eq!(beyond(300 << 20, file), 0);
    // A reader of another file does not jump about,
    assert_eq!(beyond(other - (64 << 20), other), 192 * KB);
    // and one that goes on from where it has jumped to does not any more.
    assert!(beyond((300 << 20) + 64 * KB, file) >= 256 * KB);
    assert_eq!(beyond(500 << 20, file), 192 * KB);
}

#[test]
fn a_stream_reads_ahead_to_the_end_of_its_file() {
    let mut streams = Streams::default();
    let file = 0..3 << 20;
    read(&mut streams, &(0..512 * KB));
    let id = note(&mut streams, 512 * KB..640 * KB, file.end).stream;
    let made = requests(&mut streams, id);
    assert_eq!(made.first().map(|r| r.start), Some(640 * KB));
    assert_eq!(made.last().map(|r| r.end), Some(file.end));
    assert!(made.windows(2).all(|r| r[0].end == r[1].start));
}

#[test]
fn a_stream_continues_in_the_next_file_wherever_it_lies() {
    let mut streams = Streams::default();
    let (first, second, third) = (10 << 20..11 << 20, 4 << 20..5 << 20, 30 << 20..31 << 20);
    let id = read(&mut streams, &first);
    assert!(requests(&mut streams, id).is_empty());
    let next = [second.clone(), third.clone()];
    expect(&mut streams, &first, true, &next);
    let made = requests(&mut streams, id);
    assert_eq!(made.iter().map(|r| r.end - r.start).sum::<u64>(), 2 << 20);
    assert_eq!(made[0].start, second.start);
    let stream = get(&mut streams, id);
    assert!(stream.will_read(&second) && stream.will_read(&third) && !stream.will_read(&first));
    // The reader skips the second file. The stream goes on with the third, and has it all.
    let noted = note(&mut streams, third.start..third.start + 4096, third.end);
    assert_eq!(noted.stream, id);
    assert!(requests(&mut streams, id).is_empty());
    assert!(!get(&mut streams, id).will_read(&second));
}

/// A reader that goes from file to file had to show in every file that lay elsewhere that it goes
/// on, so its stream read ahead only a little at a time.
#[test]
fn a_stream_with_a_known_continuation_reads_ahead_at_once() {
    let mut streams = Streams::default();
    let first = 10 << 20..(10 << 20) + 200 * KB;
    let id = read(&mut streams, &first);
    let next: Vec<_> = (1..7).map(|n| n << 30..(n << 30) + 200 * KB).collect();
    expect(&mut streams, &first, true, &next);
    assert_eq!(requests(&mut streams, id), next);
    expect(&mut streams, &first, false, &[]);
    assert!(requests(&mut streams, id).is_empty());
}

/// Two threads served the kernel's requests of 1 MiB, and one overtook the other twice. Each late
/// read was taken for a stream of its own, which fetched ahead for itself and held that: a sequential
/// read had sixteen streams in 256 MiB, and twice the memory.
#[test]
fn large_reads_out_of_order_are_one_stream() {
    let mut streams = Streams::default();
    let (file, mib) = (40..(64 << 20), 1 << 20);
    let read = |n: u64| 40 + n * mib..40 + (n + 1) * mib;
    let first = note(&mut streams, read(0), file.end).stream;
    get(&mut streams, first).set_requested_to(32 << 20);
    for n in [1, 2, 5, 3, 4, 6, 8, 7, 11, 10, 9, 12] {
        let noted = note(&mut streams, read(n), file.end);
        assert_eq!((noted.stream, noted.is_new), (first, false), "read {n}");
    }
    // Small reads that far behind belong to another reader.
    let behind = read(9).start..read(9).start + 4096;
    assert!(note(&mut streams, behind, file.end).is_new);
}

/// A stream in the directory behind the file was near enough to take large reads of the file for late
/// ones of its own. The stream of the file got no reads any more, and fetched nothing ahead.
#[test]
fn a_read_continues_the_nearest_stream() {
    let mut streams = Streams::default();
    let (end, mib) = (3 << 20, 1 << 20);
    let directory = note(&mut streams, end..end + 200, end + 200);
    let ahead = note(&mut streams, 2 * mib..2 * mib + 4096, end);
    let reader = note(&mut streams, 0..mib / 2, end).stream;
    assert!(directory.stream != reader && ahead.stream != reader);
    for at in [mib / 2, mib] {
        let noted = note(&mut streams, at..at + mib / 2, end);
        assert_eq!((noted.stream, noted.is_new), (reader, false), "{at}");
    }
}

/// A source that stores pieces is asked for whole pieces, and no short rest of an extent is left.
#[test]
fn a_request_ends_at_the_preferred_boundary_of_its_source() {
    let mut streams = Streams::default();
    let end = (4 << 20) + 100 * KB;
    let id = read(&mut streams, &(40..KB));
    let next = [KB..end, 9 << 20..10 << 20];
    expect(&mut streams, &(40..KB), true, &next);
    let stream = get(&mut streams, id);
    let extended = |range: Range<u64>| {
        let mut wanted = stream.wanted(range);
        wanted.extend_to(wanted.range.end.next_multiple_of(1 << 20));
        wanted.range
    };
    assert_eq!(extended(KB..600 * KB), KB..1024 * KB);
    assert_eq!(extended(1024 * KB..2048 * KB), 1024 * KB..2048 * KB);
    assert_eq!(extended(3072 * KB..3600 * KB), 3072 * KB..end, "a rest");
    assert_eq!(extended(4096 * KB..end), 4096 * KB..end, "the end");
    assert_eq!(extended(9 << 20..9600 * KB), 9 << 20..10 << 20);
    let elsewhere = 6 << 20..(7 << 20) - 5;
    assert_eq!(extended(elsewhere.clone()), elsewhere);
}

#[test]
fn neighbouring_files_are_fetched_in_one_run() {
    let mut streams = Streams::default();
    let first = 0..1 << 20;
    let id = read(&mut streams, &first);
    let next = [(1 << 20) + 60..2 << 20, (2 << 20) + 60..3 << 20];
    expect(&mut streams, &first, true, &next);
    let made = requests(&mut streams, id);
    assert_eq!(made.first().map(|r| r.start), Some(1 << 20));
    assert_eq!(made.last().map(|r| r.end), Some(3 << 20));
    assert_eq!(made.len(), 4, "{made:?}");
}

#[test]
fn the_least_recently_read_stream_is_evicted() {
    let mut streams = Streams::default();
    let far = |n: u64| n << 30..(n << 30) + 4096;
    let first = note(&mut streams, far(0), u64::MAX).stream;
    for n in 1..MAX_STREAMS as u64 {
        assert_eq!(note(&mut streams, far(n), u64::MAX).displaced, None);
    }
    let noted = note(&mut streams, far(99), u64::MAX);
    assert_eq!(noted.displaced, Some(first));
    assert_eq!(streams.streams.len(), MAX_STREAMS);
}

//! Walks: what is read, and what is asked for.

use super::*;

const KB: u64 = 1024;
const WINDOW: u64 = 8 << 20;

/// Reads all of `file` in the kernel's steps; returns the walk.
fn read(walks: &mut Walks, file: &Range<u64>) -> WalkId {
    let mut walk = None;
    let mut at = file.start;
    while at < file.end {
        let end = (at + 128 * KB).min(file.end);
        walk = Some(
            walks
                .note(&(at..end), file.end, true, WINDOW, Instant::now())
                .walk,
        );
        at = end;
    }
    walk.expect("a file with something in it")
}

/// All that a walk would ask for now.
fn ask(walks: &mut Walks, id: WalkId) -> Vec<Range<u64>> {
    let walk = walks.get(id).expect("a walk");
    let parts = std::iter::from_fn(|| {
        let part = walk.next_part(512 * KB, 1)?;
        walk.asked(&part, part.end);
        Some(part)
    });
    parts.collect()
}

/// What was asked for is widened to leaves, and a file ends in the middle of one. The walk did
/// not take note of that in its later legs, and asked for the same part again, forever.
#[test]
fn a_part_widened_beyond_its_leg_is_asked_for_once() {
    let mut walks = Walks::default();
    let (first, second, third) = (10 << 20..11 << 20, 4 << 20..5 << 20, 30 << 20..31 << 20);
    let id = read(&mut walks, &first);
    walks.extend(&first, true, &[second.clone(), third.clone()], WINDOW);
    let walk = walks.get(id).expect("a walk");
    let mut parts = Vec::new();
    while let Some(part) = walk.next_part(512 * KB, 1) {
        walk.asked(&part, part.end + 300 * KB);
        parts.push(part);
        assert!(parts.len() < 10, "{parts:?}");
    }
    assert_eq!(parts.first().map(|p| p.start), Some(second.start));
    assert_eq!(parts.last().map(|p| p.end), Some(third.end));
}

/// Files lie side by side, a leaf ends in the middle of one. What it brought of the next was let go
/// before the way led on there, pushed out by what was read, and fetched again.
#[test]
fn what_a_widened_part_brings_beyond_its_leg_is_held() {
    let mut walks = Walks::default();
    let (first, second, rest) = (0..200 * KB, 200 * KB..400 * KB, 400 * KB..2048 * KB);
    let (leaf, one) = (1024 * KB, std::slice::from_ref);
    let id = read(&mut walks, &first);
    walks.extend(&first, true, one(&second), WINDOW);
    let walk = walks.get(id).expect("a walk");
    let part = walk.next_part(512 * KB, 1).expect("the next file");
    assert_eq!(part, second);
    walk.asked(&part, leaf);
    assert!(walk.still_wants(&(768 * KB..leaf)));
    walks.extend(&first, false, one(&rest), WINDOW);
    let walk = walks.get(id).expect("a walk");
    let part = walk.next_part(512 * KB, 1).expect("the rest");
    assert_eq!(part.start, leaf);
    walk.asked(&part, 2 * leaf);
    assert!(!walk.still_wants(&(2 * leaf..3 * leaf)));
}

#[test]
fn one_read_is_no_walk() {
    let mut walks = Walks::default();
    let id = walks
        .note(&(0..128 * KB), 1 << 30, true, WINDOW, Instant::now())
        .walk;
    assert!(ask(&mut walks, id).is_empty());
    let other = walks.note(
        &(500 << 20..(500 << 20) + 4096),
        1 << 30,
        true,
        WINDOW,
        Instant::now(),
    );
    assert_ne!(other.walk, id);
}

/// Every first read was widened to 256 KiB, also the fiftieth of one who jumped about: four times
/// the bytes, and an answer that came behind some of them.
#[test]
fn who_jumps_about_gets_what_is_asked_for() {
    let mut walks = Walks::default();
    let (file, other) = (1 << 30, 2 << 30);
    let mut first_ask = |at: u64, limit: u64| {
        let range = at..at + 64 * KB;
        let noted = walks.note(&range, limit, true, WINDOW, Instant::now());
        let walk = walks.get(noted.walk).expect("a walk");
        walk.reach(&range, 512 * KB) - range.end
    };
    for n in 1..=JUMPS as u64 {
        assert_eq!(first_ask((50 * n) << 20, file), 192 * KB);
    }
    assert_eq!(first_ask(300 << 20, file), 0);
    // Who reads another file is not known for that,
    assert_eq!(first_ask(other - (64 << 20), other), 192 * KB);
    // and who goes on where he has jumped to is not any more.
    assert!(first_ask((300 << 20) + 64 * KB, file) >= 256 * KB);
    assert_eq!(first_ask(500 << 20, file), 192 * KB);
}

#[test]
fn a_walk_looks_ahead_to_the_end_of_its_file_and_no_further() {
    let mut walks = Walks::default();
    let file = 0..3 << 20;
    read(&mut walks, &(0..512 * KB));
    let id = walks
        .note(
            &(512 * KB..640 * KB),
            file.end,
            true,
            WINDOW,
            Instant::now(),
        )
        .walk;
    let parts = ask(&mut walks, id);
    assert_eq!(parts.first().map(|p| p.start), Some(640 * KB));
    assert_eq!(parts.last().map(|p| p.end), Some(file.end));
    assert!(parts.windows(2).all(|p| p[0].end == p[1].start));
}

#[test]
fn legs_lead_from_file_to_file_wherever_they_lie() {
    let mut walks = Walks::default();
    let (first, second, third) = (10 << 20..11 << 20, 4 << 20..5 << 20, 30 << 20..31 << 20);
    let id = read(&mut walks, &first);
    assert!(ask(&mut walks, id).is_empty());
    let extended = walks.extend(&first, true, &[second.clone(), third.clone()], WINDOW);
    assert_eq!(extended, Some(id));
    let parts = ask(&mut walks, id);
    let asked: u64 = parts.iter().map(|p| p.end - p.start).sum();
    assert_eq!(asked, 2 << 20);
    assert_eq!(parts[0].start, second.start);
    let walk = walks.get(id).expect("a walk");
    assert!(walk.still_wants(&second) && walk.still_wants(&third) && !walk.still_wants(&first));
    // The second is skipped: the walk goes on with the third, and has it all.
    let noted = walks.note(
        &(third.start..third.start + 4096),
        third.end,
        false,
        WINDOW,
        Instant::now(),
    );
    assert_eq!(noted.walk, id);
    assert!(ask(&mut walks, id).is_empty());
    assert!(!walks.get(id).expect("a walk").still_wants(&second));
}

/// Whoever goes from file to file came back for more with each of them. A walk that had to show it
/// again in every file that lay elsewhere looked ahead a little at a time.
#[test]
fn a_walk_that_knows_its_way_looks_ahead_at_once() {
    let mut walks = Walks::default();
    let first = 10 << 20..(10 << 20) + 200 * KB;
    let id = read(&mut walks, &first);
    let legs: Vec<_> = (1..9).map(|n| n << 30..(n << 30) + 200 * KB).collect();
    walks.extend(&first, true, &legs[..6], WINDOW);
    assert_eq!(ask(&mut walks, id), legs[..6]);
    walks.extend(&first, false, &[], WINDOW);
    assert!(ask(&mut walks, id).is_empty());
}

/// Two threads served the kernel's requests of 1 MiB, and one overtook the other twice. Each that came
/// late was taken for another walk, which fetched ahead for itself and held that: a sequential read
/// had sixteen of them in 256 MiB, and twice the memory.
#[test]
fn large_reads_that_come_out_of_order_are_one_walk() {
    let mut walks = Walks::default();
    let (file, mib) = (40..(64 << 20), 1 << 20);
    let read = |n: u64| 40 + n * mib..40 + (n + 1) * mib;
    let now = Instant::now();
    let first = walks.note(&read(0), file.end, true, WINDOW, now).walk;
    walks.get(first).expect("a walk").asked_to(32 << 20);
    for n in [1, 2, 5, 3, 4, 6, 8, 7, 11, 10, 9, 12] {
        let noted = walks.note(&read(n), file.end, true, WINDOW, now);
        assert_eq!((noted.walk, noted.is_new), (first, false), "read {n}");
    }
    // Small ones that far behind are somebody else's.
    let behind = read(9).start..read(9).start + 4096;
    assert!(walks.note(&behind, file.end, true, WINDOW, now).is_new);
}

/// A walk that read the directory behind the file was near enough to take large reads of the file for
/// late ones of its own: the file's reader was not heard of any more, and nothing was fetched ahead.
#[test]
fn a_read_goes_on_with_the_walk_that_is_nearest() {
    let mut walks = Walks::default();
    let (end, mib, now) = (3 << 20, 1 << 20, Instant::now());
    let directory = walks.note(&(end..end + 200), end + 200, true, WINDOW, now);
    let ahead = walks.note(&(2 * mib..2 * mib + 4096), end, true, WINDOW, now);
    let reader = walks.note(&(0..mib / 2), end, true, WINDOW, now).walk;
    assert!(directory.walk != reader && ahead.walk != reader);
    for at in [mib / 2, mib] {
        let noted = walks.note(&(at..at + mib / 2), end, true, WINDOW, now);
        assert_eq!((noted.walk, noted.is_new), (reader, false), "{at}");
    }
}

/// What is kept in pieces is asked for by pieces, and no sliver is left over at the end of a leg.
#[test]
fn a_part_ends_where_its_source_has_a_seam() {
    let mut walks = Walks::default();
    let end = (4 << 20) + 100 * KB;
    let id = read(&mut walks, &(40..KB));
    walks.extend(&(40..KB), true, &[KB..end, 9 << 20..10 << 20], WINDOW);
    let walk = walks.get(id).expect("a walk");
    let stretch = |part| walk.stretch(part, |end| end.next_multiple_of(1 << 20));
    assert_eq!(stretch(KB..600 * KB), KB..1024 * KB);
    assert_eq!(stretch(1024 * KB..2048 * KB), 1024 * KB..2048 * KB);
    assert_eq!(stretch(3072 * KB..3600 * KB), 3072 * KB..end, "a sliver");
    assert_eq!(stretch(4096 * KB..end), 4096 * KB..end, "the leg's end");
    assert_eq!(stretch(9 << 20..9600 * KB), 9 << 20..10 << 20);
    let elsewhere = 6 << 20..(7 << 20) - 5;
    assert_eq!(stretch(elsewhere.clone()), elsewhere);
}

#[test]
fn neighbours_on_the_line_are_one_run() {
    let mut walks = Walks::default();
    let id = read(&mut walks, &(0..1 << 20));
    let next = (1 << 20) + 60..2 << 20;
    walks.extend(
        &(0..1 << 20),
        true,
        &[next, (2 << 20) + 60..3 << 20],
        WINDOW,
    );
    let parts = ask(&mut walks, id);
    assert_eq!(parts.first().map(|p| p.start), Some(1 << 20));
    assert_eq!(parts.last().map(|p| p.end), Some(3 << 20));
    assert_eq!(parts.len(), 4, "{parts:?}");
}

#[test]
fn the_walk_not_heard_of_for_longest_makes_room() {
    let mut walks = Walks::default();
    let far = |n: u64| n << 30..(n << 30) + 4096;
    let first = walks
        .note(&far(0), u64::MAX, true, WINDOW, Instant::now())
        .walk;
    for n in 1..MAX_WALKS as u64 {
        assert_eq!(
            walks
                .note(&far(n), u64::MAX, true, WINDOW, Instant::now())
                .forgotten,
            None
        );
    }
    let noted = walks.note(&far(99), u64::MAX, true, WINDOW, Instant::now());
    assert_eq!(noted.forgotten, Some(first));
    assert_eq!(walks.walks.len(), MAX_WALKS);
}

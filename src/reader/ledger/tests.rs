//! What of a part that failed is given up.

use super::*;
use crate::reader::pool::Pool;
use crate::source::Origin;

const MIB: u64 = 1 << 20;

/// Three who wait for bytes of one part of four leaves; the second one's leaf is forged, or all
/// fails, says `error`. Returns what each was told, and which leaves are known to have failed.
fn after(left: Range<u64>, error: source::Error) -> (Vec<&'static str>, Vec<u64>) {
    let mut ledger = Ledger::new(4, 64 * MIB);
    let mut grant = Pool::new(16).try_grant(16, 0).expect("free buffers");
    let part = Part {
        left,
        priority: Priority::Demand,
        walk: None,
        has_begun: false,
        abort: None,
    };
    let id = ledger.begin_part(part);
    let waits = [MIB - 10..MIB, MIB..MIB + 10, 2 * MIB..2 * MIB + 10];
    let waiting = waits.map(|range| {
        let make = |number| Some(Block::new(number, grant.take()?));
        let blocks = ledger.find_or_make(&range, make).expect("enough buffers");
        ledger.wait(range, blocks)
    });
    ledger.end_part(id, Err(error.into()));
    let told = waiting.map(|mut woken| match woken.try_recv() {
        Ok(Wake::Ready) => "ready",
        Ok(Wake::Again) => "again",
        Ok(Wake::Failed(_)) => "failed",
        Err(_) => "nothing",
    });
    let known = (0..4).filter(|leaf| {
        // Its first byte and its last are no better than all of it.
        let (first, last) = (leaf * MIB, (leaf + 1) * MIB - 1);
        let ends = [first..first + 1, last..last + 1, first..last + 1];
        let failed = ends.map(|range| ledger.recent_failure(&range).is_some());
        assert!(failed.iter().all(|is| *is == failed[0]), "leaf {leaf}");
        failed[0]
    });
    (told.to_vec(), known.collect())
}

fn forged(range: Range<u64>) -> source::Error {
    let origin = Origin::new("test");
    source::Error::Forged { origin, range }
}

/// Of a part of many leaves with one that was forged, all failed for a while: a bit of a leaf took
/// megabytes around it along.
#[test]
fn no_more_fails_than_the_bytes_that_were_forged() {
    let told = after(0..4 * MIB, forged(MIB..2 * MIB));
    assert_eq!(told, (vec!["again", "failed", "again"], vec![1]));
    // Of a leaf whose beginning came before, what has not come.
    let told = after(MIB..4 * MIB, forged(MIB / 2..2 * MIB));
    assert_eq!(told, (vec!["nothing", "failed", "again"], vec![1]));
}

#[test]
fn where_it_is_not_told_which_bytes_are_wrong_all_fail() {
    let cut = source::Error::NotFound {
        origin: Origin::new("test"),
    };
    let told = after(0..4 * MIB, cut);
    assert_eq!(told, (vec!["failed"; 3], vec![0, 1, 2, 3]));
    // A block's own bytes are not the line's.
    let told = after(MIB..4 * MIB, forged(0..1000));
    assert_eq!(told, (vec!["nothing", "failed", "failed"], vec![1, 2, 3]));
}

//! Scouts: walks in several places of a tar at once. What they take for a header may be none.

use std::time::Duration;

use aiozfs::archive::{Ending, Index};

use super::drive;
use super::links::{Members, open};
use super::made::{Header, Made};
use crate::common::link::{Carried, Shape};
use crate::common::tree;

fn far() -> Shape {
    Shape::new(50, 25.0, 100.0)
}

/// What the walk alone finds, block by block.
fn assert_same(index: &Index, blob: &[u8]) {
    let alone = drive::index(blob, || 512);
    assert_eq!(index.ending(), alone.ending());
    let all = |index: &Index| -> Vec<(Vec<u8>, u64, u64)> {
        let ids = index.ids();
        let each = ids.map(|id| {
            let entry = index.get(id);
            (index.path(id).to_vec(), entry.header_offset, entry.size)
        });
        each.collect()
    };
    assert_eq!(all(index), all(&alone));
}

fn over(shape: Shape, blob: &[u8]) -> (Duration, Carried) {
    let content = bytes::Bytes::copy_from_slice(blob);
    let size = blob.len() as u64;
    let bytes =
        move |range: std::ops::Range<u64>| content.slice(range.start as usize..range.end as usize);
    let (index, took, carried) = open(size, bytes, shape);
    assert_same(&index, blob);
    println!("{took:?} {carried:?}");
    (took, carried)
}

/// A film in four qualities: a quarter of the bytes has most of the headers. Scouts with regions of equal length
/// waited for one that had 121 of 604 headers to itself.
#[test]
fn scouts_that_are_ready_help_where_headers_lie_close_together() {
    let qualities = [1_600_000u64, 1_050_000, 410_000, 230_000];
    let sizes = qualities
        .iter()
        .flat_map(|size| (0..151).map(move |n| size - n * 331 % 20_000));
    let members = Members::new(sizes.collect());
    let size = members.size;
    let (index, took, carried) = members.open(far());
    println!("{took:?} {carried:?}");
    assert_eq!((index.len(), index.problem()), (604, None));
    // 604 round trips on 16 ways take 1.9 s.
    assert!(took < Duration::from_millis(3000), "{took:?}");
    assert!(carried.bytes < size / 8, "{carried:?}");
}

/// `docker save` and tars of tars: headers of the inner ones are no members.
#[test]
fn headers_of_a_tar_within_the_tar_are_no_members() {
    let content = tree::bytes(1, 90_000);
    let mut inner = Made::default();
    for file in 0..10 {
        inner = inner.file(&format!("inner/{file}"), &content);
    }
    let inner = inner.ended();
    let mut made = Made::default();
    for n in 0..60 {
        made = made.file(&format!("layer{n}.tar"), &inner);
    }
    let (took, carried) = over(far(), &made.ended());
    // Each of 60 layers one after the other takes 3 s.
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(carried.bytes < 60 << 20, "{carried:?}");
}

/// One member is a tar of many small files. Scouts in it were waited for, though the walk skips it in one step.
#[test]
fn walk_does_not_wait_for_scouts_in_a_large_tar_within() {
    let content = tree::bytes(1, 1_000_000);
    let mut made = Made::default();
    for n in 0..16 {
        made = made.file(&format!("layer{n}.tar"), &content);
    }
    let mut inner = Made::default();
    for n in 0..250 {
        inner = inner.file(&format!("inner/{n}"), &content[..400_000]);
    }
    let blob = made
        .file("big.tar", &inner.ended())
        .file("last", b"x")
        .ended();
    let (took, _) = over(far(), &blob);
    assert!(took < Duration::from_millis(1800), "{took:?}");
}

/// Members full of blocks that are headers: of members without end, of names elsewhere, of extended headers.
#[test]
fn forged_headers_in_members_are_never_used() {
    let mut made = Made::default();
    for n in 0..40u64 {
        let mut data = Vec::new();
        for block in 0..1500u64 {
            let (typeflag, size) = match (n + block) % 5 {
                0 => (b'0', 1 << 32),
                1 => (b'0', block * 700),
                2 => (b'x', 512),
                3 => (b'L', 5),
                _ => (b'5', 0),
            };
            data.extend(Header::new("forged", typeflag, size).block());
        }
        made = made.file(&format!("member{n}"), &data);
    }
    let blob = made.ended();
    let (took, carried) = over(far(), &blob);
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(carried.bytes < 2 * blob.len() as u64, "{carried:?}");
    // Cut in the middle of a member, also while scouts are behind that.
    let cut = &blob[..blob.len() * 2 / 3 + 100];
    assert_eq!(drive::index(cut, || 512).ending(), Ending::Cut);
    over(far(), cut);
}

/// Damage ends the list where it is, and what scouts found behind it is not shown.
#[test]
fn scouts_do_not_bridge_damage() {
    let content = tree::bytes(1, 600_000);
    let mut made = Made::default();
    let mut damaged = 0;
    for n in 0..60 {
        if n == 20 {
            damaged = made.0.len();
        }
        made = made.file(&format!("member{n}"), &content);
    }
    let mut blob = made.ended();
    blob[damaged] ^= 1;
    over(far(), &blob);
    assert_eq!(drive::index(&blob, || 512).len(), 20);
}

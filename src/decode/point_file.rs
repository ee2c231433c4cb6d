//! The checkpoints of an entry as bytes, to be kept on disk.
//!
//! All numbers are little-endian. First come the entry's size (8 bytes), its compressed size (8) and the
//! number of checkpoints (4). A checkpoint is: offset in the plain bytes (8), offset in the compressed bytes
//! (8), CRC-32 of the plain bytes before it (4), length of the codec's state (4), the state. Offsets rise.
//!
//! The cache adds a checksum to the bytes. They are checked here nevertheless: a wrong file makes a decoder fail with an
//! error, and in no other way.

use std::sync::Arc;

use super::checkpoint::{Checkpoint, Decryption, MOST, Point};
use crate::archive::{Element, Pull, Push, pull_all, pull_one};

/// The version of the format.
pub const FORMAT: u32 = 2;

/// The length of the numbers before all checkpoints, in bytes.
const HEAD: usize = 20;

/// The length of the numbers of one checkpoint, in bytes.
const POINT: usize = 24;

/// The longest state of a codec, in bytes.
const LONGEST: usize = 1 << 20;

/// The number of bytes that [`store`] makes.
pub fn stored_len(points: &[Arc<Point>]) -> u64 {
    let states = points.iter().map(|point| point.checkpoint.state.len());
    (HEAD + points.len() * POINT + states.sum::<usize>()) as u64
}

/// Sizes that tell an entry, in bytes: of its plain and of its compressed data.
pub type Sizes = (u64, u64);

/// Writes the checkpoints of an entry, which are in the order of their offsets.
pub fn store(sizes: Sizes, points: &[Arc<Point>], push: &mut Push) {
    let mut head = Vec::with_capacity(HEAD);
    [sizes.0, sizes.1].write(&mut head);
    (points.len() as u32).write(&mut head);
    push(&head);
    for point in points {
        let Point { checkpoint, crc32 } = &**point;
        let mut fields = Vec::with_capacity(POINT);
        [checkpoint.output, checkpoint.input].write(&mut fields);
        [*crc32, checkpoint.state.len() as u32].write(&mut fields);
        push(&fields);
        push(&checkpoint.state);
    }
}

/// Reads the checkpoints of an entry; `None` if the bytes are damaged or belong to another one.
pub fn load(sizes: Sizes, pull: &mut Pull) -> Option<Vec<Point>> {
    let of: [u64; 2] = pull_one(pull)?;
    let count: u32 = pull_one(pull)?;
    if of != [sizes.0, sizes.1] || count as usize > MOST {
        return None;
    }
    let mut points: Vec<Point> = Vec::new();
    for _ in 0..count {
        let [output, input]: [u64; 2] = pull_one(pull)?;
        let [crc32, len]: [u32; 2] = pull_one(pull)?;
        let before = points.last().map_or(0, |point| point.checkpoint.output);
        let is_possible = before < output && output < sizes.0 && input <= sizes.1;
        if !is_possible || len as usize > LONGEST {
            return None;
        }
        points.push(Point {
            checkpoint: Checkpoint {
                output,
                input,
                state: pull_all(len.into(), pull)?,
                decryption: Decryption::None,
            },
            crc32,
        });
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = (1 << 30, 1 << 29);

    fn points() -> Vec<Arc<Point>> {
        let point = |n: u64| Point {
            checkpoint: Checkpoint {
                output: n << 20,
                input: n << 19,
                state: vec![n as u8; n as usize * 100],
                decryption: Decryption::None,
            },
            crc32: n as u32 * 7,
        };
        (1..20).map(|n| Arc::new(point(n))).collect()
    }

    fn stored(points: &[Arc<Point>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        store(SIZES, points, &mut |part| bytes.extend_from_slice(part));
        bytes
    }

    fn loaded(sizes: Sizes, mut bytes: &[u8]) -> Option<Vec<Point>> {
        load(sizes, &mut |out| {
            let Some((now, later)) = bytes.split_at_checked(out.len()) else {
                return false;
            };
            out.copy_from_slice(now);
            bytes = later;
            true
        })
    }

    #[test]
    fn checkpoints_come_back() {
        let bytes = stored(&points());
        assert_eq!(bytes.len() as u64, stored_len(&points()));
        let back = loaded(SIZES, &bytes).unwrap();
        let back: Vec<_> = back.into_iter().map(Arc::new).collect();
        assert_eq!(stored(&back), bytes);
        assert!(loaded(SIZES, &stored(&[])).unwrap().is_empty());
    }

    #[test]
    fn other_or_damaged_bytes_are_refused() {
        let bytes = stored(&points());
        for end in 0..bytes.len() {
            assert!(loaded(SIZES, &bytes[..end]).is_none(), "cut at {end}");
        }
        assert!(loaded((5, SIZES.1), &bytes).is_none());
        let mut unsorted = points();
        unsorted.swap(3, 4);
        assert!(loaded(SIZES, &stored(&unsorted)).is_none());
        let mut beyond = points();
        Arc::make_mut(&mut beyond[18]).checkpoint.input = SIZES.1 + 1;
        assert!(loaded(SIZES, &stored(&beyond)).is_none());
        let mut many = bytes.clone();
        many[16..20].fill(0xff);
        assert!(loaded(SIZES, &many).is_none());
    }
}

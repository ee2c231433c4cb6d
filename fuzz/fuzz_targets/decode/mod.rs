//! What of the decode room stands alone: the form of checkpoints on disk, and Inflate.

#[path = "../../../src/decode/checkpoint.rs"]
mod checkpoint;
#[path = "../../../src/decode/codecs/inflate.rs"]
mod inflate;
#[path = "../../../src/decode/point_file.rs"]
mod point_file;

pub use checkpoint::Point;
pub use point_file::{load, store, stored_len};

use inflate::{Inflate, WINDOW};

/// Restarts Inflate at a checkpoint and lets it decode some bytes.
pub fn restart(point: &Point, stored: &[u8]) {
    let Some((&[bits, byte], window)) = point.checkpoint.state.split_first_chunk() else {
        return;
    };
    let mut inflate = Inflate::new().expect("memory");
    let window = zstd::bulk::decompress(window, WINDOW).unwrap_or_default();
    if !inflate.restart(bits, byte, &window) {
        return;
    }
    let (mut at, mut out) = (0, vec![0; 1 << 16]);
    for turn in 0..16 {
        let Ok(step) = inflate.step(&stored[at..], &mut out, turn % 2 == 0) else {
            return;
        };
        at += step.consumed;
        assert!(inflate.window().len() <= WINDOW);
        if step.has_ended {
            return;
        }
    }
}

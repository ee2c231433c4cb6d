//! Plain bytes of entries that are compressed or encrypted, readable anywhere.
//!
//! A [`Codec`](codec::Codec) turns the stored bytes of an entry into plain bytes, in order. It runs on a
//! thread that may block, never on one that serves the kernel.

mod blocks;
mod checkpoint;
mod cipher;
mod codec;
mod codecs;
mod decoder;
mod error;
mod input;
mod keys;
mod lanes;
mod large;
mod password;
mod point_file;
mod points;
mod shelf;
mod small;
mod sparse;
mod walk;
mod whole;
mod workers;

pub use checkpoint::{Checkpoint, Point};
pub use cipher::Key;
pub use codec::{Codec, Coding, Input, check, is_supported, open};
pub use decoder::Decoder;
pub use error::Error;
pub use large::OnWrong;
pub use password::Password;
pub use point_file::{
    FORMAT as STORED_FORMAT, load as load_points, store as store_points,
    stored_len as stored_points_len,
};
pub use shelf::Shelf;
pub use whole::decode;

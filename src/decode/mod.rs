//! Plain bytes of entries that are compressed or encrypted, readable anywhere.
//!
//! A [`Codec`] turns the stored bytes of an entry into plain bytes, in order. A small entry is decoded as
//! a whole. A large one is decoded by **walks**: codecs on their way through it, each on a thread that may block, never
//! on one that serves the kernel. The [`Decoder`] answers reads from their blocks.

mod blocks;
mod checkpoint;
mod checkpoint_store;
mod cipher;
mod codec;
mod codecs;
mod decoder;
mod decoding;
mod error;
mod input;
mod keys;
mod large;
mod memory;
mod password;
mod point_file;
mod points;
mod schedule;
mod shared;
mod small;
mod sparse;
mod walk;
mod whole;
mod workers;

pub use checkpoint::{Checkpoint, Decryption, Point};
pub use checkpoint_store::CheckpointStore;
pub use cipher::Key;
pub use codec::{Codec, Input, check, is_supported, open, read_buffered};
pub use decoder::Decoder;
pub use decoding::Decoding;
pub use error::Error;
pub use memory::{Memory, Share};
pub use password::Password;
pub use point_file::{
    FORMAT as STORED_FORMAT, load as load_points, store as store_points,
    stored_len as stored_points_len,
};
pub use shared::{OnWrong, Work};
pub use whole::decode;

//! Plain bytes of entries that are compressed or encrypted, readable anywhere.
//!
//! A [`Codec`](codec::Codec) turns the stored bytes of an entry into plain bytes, in order. It runs on a
//! thread that may block, never on one that serves the kernel.

mod codec;
mod codecs;
mod error;

pub use codec::{Checkpoint, Codec, Coding, Input, is_supported, open};
pub use error::Error;

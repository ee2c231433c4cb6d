//! A place where a decoder can restart.

use hmac::Hmac;
use sha1::Sha1;

/// A place where a codec can restart.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Offset of the next plain byte.
    pub output: u64,
    /// Offset of the first compressed byte that is needed from here on: where the input begins.
    pub input: u64,
    /// The codec's own state.
    pub state: Vec<u8>,
    /// The decryption's state at `input`. Never written to disk: it is derived from the password.
    pub decryption: Decryption,
}

/// What decryption needs to go on at a checkpoint, besides the key of the entry and the position.
#[derive(Debug, Clone, Default)]
pub enum Decryption {
    /// The entry is not encrypted.
    #[default]
    None,
    /// The keys of ZipCrypto, which all data before has changed.
    ZipCrypto([u32; 3]),
    /// The authentication code of all encrypted data before.
    Aes(Hmac<Sha1>),
}

/// A checkpoint of an entry, with the CRC-32 of all plain bytes before it.
#[derive(Debug, Clone)]
pub struct Point {
    /// Where the codec restarts.
    pub checkpoint: Checkpoint,
    /// The CRC-32 of the plain bytes before it.
    pub crc32: u32,
}

/// The most checkpoints of an entry.
pub(super) const MOST: usize = 4096;

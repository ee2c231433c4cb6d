//! A place where a decoder can restart.

/// A place where a codec can restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Offset of the next plain byte.
    pub output: u64,
    /// Offset of the first compressed byte that is needed from here on: where the input begins.
    pub input: u64,
    /// The codec's own state.
    pub state: Vec<u8>,
    /// The decryption's state at `input`, from `Input::state`.
    pub cipher: Vec<u8>,
}

/// A checkpoint of an entry, with the CRC-32 of all plain bytes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Where the codec restarts.
    pub checkpoint: Checkpoint,
    /// The CRC-32 of the plain bytes before it.
    pub crc32: u32,
}

/// The most checkpoints of an entry.
pub(super) const MOST: usize = 4096;

//! Inflate with what random access needs: stops between blocks, bit positions, and windows.
//!
//! zlib-rs has no other interface to these than zlib's own, so this file calls it.

#![allow(
    unsafe_code,
    reason = "zlib's interface is the only one that tells bit positions"
)]

use std::ffi::CStr;
use std::mem;

use libz_rs_sys as z;

/// Length of the window in bytes (RFC 1951, section 3.2.5).
pub(in crate::decode) const WINDOW: usize = 32 * 1024;

/// A raw Deflate stream (RFC 1951) that is being decoded.
pub(in crate::decode) struct Inflate {
    /// Initialized from [`Inflate::new`] until it is dropped. In a box, because zlib's states may refer
    /// to their streams.
    stream: Box<z::z_stream>,
}

/// What one step did.
#[derive(Debug, Clone, Copy)]
pub(in crate::decode) struct Step {
    /// Bytes taken from the input.
    pub(in crate::decode) consumed: usize,
    /// Bytes written.
    pub(in crate::decode) produced: usize,
    /// Whether the stream has ended.
    pub(in crate::decode) has_ended: bool,
    /// If the step ended between two blocks: the number of bits of the last consumed byte that belong
    /// to the next block, from the most significant one.
    pub(in crate::decode) between_blocks: Option<u8>,
}

// SAFETY: the state behind the stream's pointers belongs to it alone and is bound to no thread. `next_in`
// and `next_out` are used only during a step.
unsafe impl Send for Inflate {}

impl Inflate {
    /// `None` if there is not enough memory.
    pub(in crate::decode) fn new() -> Option<Self> {
        let mut stream = Box::new(z::z_stream::default());
        // Negative: without a header (zlib's manual, inflateInit2).
        const RAW: i32 = -15;
        let size = mem::size_of::<z::z_stream>() as i32;
        // SAFETY: the stream is one that zlib may initialize, and version and size are the library's.
        let code = unsafe { z::inflateInit2_(&raw mut *stream, RAW, z::zlibVersion(), size) };
        (code == z::Z_OK).then_some(Self { stream })
    }

    /// Sets the position: the upper `bits` bits of `byte` come before the input, and `window` before the
    /// output. Only for a new stream. Returns false if the numbers are wrong.
    pub(in crate::decode) fn restart(&mut self, bits: u8, byte: u8, window: &[u8]) -> bool {
        if bits > 7 || window.len() > WINDOW {
            return false;
        }
        if bits > 0 {
            let value = i32::from(byte >> (8 - bits));
            // SAFETY: the stream is initialized.
            if unsafe { z::inflatePrime(&raw mut *self.stream, bits.into(), value) } != z::Z_OK {
                return false;
            }
        }
        // SAFETY: the stream is initialized, and the pointer and length are those of a slice.
        let code = unsafe {
            z::inflateSetDictionary(&raw mut *self.stream, window.as_ptr(), window.len() as u32)
        };
        code == z::Z_OK
    }

    /// Decodes until the input is empty, the output full, the stream over or, if `to_boundary`, a block is
    /// over. Fails with what is wrong if the stream is damaged.
    pub(in crate::decode) fn step(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        to_boundary: bool,
    ) -> Result<Step, String> {
        let stream = &mut *self.stream;
        let (given, room) = (u32_of(input.len()), u32_of(out.len()));
        (stream.next_in, stream.avail_in) = (input.as_ptr(), given);
        (stream.next_out, stream.avail_out) = (out.as_mut_ptr(), room);
        let flush = if to_boundary {
            z::Z_BLOCK
        } else {
            z::Z_NO_FLUSH
        };
        // SAFETY: the stream is initialized, and its input and output are parts of slices that live until
        // the call has returned.
        let code = unsafe { z::inflate(&raw mut *stream, flush) };
        let consumed = (given - stream.avail_in) as usize;
        let produced = (room - stream.avail_out) as usize;
        // zlib's manual, inflate(): 128 is added immediately after the end of a block, 64 while the last
        // block is decoded; the lowest bits count the unused bits of the last byte.
        let at_boundary = stream.data_type & 128 != 0 && stream.data_type & 64 == 0;
        let bits = (stream.data_type & 7) as u8;
        match code {
            z::Z_OK | z::Z_BUF_ERROR | z::Z_STREAM_END => Ok(Step {
                consumed,
                produced,
                has_ended: code == z::Z_STREAM_END,
                between_blocks: (to_boundary && at_boundary).then_some(bits),
            }),
            _ => Err(self
                .message()
                .unwrap_or_else(|| format!("zlib's error {code}"))),
        }
    }

    /// The bytes that were decoded last, at most [`WINDOW`].
    pub(in crate::decode) fn window(&mut self) -> Vec<u8> {
        let mut window = vec![0; WINDOW];
        let mut len = 0;
        // SAFETY: the stream is initialized, and the buffer has room for the longest window.
        let code = unsafe {
            z::inflateGetDictionary(&raw mut *self.stream, window.as_mut_ptr(), &raw mut len)
        };
        window.truncate(if code == z::Z_OK { len as usize } else { 0 });
        window
    }

    fn message(&self) -> Option<String> {
        if self.stream.msg.is_null() {
            return None;
        }
        // SAFETY: zlib's messages are constant strings.
        let text = unsafe { CStr::from_ptr(self.stream.msg) };
        Some(text.to_string_lossy().into_owned())
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        // SAFETY: the stream is initialized, and not used any more.
        unsafe { z::inflateEnd(&raw mut *self.stream) };
    }
}

/// A length for one step; a longer slice is used in part.
fn u32_of(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

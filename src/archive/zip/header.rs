//! The local file header (section 4.3.7), which tells where an entry's data begins.

use std::ops::Range;

use crate::archive::elements::take;
use crate::archive::entry::Extent;
use crate::archive::error::Error;

pub(super) const SIGNATURE: u32 = 0x0403_4b50;
/// Length of the fixed part of a local header.
pub(in crate::archive) const LOCAL_FIXED: u64 = 30;
/// Lengths of a data descriptor (section 4.3.9): with signature and 32-bit sizes (the usual one), with
/// 64-bit sizes, and both without signature.
const DESCRIPTORS: [u64; 4] = [16, 24, 12, 20];
/// Bit 0 of the general purpose flags (section 4.4.4): the data is encrypted.
pub(super) const ENCRYPTED: u16 = 1;
/// The method of entries that are encrypted with AES; an extra field has the true one (section 4.4.5).
pub(in crate::archive) const AES: u16 = 99;
/// Bit 3 (section 4.4.4): sizes and CRC follow the data, in a data descriptor.
pub(super) const DESCRIPTOR: u16 = 1 << 3;

/// Compares an entry's local header with the central directory. This detects servers that give wrong
/// bytes, and archives whose records contradict each other.
#[derive(Debug, Clone)]
pub struct HeaderCheck {
    pub(in crate::archive) name: String,
    pub(in crate::archive) header_offset: u64,
    pub(in crate::archive) size: u64,
    pub(in crate::archive) compressed_size: u64,
    pub(in crate::archive) crc32: u32,
    pub(in crate::archive) method: u16,
    pub(in crate::archive) raw_name_crc: u32,
    /// `None` if several entries share the header, which can hold only one's name.
    pub(in crate::archive) raw_name_len: Option<u16>,
    /// Offset of the next structure in the blob.
    pub(in crate::archive) limit: u64,
    pub(in crate::archive) has_descriptor: bool,
    pub(in crate::archive) is_encrypted: bool,
}

impl HeaderCheck {
    /// The range of the blob that [`confirm`](Self::confirm) needs: the header, with its name if that is
    /// compared.
    pub fn range(&self) -> Range<u64> {
        // `Index::readable` refuses an offset that leaves no room.
        let len = LOCAL_FIXED + u64::from(self.raw_name_len.unwrap_or(0));
        self.header_offset..self.header_offset.saturating_add(len)
    }

    /// The probable extent of the data, for read-ahead: right after the header's name, if the data and a
    /// descriptor then end at the next structure; else so that they end there, since writers leave no
    /// gaps.
    pub fn predicted(&self) -> Extent {
        let least = self.range().end;
        let room = self.limit.checked_sub(self.compressed_size);
        let descriptors = if self.has_descriptor {
            &DESCRIPTORS[..]
        } else {
            &[0]
        };
        let packed = |descriptor: &u64| room.and_then(|room| room.checked_sub(*descriptor));
        let without_extra = descriptors.iter().any(|d| packed(d) == Some(least));
        let usual = packed(&descriptors[0]);
        let with_extra =
            usual.filter(|at| (least..=least.saturating_add(u16::MAX.into())).contains(at));
        Extent {
            offset: match with_extra {
                Some(offset) if !without_extra => offset,
                _ => least,
            },
            len: self.compressed_size,
        }
    }

    /// Whether the data could begin at `offset`: after the header, and ending before the next structure.
    pub fn allows(&self, offset: u64) -> bool {
        let least = self.range().end;
        (least..=least + u64::from(u16::MAX)).contains(&offset)
            && offset
                .checked_add(self.compressed_size)
                .is_some_and(|end| end <= self.limit)
    }

    /// The extent of the data, from the header's bytes, which are those of [`range`](Self::range).
    ///
    /// A size of zero or all ones, or a CRC-32 of zero, counts as missing and is not compared. With a data
    /// descriptor (flag bit 3, section 4.4.4) the header's numbers may be anything and are not compared.
    ///
    /// # Errors
    /// If the header contradicts the central directory.
    pub fn confirm(&self, bytes: &[u8]) -> Result<Extent, Error> {
        let bad = |what: String| Error::BadEntry {
            name: self.name.clone(),
            offset: self.header_offset,
            what,
        };
        let (mut header, name) = bytes
            .split_at_checked(LOCAL_FIXED as usize)
            .ok_or_else(|| bad("its local header is cut off".into()))?;
        let header = &mut header;
        if take::<u32>(header) != SIGNATURE {
            return Err(bad("there is no local header".into()));
        }
        let [_version, flags, method, _time, _date]: [u16; 5] = take(header);
        let [crc32, compressed, size]: [u32; 3] = take(header);
        let [name_len, extra_len]: [u16; 2] = take(header);
        if method != self.method {
            return Err(bad("its local header has another compression method".into()));
        }
        if (flags & ENCRYPTED != 0) != self.is_encrypted {
            return Err(bad("its local header has another encryption flag".into()));
        }
        let differs = |len: u16| name_len != len || crc32fast::hash(name) != self.raw_name_crc;
        if self.raw_name_len.is_some_and(differs) {
            return Err(bad("its local header has another name".into()));
        }
        if flags & DESCRIPTOR == 0 {
            let sizes = [
                ("size", size, self.size),
                ("compressed size", compressed, self.compressed_size),
            ];
            let numbers =
                sizes.map(|(what, value, listed)| (what, value, listed, is_size_absent(value)));
            let crc = ("CRC-32", crc32, self.crc32.into(), crc32 == 0);
            for (what, value, listed, is_absent) in numbers.into_iter().chain([crc]) {
                if !is_absent && u64::from(value) != listed {
                    return Err(bad(format!(
                        "its local header has another size or checksum: {what} {value}, where the central directory has {listed}"
                    )));
                }
            }
        }
        let lens = LOCAL_FIXED + u64::from(name_len) + u64::from(extra_len);
        let offset = self.header_offset.saturating_add(lens);
        let len = self.compressed_size;
        match offset.checked_add(len) {
            Some(end) if end <= self.limit => Ok(Extent { offset, len }),
            _ => Err(bad(format!(
                "its {len} bytes run into what lies behind it, at offset {}",
                self.limit
            ))),
        }
    }
}

/// Whether a local header's size is missing. All ones: the number is in a ZIP64 field (section 4.5.3).
/// Zero: the writer did not know it and did not return to fill it in. Section 4.4.4 then requires a data
/// descriptor and its flag, but some writers set neither (minizip), and readers use the central
/// directory.
fn is_size_absent(value: u32) -> bool {
    value == 0 || value == u32::MAX
}

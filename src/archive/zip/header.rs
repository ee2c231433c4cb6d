//! The local file header (section 4.3.7): the last word on where an entry's data begins.

use std::ops::Range;

use crate::archive::bytes::Fields;
use crate::archive::entry::Extent;
use crate::archive::error::Error;

const SIGNATURE: u32 = 0x0403_4b50;
/// The fixed part of a local header.
pub(in crate::archive) const LOCAL_FIXED: u64 = 30;
/// Lengths of a data descriptor (section 4.3.9): with its signature and 32-bit sizes, the usual one;
/// with 64-bit sizes; both without the signature.
const DESCRIPTORS: [u64; 4] = [16, 24, 12, 20];
/// Bit 0 of the general purpose flags (section 4.4.4): the data is encrypted.
pub(super) const ENCRYPTED: u16 = 1;
/// Bit 3 (section 4.4.4): sizes and CRC follow the data, in a data descriptor.
pub(super) const DESCRIPTOR: u16 = 1 << 3;

/// Compares an entry's local header with what the central directory says. A server that gives
/// other bytes than the archive's, and an archive whose two accounts differ, are found out here.
#[derive(Debug, Clone)]
pub struct HeaderCheck {
    pub(in crate::archive) name: String,
    pub(in crate::archive) header_offset: u64,
    pub(in crate::archive) size: u64,
    pub(in crate::archive) crc32: u32,
    pub(in crate::archive) method: u16,
    pub(in crate::archive) raw_name_crc: u32,
    /// `None` if other entries have the same header and data: it can bear only one's name.
    pub(in crate::archive) raw_name_len: Option<u16>,
    /// Where the next thing on the line begins.
    pub(in crate::archive) limit: u64,
    pub(in crate::archive) has_descriptor: bool,
    pub(in crate::archive) is_encrypted: bool,
}

impl HeaderCheck {
    /// The bytes of the blob that [`confirm`](Self::confirm) needs: the header up to its name's
    /// end, or up to its name if that is not compared.
    pub fn range(&self) -> Range<u64> {
        // An offset that leaves no room is refused before, by `Index::readable`.
        let len = LOCAL_FIXED + u64::from(self.raw_name_len.unwrap_or(0));
        self.header_offset..self.header_offset.saturating_add(len)
    }

    /// Where the data probably lies: right behind the header's name, if what follows the data then
    /// fills the line up to the next thing on it; else right before that, as writers put one entry
    /// behind the other. Only good for asking ahead.
    pub fn predicted(&self) -> Extent {
        let least = self.range().end;
        let room = self.limit.checked_sub(self.size);
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
            len: self.size,
        }
    }

    /// Whether the data could begin at `offset`: behind the header, with room for all of it before
    /// the next thing on the line.
    pub fn allows(&self, offset: u64) -> bool {
        let least = self.range().end;
        (least..=least + u64::from(u16::MAX)).contains(&offset)
            && offset
                .checked_add(self.size)
                .is_some_and(|end| end <= self.limit)
    }

    /// Where the data lies, by the header's bytes, those of [`range`](Self::range).
    ///
    /// Numbers that the header lacks contradict nothing: a size of zero or of all ones, and a CRC-32
    /// of zero. With a data descriptor (flag bit 3, section 4.4.4) the header's numbers are zero, or
    /// whatever the writer left there, and are not compared.
    pub fn confirm(&self, bytes: &[u8]) -> Result<Extent, Error> {
        let bad = |what: String| Error::BadEntry {
            name: self.name.clone(),
            offset: self.header_offset,
            what,
        };
        let (header, name) = bytes
            .split_at_checked(LOCAL_FIXED as usize)
            .ok_or_else(|| bad("its local header is cut off".into()))?;
        let mut fields = Fields(header);
        if fields.u32() != Some(SIGNATURE) {
            return Err(bad("there is no local header".into()));
        }
        let mut u16 = || fields.u16().unwrap_or_default();
        let (_version, flags, method, _time, _date) = (u16(), u16(), u16(), u16(), u16());
        let mut u32 = || fields.u32().unwrap_or_default();
        let (crc32, compressed, size) = (u32(), u32(), u32());
        let (name_len, extra_len) = (
            fields.u16().unwrap_or_default(),
            fields.u16().unwrap_or_default(),
        );
        if method != self.method {
            return Err(bad("its local header tells another method".into()));
        }
        if (flags & ENCRYPTED != 0) != self.is_encrypted {
            return Err(bad("its local header tells another encryption".into()));
        }
        let differs = |len: u16| name_len != len || crc32fast::hash(name) != self.raw_name_crc;
        if self.raw_name_len.is_some_and(differs) {
            return Err(bad("its local header has another name".into()));
        }
        if flags & DESCRIPTOR == 0 {
            let sizes = [("size", size), ("compressed size", compressed)];
            let numbers = sizes.map(|(what, told)| (what, told, self.size, is_size_absent(told)));
            let crc = ("CRC-32", crc32, self.crc32.into(), crc32 == 0);
            for (what, told, listed, is_absent) in numbers.into_iter().chain([crc]) {
                if !is_absent && u64::from(told) != listed {
                    return Err(bad(format!(
                        "its local header tells another size or checksum: {what} {told}, where the central directory has {listed}"
                    )));
                }
            }
        }
        let lens = LOCAL_FIXED + u64::from(name_len) + u64::from(extra_len);
        let offset = self.header_offset.saturating_add(lens);
        match offset.checked_add(self.size) {
            Some(end) if end <= self.limit => Ok(Extent {
                offset,
                len: self.size,
            }),
            _ => Err(bad(format!(
                "its {} bytes run into what lies behind it, at offset {}",
                self.size, self.limit
            ))),
        }
    }
}

/// Whether a local header's size field says nothing. All ones: the number is in a ZIP64 field
/// (section 4.5.3). Zero: the writer did not know it yet, and did not come back to fill it in; by
/// section 4.4.4 that takes a data descriptor and its flag, but there are writers that set neither
/// (minizip, for one), and readers go by the central directory.
fn is_size_absent(told: u32) -> bool {
    told == 0 || told == u32::MAX
}

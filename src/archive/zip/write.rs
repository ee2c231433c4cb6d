//! Writes the records of an archive of stored entries: local headers, the central directory and its end.
//!
//! Sizes and CRC are in the local header (no data descriptors), for programs that read the archive from
//! the start. The same entries give the same bytes on every machine: times are UTC, versions and
//! attributes are fixed, and ZIP64 is used exactly where a number does not fit.

use super::central::{SIGNATURE as CENTRAL, UTF8};
use super::header::SIGNATURE as LOCAL;
use super::tail::{EOCD, EOCD64, LOCATOR};
use crate::archive::elements::Element;
use crate::archive::entry::{Kind, Timestamp};

/// Specification 6.3 on Unix (section 4.4.2): the upper half of the external attributes is st_mode.
const MADE_BY: u16 = 3 << 8 | 63;
/// Directories and names with slashes (section 4.4.3.2).
const NEEDS: u16 = 20;
const NEEDS_ZIP64: u16 = 45;

const FIELD_ZIP64: u16 = 0x0001;
const FIELD_NTFS: u16 = 0x000a;
const FIELD_UNIX_TIME: u16 = 0x5455;
/// Padding as Android's zipalign writes it: the alignment, then zeros.
const FIELD_ALIGN: u16 = 0xd935;
/// Its least length: the field's head and the alignment.
const LEAST_PADDING: u64 = 6;

/// The least number that needs a ZIP64 field (section 4.4.1.4).
const WIDE: u64 = u32::MAX as u64;

/// The largest alignment, in bytes, whose padding fits into an extra field.
pub const MAX_ALIGN: u64 = 32_768;

/// The longest name, in bytes.
pub const MAX_NAME: usize = u16::MAX as usize;

/// A new entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry<'a> {
    /// Its path, components separated by `/`; no slash at its end.
    pub path: &'a str,
    /// File, directory or symbolic link.
    pub kind: Kind,
    /// Unix permission bits.
    pub mode: u16,
    /// Modification time. Stored with a precision of one second.
    pub mtime: Timestamp,
    /// Length of its data in bytes.
    pub size: u64,
    /// For a playlist: version and length in bytes of its playable form.
    pub playable: Option<(u8, u64)>,
}

impl NewEntry<'_> {
    fn name(&self) -> Vec<u8> {
        let slash = if self.kind == Kind::Dir { "/" } else { "" };
        [self.path, slash].concat().into_bytes()
    }

    fn flags(&self) -> u16 {
        if self.path.is_ascii() { 0 } else { UTF8 }
    }

    fn st_mode(&self) -> u32 {
        let kind = match self.kind {
            Kind::Dir => 0o040_000,
            Kind::Symlink => 0o120_000,
            Kind::File | Kind::Special => 0o100_000,
        };
        kind | u32::from(self.mode)
    }

    /// The extra field with the time: Unix time if it fits 32 bits, else NTFS time.
    fn time_field(&self) -> Vec<u8> {
        if let Ok(secs) = i32::try_from(self.mtime.secs) {
            let body = [&[1][..], &secs.to_le_bytes()].concat();
            return field(FIELD_UNIX_TIME, &body);
        }
        let ticks = (i128::from(self.mtime.secs) + 11_644_473_600) * 10_000_000;
        let ticks = u64::try_from(ticks.max(0))
            .unwrap_or(u64::MAX)
            .to_le_bytes();
        let tag = [&1u16.to_le_bytes()[..], &24u16.to_le_bytes()].concat();
        field(
            FIELD_NTFS,
            &[&[0; 4][..], &tag, &ticks, &ticks, &ticks].concat(),
        )
    }

    /// The ZIP64 field of the local header, if needed; it always has both sizes (section 4.5.3).
    fn local_zip64(&self) -> Vec<u8> {
        if self.size >= WIDE {
            field(FIELD_ZIP64, &[self.size.to_le_bytes(); 2].concat())
        } else {
            Vec::new()
        }
    }

    /// Length in bytes of the local header at `offset` if the data begins at a multiple of `align` (a
    /// power of two up to [`MAX_ALIGN`]; 1 for no alignment).
    pub fn local_len(&self, offset: u64, align: u64) -> u64 {
        let plain = super::header::LOCAL_FIXED
            + self.name().len() as u64
            + self.local_zip64().len() as u64
            + self.time_field().len() as u64;
        plain + padding(offset + plain, align)
    }

    /// The local header (section 4.3.7).
    pub fn local_header(&self, offset: u64, align: u64, crc32: u32) -> Vec<u8> {
        let name = self.name();
        let mut extra = [self.local_zip64(), self.time_field()].concat();
        let plain = super::header::LOCAL_FIXED + (name.len() + extra.len()) as u64;
        let padding = padding(offset + plain, align) as usize;
        if padding > 0 {
            // MAX_ALIGN bounds both.
            let mut body = vec![0; padding - 4];
            body[..2].copy_from_slice(&(align as u16).to_le_bytes());
            extra.extend(field(FIELD_ALIGN, &body));
        }
        let mut out = Vec::with_capacity(plain as usize + padding);
        LOCAL.write(&mut out);
        self.common(&mut out, self.size >= WIDE, crc32);
        [name.len() as u16, extra.len() as u16].write(&mut out);
        out.extend(name);
        out.extend(extra);
        out
    }

    /// The central directory record (section 4.3.12) of the entry whose local header is at
    /// `offset`.
    pub fn central_record(&self, offset: u64, crc32: u32) -> Vec<u8> {
        let name = self.name();
        let mut wide = Vec::new();
        if self.size >= WIDE {
            wide.extend([self.size.to_le_bytes(); 2].concat());
        }
        if offset >= WIDE {
            wide.extend(offset.to_le_bytes());
        }
        let mut extra = Vec::new();
        if !wide.is_empty() {
            extra.extend(field(FIELD_ZIP64, &wide));
        }
        extra.extend(self.time_field());
        if let Some((version, size)) = self.playable {
            let body = [&[version][..], &size.to_le_bytes()].concat();
            extra.extend(field(super::extra::PLAYABLE, &body));
        }
        let is_dir = u32::from(self.kind == Kind::Dir);
        let mut out = Vec::with_capacity(46 + name.len() + extra.len());
        CENTRAL.write(&mut out);
        MADE_BY.write(&mut out);
        self.common(&mut out, !wide.is_empty(), crc32);
        // No comment, disk 0, no internal attributes.
        [name.len() as u16, extra.len() as u16, 0, 0, 0].write(&mut out);
        // The lower half is that of DOS, where bit 4 says directory.
        let attributes = self.st_mode() << 16 | is_dir << 4;
        [attributes, offset.min(WIDE) as u32].write(&mut out);
        out.extend(name);
        out.extend(extra);
        out
    }

    /// The fields from the version needed to the sizes, which both records share.
    fn common(&self, out: &mut Vec<u8>, is_zip64: bool, crc32: u32) {
        let needs = if is_zip64 { NEEDS_ZIP64 } else { NEEDS };
        let stored = 0;
        let (date, time) = dos_time(self.mtime);
        let size = self.size.min(WIDE) as u32;
        [needs, self.flags(), stored, time, date].write(out);
        [crc32, size, size].write(out);
    }
}

/// The end records of an archive (sections 4.3.14 to 4.3.16) whose central directory has `size` bytes at
/// `offset`.
pub fn end_records(entries: u64, offset: u64, size: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let few = u64::from(u16::MAX);
    if entries >= few || offset >= WIDE || size >= WIDE {
        EOCD64.write(&mut out);
        // The length of the rest of this record.
        44u64.write(&mut out);
        [MADE_BY, NEEDS_ZIP64].write(&mut out);
        // Disk 0.
        [0u32, 0].write(&mut out);
        [entries, entries, size, offset].write(&mut out);
        [LOCATOR, 0].write(&mut out);
        (offset + size).write(&mut out);
        1u32.write(&mut out);
    }
    let entries = entries.min(few) as u16;
    [EOCD, 0].write(&mut out);
    [entries, entries].write(&mut out);
    [size, offset]
        .map(|number| number.min(WIDE) as u32)
        .write(&mut out);
    0u16.write(&mut out);
    out
}

fn field(id: u16, body: &[u8]) -> Vec<u8> {
    // No body here is longer than MAX_ALIGN and its own head.
    let len = body.len() as u16;
    [&id.to_le_bytes()[..], &len.to_le_bytes(), body].concat()
}

/// The padding that brings `offset` to a multiple of `align`: 0, or enough for a field.
fn padding(offset: u64, align: u64) -> u64 {
    let align = align.max(1);
    match offset.next_multiple_of(align) - offset {
        0 => 0,
        short if short < LEAST_PADDING => short + align.max(8),
        enough => enough,
    }
}

/// MS-DOS date and time (section 4.4.6) in UTC, clamped to their range.
fn dos_time(mtime: Timestamp) -> (u16, u16) {
    // 1980-01-01 to 2107-12-31 23:59:58.
    let secs = mtime.secs.clamp(315_532_800, 4_354_819_198);
    let (year, month, day) = Timestamp { secs, nanos: 0 }.date();
    let secs = secs % 86_400;
    let date = (year - 1980) << 9 | month << 5 | day;
    let time = (secs / 3600) << 11 | (secs / 60 % 60) << 5 | (secs % 60 / 2);
    (date as u16, time as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Index, IndexParser, ParseOptions};

    fn entry(path: &str, size: u64) -> NewEntry<'_> {
        NewEntry {
            path,
            kind: Kind::File,
            mode: 0o644,
            mtime: Timestamp::of_secs(1_700_000_001),
            size,
            playable: None,
        }
    }

    #[test]
    fn dos_times() {
        let of = |secs| dos_time(Timestamp { secs, nanos: 0 });
        assert_eq!(of(315_532_800), (1 << 5 | 1, 0));
        assert_eq!(of(0), of(315_532_800));
        // 2024-02-29 12:34:56
        assert_eq!(
            of(1_709_210_096),
            (44 << 9 | 2 << 5 | 29, 12 << 11 | 34 << 5 | 28)
        );
        assert_eq!(
            of(i64::MAX),
            (127 << 9 | 12 << 5 | 31, 23 << 11 | 59 << 5 | 29)
        );
    }

    #[test]
    fn data_is_aligned_and_lengths_are_predicted() {
        for path in ["a", "ab", "abc/defgh.ts", "ü"] {
            for offset in [0, 1, 4090, 4096, 123_456_789] {
                for align in [1, 2, 4, 8, 512, 4096, MAX_ALIGN] {
                    let header = entry(path, 5).local_header(offset, align, 7);
                    assert_eq!(header.len() as u64, entry(path, 5).local_len(offset, align));
                    assert_eq!(
                        (offset + header.len() as u64) % align,
                        0,
                        "{path} {offset} {align}"
                    );
                    assert_eq!(header[14..18], 7u32.to_le_bytes());
                }
            }
        }
    }

    /// Parses the directory of an archive of which only the end exists.
    fn parsed(records: &[u8], entries: u64, offset: u64) -> Index {
        let end = end_records(entries, offset, records.len() as u64);
        let tail = [records, &end].concat();
        let mut parser = IndexParser::new(offset + tail.len() as u64, ParseOptions::default())
            .expect("long enough");
        while let Some(wanted) = parser.wants() {
            let bytes: Vec<u8> = wanted
                .map(|at| at.checked_sub(offset).map_or(0, |at| tail[at as usize]))
                .collect();
            parser.feed(&bytes).expect("a directory");
        }
        parser.finish().expect("an index")
    }

    #[test]
    fn written_entries_parse_back() {
        let mut directory = Vec::new();
        let wide = 5 << 32;
        let long_ago = Timestamp::of_secs(-5);
        let far = Timestamp::of_secs(1 << 33);
        let entries = [
            (entry("a.ts", 10), 0),
            (
                NewEntry {
                    kind: Kind::Dir,
                    mode: 0o755,
                    mtime: long_ago,
                    ..entry("dir", 0)
                },
                10_000,
            ),
            (
                NewEntry {
                    kind: Kind::Symlink,
                    mtime: far,
                    ..entry("ü/link", 4)
                },
                20_000,
            ),
            (
                NewEntry {
                    playable: Some((1, 77)),
                    ..entry("x.m3u8", 99)
                },
                30_000,
            ),
            (entry("huge", wide), 40_000),
            (
                NewEntry {
                    mode: 0o755,
                    ..entry("far", 3)
                },
                wide + 80_000,
            ),
        ];
        for (entry, offset) in &entries {
            directory.extend(entry.central_record(*offset, 0xabcd));
        }
        let index = parsed(&directory, entries.len() as u64, wide + 90_000);
        assert_eq!(index.len(), entries.len());
        for (id, (entry, offset)) in index.ids().zip(&entries) {
            let got = index.get(id);
            assert_eq!(index.path(id), entry.path.as_bytes());
            assert_eq!((got.header_offset, got.size), (*offset, entry.size));
            assert_eq!(
                (got.kind, got.mtime, got.crc32),
                (entry.kind, entry.mtime, Some(0xabcd))
            );
            assert_eq!(got.mode, Some(entry.mode));
            assert_eq!(index.playable(id), entry.playable);
            let header = entry.local_header(*offset, 4096, 0xabcd);
            let check = index.header_check(id);
            let extent =
                check.confirm(&header[..(check.range().end - check.range().start) as usize]);
            let at = extent.expect("its own header").offset;
            assert_eq!(at, offset + header.len() as u64, "{}", entry.path);
        }
    }

    #[test]
    fn zip64_ends_begin_where_16_and_32_bits_end() {
        assert_eq!(end_records(65_534, WIDE - 1, 0).len(), 22);
        for end in [end_records(65_535, 0, 0), end_records(0, WIDE, 0)] {
            assert_eq!(end.len(), 22 + 20 + 56);
        }
    }
}

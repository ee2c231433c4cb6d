//! Parses a record of the central directory (section 4.3.12).

use std::borrow::Cow;

use super::encoding::Encoding;
use super::extra::Extra;
use super::header::{AES, DESCRIPTOR, ENCRYPTED};
use super::times;
use crate::archive::bytes::Fields;
use crate::archive::compact::EntryRecord;
use crate::archive::elements::take;
use crate::archive::entry::{Encryption, Kind, Method};
use crate::archive::names;

pub(super) const SIGNATURE: u32 = 0x0201_4b50;
/// The digital signature (section 4.3.13), which may follow the last record.
pub(super) const DIGITAL_SIGNATURE: u32 = 0x0505_4b50;
/// The archive extra data record (section 4.3.11), which precedes an encrypted directory.
pub(super) const ARCHIVE_EXTRA: u32 = 0x0806_4b50;
/// Length of the fixed part of a record.
pub(super) const FIXED_LEN: usize = 46;

/// Why no record was parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecordError {
    /// The bytes end before the record does.
    Incomplete,
    /// Another signature stands here.
    NotARecord(u32),
    /// The entry lies on another disk.
    Split,
    /// It is damaged.
    Damaged(&'static str),
}

/// Bit 11: name and comment are UTF-8 (section 4.4.4).
pub(super) const UTF8: u16 = 1 << 11;

/// Bit 6: strong encryption (section 7).
const STRONG: u16 = 1 << 6;

/// Reads the record that `bytes` begin with; also returns its length.
pub(super) fn read(
    bytes: &[u8],
    encoding: Encoding,
) -> Result<(EntryRecord<'_>, usize), RecordError> {
    let mut fields = Fields(bytes);
    let signature = fields.u32().ok_or(RecordError::Incomplete)?;
    if signature != SIGNATURE {
        return Err(RecordError::NotARecord(signature));
    }
    let fixed = &mut fields.take(FIXED_LEN - 4).ok_or(RecordError::Incomplete)?;
    let [made_by, _needed, flags, method, time, date]: [u16; 6] = take(fixed);
    let [crc32, compressed, size]: [u32; 3] = take(fixed);
    let [name_len, extra_len, comment_len, disk, _internal]: [u16; 5] = take(fixed);
    let [external, offset]: [u32; 2] = take(fixed);

    let mut rest = Fields(&bytes[FIXED_LEN..]);
    let raw_name = rest.take(name_len.into()).ok_or(RecordError::Incomplete)?;
    let extra = rest.take(extra_len.into()).ok_or(RecordError::Incomplete)?;
    rest.take(comment_len.into())
        .ok_or(RecordError::Incomplete)?;

    let extra = Extra::parse(extra, date);
    let narrow = [size, compressed, offset];
    let [size, compressed_size, header_offset] = zip64(extra.zip64, narrow, disk)?;
    let host = (made_by >> 8) as u8;
    let windows = is_windows(host);
    let name = decode_name(raw_name, flags, &extra, encoding);
    // A name that is not decoded yet may end in a backslash; a slash is the same in all encodings.
    let known_name = name.as_deref().unwrap_or(raw_name);
    let is_dir = names::is_dir(known_name, windows && name.is_some());
    let (kind, mode) = kind_and_mode(host, external, is_dir);
    let encryption = encryption(flags, method, &extra, crc32, time);
    let method = match (encryption, extra.aes) {
        (Some(Encryption::Aes { .. }), Some((_, method))) => method,
        _ => method,
    };
    let has_options = Method::of(method).has_options();
    // A link's target is its data, or here if it has none. The numbers of a device are no target.
    let is_link = matches!(kind, Kind::Symlink | Kind::File) && size == 0;
    let record = EntryRecord {
        encryption,
        options: if has_options {
            (flags >> 1 & 3) as u8
        } else {
            0
        },
        has_descriptor: flags & DESCRIPTOR != 0,
        method,
        mtime: extra.mtime.unwrap_or_else(|| times::dos(date, time)),
        crc32,
        compressed_size,
        size,
        header_offset,
        kind,
        mode,
        owner: extra.owner,
        raw_name,
        name,
        windows,
        link: if is_link { extra.unix_data } else { &[] },
        playable: extra.playable,
    };
    let len = FIXED_LEN + usize::from(name_len) + usize::from(extra_len) + usize::from(comment_len);
    Ok((record, len))
}

/// How an entry is encrypted. The check of a ZipCrypto password is the highest byte of the CRC-32 (section
/// 6.1.6), or of the time if the CRC-32 was not known in advance, as Info-ZIP has it.
fn encryption(flags: u16, method: u16, extra: &Extra, crc32: u32, time: u16) -> Option<Encryption> {
    if flags & ENCRYPTED == 0 {
        return None;
    }
    if flags & STRONG != 0 {
        return Some(Encryption::Unknown);
    }
    if method == AES {
        return Some(extra.aes.map_or(Encryption::Unknown, |(aes, _)| aes));
    }
    let check = match flags & DESCRIPTOR {
        0 => (crc32 >> 24) as u8,
        _ => (time >> 8) as u8,
    };
    Some(Encryption::ZipCrypto { check })
}

/// Reads size, compressed size and offset. The ZIP64 field holds, in the order size, compressed size,
/// offset, disk, only the numbers that are all ones in the fixed part (section 4.5.3). Some writers put
/// all of them in; then the field is longer and repeats the fixed part. `narrow` and `disk` are those of the fixed part.
fn zip64(field: Option<&[u8]>, narrow: [u32; 3], disk: u16) -> Result<[u64; 3], RecordError> {
    let Some(field) = field else {
        // Without the field, all ones is an ordinary number.
        return match disk {
            0 | u16::MAX => Ok(narrow.map(u64::from)),
            _ => Err(RecordError::Split),
        };
    };
    let wide_disk = disk == u16::MAX;
    let missing = narrow.map(|n| usize::from(n == u32::MAX) * 8);
    let mut needed = missing.iter().sum::<usize>() + usize::from(wide_disk) * 4;
    let mut fields = Fields(field);
    let mut wide = |narrow: u32| {
        if narrow != u32::MAX {
            let mut ahead = fields;
            if fields.0.len() > needed && ahead.u64() == Some(narrow.into()) {
                fields = ahead;
            }
            return Ok(u64::from(narrow));
        }
        needed -= 8;
        fields
            .u64()
            .ok_or(RecordError::Damaged("a ZIP64 extra field is too short"))
    };
    let [size, compressed, offset] = narrow;
    let numbers = [wide(size)?, wide(compressed)?, wide(offset)?];
    let disk = if wide_disk {
        fields.u32().unwrap_or(0)
    } else {
        disk.into()
    };
    match disk {
        0 => Ok(numbers),
        _ => Err(RecordError::Split),
    }
}

fn decode_name<'a>(
    raw: &'a [u8],
    flags: u16,
    extra: &Extra<'a>,
    encoding: Encoding,
) -> Option<Cow<'a, [u8]>> {
    if flags & UTF8 != 0 || raw.is_ascii() && extra.unicode_path.is_none() {
        return Some(raw.into());
    }
    // Valid only if its CRC matches the name (section 4.6.9): a tool may have renamed the entry and left
    // the field.
    if let Some((crc, name)) = extra.unicode_path
        && crc == crc32fast::hash(raw)
        && std::str::from_utf8(name).is_ok()
    {
        return Some(name.into());
    }
    encoding.decode(raw)
}

/// Whether a host writes backslashes and DOS attributes (section 4.4.2): MS-DOS, OS/2, Windows NTFS (also
/// by Info-ZIP's number), VFAT.
fn is_windows(host: u8) -> bool {
    matches!(host, 0 | 6 | 10 | 11 | 14)
}

/// Type and mode. Unix writers (section 4.4.2: host 3, and 19 for macOS) put st_mode into the upper half
/// of the external attributes. Others mark directories by a slash, DOS also by bit 4.
fn kind_and_mode(host: u8, external: u32, is_dir_by_name: bool) -> (Kind, Option<u16>) {
    let mode = (external >> 16) as u16;
    let by_name = if is_dir_by_name || external & 0x10 != 0 && is_windows(host) {
        Kind::Dir
    } else {
        Kind::File
    };
    if !matches!(host, 3 | 19) || mode == 0 {
        return (by_name, None);
    }
    let kind = match mode & 0o170_000 {
        0o040_000 => Kind::Dir,
        0o120_000 => Kind::Symlink,
        0o100_000 | 0 => by_name,
        _ => Kind::Special,
    };
    // Python's zipfile writes mode 0600 without a type for entries made from strings. A mode of 0 would
    // make a file that its owner cannot read, so it counts as none.
    (kind, (mode & 0o777 != 0).then_some(mode & 0o777))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u32 = u32::MAX;

    fn wide(numbers: &[u64], size: u32, compressed: u32, offset: u32) -> Option<(u64, u64, u64)> {
        let field: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let numbers = zip64(Some(&field), [size, compressed, offset], 0).ok()?;
        Some(numbers.into())
    }

    #[test]
    fn zip64_field_holds_the_numbers_that_are_all_ones() {
        // Only the offset is wide: the field's first number is the offset.
        assert_eq!(wide(&[7], 1, 2, MAX), Some((1, 2, 7)));
        assert_eq!(wide(&[7], MAX, 2, 3), Some((7, 2, 3)));
        assert_eq!(wide(&[7, 8], MAX, MAX, 3), Some((7, 8, 3)));
        assert_eq!(wide(&[7, 8], MAX, 2, MAX), Some((7, 2, 8)));
        assert_eq!(wide(&[7, 8, 9], MAX, MAX, MAX), Some((7, 8, 9)));
        assert_eq!(wide(&[], 1, 2, 3), Some((1, 2, 3)));
        assert_eq!(wide(&[7], MAX, MAX, 3), None);
    }

    #[test]
    fn zip64_field_may_repeat_other_numbers() {
        assert_eq!(wide(&[1, 2, 7], 1, 2, MAX), Some((1, 2, 7)));
        assert_eq!(wide(&[1, 2, 3], 1, 2, 3), Some((1, 2, 3)));
        assert_eq!(wide(&[1, 7], 1, MAX, 3), Some((1, 7, 3)));
        assert_eq!(wide(&[7, 2, 8], MAX, 2, MAX), Some((7, 2, 8)));
        // What does not repeat is what the specification says it is.
        assert_eq!(wide(&[7, 8, 9], 1, 2, MAX), Some((1, 2, 7)));
    }

    #[test]
    fn another_disk_is_an_error() {
        let read = |field, disk| zip64(field, [1; 3], disk);
        assert_eq!(read(None, 1), Err(RecordError::Split));
        assert_eq!(read(Some(&[1, 0, 0, 0]), u16::MAX), Err(RecordError::Split));
        assert!(read(Some(&[0, 0, 0, 0]), u16::MAX).is_ok());
        assert!(read(None, 0).is_ok());
    }

    #[test]
    fn kinds_by_mode_and_by_name() {
        let unix = |mode: u32, name: &[u8]| kind_and_mode(3, mode << 16, name.ends_with(b"/"));
        assert_eq!(unix(0o100_644, b"a"), (Kind::File, Some(0o644)));
        assert_eq!(
            unix(0o104_755, b"a"),
            (Kind::File, Some(0o755)),
            "no setuid"
        );
        assert_eq!(unix(0o040_755, b"a"), (Kind::Dir, Some(0o755)));
        assert_eq!(unix(0o120_777, b"a"), (Kind::Symlink, Some(0o777)));
        for special in [0o010_644, 0o020_644, 0o060_644, 0o140_644] {
            assert_eq!(unix(special, b"a"), (Kind::Special, Some(0o644)));
        }
        assert_eq!(unix(0o600, b"a"), (Kind::File, Some(0o600)));
        assert_eq!(unix(0o100_000, b"a"), (Kind::File, None));
        assert_eq!(unix(0, b"a/"), (Kind::Dir, None));
        assert_eq!(kind_and_mode(0, 0x10, false), (Kind::Dir, None));
        assert_eq!(kind_and_mode(0, 0o120_777 << 16, false), (Kind::File, None));
        assert_eq!(kind_and_mode(0, 0, true), (Kind::Dir, None));
    }
}

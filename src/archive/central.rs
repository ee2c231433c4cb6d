//! One record of the central directory (section 4.3.12).

use super::bytes::Fields;
use super::entry::{Kind, Timestamp};
use super::extra::Extra;
use super::names;

pub(super) const SIGNATURE: u32 = 0x0201_4b50;
/// Digital signature (section 4.3.13), which may follow the last record.
pub(super) const DIGITAL_SIGNATURE: u32 = 0x0505_4b50;
/// The fixed part of a record.
pub(super) const FIXED_LEN: usize = 46;

/// What one record says.
pub(super) struct Record<'a> {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) mtime: Timestamp,
    pub(super) crc32: u32,
    pub(super) compressed_size: u64,
    pub(super) size: u64,
    pub(super) header_offset: u64,
    pub(super) kind: Kind,
    pub(super) mode: Option<u16>,
    pub(super) raw_name: &'a [u8],
    /// The name in UTF-8, or as raw bytes if the flag says UTF-8 and it is not.
    pub(super) name: Vec<u8>,
    /// Whether the writer is DOS or Windows.
    pub(super) windows: bool,
    /// Version and length of a playlist's playable form.
    pub(super) playable: Option<(u8, u64)>,
}

/// Why there is no record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// The bytes end before the record does.
    More,
    /// No record begins here, but something with this signature.
    NotARecord(u32),
    /// It is damaged.
    Damaged(&'static str),
}

/// Bit 11: name and comment are UTF-8 (section 4.4.4).
const UTF8: u16 = 1 << 11;

/// Reads the record that `bytes` begin with; also returns its length.
pub(super) fn read(bytes: &[u8]) -> Result<(Record<'_>, usize), Lack> {
    let mut fields = Fields(bytes);
    let signature = fields.u32().ok_or(Lack::More)?;
    if signature != SIGNATURE {
        return Err(Lack::NotARecord(signature));
    }
    let mut fields = Fields(fields.take(FIXED_LEN - 4).ok_or(Lack::More)?);
    // Fixed length was checked: from here a field is always there.
    let mut u16 = || fields.u16().ok_or(Lack::More);
    let (made_by, _needed, flags, method) = (u16()?, u16()?, u16()?, u16()?);
    let (time, date) = (u16()?, u16()?);
    let crc32 = fields.u32().ok_or(Lack::More)?;
    let compressed = fields.u32().ok_or(Lack::More)?;
    let size = fields.u32().ok_or(Lack::More)?;
    let mut u16 = || fields.u16().ok_or(Lack::More);
    let (name_len, extra_len, comment_len) = (u16()?, u16()?, u16()?);
    let (disk, _internal) = (u16()?, u16()?);
    let external = fields.u32().ok_or(Lack::More)?;
    let offset = fields.u32().ok_or(Lack::More)?;

    let mut rest = Fields(&bytes[FIXED_LEN..]);
    let raw_name = rest.take(name_len.into()).ok_or(Lack::More)?;
    let extra = rest.take(extra_len.into()).ok_or(Lack::More)?;
    rest.take(comment_len.into()).ok_or(Lack::More)?;

    let extra = Extra::parse(extra);
    let (size, compressed_size, header_offset) = zip64(&extra, size, compressed, offset)?;
    if disk != 0 && disk != u16::MAX {
        return Err(Lack::Damaged("an entry lies on another disk"));
    }
    let host = (made_by >> 8) as u8;
    let (kind, mode) = kind_and_mode(host, external, raw_name);
    let record = Record {
        flags,
        method,
        mtime: extra.mtime.unwrap_or_else(|| dos_time(date, time)),
        crc32,
        compressed_size,
        size,
        header_offset,
        kind,
        mode,
        raw_name,
        name: decode_name(raw_name, flags, &extra),
        windows: matches!(host, 0 | 10 | 11 | 14),
        playable: extra.playable,
    };
    let len = FIXED_LEN + usize::from(name_len) + usize::from(extra_len) + usize::from(comment_len);
    Ok((record, len))
}

/// The ZIP64 field holds, in this order, only those numbers whose own field is all ones
/// (section 4.5.3): size, compressed size, offset.
fn zip64(extra: &Extra, size: u32, compressed: u32, offset: u32) -> Result<(u64, u64, u64), Lack> {
    let mut fields = Fields(extra.zip64.unwrap_or_default());
    let mut wide = |narrow: u32| match (narrow, extra.zip64) {
        // Without the field it is just the largest number.
        (u32::MAX, Some(_)) => fields
            .u64()
            .ok_or(Lack::Damaged("a ZIP64 extra field is too short")),
        (narrow, _) => Ok(u64::from(narrow)),
    };
    Ok((wide(size)?, wide(compressed)?, wide(offset)?))
}

fn decode_name(raw: &[u8], flags: u16, extra: &Extra) -> Vec<u8> {
    if flags & UTF8 != 0 || raw.is_ascii() {
        return raw.to_vec();
    }
    // Valid only for this very name (section 4.6.9): a tool that renamed without it left it behind.
    if let Some((crc, name)) = extra.unicode_path
        && crc == crc32fast::hash(raw)
        && std::str::from_utf8(name).is_ok()
    {
        return name.to_vec();
    }
    // Unix writers store what the file was called, mostly UTF-8, and do not say so.
    match std::str::from_utf8(raw) {
        Ok(_) => raw.to_vec(),
        Err(_) => names::from_cp437(raw).into_bytes(),
    }
}

/// Unix writers (section 4.4.2: host 3, and 19 for macOS) put st_mode into the upper half of the
/// external attributes. Others say by a slash that it is a directory, DOS by bit 4 as well.
fn kind_and_mode(host: u8, external: u32, raw_name: &[u8]) -> (Kind, Option<u16>) {
    let is_dir_by_name = raw_name.ends_with(b"/") || (host == 0 && raw_name.ends_with(b"\\"));
    let mode = (external >> 16) as u16;
    let by_name = match is_dir_by_name || external & 0x10 != 0 && host == 0 {
        true => Kind::Dir,
        false => Kind::File,
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
    // Python's zipfile writes mode 0600 and no type into entries made from strings; a mode of
    // nothing at all would make a file that its owner cannot read.
    (kind, (mode & 0o777 != 0).then_some(mode & 0o777))
}

/// MS-DOS date and time (section 4.4.6), taken as UTC. A date that cannot be is its nearest.
fn dos_time(date: u16, time: u16) -> Timestamp {
    let year = i64::from(date >> 9) + 1980;
    let month = i64::from(date >> 5 & 15).clamp(1, 12);
    let day = i64::from(date & 31).max(1);
    let (hour, minute) = (
        i64::from(time >> 11).min(23),
        i64::from(time >> 5 & 63).min(59),
    );
    let second = i64::from(time & 31) * 2;
    // Days since 1970-01-01 of a date of the Gregorian calendar, counting years from March.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Timestamp {
        secs: days * 86_400 + hour * 3600 + minute * 60 + second,
        nanos: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dos_times_are_utc() {
        let date = |y: u16, m: u16, d: u16| (y - 1980) << 9 | m << 5 | d;
        assert_eq!(dos_time(date(1980, 1, 1), 0).secs, 315_532_800);
        assert_eq!(
            dos_time(date(2024, 2, 29), 12 << 11 | 34 << 5 | 28).secs,
            1_709_210_096
        );
        assert_eq!(dos_time(date(2107, 12, 31), 0).secs, 4_354_732_800);
        assert_eq!(dos_time(0, 0).secs, 315_532_800, "no date is the first one");
    }

    #[test]
    fn zip64_fields_hold_what_is_all_ones_and_nothing_else() {
        let field = 7u64.to_le_bytes();
        let extra = Extra {
            zip64: Some(&field),
            ..Extra::default()
        };
        // Only the offset is wide: the field's first number is the offset.
        assert_eq!(zip64(&extra, 1, 2, u32::MAX), Ok((1, 2, 7)));
        assert_eq!(zip64(&extra, u32::MAX, 2, 3), Ok((7, 2, 3)));
        assert!(zip64(&extra, u32::MAX, u32::MAX, 3).is_err());
        assert_eq!(
            zip64(&Extra::default(), u32::MAX, 2, 3),
            Ok((u32::MAX.into(), 2, 3))
        );
    }
}

//! Parses the extra fields of a central directory record (section 4.5).

use super::times;
use crate::archive::bytes::Fields;
use crate::archive::entry::{AesKey, Encryption, Timestamp};

/// The content of the extra fields of one record.
#[derive(Debug, Default)]
pub(super) struct Extra<'a> {
    /// The ZIP64 field's bytes (0x0001, section 4.5.3).
    pub(super) zip64: Option<&'a [u8]>,
    /// Modification time, from the most precise field.
    pub(super) mtime: Option<Timestamp>,
    /// User and group ids.
    pub(super) owner: Option<(u32, u32)>,
    /// Info-ZIP Unicode Path (0x7075, section 4.6.9): CRC-32 of the stored name, and the name in UTF-8.
    pub(super) unicode_path: Option<(u32, &'a [u8])>,
    /// What follows the times and owner in PKWARE's Unix field (0x000d, section 4.5.7): the target of a hard
    /// or symbolic link, or the numbers of a device.
    pub(super) unix_data: &'a [u8],
    /// WinZip's AES field (0x9901): how an entry of method 99 is encrypted, and its true method.
    pub(super) aes: Option<(Encryption, u16)>,
    /// The [`PLAYABLE`] field: version and length of a playlist's playable form.
    pub(super) playable: Option<(u8, u64)>,
}

/// aiozfs's own field in a playlist's record (`doc/FORMAT.md`). Its number is not in sections 4.5.2 and
/// 4.6.1.
pub(super) const PLAYABLE: u16 = 0x7a61;

impl<'a> Extra<'a> {
    /// Reads known fields. Skips unknown and truncated ones, which are common. Of two fields with the same
    /// number the first counts. `dos_date` tells whether a 32-bit time has wrapped.
    pub(super) fn parse(bytes: &'a [u8], dos_date: u16) -> Self {
        let mut extra = Extra::default();
        // Modification times, by the kind of their field.
        let (mut ntfs, mut unix, mut old) = (None, None, None);
        let mut fields = Fields(bytes);
        while let (Some(id), Some(len)) = (fields.u16(), fields.u16()) {
            let Some(body) = fields.take(len.into()) else {
                break;
            };
            match id {
                0x0001 => extra.zip64 = extra.zip64.or(Some(body)),
                0x7075 => extra.unicode_path = extra.unicode_path.or_else(|| unicode_path(body)),
                PLAYABLE => extra.playable = extra.playable.or_else(|| playable(body)),
                0x9901 => extra.aes = extra.aes.or_else(|| aes(body)),
                0x7875 => extra.owner = sized_owner(body).or(extra.owner),
                0x7855 => extra.owner = extra.owner.or_else(|| short_owner(Fields(body))),
                0x5455 => unix = unix.or_else(|| extended_timestamp(body, dos_date)),
                0x000a => ntfs = ntfs.or_else(|| times::ntfs(body)),
                0x5855 | 0x000d => {
                    let (mtime, rest) = old_unix(body, dos_date);
                    old = old.or(mtime);
                    extra.owner = extra.owner.or_else(|| short_owner(rest));
                    if id == 0x000d && extra.unix_data.is_empty() {
                        extra.unix_data = body.get(12..).unwrap_or_default();
                    }
                }
                _ => {}
            }
        }
        // The most precise one counts.
        extra.mtime = ntfs.or(unix).or(old);
        extra
    }
}

/// Info-ZIP's extended timestamp (section 4.6.1; described in Info-ZIP's `proginfo/extrafld.txt`): flags,
/// then the modification time in seconds if bit 0 of the flags is set.
fn extended_timestamp(body: &[u8], dos_date: u16) -> Option<Timestamp> {
    let mut fields = Fields(body);
    let flags = fields.take(1)?[0];
    let secs = fields.u32()?;
    (flags & 1 != 0).then(|| times::unix(secs, dos_date))
}

/// The older Unix fields (0x5855 by Info-ZIP, 0x000d by PKWARE, section 4.5.7): access and modification
/// time, then 16-bit user and group, which Info-ZIP omits in the directory.
fn old_unix(body: &[u8], dos_date: u16) -> (Option<Timestamp>, Fields<'_>) {
    let mut fields = Fields(body);
    let mtime = fields.u32().and_then(|_atime| fields.u32());
    (mtime.map(|secs| times::unix(secs, dos_date)), fields)
}

/// The version of the playable form, then its length in bytes. Later versions may append fields.
fn playable(body: &[u8]) -> Option<(u8, u64)> {
    let mut fields = Fields(body);
    Some((fields.take(1)?[0], fields.u64()?))
}

/// WinZip's field: version (1 for AE-1, 2 for AE-2), vendor ("AE"), length of the key, true method.
fn aes(body: &[u8]) -> Option<(Encryption, u16)> {
    let mut fields = Fields(body);
    let (version, vendor) = (fields.u16()?, fields.take(2)?);
    let key = AesKey::of_number(fields.take(1)?[0])?;
    let is_ae2 = version == 2;
    let encryption = Encryption::Aes { key, is_ae2 };
    (vendor == b"AE" && matches!(version, 1 | 2)).then_some((encryption, fields.u16()?))
}

fn short_owner(mut fields: Fields) -> Option<(u32, u32)> {
    Some((fields.u16()?.into(), fields.u16()?.into()))
}

/// Info-ZIP's 0x7875: version 1, then user and group, each preceded by its length.
fn sized_owner(body: &[u8]) -> Option<(u32, u32)> {
    let mut fields = Fields(body);
    let version = fields.take(1)?[0];
    let mut number = || {
        let len = fields.take(1)?[0];
        let bytes = fields.take(len.into())?;
        let (low, high) = bytes.split_at(bytes.len().min(4));
        let number = low.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b));
        high.iter().all(|b| *b == 0).then_some(number)
    };
    let owner = (number()?, number()?);
    (version == 1).then_some(owner)
}

fn unicode_path(body: &[u8]) -> Option<(u32, &[u8])> {
    let mut fields = Fields(body);
    let version = fields.take(1)?[0];
    let crc = fields.u32()?;
    (version == 1).then_some((crc, fields.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(id: u16, body: &[u8]) -> Vec<u8> {
        let head = [id.to_le_bytes(), (body.len() as u16).to_le_bytes()];
        [&head.concat(), body].concat()
    }

    #[test]
    fn owners_in_all_widths() {
        let owner = |id: u16, body: &[u8]| Extra::parse(&field(id, body), 0).owner;
        let sized = [1, 4, 0xe8, 3, 0, 0, 4, 0xe9, 3, 0, 0];
        assert_eq!(owner(0x7875, &sized), Some((1000, 1001)));
        assert_eq!(owner(0x7875, &[1, 1, 7, 2, 8, 1]), Some((7, 264)));
        assert_eq!(owner(0x7875, &[1, 8, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0]), None);
        assert_eq!(owner(0x7875, &[2, 1, 7, 1, 8]), None, "another version");
        assert_eq!(owner(0x7855, &[5, 0, 6, 0]), Some((5, 6)));
        assert_eq!(
            owner(0x7855, &[]),
            None,
            "as Info-ZIP has it in the directory"
        );
        assert_eq!(
            owner(0x5855, &[0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 6, 0]),
            Some((5, 6))
        );
    }

    #[test]
    fn the_most_precise_time_counts() {
        let unix = field(0x5455, &[1, 10, 0, 0, 0]);
        let old = field(0x5855, &[1, 0, 0, 0, 20, 0, 0, 0]);
        let ticks = (11_644_473_600u64 + 30) * 10_000_000 + 1;
        let mut body = vec![0, 0, 0, 0, 1, 0, 24, 0];
        body.extend(ticks.to_le_bytes().iter().chain(&[0; 16]));
        let ntfs = field(0x000a, &body);
        let mtime = |fields: &[&[u8]]| {
            let found = Extra::parse(&fields.concat(), 0).mtime;
            found.map(|time| (time.secs, time.nanos))
        };
        assert_eq!(mtime(&[&old]), Some((20, 0)));
        assert_eq!(mtime(&[&old, &unix]), Some((10, 0)));
        assert_eq!(mtime(&[&unix, &old]), Some((10, 0)));
        assert_eq!(mtime(&[&ntfs, &unix]), Some((30, 100)));
        assert_eq!(mtime(&[&field(0x5455, &[2, 10, 0, 0, 0])]), None);
        assert_eq!(mtime(&[&unix[..8]]), None, "cut off");
        assert_eq!(
            mtime(&[&[0, 0, 0, 0], &unix]),
            Some((10, 0)),
            "padding first"
        );
    }

    #[test]
    fn a_link_of_pkzip_is_known() {
        let body = b"\0\0\0\0\0\0\0\0\0\0\0\0target";
        assert_eq!(Extra::parse(&field(0x000d, body), 0).unix_data, b"target");
        for short in [0, 4, 12] {
            let field = field(0x000d, &body[..short]);
            assert!(Extra::parse(&field, 0).unix_data.is_empty());
        }
    }

    #[test]
    fn aes_of_winzip_is_known() {
        let aes = |body: &[u8]| Extra::parse(&field(0x9901, body), 0).aes;
        let of = |key, is_ae2| Encryption::Aes { key, is_ae2 };
        assert_eq!(
            aes(b"\x01\0AE\x01\x08\0"),
            Some((of(AesKey::Bits128, false), 8))
        );
        assert_eq!(
            aes(b"\x02\0AE\x02\0\0"),
            Some((of(AesKey::Bits192, true), 0))
        );
        assert_eq!(
            aes(b"\x02\0AE\x03\x5f\0"),
            Some((of(AesKey::Bits256, true), 95))
        );
        for bad in [
            &b"\x03\0AE\x03\0\0"[..],
            b"\x02\0AX\x03\0\0",
            b"\x02\0AE\x04\0\0",
            b"\x02\0AE\x03\0",
        ] {
            assert_eq!(aes(bad), None, "{bad:?}");
        }
    }
}

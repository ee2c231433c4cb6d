//! Extra fields of a central directory record (section 4.5).

use super::bytes::Fields;
use super::entry::Timestamp;

/// What the extra fields of one record say.
#[derive(Debug, Default)]
pub(super) struct Extra<'a> {
    /// The ZIP64 field's bytes (0x0001, section 4.5.3).
    pub(super) zip64: Option<&'a [u8]>,
    /// Modification time from the extended timestamp (0x5455) or NTFS (0x000a) field.
    pub(super) mtime: Option<Timestamp>,
    /// Info-ZIP Unicode Path (0x7075): CRC-32 of the plain name, and the name in UTF-8.
    pub(super) unicode_path: Option<(u32, &'a [u8])>,
    /// Our own field ([`PLAYABLE`]): version and length of a playlist's playable form.
    pub(super) playable: Option<(u8, u64)>,
}

/// The field of our own that a playlist's record has (`doc/FORMAT.md`); not among those that
/// sections 4.5.2 and 4.6.1 list.
pub(super) const PLAYABLE: u16 = 0x7a61;

/// Windows counts 100 ns since 1601; this many seconds before 1970.
const NTFS_EPOCH: i64 = 11_644_473_600;

impl<'a> Extra<'a> {
    /// Reads what is known; what is not, or is cut off, is passed over: much in the wild is junk.
    pub(super) fn parse(bytes: &'a [u8]) -> Self {
        let mut extra = Extra::default();
        let mut fields = Fields(bytes);
        while let (Some(id), Some(len)) = (fields.u16(), fields.u16()) {
            let Some(body) = fields.take(len.into()) else {
                break;
            };
            match id {
                0x0001 => extra.zip64 = Some(body),
                0x000a => extra.mtime = ntfs_mtime(body).or(extra.mtime),
                0x5455 if extra.mtime.is_none() => extra.mtime = unix_mtime(body),
                0x7075 => extra.unicode_path = unicode_path(body),
                PLAYABLE => extra.playable = playable(body),
                _ => {}
            }
        }
        extra
    }
}

/// Flags, then the modification time in seconds, if bit 0 of the flags says so.
fn unix_mtime(body: &[u8]) -> Option<Timestamp> {
    let mut fields = Fields(body);
    let flags = fields.take(1)?[0];
    let secs = fields.u32()?.cast_signed();
    (flags & 1 != 0).then_some(Timestamp {
        secs: secs.into(),
        nanos: 0,
    })
}

/// Reserved, then tagged attributes, of which tag 1 has the three times (section 4.5.5).
fn ntfs_mtime(body: &[u8]) -> Option<Timestamp> {
    let mut fields = Fields(body);
    fields.u32()?;
    loop {
        let (tag, len) = (fields.u16()?, fields.u16()?);
        let mut attribute = Fields(fields.take(len.into())?);
        if tag == 1 {
            let ticks = attribute.u64()?;
            return Some(Timestamp {
                secs: i64::try_from(ticks / 10_000_000).ok()? - NTFS_EPOCH,
                nanos: (ticks % 10_000_000) as u32 * 100,
            });
        }
    }
}

fn unicode_path(body: &[u8]) -> Option<(u32, &[u8])> {
    let mut fields = Fields(body);
    let version = fields.take(1)?[0];
    let crc = fields.u32()?;
    (version == 1).then_some((crc, fields.0))
}

/// The version of the playable form, then its length in bytes. Later versions may add to it.
fn playable(body: &[u8]) -> Option<(u8, u64)> {
    let mut fields = Fields(body);
    Some((fields.take(1)?[0], fields.u64()?))
}

//! One header block (POSIX.1-2017, pax, "ustar Interchange Format").

use crate::archive::entry::Timestamp;

/// The place of the checksum in a header.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// A header whose checksum is right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header<'a>(&'a [u8; 512]);

/// Whether a block is a header: its checksum is right.
pub fn is_header(block: &[u8]) -> bool {
    Header::read(block).is_some()
}

impl<'a> Header<'a> {
    /// The header in a block of 512 bytes; `None` if the block is none.
    pub(super) fn read(block: &'a [u8]) -> Option<Self> {
        let block: &[u8; 512] = block.try_into().ok()?;
        let recorded = number(&block[CHECKSUM])?;
        // The field itself counts as spaces.
        let sum = |value: fn(u8) -> i64| -> i64 {
            let of = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum + value(*byte));
            of(block) - of(&block[CHECKSUM]) + CHECKSUM.len() as i64 * i64::from(b' ')
        };
        // Some old writers added signed bytes.
        let is_right =
            sum(i64::from) == recorded || sum(|b| i64::from(b.cast_signed())) == recorded;
        is_right.then_some(Self(block))
    }

    pub(super) fn crc32(self) -> u32 {
        crc32fast::hash(self.0)
    }

    /// The type of the member.
    pub(super) fn typeflag(self) -> u8 {
        self.0[156]
    }

    /// The size of the data in bytes; `None` if it is no number, or negative.
    pub(super) fn size(self) -> Option<u64> {
        u64::try_from(number(&self.0[124..136])?).ok()
    }

    /// The size that a sparse member of an old GNU archive has with its holes.
    pub(super) fn real_size(self) -> Option<u64> {
        u64::try_from(number(&self.0[483..495])?).ok()
    }

    pub(super) fn mode(self) -> Option<u16> {
        number(&self.0[100..108]).map(|mode| (mode & 0o777) as u16)
    }

    pub(super) fn user(self) -> Option<u32> {
        u32::try_from(number(&self.0[108..116])?).ok()
    }

    pub(super) fn group(self) -> Option<u32> {
        u32::try_from(number(&self.0[116..124])?).ok()
    }

    pub(super) fn mtime(self) -> Timestamp {
        Timestamp::of_secs(number(&self.0[136..148]).unwrap_or(0))
    }

    pub(super) fn link(self) -> &'a [u8] {
        text(&self.0[157..257])
    }

    /// Appends the name, with the prefix before it.
    pub(super) fn name(self, out: &mut Vec<u8>) {
        // GNU's magic is "ustar  ", and it has other fields in the place of the prefix.
        if &self.0[257..263] == b"ustar\0" {
            let is_star = &self.0[508..512] == b"tar\0";
            let prefix = text(&self.0[345..if is_star { 476 } else { 500 }]);
            if !prefix.is_empty() {
                out.extend_from_slice(prefix);
                out.push(b'/');
            }
        }
        out.extend_from_slice(text(&self.0[..100]));
    }

    /// The first pieces of an old GNU sparse member as offset and length, and whether more follow.
    pub(super) fn pieces(self) -> (Option<Vec<(u64, u64)>>, bool) {
        (pieces(&self.0[386..482]), self.0[482] != 0)
    }
}

/// Pieces in a block that continues the map of an old GNU sparse member, and whether more follow.
pub(super) fn more_pieces(block: &[u8]) -> (Option<Vec<(u64, u64)>>, bool) {
    match block.split_at_checked(504) {
        Some((all, [more, ..])) => (pieces(all), *more != 0),
        _ => (None, false),
    }
}

/// Pieces of two numbers of 12 bytes each, up to the first empty one; `None` if a number is malformed.
fn pieces(bytes: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut all = Vec::new();
    for piece in bytes.chunks_exact(24) {
        if piece[0] == 0 && piece[12] == 0 {
            break;
        }
        let at = |from: usize| u64::try_from(number(&piece[from..from + 12])?).ok();
        all.push((at(0)?, at(12)?));
    }
    Some(all)
}

/// Whether a block has only zeros.
pub(super) fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// A number: octal digits, or GNU's base-256 form with the highest bit set. An empty field is 0. `None` if it is
/// malformed, or has more than 64 bits.
fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Two's complement; the highest bit only marks the form, and the second one is the sign.
        let is_negative = first & 0x40 != 0;
        let start = if is_negative {
            i128::from(*first) - 256
        } else {
            i128::from(first & 0x7f)
        };
        let value = rest.iter().try_fold(start, |value, byte| {
            value
                .checked_mul(256)
                .map(|value| value + i128::from(*byte))
        });
        return i64::try_from(value?).ok();
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|b| *b != b' ').unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_blank).unwrap_or(digits.len());
    digits[..end].iter().try_fold(0i64, |value, digit| {
        let digit = matches!(digit, b'0'..=b'7').then(|| i64::from(digit - b'0'))?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_form() {
        let table: [(&[u8], Option<i64>); 13] = [
            (b"0000644\0", Some(0o644)),
            (b" 644 \0", Some(0o644)),
            (b"77777777777 ", Some(0o77_777_777_777)),
            (b"\0\0\0\0", Some(0)),
            (b"    ", Some(0)),
            (b"12a4\0", None),
            (b"9\0", None),
            (b"-1\0", None),
            (&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0], Some(1 << 33)),
            (&[0xff; 12], Some(-1)),
            (
                &[
                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf6,
                ],
                Some(-10),
            ),
            (
                &[
                    0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                ],
                None,
            ),
            (
                &[
                    0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                ],
                Some(i64::MAX),
            ),
        ];
        for (field, expected) in table {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn only_a_right_checksum_makes_a_header() {
        let mut block = [0; 512];
        assert!(!is_header(&block));
        block[0] = b'a';
        let sum = 8 * 32 + 97;
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(is_header(&block));
        assert!(!is_header(&block[1..]));
        block[300] = 1;
        assert!(!is_header(&block));
    }
}

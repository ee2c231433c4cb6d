//! The types that describe an entry.

use std::fmt;
use std::ops::Range;

/// An entry of an index. Ordered as the entries lie in the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub(super) u32);

impl EntryId {
    /// Its position in the order of the blob, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    #[cfg(test)]
    pub(crate) fn at(index: u32) -> Self {
        Self(index)
    }
}

/// A contiguous part of the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the first byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

impl Extent {
    /// The same as a range.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len
    }
}

/// The compression method of an entry (section 4.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not compressed.
    Stored,
    /// Shrink, of PKZIP 1.
    Shrunk,
    /// Reduce with a compression factor from 1 to 4, of PKZIP 1.
    Reduced(u8),
    /// Implode, of PKZIP 1.
    Imploded,
    /// Deflate.
    Deflated,
    /// Deflate64.
    Deflated64,
    /// bzip2.
    Bzip2,
    /// LZMA.
    Lzma,
    /// Zstandard, by its present number or the first one.
    Zstd,
    /// XZ.
    Xz,
    /// PPMd, version I, revision 1.
    Ppmd,
    /// Not compressed, but in pieces with holes between them that read as zeros: a sparse member of a tar.
    Sparse,
    /// Any other, by its number.
    Other(u16),
}

/// The number of [`Method::Sparse`] in an index. In a ZIP, it is one of the others.
pub(super) const SPARSE: u16 = 0xff00;

impl Method {
    pub(super) fn of(number: u16) -> Self {
        match number {
            0 => Method::Stored,
            1 => Method::Shrunk,
            2..=5 => Method::Reduced((number - 1) as u8),
            6 => Method::Imploded,
            8 => Method::Deflated,
            9 => Method::Deflated64,
            12 => Method::Bzip2,
            14 => Method::Lzma,
            20 | 93 => Method::Zstd,
            95 => Method::Xz,
            98 => Method::Ppmd,
            number => Method::Other(number),
        }
    }

    /// Whether bits 1 and 2 of the general purpose flags tell a decoder something (section 4.4.4).
    pub(super) fn has_options(self) -> bool {
        matches!(self, Method::Imploded | Method::Lzma)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Stored => "stored",
            Method::Shrunk => "shrunk",
            Method::Reduced(_) => "reduced",
            Method::Imploded => "imploded",
            Method::Deflated => "deflated",
            Method::Deflated64 => "deflate64",
            Method::Bzip2 => "bzip2",
            Method::Lzma => "lzma",
            Method::Zstd => "zstd",
            Method::Xz => "xz",
            Method::Ppmd => "ppmd",
            Method::Sparse => "sparse",
            Method::Other(number) => return write!(f, "method {number}"),
        })
    }
}

/// How the data of an entry is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// PKWARE's traditional encryption (section 6.1).
    ZipCrypto {
        /// The last of the 12 bytes before the data, decrypted: a check of the password (section 6.1.6).
        check: u8,
    },
    /// WinZip's AES encryption (`https://www.winzip.com/en/support/aes-encryption/`).
    Aes {
        /// Length of the key.
        key: AesKey,
        /// Whether it is AE-2, which writes no CRC-32.
        is_ae2: bool,
    },
    /// Any other, for example PKWARE's strong encryption (section 7).
    Unknown,
}

/// The length of an AES key.
///
/// Its number is that of WinZip's extra field and of a stored index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AesKey {
    /// 128 bits.
    Bits128 = 1,
    /// 192 bits.
    Bits192,
    /// 256 bits.
    Bits256,
}

impl AesKey {
    pub(super) fn of_number(number: u8) -> Option<Self> {
        let all = [AesKey::Bits128, AesKey::Bits192, AesKey::Bits256];
        all.into_iter().find(|key| *key as u8 == number)
    }

    /// Length of the key in bytes.
    pub fn bytes(self) -> usize {
        8 + 8 * self as usize
    }

    /// Length in bytes of the salt before the data: half of the key's.
    pub fn salt_len(self) -> usize {
        self.bytes() / 2
    }
}

impl Encryption {
    /// How many bytes it adds before and behind the compressed data: ZipCrypto 12 before; AES the salt and
    /// two bytes that check the password before, and 10 bytes that authenticate the data behind.
    pub fn overhead(self) -> (u64, u64) {
        match self {
            Encryption::ZipCrypto { .. } => (12, 0),
            Encryption::Aes { key, .. } => (key.salt_len() as u64 + 2, 10),
            Encryption::Unknown => (0, 0),
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Encryption::ZipCrypto { .. } => f.write_str("ZipCrypto"),
            Encryption::Aes { key, .. } => write!(f, "AES-{}", key.bytes() * 8),
            Encryption::Unknown => f.write_str("unknown encryption"),
        }
    }
}

/// The type of an entry, from its Unix mode or its name (directories end in a slash). A stored index has its number, so
/// the order stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link; its data is the target.
    Symlink,
    /// A device, FIFO or socket. Shown as a regular file.
    Special,
}

/// A moment, as seconds and nanoseconds since 1970-01-01 00:00 UTC; seconds may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp {
    /// Whole seconds.
    pub secs: i64,
    /// Nanoseconds on top, below one billion.
    pub nanos: u32,
}

impl Timestamp {
    /// The year, month and day in UTC by the Gregorian calendar, whatever the year.
    pub fn date(self) -> (i64, i64, i64) {
        // Years begin in March: a leap day is then the last day of its year. An era has 400 years.
        let days = self.secs.div_euclid(86_400) + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let year = year + era * 400 + i64::from(month >= 10);
        let month = if month < 10 { month + 3 } else { month - 9 };
        (year, month, day)
    }

    /// The moment of a whole second.
    pub const fn of_secs(secs: i64) -> Self {
        Self { secs, nanos: 0 }
    }
}

/// The attributes of an entry, from the central directory or the headers of a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Offset of its local header in the blob, or of its header in a tar.
    pub header_offset: u64,
    /// Length of its content in bytes.
    pub size: u64,
    /// Length of its data in the archive in bytes, with what its encryption adds; the same as `size` for an
    /// entry that is stored and not encrypted.
    pub compressed_size: u64,
    /// CRC-32 of its content (section 4.4.7). `None` in a tar, and for AE-2, which writes zero.
    pub crc32: Option<u32>,
    /// How its data is compressed, before it is encrypted.
    pub method: Method,
    /// The general purpose flags (section 4.4.4) that its decoder needs: bits 1 and 2 for LZMA and Implode, else
    /// none.
    pub flags: u16,
    /// How its data is encrypted; `None` if it is not.
    pub encryption: Option<Encryption>,
    /// Its type.
    pub kind: Kind,
    /// Unix permission bits without setuid, setgid and sticky, if its writer kept them.
    pub mode: Option<u16>,
    /// Numbers of its user and group, if its writer kept them.
    pub owner: Option<(u32, u32)>,
    /// When its content was last changed. DOS times count as UTC.
    pub mtime: Timestamp,
}

impl Entry {
    /// How it is stored, for people: its method, and its encryption if it is encrypted.
    pub fn storage(&self) -> String {
        let method = self.method;
        self.encryption.map_or_else(
            || method.to_string(),
            |encryption| format!("{method}, {encryption}"),
        )
    }

    /// Whether its data in the archive is its content: stored, and not encrypted.
    pub fn is_plain(&self) -> bool {
        self.method == Method::Stored && self.encryption.is_none()
    }
}

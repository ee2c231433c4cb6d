//! Extended headers: what they say of the next member, or of all that follow.

use crate::archive::entry::Timestamp;
use crate::ranges::decimal;

/// The most numbers of a sparse map in extended headers. More pieces than that are refused anyway.
const MOST_NUMBERS: usize = 1 << 21;

/// What extended headers say of a member. `None`: its own header says it.
#[derive(Debug, Clone, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) user: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) comment: Option<Vec<u8>>,
    pub(super) sparse: Sparse,
}

/// What GNU's extended headers say of a sparse member.
#[derive(Debug, Clone, Default)]
pub(super) struct Sparse {
    /// Version 1.0: the map lies before the data.
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    /// The name of the member; its path is a made-up one.
    pub(super) name: Option<Vec<u8>>,
    /// The size with holes.
    pub(super) size: Option<u64>,
    /// Versions 0.0 and 0.1: the pieces, as offset and length. The last one of version 0.0 may lack its length.
    pub(super) pieces: Vec<u64>,
    pub(super) has_map: bool,
}

/// An extended header that is malformed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The longest name that holds for all members, in bytes (PATH_MAX). A longer one can be no path, and each member would
/// get a copy.
const LONGEST_OF_ALL: usize = 4096;

impl Extended {
    /// Whether a path or a target is too long to hold for all members.
    pub(super) fn names_are_long(&self) -> bool {
        let names = [&self.path, &self.link].into_iter().flatten();
        names.map(Vec::len).any(|len| len > LONGEST_OF_ALL)
    }

    /// Takes the records of a pax extended header: `length keyword=value` and a newline each.
    pub(super) fn take(&mut self, mut records: &[u8]) -> Result<(), Malformed> {
        // Some writers fill up with NULs.
        while records.first().is_some_and(|byte| *byte != 0) {
            let space = records.iter().take(20).position(|byte| *byte == b' ');
            let space = space.ok_or(Malformed)?;
            let len = decimal(&records[..space]).ok_or(Malformed)?;
            let len = usize::try_from(len).map_err(|_| Malformed)?;
            let record = records.get(space + 1..len).ok_or(Malformed)?;
            records = &records[len..];
            let record = record.strip_suffix(b"\n").ok_or(Malformed)?;
            let equals = record.iter().position(|byte| *byte == b'=');
            let equals = equals.ok_or(Malformed)?;
            self.set(&record[..equals], &record[equals + 1..])?;
        }
        Ok(())
    }

    /// Sets what a keyword says. An empty value takes back what was said before.
    fn set(&mut self, keyword: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let text = || (!value.is_empty()).then(|| value.to_vec());
        let number = || match value {
            b"" => Ok(None),
            digits => decimal(digits).map(Some).ok_or(Malformed),
        };
        match keyword {
            b"path" => self.path = text(),
            b"linkpath" => self.link = text(),
            b"comment" => self.comment = text(),
            b"size" => self.size = number()?,
            // An owner that does not fit into 32 bits is left out.
            b"uid" => self.user = decimal(value).and_then(|id| u32::try_from(id).ok()),
            b"gid" => self.group = decimal(value).and_then(|id| u32::try_from(id).ok()),
            b"mtime" => self.mtime = time(value),
            b"GNU.sparse.major" => self.sparse.major = number()?,
            b"GNU.sparse.minor" => self.sparse.minor = number()?,
            b"GNU.sparse.name" => self.sparse.name = text(),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = number()?,
            b"GNU.sparse.numblocks" => self.sparse.has_map = true,
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let is_length = keyword == b"GNU.sparse.numbytes";
                if (self.sparse.pieces.len() % 2 == 1) != is_length {
                    return Err(Malformed);
                }
                self.sparse.has_map = true;
                if self.sparse.pieces.len() >= MOST_NUMBERS {
                    return Err(Malformed);
                }
                self.sparse.pieces.extend(number()?);
            }
            b"GNU.sparse.map" => {
                self.sparse.has_map = true;
                self.sparse.pieces.clear();
                for part in value.split(|byte| *byte == b',').filter(|p| !p.is_empty()) {
                    self.sparse.pieces.push(decimal(part).ok_or(Malformed)?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Sparse {
    /// Whether the member is sparse, in a version that is known.
    pub(super) fn version(&self) -> Option<Version> {
        match (self.major, self.minor) {
            (Some(1), Some(0)) => Some(Version::MapBeforeData),
            (None | Some(0), _) if self.has_map => Some(Version::MapInHeader),
            _ => None,
        }
    }
}

/// Where the map of a sparse member lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Versions 0.0 and 0.1.
    MapInHeader,
    /// Version 1.0.
    MapBeforeData,
}

/// Seconds since 1970 as a decimal number, which may have a sign and a fraction.
fn time(text: &[u8]) -> Option<Timestamp> {
    let (is_negative, digits) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = digits.split_at(dot.unwrap_or(digits.len()));
    let secs = i64::try_from(decimal(whole)?).ok()?;
    let fraction = fraction.get(1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Digits beyond nanoseconds are cut off.
    let digit = |at: usize| u32::from(fraction.get(at).copied().unwrap_or(b'0') - b'0');
    let nanos = (0..9).fold(0, |nanos, at| nanos * 10 + digit(at));
    Some(match (is_negative, nanos) {
        (false, nanos) => Timestamp { secs, nanos },
        (true, 0) => Timestamp { secs: -secs, nanos },
        (true, nanos) => Timestamp {
            secs: -secs - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Vec<u8> {
        let len = (1..).find(|len: &usize| len.to_string().len() + 1 + text.len() + 1 == *len);
        format!("{} {text}\n", len.expect("a length")).into_bytes()
    }

    #[test]
    fn records_say_what_headers_cannot() {
        let mut all = Extended::default();
        let text = [
            "path=a/b\nc",
            "size=8589934592",
            "mtime=1.5",
            "uid=4294967296",
            "x.y=z==",
        ];
        let bytes: Vec<u8> = text.iter().flat_map(|text| record(text)).collect();
        assert_eq!(all.take(&bytes), Ok(()));
        assert_eq!(all.path.as_deref(), Some(&b"a/b\nc"[..]));
        assert_eq!(all.size, Some(1 << 33));
        assert_eq!(all.user, None);
        assert_eq!(
            all.mtime,
            Some(Timestamp {
                secs: 1,
                nanos: 500_000_000
            })
        );
        assert_eq!(all.take(&record("path=")), Ok(()));
        assert_eq!(all.path, None, "an empty value takes the path back");
    }

    #[test]
    fn malformed_records_are_refused() {
        let long = b"99999999999999999999 a=b\n";
        let table: [&[u8]; 8] = [
            b"5 a=b\n",
            b"8 a=b\n",
            b"x a=b\n",
            b"6 a b\n",
            long,
            b"3 \n",
            b"0 a=b\n",
            b"13 size=1x\n\n",
        ];
        for bytes in table {
            assert_eq!(
                Extended::default().take(bytes),
                Err(Malformed),
                "{}",
                bytes.escape_ascii()
            );
        }
        assert_eq!(Extended::default().take(b"6 a=b\n\0\0"), Ok(()));
    }

    #[test]
    fn times_with_sign_and_fraction() {
        let of = |secs, nanos| Some(Timestamp { secs, nanos });
        assert_eq!(time(b"12"), of(12, 0));
        assert_eq!(time(b"12.000000001"), of(12, 1));
        assert_eq!(time(b"12.1234567899"), of(12, 123_456_789));
        assert_eq!(time(b"-1.25"), of(-2, 750_000_000));
        assert_eq!(time(b"-7"), of(-7, 0));
        for text in ["", "-", "1.x", "1e5", "99999999999999999999"] {
            assert_eq!(time(text.as_bytes()), None, "{text}");
        }
    }
}

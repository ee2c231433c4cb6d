//! The format of an archive, and how its list of entries ends.

use std::fmt;

/// The format of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// ZIP: the central directory lists the entries.
    Zip,
    /// Uncompressed tar: each member follows its own header.
    Tar,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Zip => "ZIP",
            Format::Tar => "tar",
        })
    }
}

/// How the members of a tar end. A ZIP always ends as [`Marked`](Self::Marked): a damaged directory is an error.
///
/// Their order is part of the stored form of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// At the blocks of zeros that mark the end of a tar.
    Marked,
    /// At the end of the blob, right behind a member. The archive may have been cut there.
    Unmarked,
    /// At the end of the blob, in the middle of a member or of a header.
    Cut,
    /// At a block that is no header: its checksum is wrong.
    NoHeader,
    /// At a header whose size is no number, or too large.
    BadSize,
    /// At an extended header that is malformed.
    BadExtended,
    /// At an extended header that is too long, or that gives all members a name that is too long.
    LongExtended,
    /// At one block of zeros, behind which lies something else. GNU tar, bsdtar and Python stop there, too.
    Lone,
}

const ALL: [Ending; 8] = [
    Ending::Marked,
    Ending::Unmarked,
    Ending::Cut,
    Ending::NoHeader,
    Ending::BadSize,
    Ending::BadExtended,
    Ending::LongExtended,
    Ending::Lone,
];

impl Ending {
    /// Whether members are certainly missing, or damaged.
    pub fn is_damage(self) -> bool {
        !matches!(self, Ending::Marked | Ending::Unmarked | Ending::Lone)
    }

    /// The one of this number, which it has in a stored index.
    pub(super) fn of_number(number: u64) -> Option<Self> {
        ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// What is wrong with the end at this offset; `None` if nothing is.
    pub(super) fn problem(self, offset: u64) -> Option<String> {
        let at = format!("at offset {offset}");
        let damaged = |what: &str| {
            format!("the archive is damaged {at}: {what}; members behind it are not shown")
        };
        Some(match self {
            Ending::Marked => return None,
            Ending::Unmarked => format!(
                "the archive ends {at} without the blocks of zeros that mark the end; it may be incomplete"
            ),
            Ending::Cut => format!("the archive is cut off {at}, in the middle of a member"),
            Ending::NoHeader => damaged("there is no tar header"),
            Ending::BadSize => damaged("the size in a tar header is no valid number"),
            Ending::BadExtended => damaged("an extended header is malformed"),
            Ending::LongExtended => damaged(&format!(
                "an extended header is longer than {MAX_EXTENDED} bytes, or gives all members a path that is too long"
            )),
            Ending::Lone => format!(
                "the members end {at}, at one block of zeros where two mark the end; what lies behind it is not shown"
            ),
        })
    }
}

/// The longest extended header that is read, in bytes. It bounds memory; the longest path and all attributes that
/// Linux allows are shorter.
pub(super) const MAX_EXTENDED: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_has_its_number_in_a_stored_index() {
        for (number, ending) in (0..).zip(ALL) {
            assert_eq!(ending as u64, number);
            assert_eq!(Ending::of_number(number), Some(ending));
        }
        assert_eq!(Ending::of_number(ALL.len() as u64), None);
    }
}

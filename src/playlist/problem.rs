//! Problems of links, each with its line.

use crate::ranges::arrange_by_key;
use std::fmt;

/// The length in bytes beyond which a text is not treated as a playlist. A day of segments of two
/// seconds takes less than 4 MB.
pub const LONGEST: u64 = 16 << 20;

/// A text with changed links.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Linked {
    /// The text.
    pub text: String,
    /// Links that stayed as they are because of a problem.
    pub problems: Vec<Problem>,
    /// Paths of files that the text still needs as separate files, other than playlists.
    pub loose: Vec<String>,
    /// Links to missing files that the standard permits: keys that are stored elsewhere, segments
    /// that are marked as gaps, and preload hints.
    pub nowhere: Vec<Problem>,
}

/// A problem of a text with links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: u32,
    /// The problem.
    pub what: What,
}

/// The kinds of problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The file does not exist.
    Missing {
        /// The link.
        uri: String,
    },
    /// The link leads out of the folder.
    Outside {
        /// The link.
        uri: String,
    },
    /// The link's byte range is not within the file.
    Beyond {
        /// The link.
        uri: String,
        /// Length of the file in bytes.
        size: u64,
    },
    /// The segment index of the media file is damaged.
    Index {
        /// The link.
        uri: String,
        /// What is damaged.
        why: &'static str,
    },
    /// The text is malformed, for this reason.
    Malformed(&'static str),
    /// The file does not exist, and may not be meant: a server may answer, or this is not a link.
    Absent {
        /// The text of the link.
        uri: String,
    },
    /// The link begins with a slash or is a `file:` URL, so it cannot lead to a file of the folder.
    Rooted {
        /// The link.
        uri: String,
    },
    /// The link's path has a variable with an unknown value.
    Unknown {
        /// The link.
        uri: String,
        /// The name of the variable.
        name: String,
        /// Why its value is unknown.
        why: &'static str,
    },
    /// The link leads to different files, depending on which playlist refers to this one.
    Ambiguous {
        /// The link.
        uri: String,
        /// The paths of two of the files.
        paths: [String; 2],
    },
    /// The text names a file of the folder in a place that is not known to hold a link.
    Mention {
        /// The name as the text writes it.
        uri: String,
        /// The number of other such names.
        more: u64,
    },
    /// The text has more links than this limit.
    TooMany(usize),
    /// This number of further problems, which are not reported one by one.
    More(u64),
    /// The playlist will not play, for this reason.
    Unplayable(&'static str),
    /// The file has the name of a playlist but is not one, for this reason.
    NoPlaylist(&'static str),
    /// With range links the playlist is longer than [`LONGEST`], so that mounts do not remove them.
    TooLong,
    /// A part of a manifest gets no range links, for this reason.
    Unlinked(&'static str),
    /// The Period calls for more segments than there are.
    Ends {
        /// How many there are.
        there: u64,
        /// How many there should be.
        due: u64,
    },
    /// The manifest is of a live stream.
    Live,
    /// Thumbnails are in several images.
    Tiles,
}

impl What {
    /// Whether this is a link to a missing file.
    pub fn leads_nowhere(&self) -> bool {
        matches!(
            self,
            What::Missing { .. } | What::Outside { .. } | What::Absent { .. } | What::Rooted { .. }
        )
    }

    /// Whether this is a warning. Other problems are errors unless the user allows them.
    pub fn is_warning(&self) -> bool {
        match self {
            What::Missing { .. }
            | What::Outside { .. }
            | What::Beyond { .. }
            | What::Index { .. }
            | What::Malformed(_)
            | What::TooMany(_) => false,
            What::Absent { .. }
            | What::Rooted { .. }
            | What::Unknown { .. }
            | What::Ambiguous { .. }
            | What::Mention { .. }
            | What::More(_)
            | What::Unplayable(_)
            | What::NoPlaylist(_)
            | What::TooLong
            | What::Unlinked(_)
            | What::Ends { .. }
            | What::Live
            | What::Tiles => true,
        }
    }
}

/// Collects problems, with a bound: a hostile text has one on each of a million lines.
#[derive(Debug, Default)]
pub(super) struct Problems {
    reported: Vec<Problem>,
    /// The number of problems beyond the bound.
    more: u64,
}

impl Problems {
    /// The most problems that are reported one by one.
    const MOST: usize = 1000;

    pub(super) fn push(&mut self, line: u32, what: What) {
        if self.reported.len() < Self::MOST {
            self.reported.push(Problem { line, what });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn extend(&mut self, other: Problems) {
        self.more += other.more;
        for Problem { line, what } in other.reported {
            self.push(line, what);
        }
    }

    /// The problems in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        arrange_by_key(&mut self.reported, |problem| problem.line);
        if let Some(last) = self.reported.last().filter(|_| self.more > 0) {
            let (line, what) = (last.line, What::More(self.more));
            self.reported.push(Problem { line, what });
        }
        self.reported
    }
}

/// Displays a part of a text in a message: shortened, and with control characters escaped, as a
/// terminal would act on them.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 200;
        for (at, c) in self.0.char_indices() {
            if at >= MOST {
                return f.write_str("...");
            }
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// The beginning of a link, long enough for [`Shown`].
pub(super) fn excerpt(uri: &str) -> String {
    uri.chars().take(250).collect()
}

/// The first character of a reference that ends its path, and its escape.
fn escape_of(uri: &str) -> Option<(char, &'static str)> {
    let at = uri.find(['#', '?'])?;
    Some(match uri.as_bytes()[at] {
        b'#' => ('#', "%23"),
        _ => ('?', "%3F"),
    })
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Missing { uri } | What::Absent { uri } => {
                write!(f, "there is no file '{}'", Shown(uri))?;
                match escape_of(uri) {
                    Some((c, escape)) => {
                        write!(f, " (a '{c}' in a file name is written {escape} in a link)")
                    }
                    None => Ok(()),
                }
            }
            What::Outside { uri } => write!(f, "'{}' leads out of the folder", Shown(uri)),
            What::Beyond { uri, size } => write!(
                f,
                "the byte range is not within '{}', which has {size} bytes",
                Shown(uri)
            ),
            What::Index { uri, why } => write!(
                f,
                "the segment index (sidx) of '{}' is damaged: {why}",
                Shown(uri)
            ),
            What::Rooted { uri } => write!(
                f,
                "'{}' does not lead to a file of the folder, neither from a node nor in a mount; write it relative to this file",
                Shown(uri)
            ),
            What::Unknown { uri, name, why } => write!(
                f,
                "'{}' will not play from a node: the value of the variable '{}' is not known: {why}",
                Shown(uri),
                Shown(name)
            ),
            What::Ambiguous {
                uri,
                paths: [one, other],
            } => write!(
                f,
                "'{}' will not play from a node: it leads to '{}' or to '{}', depending on which playlist refers to this one; write one of them without variables",
                Shown(uri),
                Shown(one),
                Shown(other)
            ),
            What::Mention { uri, more } => {
                write!(f, "names the file '{}'", Shown(uri))?;
                match more {
                    0 => {}
                    1 => f.write_str(" and another one")?,
                    more => write!(f, " and {more} others")?,
                }
                f.write_str(
                    ", where no link is known to stand; it is packed as it is, and will not be found from a node",
                )
            }
            What::TooMany(most) => write!(
                f,
                "more than {most} links; those from here on are packed as they are"
            ),
            What::More(more) => write!(f, "and {more} more problems in this file"),
            What::Unplayable(why) => f.write_str(why),
            What::Malformed(what) => f.write_str(what),
            What::NoPlaylist(why) => write!(f, "packed as it is, without range links: {why}"),
            What::TooLong => write!(
                f,
                "more than {} MiB with its range links; a mount will show it as it is stored",
                LONGEST >> 20
            ),
            What::Unlinked(why) => write!(f, "left without range links, does not play from a node: {why}"),
            What::Ends { there, due } => write!(
                f,
                "the length of the Period calls for {due} segments, and the files of {there} are there; \
                 the list ends with the last one"
            ),
            What::Live => f.write_str(
                "type=\"dynamic\": players take it for a live stream and ask for segments by the clock; \
                 write type=\"static\" and mediaPresentationDuration if it has ended",
            ),
            What::Tiles => f.write_str(
                "thumbnails in several images become a list, from which dash.js does not show them; \
                 one image of all tiles is shown",
            ),
        }
    }
}

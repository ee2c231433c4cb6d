//! What is wrong with a link, and on which line.

use std::fmt;

/// A text with its links changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Linked {
    /// The text.
    pub text: String,
    /// Links that could not be followed, and were left as they are.
    pub problems: Vec<Problem>,
    /// Files (by path) that the text still points to as files of their own, playlists apart.
    pub loose: Vec<String>,
}

/// A link that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: u32,
    /// What is wrong.
    pub what: What,
}

/// What is wrong with a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// There is no such file.
    Missing {
        /// The link.
        uri: String,
    },
    /// It leads out of the folder.
    Outside {
        /// The link.
        uri: String,
    },
    /// Its byte range is not within the file.
    Beyond {
        /// The link.
        uri: String,
        /// Length of the file in bytes.
        size: u64,
    },
    /// The index of the media file that it leads to is wrong.
    Index {
        /// The link.
        uri: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It cannot be read.
    Malformed(&'static str),
    /// The file is called like a playlist and is none, for this reason.
    NoPlaylist(&'static str),
    /// With its links the playlist has become too long for whoever would take them back.
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
    /// Whether the playlist is packed all the same: what is there plays as far as it did before.
    pub fn is_warning(&self) -> bool {
        match self {
            What::NoPlaylist(_)
            | What::TooLong
            | What::Unlinked(_)
            | What::Ends { .. }
            | What::Live
            | What::Tiles => true,
            What::Missing { .. }
            | What::Outside { .. }
            | What::Beyond { .. }
            | What::Index { .. }
            | What::Malformed(_) => false,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Missing { uri } => write!(f, "there is no file '{uri}'"),
            What::Outside { uri } => write!(f, "'{uri}' leads out of the folder"),
            What::Beyond { uri, size } => {
                write!(
                    f,
                    "the byte range is not within '{uri}', which has {size} bytes"
                )
            }
            What::Index { uri, why } => {
                write!(f, "the segment index (sidx) of '{uri}' is damaged: {why}")
            }
            What::Malformed(what) => f.write_str(what),
            What::NoPlaylist(why) => write!(f, "packed as it is, without range links: {why}"),
            What::TooLong => write!(
                f,
                "more than {} MiB with its range links; a mount will show it as it is stored",
                super::LONGEST >> 20
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

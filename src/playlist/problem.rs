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
    /// Links to what is not there, where the standard lets a link lead nowhere: a key that is kept
    /// elsewhere, a segment marked as a gap, a hint of what is to come.
    pub nowhere: Vec<Problem>,
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
    /// There is no such file, and perhaps none is meant: a server may answer it, or it is no link.
    Absent {
        /// The link, or what looks like one.
        uri: String,
    },
    /// It begins with a slash, or is a `file:` URL: from a node it leads to none of the files.
    Rooted {
        /// The link.
        uri: String,
    },
    /// Its path needs a variable whose value is not known.
    Unknown {
        /// The link.
        uri: String,
        /// The variable.
        name: String,
        /// Why the value is not known.
        why: &'static str,
    },
    /// It leads to different files, depending on who refers to the playlist.
    Ambiguous {
        /// The link.
        uri: String,
        /// Two of the files, by path.
        paths: [String; 2],
    },
    /// The text names a file of the folder where no link is known to stand.
    Mention {
        /// The name, as it stands there.
        uri: String,
        /// How many other names there are like it.
        more: u64,
    },
    /// More links than a playlist may have.
    TooMany(usize),
    /// More problems than are told, this many.
    More(u64),
    /// It will not play as it is, for this reason.
    Unplayable(&'static str),
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
    /// Whether a link leads to no file.
    pub fn leads_nowhere(&self) -> bool {
        matches!(
            self,
            What::Missing { .. } | What::Outside { .. } | What::Absent { .. } | What::Rooted { .. }
        )
    }

    /// Whether a player can do without what is wrong, so that it is told and nothing more. All else
    /// is an error unless the user allows it.
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

/// Problems as they are found, with a bound: hostile text has one on each of a million lines.
#[derive(Debug, Default)]
pub(super) struct Problems {
    told: Vec<Problem>,
    more: u64,
}

impl Problems {
    /// No user reads more.
    const MOST: usize = 1000;

    pub(super) fn push(&mut self, line: u32, what: What) {
        if self.told.len() < Self::MOST {
            self.told.push(Problem { line, what });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn extend(&mut self, other: Problems) {
        self.more += other.more;
        for Problem { line, what } in other.told {
            self.push(line, what);
        }
    }

    /// In the order of the text.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.told.sort_by_key(|problem| problem.line);
        if let Some(last) = self.told.last().filter(|_| self.more > 0) {
            let (line, what) = (last.line, What::More(self.more));
            self.told.push(Problem { line, what });
        }
        self.told
    }
}

/// A piece of a text, fit for a message: short, and without control characters, which a terminal
/// might obey.
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

/// A link as a problem keeps it: what [`Shown`] shows, and little more.
pub(super) fn excerpt(uri: &str) -> String {
    uri.chars().take(250).collect()
}

/// What to write instead of a character that cuts a name short, where a reference has one.
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

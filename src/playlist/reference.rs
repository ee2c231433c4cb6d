//! What links lead to.

use super::address::Span;

/// A link to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The line of the link, from 1.
    pub line: u32,
    /// The path of the file, relative to the packed folder.
    pub path: String,
    /// The purpose of the file.
    pub role: Role,
}

/// The purpose of a file that a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Media, init segments included. References to media are in playback order.
    Media,
    /// Another playlist.
    Playlist,
    /// A key.
    Key,
    /// Anything else, such as session data or a preload hint.
    Other,
}

/// The files of the folder or archive, as far as links need them.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The extent of a file's data in the archive, by its path.
    pub find: &'a dyn Fn(&str) -> Option<Span>,
    /// Reads a part of a file, given by its path; `None` if that fails. DASH reads a few small parts
    /// of media files for their segment index.
    pub read: &'a dyn Fn(&str, Span) -> Option<Vec<u8>>,
}

//! HLS and DASH text: finds links, adds range links, and removes them. Pure: text in, text out.
//!
//! A **range link** (`name?range=<offset>,<size>`) names the bytes of an archive that hold an
//! entry, so that an unmodified player plays from a server that supports nothing but ranges. A
//! playlist has three forms:
//!
//! - *linked* ([`Playlist::link`]): with range links, as an archive stores it;
//! - *playable* ([`Playlist::playable`]): without range links, as it plays from a folder of files;
//! - *byte range* ([`Playlist::byterange`]): for servers without range links, with the standard's own byte
//!   ranges (EXT-X-BYTERANGE, mediaRange) of the archive's URL.
//!
//! Texts are edited in place. Everything but links (comments, unknown tags, line ends, a byte order
//! mark, the order of attributes) stays the same to the byte.
//!
//! Companions of playlists that name files (WebVTT with thumbnails, JSON) get range links, too.
//!
//! HLS follows RFC 8216bis (draft-pantos-hls-rfc8216bis) and DASH ISO/IEC 23009-1, both as far as
//! links are concerned. No text makes this room panic. What it does not understand stays as it is.

mod address;
mod companion;
mod context;
mod dash;
mod edit;
mod format;
mod forms;
mod hls;
mod problem;
mod reference;

pub use address::{Span, resolve};
pub use context::Context;
pub use format::{Format, broken_line, format_of, is_playlist, may_be_text, recognise};
pub use forms::{PLAYABLE_VERSION, Playlist, mentions};
pub use problem::{LONGEST, Linked, Problem, What};
pub use reference::{Files, Reference, Role};

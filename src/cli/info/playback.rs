//! Whether the entries of an archive lie in playback order, so that playback reads it sequentially.
//!
//! `aiozfs pack` writes archives in this order: the media of a playlist lie one behind the other, in
//! its order, except for those that an earlier playlist has already placed.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};
use serde::Serialize;

use crate::archive::{EntryId, Kind};
use crate::cli::patterns::lookup;
use crate::cli::unmounted::Unmounted;
use crate::playlist::{self, LONGEST, Role};

/// The most playlists that are read. More would not tell more about the order.
const MAX_PLAYLISTS: usize = 1000;

/// Playlists that are read at once.
const AT_ONCE: usize = 8;

/// The result, also in JSON.
#[derive(Debug, Default, Serialize)]
pub(super) struct Playback {
    /// Whether the media of all playlists lie in playback order. `None` without playlists.
    pub(super) in_order: Option<bool>,
    /// The number of playlists read that link to media of the archive.
    pub(super) playlists: u64,
    /// Whether the archive has more playlists.
    pub(super) has_more: bool,
    /// Playlists that could not be read, and why.
    pub(super) unread: Vec<String>,
    /// Playlists whose media lie in another order.
    pub(super) disordered: Vec<Disorder>,
}

/// The first pair of a playlist's media that does not lie in playback order, as paths.
#[derive(Debug, Serialize)]
pub(super) struct Disorder {
    pub(super) playlist: String,
    /// The file that does not lie right behind `after`, though it is played next.
    pub(super) next: String,
    pub(super) after: String,
}

/// Reads the playlists, and compares the order of their media with that of the archive.
///
/// An archive of `aiozfs pack` marks its texts with links, whatever their names are. In other archives
/// only names tell which entries to read. The text then decides whether it is a playlist.
pub(super) async fn look(unmounted: &Unmounted<'_>) -> Playback {
    let decoder = unmounted.volume.decoder();
    let index = unmounted.archive().index();
    let candidate = |id: EntryId| {
        let path = std::str::from_utf8(index.path(id)).ok()?;
        let entry = index.get(id);
        let is_marked = index.playable(id).is_some() || playlist::format_of(path).is_some();
        let may_be = is_marked && entry.kind == Kind::File && entry.size <= LONGEST;
        (may_be && decoder.readable(id).is_ok()).then_some((id, path))
    };
    let lists = index.ids().filter_map(candidate);
    let mut lists: Vec<_> = lists.take(MAX_PLAYLISTS + 1).collect();
    let mut found = Playback {
        has_more: lists.len() > MAX_PLAYLISTS,
        ..Playback::default()
    };
    lists.truncate(MAX_PLAYLISTS);
    let texts = lists.iter().map(|(id, path)| async move {
        let size = index.get(*id).size;
        (*path, decoder.read(*id, 0..size).await)
    });
    // In the order of the archive, in which the packer has placed their media.
    let mut texts = stream::iter(texts).buffered(AT_ONCE);
    let mut placed = HashSet::new();
    while let Some((path, text)) = texts.next().await {
        match text {
            Ok(text) => judge(unmounted, path, &text, &mut placed, &mut found),
            Err(why) => found.unread.push(format!("{path}: {why}")),
        }
    }
    found.in_order = (found.playlists > 0).then_some(found.disordered.is_empty());
    found
}

/// Adds a text to the result, if it is a playlist with media of the archive.
fn judge(
    unmounted: &Unmounted,
    path: &str,
    text: &[u8],
    placed: &mut HashSet<EntryId>,
    found: &mut Playback,
) {
    let index = unmounted.archive().index();
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let Some(format) = playlist::recognise(text).filter(|format| format.is_playlist()) else {
        return;
    };
    let size_of = |path: &str| find(unmounted, path).map(|id| index.get(id).size);
    let references = playlist::Playlist::new(format, path, text).references(&size_of);
    let media = references.iter().filter(|r| r.role == Role::Media);
    let media: Vec<EntryId> = media.filter_map(|r| find(unmounted, &r.path)).collect();
    if media.is_empty() {
        return;
    }
    found.playlists += 1;
    let fresh: Vec<EntryId> = media.into_iter().filter(|id| placed.insert(*id)).collect();
    let broken = fresh
        .windows(2)
        .find(|pair| !follows(unmounted, pair[0], pair[1]));
    if let Some(&[after, next]) = broken {
        let name = |id: EntryId| String::from_utf8_lossy(index.path(id)).into_owned();
        found.disordered.push(Disorder {
            playlist: path.to_owned(),
            next: name(next),
            after: name(after),
        });
    }
}

/// Whether an entry lies right behind another. Entries without bytes between them do not count.
fn follows(unmounted: &Unmounted, first: EntryId, second: EntryId) -> bool {
    let index = unmounted.archive().index();
    let between = first.index() + 1..second.index();
    first < second
        && between
            .filter_map(|at| index.id(at))
            .all(|id| index.get(id).compressed_size == 0)
}

fn find(unmounted: &Unmounted, path: &str) -> Option<EntryId> {
    let tree = unmounted.tree();
    tree.entry(lookup(tree, path.as_bytes())?)
}

//! Whether an archive is stored in the order in which its playlists play it.
//!
//! Then playing is one sequential read. `aiozfs pack` stores what a playlist names side by side and in its
//! order, except for what an earlier playlist named.

use std::collections::HashSet;

use futures_util::{StreamExt, stream};

use crate::archive::{EntryId, Kind};
use crate::cli::unmounted::Unmounted;
use crate::fs::Ino;
use crate::playlist::{self, Format, Role};

/// The most playlists that are read, as a sample.
const MOST: usize = 1000;

/// A file of more bytes than this is not taken for a playlist.
const LONGEST: u64 = 16 << 20;

/// Playlists that are read at once.
const AT_ONCE: usize = 8;

/// The result.
#[derive(Debug, Default)]
pub(super) struct Playback {
    /// How many of the playlists that were read name media of the archive.
    pub(super) playlists: u64,
    /// Whether there are playlists that were not read.
    pub(super) has_more: bool,
    /// Playlists whose media are stored in another order, each with the first such pair.
    pub(super) disordered: Vec<Disorder>,
    /// What could not be read, and why.
    pub(super) failed: Vec<String>,
}

#[derive(Debug, serde::Serialize)]
pub(super) struct Disorder {
    pub(super) playlist: String,
    /// Played after `after`, but not stored directly after it.
    pub(super) next: String,
    pub(super) after: String,
}

/// Reads the playlists and compares them with the order of the archive.
pub(super) async fn look(unmounted: &Unmounted<'_>) -> Playback {
    let archive = unmounted.archive();
    let index = archive.index();
    let format = |id: EntryId| {
        let path = std::str::from_utf8(index.path(id)).ok()?;
        let entry = index.get(id);
        let may_be = entry.kind == Kind::File && entry.size <= LONGEST;
        let format = playlist::format_of(path)?;
        (may_be && index.readable(id).is_ok()).then_some((format, path))
    };
    let lists = index.ids().filter_map(|id| Some((id, format(id)?)));
    let mut lists: Vec<_> = lists.take(MOST + 1).collect();
    let mut found = Playback {
        has_more: lists.len() > MOST,
        ..Playback::default()
    };
    lists.truncate(MOST);
    let texts = lists.iter().map(|(id, (format, path))| async move {
        let size = index.get(*id).size;
        (*format, *path, archive.read(*id, 0..size).await)
    });
    // In the order of the archive, in which a packer placed what they name.
    let mut texts = stream::iter(texts).buffered(AT_ONCE);
    let mut placed = HashSet::new();
    while let Some((format, path, text)) = texts.next().await {
        match text {
            Ok(text) => judge(unmounted, (format, path), &text, &mut placed, &mut found),
            Err(why) => found.failed.push(format!("{path}: {why}")),
        }
    }
    found
}

fn judge(
    unmounted: &Unmounted,
    (format, path): (Format, &str),
    text: &[u8],
    placed: &mut HashSet<EntryId>,
    found: &mut Playback,
) {
    let index = unmounted.archive().index();
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if !playlist::is_playlist(format, text) {
        return;
    }
    let size_of = |path: &str| find(unmounted, path).map(|id| index.get(id).size);
    let references = playlist::references(format, path, text, &size_of);
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

/// Whether an entry is stored directly after another, apart from entries without bytes.
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
    let mut parts = path.split('/');
    let ino = parts.try_fold(Ino::ROOT, |dir, name| tree.lookup(dir, name.as_bytes()))?;
    tree.entry(ino)
}

//! The playable form of playlists: without range links, which lead nowhere in a directory.
//!
//! The playable form depends only on the archive, so its length is a fixed attribute of the inode. The
//! index of an archive made by `aiozfs pack` declares the length; a playlist of another archive is read
//! when its attributes are first requested. Concurrent requests make a text once; it stays in memory as
//! long as there is room. The CRC and the extended attributes still describe the stored bytes.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::error::FileError;
use crate::archive::{EntryId, Extent, Index, Kind};
use crate::decode::{self, Decoder};
use crate::fs::{Ino, Tree};
use crate::playlist::{self, PLAYABLE_VERSION, Span};
use crate::reader::{self, Archive};

/// The most bytes of texts in memory. A text that was evicted is made again.
const MAX_KEPT: u64 = 16 << 20;

type Cell = Arc<OnceCell<Arc<[u8]>>>;

/// The playable texts of a volume.
pub(super) struct Playlists {
    tree: Arc<Tree>,
    decoder: Arc<Decoder>,
    texts: moka::sync::Cache<EntryId, Cell>,
}

/// The playlists among a tree's files, and the known lengths of their playable forms.
pub(super) fn sizes(tree: &Tree) -> Vec<(EntryId, Option<u64>)> {
    let index = tree.index();
    let is_playlist = |id: &EntryId| {
        (index.playable(*id).is_some() || is_called_playlist(index, *id)) && {
            let entry = index.get(*id);
            entry.kind == Kind::File
                && entry.size <= playlist::LONGEST
                && index.readable(*id).is_ok()
                && decode::is_supported(entry.method)
        }
    };
    let declared = |id: EntryId| {
        let (version, size) = index.playable(id)?;
        // Without its link, a line grows by less than twice its own length: a larger size is wrong.
        let most = index.get(id).size.saturating_mul(3);
        (version == PLAYABLE_VERSION && size <= most).then_some(size)
    };
    let ids = index.ids().filter(is_playlist);
    ids.map(|id| (id, declared(id))).collect()
}

/// Whether the name is that of a playlist. An archive made by `aiozfs pack` says which files are playlists;
/// in others only the name can say so without fetching the file.
fn is_called_playlist(index: &Index, id: EntryId) -> bool {
    let path = index.path(id);
    // Checked before UTF-8, because few of a million names are names of playlists.
    let Some(dot) = path.iter().rposition(|b| *b == b'.') else {
        return false;
    };
    let extension = std::str::from_utf8(&path[dot..]);
    extension.is_ok_and(|extension| playlist::format_of(extension).is_some())
}

impl Playlists {
    pub(super) fn new(tree: Arc<Tree>, decoder: Arc<Decoder>) -> Self {
        let index = tree.index().clone();
        // The length of the stored text; that of the playable one is similar.
        let weight = move |id: &EntryId, _: &Cell| {
            u32::try_from(index.get(*id).size)
                .unwrap_or(u32::MAX)
                .max(1)
        };
        let texts = moka::sync::Cache::builder().max_capacity(MAX_KEPT);
        Self {
            tree,
            decoder,
            texts: texts.weigher(weight).build(),
        }
    }

    /// The text, if it is in memory.
    pub(super) fn in_memory(&self, id: EntryId) -> Option<Arc<[u8]>> {
        self.texts.get(&id)?.get().cloned()
    }

    /// The text, which is made if it is not in memory.
    pub(super) async fn get(&self, id: EntryId) -> Result<Arc<[u8]>, FileError> {
        let cell = self.texts.get_with(id, Cell::default);
        let text = cell
            .get_or_try_init(|| make(&self.tree, &self.decoder, id))
            .await?
            .clone();
        let actual = text.len() as u64;
        match self.tree.settle(id, actual) {
            // The kernel already knows another size.
            Some(declared) if declared != actual => Err(FileError::Playlist { declared, actual }),
            _ => Ok(text),
        }
    }
}

async fn make(tree: &Tree, decoder: &Decoder, id: EntryId) -> Result<Arc<[u8]>, FileError> {
    let (archive, index) = (decoder.archive(), tree.index());
    let stored = decoder.read_aside(id, 0..index.get(id).size).await?;
    let Ok(text) = std::str::from_utf8(&stored) else {
        return Ok(stored.into());
    };
    let (Ok(base), Some(format)) = (
        std::str::from_utf8(index.path(id)),
        playlist::recognise(text),
    ) else {
        return Ok(stored.into());
    };
    let is_ours = index.playable(id).is_some();
    let mut places = HashMap::new();
    let playlist = playlist::Playlist::new(format, base, text);
    for (path, link) in playlist.range_links() {
        if places.contains_key(&path) {
            continue;
        }
        if let Some(target) = target(tree, &path, link)
            && let Some(span) = span(archive, target, link, is_ours).await?
        {
            places.insert(path, span);
        }
    }
    let find = |path: &str| places.get(path).copied();
    let text = playlist.playable(&find);
    Ok(text.into_bytes().into())
}

/// The entry that a link leads to. To follow a symbolic link would take another read, so a path through one is taken to
/// mean the entry at the range of the link. So is a path with a variable of another playlist, if the entry's path ends
/// with the rest of it.
fn target(tree: &Tree, path: &str, link: Span) -> Option<EntryId> {
    let index = tree.index();
    // An empty entry lies where the next header begins.
    let place = || index.at(link.offset.saturating_sub(u64::from(link.size == 0)));
    let mut here = Ino::ROOT;
    for component in path.split('/') {
        let Some(next) = tree.lookup(here, component.as_bytes()) else {
            let (_, end) = path.rsplit_once('}').filter(|_| path.contains("{$"))?;
            let entry = place()?;
            return index.path(entry).ends_with(end.as_bytes()).then_some(entry);
        };
        here = next;
        if tree.kind(here) == Some(Kind::Symlink) {
            return place();
        }
    }
    tree.entry(here)
}

/// Where an entry's data lies. A local header is fetched only for a link to a part of an entry, and not in
/// an archive made by `aiozfs pack`, whose entries lie side by side.
async fn span(
    archive: &Archive,
    id: EntryId,
    link: Span,
    is_ours: bool,
) -> Result<Option<Span>, FileError> {
    let index = archive.index();
    if index.stored(id).is_err() {
        return Ok(None);
    }
    let check = index.header_check(id);
    let span = |extent: Extent| Span {
        offset: extent.offset,
        size: extent.len,
    };
    if link.size == index.get(id).size && check.allows(link.offset) {
        return Ok(Some(link));
    }
    if is_ours {
        return Ok(Some(span(check.predicted())));
    }
    match archive.extent(id).await {
        Ok(extent) => Ok(Some(span(extent))),
        // The entry is damaged. Its links stay as they are.
        Err(reader::Error::Archive(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

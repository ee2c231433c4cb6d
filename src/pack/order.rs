//! The order of entries in the archive.

use std::collections::HashMap;

use super::scan::Found;
use crate::archive::Kind;
use crate::playlist::{Format, Reference, Role};
use crate::ranges::arrange_by_key;

/// A text with links: its format, and the indices of the files that it links to, in playback order.
#[derive(Debug)]
pub(super) struct Playlist {
    pub(super) format: Format,
    pub(super) links_to: Vec<(usize, Role)>,
}

impl Playlist {
    /// Keeps the references that lead to files of the folder.
    pub(super) fn new(
        format: Format,
        references: &[Reference],
        find: impl Fn(&str) -> Option<usize>,
    ) -> Self {
        let known = references
            .iter()
            .filter_map(|r| Some((find(&r.path)?, r.role)));
        Self {
            format,
            links_to: known.collect(),
        }
    }
}

/// The indices of all files in the order of the archive: media in playback order, everything else by
/// name, texts with links behind the files that they link to, and multivariant playlists last.
pub(super) fn order(found: &[Found], playlists: &HashMap<usize, Playlist>) -> Vec<usize> {
    let mut walk = Walk {
        playlists,
        is_placed: vec![false; found.len()],
        media: Vec::new(),
        lists: Vec::new(),
    };
    let (playing, companions): (Vec<usize>, Vec<usize>) =
        (roots(found, playlists).into_iter()).partition(|at| playlists[at].format.is_playlist());
    for root in playing {
        walk.visit(root);
    }
    // Files that only companions link to (mostly pictures) are not played in sequence. A companion
    // goes before the playlists, unless it links to one.
    let mut first = Vec::new();
    for root in companions {
        let lists = std::mem::take(&mut walk.lists);
        walk.visit(root);
        let own = std::mem::replace(&mut walk.lists, lists);
        let mut below = own.iter().flat_map(|at| &playlists[at].links_to);
        if below.any(|(to, _)| playlists.contains_key(to)) {
            walk.lists.extend(own);
        } else {
            first.extend(own);
        }
    }
    let mut all = walk.media;
    all.extend((0..found.len()).filter(|at| !walk.is_placed[*at]));
    all.extend(first);
    all.extend(walk.lists);
    all
}

/// The paths of files that no text links to, except playlists. Empty for a folder without playlists.
pub(super) fn unlinked(found: &[Found], playlists: &HashMap<usize, Playlist>) -> Vec<String> {
    if !playlists.values().any(|list| list.format.is_playlist()) {
        return Vec::new();
    }
    let is_list = |at: usize| playlists.get(&at).is_some_and(|l| l.format.is_playlist());
    let is_linked = linked_to(found, playlists);
    let files = found.iter().enumerate();
    let alone =
        files.filter(|(at, file)| file.kind == Kind::File && !is_linked[*at] && !is_list(*at));
    alone.map(|(_, file)| file.path.clone()).collect()
}

/// For each file, whether another one links to it.
fn linked_to(found: &[Found], playlists: &HashMap<usize, Playlist>) -> Vec<bool> {
    let mut is_linked_to = vec![false; found.len()];
    for (at, playlist) in playlists {
        for (to, _) in playlist.links_to.iter().filter(|(to, _)| to != at) {
            is_linked_to[*to] = true;
        }
    }
    is_linked_to
}

/// The texts with links in the order in which to visit them: first those that no other text links
/// to, HLS media playlists before DASH manifests before HLS multivariant playlists; then the others,
/// as some may link to each other in a circle.
fn roots(found: &[Found], playlists: &HashMap<usize, Playlist>) -> Vec<usize> {
    let is_linked_to = linked_to(found, playlists);
    let rank = |at: usize| {
        let playlist = &playlists[&at];
        let is_master = playlist
            .links_to
            .iter()
            .any(|(_, role)| *role == Role::Playlist);
        match (playlist.format, is_master) {
            (Format::Hls, false) => 0,
            (Format::Dash, _) => 1,
            (Format::Hls, true) => 2,
            (Format::Vtt | Format::Json, _) => 3,
        }
    };
    // `found` is sorted by path, so indices are, too.
    let mut all: Vec<usize> = playlists.keys().copied().collect();
    arrange_by_key(&mut all, |at| (is_linked_to[*at], rank(*at), *at));
    all
}

/// A traversal of the texts with links.
struct Walk<'a> {
    playlists: &'a HashMap<usize, Playlist>,
    is_placed: Vec<bool>,
    /// Placed files without links, in order.
    media: Vec<usize>,
    /// Placed texts with links, in order.
    lists: Vec<usize>,
}

impl Walk<'_> {
    /// Places a text behind the files that it links to, depth first. An explicit stack permits chains
    /// of playlists of any length.
    fn visit(&mut self, root: usize) {
        if std::mem::replace(&mut self.is_placed[root], true) {
            return;
        }
        let mut open = vec![(root, self.in_order(root), 0)];
        while let Some((list, links_to, next)) = open.last_mut() {
            let Some(to) = links_to.get(*next).copied() else {
                self.lists.push(*list);
                open.pop();
                continue;
            };
            *next += 1;
            if std::mem::replace(&mut self.is_placed[to], true) {
                continue;
            }
            if self.playlists.contains_key(&to) {
                let below = self.in_order(to);
                open.push((to, below, 0));
            } else {
                self.media.push(to);
            }
        }
    }

    /// The files that a text links to: keys before media, so that segments stay adjacent.
    fn in_order(&self, list: usize) -> Vec<usize> {
        let links_to = &self.playlists[&list].links_to;
        let (keys, rest): (Vec<_>, Vec<_>) =
            links_to.iter().partition(|(_, role)| *role == Role::Key);
        keys.iter().chain(&rest).map(|(to, _)| *to).collect()
    }
}

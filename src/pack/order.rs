//! The order of entries on the line.

use std::collections::HashMap;

use super::scan::Found;
use crate::archive::Kind;
use crate::playlist::{Format, Reference, Role};

/// What a playlist of the folder is, and what it points to: numbers of files, in playback order.
#[derive(Debug)]
pub(super) struct Playlist {
    pub(super) format: Format,
    pub(super) points_to: Vec<(usize, Role)>,
}

impl Playlist {
    /// The references that lead to files of the folder.
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
            points_to: known.collect(),
        }
    }
}

/// All files' numbers in the order of the line: media as playlists play it, everything else by
/// name, texts with links behind what they point to, master playlists last.
pub(super) fn order(found: &[Found], playlists: &HashMap<usize, Playlist>) -> Vec<usize> {
    let mut walk = Walk {
        playlists,
        is_placed: vec![false; found.len()],
        media: Vec::new(),
        lists: Vec::new(),
    };
    let (played, beside): (Vec<usize>, Vec<usize>) =
        (roots(found, playlists).into_iter()).partition(|at| playlists[at].format.is_playlist());
    for root in played {
        walk.visit(root);
    }
    // What only texts beside playlists point to (pictures, mostly) is not played in sequence. Such
    // a text lies before the playlists, unless it points to one itself.
    let mut first = Vec::new();
    for root in beside {
        let lists = std::mem::take(&mut walk.lists);
        walk.visit(root);
        let own = std::mem::replace(&mut walk.lists, lists);
        let mut below = own.iter().flat_map(|at| &playlists[at].points_to);
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

/// The files that no text with links points to, playlists apart; none if there is no playlist, for
/// then nothing is linked.
pub(super) fn unlinked(found: &[Found], playlists: &HashMap<usize, Playlist>) -> Vec<String> {
    if !playlists.values().any(|list| list.format.is_playlist()) {
        return Vec::new();
    }
    let is_list = |at: usize| playlists.get(&at).is_some_and(|l| l.format.is_playlist());
    let is_linked = pointed_to(found, playlists);
    let files = found.iter().enumerate();
    let alone =
        files.filter(|(at, file)| file.kind == Kind::File && !is_linked[*at] && !is_list(*at));
    alone.map(|(_, file)| file.path.clone()).collect()
}

/// For each file, whether another one points to it.
fn pointed_to(found: &[Found], playlists: &HashMap<usize, Playlist>) -> Vec<bool> {
    let mut is_pointed_to = vec![false; found.len()];
    for (at, playlist) in playlists {
        for (to, _) in playlist.points_to.iter().filter(|(to, _)| to != at) {
            is_pointed_to[*to] = true;
        }
    }
    is_pointed_to
}

/// Playlists to begin with: those that no other one points to, media playlists before manifests
/// before master playlists; then all, for some may point at each other in a circle.
fn roots(found: &[Found], playlists: &HashMap<usize, Playlist>) -> Vec<usize> {
    let is_pointed_to = pointed_to(found, playlists);
    let rank = |at: usize| {
        let playlist = &playlists[&at];
        let is_master = playlist
            .points_to
            .iter()
            .any(|(_, role)| *role == Role::Playlist);
        match (playlist.format, is_master) {
            (Format::Hls, false) => 0,
            (Format::Dash, _) => 1,
            (Format::Hls, true) => 2,
            (Format::Vtt | Format::Json, _) => 3,
        }
    };
    // `found` is sorted by path, so numbers are.
    let mut all: Vec<usize> = playlists.keys().copied().collect();
    all.sort_by_key(|at| (is_pointed_to[*at], rank(*at), *at));
    all
}

struct Walk<'a> {
    playlists: &'a HashMap<usize, Playlist>,
    is_placed: Vec<bool>,
    media: Vec<usize>,
    lists: Vec<usize>,
}

impl Walk<'_> {
    /// Depth first, with a stack of its own: playlists may point to playlists for as long as
    /// somebody cared to write them.
    fn visit(&mut self, root: usize) {
        if std::mem::replace(&mut self.is_placed[root], true) {
            return;
        }
        let mut open = vec![(root, self.in_order(root), 0)];
        while let Some((list, points_to, next)) = open.last_mut() {
            let Some(to) = points_to.get(*next).copied() else {
                self.lists.push(*list);
                open.pop();
                continue;
            };
            *next += 1;
            if std::mem::replace(&mut self.is_placed[to], true) {
                continue;
            }
            match self.playlists.contains_key(&to) {
                true => {
                    let below = self.in_order(to);
                    open.push((to, below, 0));
                }
                false => self.media.push(to),
            }
        }
    }

    /// What a playlist points to: keys before media, so that nothing stands between segments.
    fn in_order(&self, list: usize) -> Vec<usize> {
        let points_to = &self.playlists[&list].points_to;
        let (keys, rest): (Vec<_>, Vec<_>) =
            points_to.iter().partition(|(_, role)| *role == Role::Key);
        keys.iter().chain(&rest).map(|(to, _)| *to).collect()
    }
}

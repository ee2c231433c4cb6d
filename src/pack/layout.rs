//! Plans the place of each entry, before any content is copied.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::linked::{self, Texts};
use super::names::Names;
use super::options::PackOptions;
use super::order;
use super::scan::{self, Found, Stamp};
use super::text;
use super::warning::Warning;
use crate::archive::{Extent, Kind, NewEntry, Timestamp, end_records};
use crate::playlist::{
    self, Context, Files, Format, Linked, PLAYABLE_VERSION, Problem, Span, What,
};
use crate::ranges::arrange_by_key;

/// A plan of an archive.
#[derive(Debug)]
pub struct Plan {
    pub(super) folder: PathBuf,
    pub(super) options: PackOptions,
    pub(super) items: Vec<Item>,
    names: Names,
    warnings: Vec<Warning>,
    nowhere: Vec<Warning>,
    unlinked: Vec<String>,
    directory_offset: u64,
    size: u64,
}

/// An entry of the planned archive.
#[derive(Debug)]
pub struct Item {
    /// Its path in the folder and in the archive.
    pub path: String,
    /// Its kind.
    pub kind: Kind,
    /// The offset of its local header in the archive, in bytes.
    pub header_offset: u64,
    /// The extent of its data in the archive.
    pub extent: Extent,
    /// Its format, if it is a text with links.
    pub format: Option<Format>,
    /// How other playlists refer to it.
    contexts: Vec<Context>,
    pub(super) mode: u16,
    pub(super) mtime: Timestamp,
    pub(super) stamp: Stamp,
    /// The length in bytes of its playable form, if it is a text with links.
    playable: Option<u64>,
}

impl Item {
    pub(super) fn entry(&self) -> NewEntry<'_> {
        NewEntry {
            path: &self.path,
            kind: self.kind,
            mode: self.mode,
            mtime: self.mtime,
            size: self.extent.len,
            playable: self.playable.map(|size| (PLAYABLE_VERSION, size)),
        }
    }
}

impl Plan {
    /// Plans the archive of a folder.
    pub fn of(folder: &Path, options: PackOptions) -> Result<Self, Error> {
        let found = scan::scan(folder)?;
        let names = Names::new(folder, found.iter().map(|f| (f.path.as_str(), f.kind)));
        let Texts {
            playlists,
            mut contexts,
            warnings,
        } = linked::texts(folder, &found, &names)?;
        let unlinked = order::unlinked(&found, &playlists);
        let order = order::order(&found, &playlists);
        let mut found: Vec<Option<Found>> = found.into_iter().map(Some).collect();
        let item = |at: usize| {
            let found = found[at].take().expect("each has one place in the order");
            let format = playlists.get(&at).map(|playlist| playlist.format);
            item(
                found,
                format,
                contexts.remove(&at).unwrap_or_default(),
                &options,
            )
        };
        let items: Vec<Item> = order.into_iter().map(item).collect();
        let names = Names::new(folder, items.iter().map(|i| (i.path.as_str(), i.kind)));
        let mut plan = Self {
            folder: folder.to_owned(),
            warnings: if options.links { warnings } else { Vec::new() },
            options,
            items,
            names,
            nowhere: Vec::new(),
            unlinked,
            directory_offset: 0,
            size: 0,
        };
        plan.lay_out()?;
        Ok(plan)
    }

    /// The entries in the order of the archive.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Problems that did not keep the folder from being packed.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Links to missing files, including those that the standard permits.
    pub fn nowhere(&self) -> &[Warning] {
        &self.nowhere
    }

    /// The paths of files that no text links to, except playlists. Empty for a folder without playlists.
    pub fn unlinked(&self) -> &[String] {
        &self.unlinked
    }

    /// The length of the archive in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The offset of the central directory in bytes.
    pub fn directory_offset(&self) -> u64 {
        self.directory_offset
    }

    /// The number of bytes at the archive's end that hold its index and all texts with links.
    pub fn tail(&self) -> u64 {
        let is_list = |item: &&Item| item.format.is_some();
        let lists = self.items.iter().rev().take_while(is_list);
        let first = lists
            .last()
            .map_or(self.directory_offset, |item| item.header_offset);
        self.size - first
    }

    pub(super) fn source(&self, item: &Item) -> PathBuf {
        self.folder.join(&item.path)
    }

    /// The extent of the file that a link names. The path may contain symbolic links that stay in the
    /// folder.
    pub(super) fn find(&self, path: &str) -> Option<Span> {
        let extent = self.file(path)?.extent;
        Some(Span {
            offset: extent.offset,
            size: extent.len,
        })
    }

    /// The file that a link names.
    pub(super) fn file(&self, path: &str) -> Option<&Item> {
        self.items.get(self.names.find(path)?)
    }

    /// Calls `work` with the files. Returns an error if `work` reads one that has changed or cannot be
    /// read.
    pub(super) fn with_files<T>(&self, work: impl FnOnce(Files) -> T) -> Result<T, Error> {
        let failed = RefCell::new(None);
        let read = |path: &str, part: Span| {
            let item = self.file(path)?;
            match text::part(&self.source(item), item.stamp, part) {
                Ok(bytes) => Some(bytes),
                Err(e) => {
                    *failed.borrow_mut() = Some(e);
                    None
                }
            }
        };
        let done = work(Files {
            find: &|path| self.find(path),
            read: &read,
        });
        match failed.into_inner() {
            Some(e) => Err(e),
            None => Ok(done),
        }
    }

    /// The text of a playlist in the folder.
    pub(super) fn original(&self, item: &Item) -> Result<String, Error> {
        let path = self.source(item);
        let text = text::text(&path, item.stamp)?;
        text.ok_or(Error::Changed(path))
    }

    /// The playlist of an item with this text.
    pub(super) fn playlist<'a>(
        &self,
        item: &'a Item,
        format: Format,
        text: &'a str,
    ) -> playlist::Playlist<'a> {
        playlist::Playlist::new(format, &item.path, text).within(&item.contexts)
    }

    /// The text of a playlist in the archive, and the problems of its links.
    pub(super) fn stored(&self, item: &Item, format: Format) -> Result<Linked, Error> {
        let text = self.original(item)?;
        if !self.options.links {
            return Ok(Linked {
                text,
                ..Linked::default()
            });
        }
        self.with_files(|files| self.playlist(item, format, &text).link(files))
    }

    /// Gives every entry its place.
    ///
    /// The length of a playlist depends on the places of the files that it links to, places depend on
    /// lengths, and playlists may link to each other in a circle. So this computes the lengths
    /// repeatedly, beginning with 0, until none changes. Larger offsets never make a text shorter, so
    /// lengths only grow, and they end after a few rounds, as offsets have few digits.
    fn lay_out(&mut self) -> Result<(), Error> {
        let lists: Vec<(usize, Format)> = (self.items.iter().enumerate())
            .filter_map(|(at, item)| Some((at, item.format?)))
            .collect();
        if self.options.links {
            for (at, _) in &lists {
                self.items[*at].extent.len = 0;
            }
        }
        let earlier = self.warnings.len();
        loop {
            self.place();
            let mut is_settled = true;
            for (at, format) in &lists {
                let linked = self.stored(&self.items[*at], *format)?;
                let len = linked.text.len() as u64;
                is_settled &= std::mem::replace(&mut self.items[*at].extent.len, len) == len;
                if is_settled {
                    self.report(*at, linked.problems, linked.nowhere)?;
                }
            }
            if is_settled {
                break;
            }
            self.warnings.truncate(earlier);
            self.nowhere.clear();
        }
        for (at, format) in &lists {
            let item = &self.items[*at];
            let text = self.stored(item, *format)?.text;
            if text.len() as u64 > playlist::LONGEST {
                let (line, what) = (1, What::TooLong);
                let warning = Warning::of(&item.path, Problem { line, what });
                self.warnings.push(warning);
            }
            let playlist = self.playlist(item, *format, &text);
            let playable = playlist.playable(&|path| self.find(path));
            self.items[*at].playable = Some(playable.len() as u64);
        }
        // The lengths of playable forms make the central directory longer.
        self.place();
        Ok(())
    }

    /// Keeps the problems of an item as warnings; an error if one of them is not allowed.
    fn report(
        &mut self,
        at: usize,
        problems: Vec<Problem>,
        nowhere: Vec<Problem>,
    ) -> Result<(), Error> {
        let playlist = self.items[at].path.clone();
        if !self.options.allow_missing && problems.iter().any(|p| !p.what.is_warning()) {
            let problems = problems.into_iter().filter(|p| !p.what.is_warning());
            return Err(Error::Links(playlist, problems.collect()));
        }
        let warning = |problem| Warning::of(&playlist, problem);
        let is_absent = |problem: &&Problem| problem.what.leads_nowhere();
        let absent = problems.iter().filter(is_absent).cloned();
        let start = self.nowhere.len();
        self.nowhere.extend(absent.chain(nowhere).map(warning));
        arrange_by_key(&mut self.nowhere[start..], |warning| warning.problem.line);
        self.warnings.extend(problems.into_iter().map(warning));
        Ok(())
    }

    /// Computes all offsets from the current lengths.
    fn place(&mut self) {
        let (mut at, mut directory) = (0, 0);
        for item in &mut self.items {
            item.header_offset = at;
            let header = item.entry().local_len(at, self.options.align);
            item.extent.offset = at + header;
            at += header + item.extent.len;
            directory += item.entry().central_record(item.header_offset, 0).len() as u64;
        }
        self.directory_offset = at;
        let end = end_records(self.items.len() as u64, at, directory);
        self.size = at + directory + end.len() as u64;
    }
}

fn item(
    found: Found,
    format: Option<Format>,
    contexts: Vec<Context>,
    options: &PackOptions,
) -> Item {
    let mode = match (found.kind, found.is_executable) {
        (Kind::Symlink, _) => 0o777,
        (_, true) => 0o755,
        (_, false) => 0o644,
    };
    Item {
        path: found.path,
        kind: found.kind,
        header_offset: 0,
        extent: Extent {
            offset: 0,
            len: found.size,
        },
        format,
        contexts,
        mode,
        mtime: options.mtime.unwrap_or(found.mtime),
        stamp: found.stamp,
        playable: None,
    }
}

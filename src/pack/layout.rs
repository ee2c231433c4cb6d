//! Where each entry goes, before a byte of content is copied.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::PackOptions;
use super::error::Error;
use super::order::{self, Playlist};
use super::scan::{self, Found, Stamp};
use super::text;
use crate::archive::{Extent, Kind, NewEntry, Timestamp, end_records};
use crate::playlist::{self, Files, Format, PLAYABLE_VERSION, Problem, Span, What};

/// An archive that is to be written.
#[derive(Debug)]
pub struct Plan {
    pub(super) folder: PathBuf,
    pub(super) options: PackOptions,
    pub(super) items: Vec<Item>,
    by_path: HashMap<String, usize>,
    warnings: Vec<Warning>,
    directory_offset: u64,
    size: u64,
}

/// What is wrong with a playlist that was packed all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The playlist.
    pub playlist: String,
    /// What is wrong.
    pub problem: Problem,
}

impl Warning {
    /// Of a playlist as a whole.
    fn of(playlist: &str, what: What) -> Self {
        Self {
            playlist: playlist.to_owned(),
            problem: Problem { line: 1, what },
        }
    }
}

/// An entry of the archive, in its place.
#[derive(Debug)]
pub struct Item {
    /// Its path in the folder and in the archive.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Where its local header begins, in bytes from the beginning of the archive.
    pub header_offset: u64,
    /// Where its data lies.
    pub extent: Extent,
    /// What playlist it is, if it is one.
    pub format: Option<Format>,
    pub(super) mode: u16,
    pub(super) mtime: Timestamp,
    pub(super) stamp: Stamp,
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
    /// Looks at a folder and lays it out.
    pub fn of(folder: &Path, options: PackOptions) -> Result<Self, Error> {
        let found = scan::scan(folder)?;
        let by_path: HashMap<&str, usize> = found
            .iter()
            .enumerate()
            .map(|(at, f)| (f.path.as_str(), at))
            .collect();
        let mut playlists = HashMap::new();
        let mut warnings = Vec::new();
        for (at, file) in found.iter().enumerate() {
            match playlist_of(folder, file, &found, &by_path)? {
                Seen::Playlist(playlist) => drop(playlists.insert(at, playlist)),
                Seen::Called(why, line) if options.links => {
                    let mut warning = Warning::of(&file.path, What::NoPlaylist(why));
                    warning.problem.line = line;
                    warnings.push(warning);
                }
                Seen::Called(..) | Seen::Other => {}
            }
        }
        let order = order::order(&found, &playlists);
        let mut found: Vec<Option<Found>> = found.into_iter().map(Some).collect();
        let item = |at: usize| {
            let found = found[at].take().expect("each has one place in the order");
            item(
                found,
                playlists.get(&at).map(|playlist| playlist.format),
                &options,
            )
        };
        let items: Vec<Item> = order.into_iter().map(item).collect();
        let paths = items.iter().enumerate();
        let by_path = paths.map(|(at, item)| (item.path.clone(), at)).collect();
        let mut plan = Self {
            folder: folder.to_owned(),
            options,
            items,
            by_path,
            warnings,
            directory_offset: 0,
            size: 0,
        };
        plan.lay_out()?;
        Ok(plan)
    }

    /// The entries in the order of the line.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Links that lead nowhere and were allowed to, and what else may not be meant so.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Length of the archive in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where the central directory begins.
    pub fn directory_offset(&self) -> u64 {
        self.directory_offset
    }

    /// How many bytes of the archive's end hold its index and all its playlists.
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

    /// Where the data of the file that a link names lies. A name may lead over symbolic links, as
    /// long as these stay in the folder.
    pub(super) fn find(&self, path: &str) -> Option<Span> {
        let extent = self.file(path)?.extent;
        Some(Span {
            offset: extent.offset,
            size: extent.len,
        })
    }

    /// The file that a link names.
    pub(super) fn file(&self, path: &str) -> Option<&Item> {
        let at = resolve(&self.folder, path, |path| {
            let at = *self.by_path.get(path)?;
            (self.items[at].kind == Kind::File).then_some(at)
        });
        self.items.get(at?)
    }

    /// Does something with the files as links see them. One that cannot be read, or has changed, is
    /// an error.
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

    /// The text of a playlist as it lies in the folder.
    pub(super) fn original(&self, item: &Item) -> Result<String, Error> {
        let path = self.source(item);
        let text = text::text(&path, item.stamp)?;
        text.ok_or(Error::Changed(path))
    }

    /// The text of a playlist as it is stored, and its links that lead nowhere.
    pub(super) fn stored(
        &self,
        item: &Item,
        format: Format,
    ) -> Result<(String, Vec<Problem>), Error> {
        let text = self.original(item)?;
        if !self.options.links {
            return Ok((text, Vec::new()));
        }
        let linked = self.with_files(|files| playlist::link(format, &item.path, &text, files))?;
        Ok((linked.text, linked.problems))
    }

    /// Gives every entry its place. A playlist's length depends on the places of what it points
    /// to, and places depend on lengths; playlists may point at each other in a circle. So lengths
    /// are worked out again until none changes, from nothing up: a later place never makes a
    /// text shorter, so they only grow, and as numbers have few digits they soon end.
    fn lay_out(&mut self) -> Result<(), Error> {
        let lists: Vec<(usize, Format)> = (self.items.iter().enumerate())
            .filter_map(|(at, item)| Some((at, item.format?)))
            .collect();
        if self.options.links {
            for (at, _) in &lists {
                self.items[*at].extent.len = 0;
            }
        }
        let told = self.warnings.len();
        loop {
            self.place();
            let mut is_settled = true;
            for (at, format) in &lists {
                let (text, problems) = self.stored(&self.items[*at], *format)?;
                let len = text.len() as u64;
                is_settled &= std::mem::replace(&mut self.items[*at].extent.len, len) == len;
                if is_settled {
                    self.tell(*at, problems)?;
                }
            }
            if is_settled {
                break;
            }
            self.warnings.truncate(told);
        }
        for (at, format) in &lists {
            let item = &self.items[*at];
            let (text, _) = self.stored(item, *format)?;
            if text.len() as u64 > playlist::LONGEST {
                let warning = Warning::of(&item.path, What::TooLong);
                self.warnings.push(warning);
            }
            let playable = playlist::playable(*format, &item.path, &text, &|path| self.find(path));
            self.items[*at].playable = Some(playable.len() as u64);
        }
        // The directory's records are longer by what playlists say of themselves.
        self.place();
        Ok(())
    }

    fn tell(&mut self, at: usize, problems: Vec<Problem>) -> Result<(), Error> {
        let playlist = self.items[at].path.clone();
        if !self.options.allow_missing && problems.iter().any(|p| !p.what.is_warning()) {
            let errors = problems.into_iter().filter(|p| !p.what.is_warning());
            return Err(Error::Links(playlist, errors.collect()));
        }
        self.warnings
            .extend(problems.into_iter().map(|problem| Warning {
                playlist: playlist.clone(),
                problem,
            }));
        Ok(())
    }

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

fn item(found: Found, format: Option<Format>, options: &PackOptions) -> Item {
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
        mode,
        mtime: options.mtime.unwrap_or(found.mtime),
        stamp: found.stamp,
        playable: None,
    }
}

/// What a file is.
enum Seen {
    Playlist(Playlist),
    /// It is called like a playlist, and is none for this reason, from this line on.
    Called(&'static str, u32),
    Other,
}

/// What playlist a file is, if it is one by its name and its text.
fn playlist_of(
    folder: &Path,
    file: &Found,
    found: &[Found],
    by_path: &HashMap<&str, usize>,
) -> Result<Seen, Error> {
    let Some(format) = playlist::format_of(&file.path).filter(|_| file.kind == Kind::File) else {
        return Ok(Seen::Other);
    };
    if file.size > playlist::LONGEST {
        return Ok(Seen::Called("it is too long for a playlist", 1));
    }
    let Some(text) = text::text(&folder.join(&file.path), file.stamp)? else {
        return Ok(Seen::Called("it is not UTF-8", 1));
    };
    if !playlist::is_playlist(format, &text) {
        let why = match format {
            Format::Hls => "it does not begin with #EXTM3U",
            Format::Dash => "it is no well-formed XML with an MPD element",
        };
        return Ok(Seen::Called(why, playlist::broken_line(format, &text)));
    }
    let find = |path: &str| {
        resolve(folder, path, |path| {
            let at = *by_path.get(path)?;
            (found[at].kind == Kind::File).then_some(at)
        })
    };
    let size_of = |path: &str| find(path).map(|at| found[at].size);
    let references = playlist::references(format, &file.path, &text, &size_of);
    Ok(Seen::Playlist(Playlist::new(format, &references, find)))
}

/// Finds a path, or else where its symbolic links lead, within the folder.
fn resolve<T>(folder: &Path, path: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
    if let Some(found) = find(path) {
        return Some(found);
    }
    let real = folder.join(path).canonicalize().ok()?;
    let folder = folder.canonicalize().ok()?;
    find(real.strip_prefix(folder).ok()?.to_str()?)
}

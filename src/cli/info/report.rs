//! What `aiozfs info` prints.

use std::collections::BTreeMap;
use std::io::{self, Write};

use indicatif::HumanBytes;
use serde::Serialize;

use super::playback::Playback;
use crate::archive::{Entry, EntryId, Error, Format, Kind, Method, Survey};
use crate::cli::show::{count, hex, quoted};
use crate::cli::unmounted::Unmounted;

/// The most entries of each kind of problem that are printed.
const MAX_NAMED: usize = 1000;

/// The most bytes of a comment that are printed. JSON has all of it.
const MAX_COMMENT: usize = 500;

#[derive(Serialize)]
pub(super) struct Report {
    /// What the source is: `file`, `url`, `cid` or `id`.
    kind: &'static str,
    source: String,
    /// Length of the blob in bytes.
    size: u64,
    /// `ZIP` or `tar`.
    format: String,
    /// What is wrong with the end of a tar.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    entries: Entries,
    stored: Sum,
    /// Stored with holes, in a tar.
    sparse: Sum,
    compressed: Compressed,
    encrypted: Compressed,
    damaged: Listed<Damaged>,
    hidden: Listed<Hidden>,
    renamed: Listed<Renamed>,
    comment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment_hex: Option<String>,
    layout: Layout,
    playback: Playback,
}

/// Entries by kind. Entries that are not shown count only in the total.
#[derive(Default, Serialize)]
struct Entries {
    total: u64,
    files: u64,
    directories: u64,
    symlinks: u64,
    special: u64,
    /// Directories that have no entry, and are only parts of names.
    implied_directories: u64,
}

#[derive(Default, Serialize)]
struct Sum {
    entries: u64,
    bytes: u64,
}

#[derive(Default, Serialize)]
struct Compressed {
    entries: u64,
    /// Uncompressed.
    bytes: u64,
    compressed_bytes: u64,
    /// Their number by method.
    methods: BTreeMap<String, u64>,
}

/// Their number, and the first thousand of them.
#[derive(Default, Serialize)]
struct Listed<T> {
    entries: u64,
    first: Vec<T>,
}

impl<T> Listed<T> {
    fn add(&mut self, one: impl FnOnce() -> T) {
        self.entries += 1;
        if self.first.len() < MAX_NAMED {
            self.first.push(one());
        }
    }

    /// Says how many there are, if any, and `line` of each that is listed.
    fn write(
        &self,
        say: &mut Say<'_>,
        what: &str,
        note: &str,
        line: impl Fn(&T) -> String,
    ) -> io::Result<()> {
        if self.entries > 0 {
            say(what, format!("{}{note}", self.entries))?;
        }
        self.first.iter().try_for_each(|one| say("", line(one)))
    }

    /// Whether there are more than are listed.
    fn has_more(&self) -> bool {
        self.entries > self.first.len() as u64
    }
}

#[derive(Default, Serialize)]
struct Damaged {
    path: String,
    why: String,
}

#[derive(Default, Serialize)]
struct Hidden {
    name: String,
    why: &'static str,
}

/// An entry that is shown under another name, since its name is taken.
#[derive(Default, Serialize)]
struct Renamed {
    name: String,
    shown_as: String,
}

#[derive(Serialize)]
struct Layout {
    before: u64,
    headers: u64,
    data: u64,
    hidden: u64,
    between: u64,
    longest_between: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_between_offset: Option<u64>,
    sharing: u64,
    in_directory_order: bool,
    directory: u64,
    directory_offset: u64,
    behind: u64,
    #[serde(skip)]
    is_tar: bool,
}

impl Report {
    pub(super) fn of(unmounted: &Unmounted, playback: Playback) -> Self {
        let index = unmounted.archive().index();
        let tree = unmounted.tree();
        let comment = index.comment();
        let (kind, source) = unmounted.volume.origin().clone();
        let mut report = Report {
            kind,
            source,
            size: index.blob_size(),
            format: index.format().to_string(),
            problem: index.problem(),
            entries: Entries::default(),
            stored: Sum::default(),
            sparse: Sum::default(),
            compressed: Compressed::default(),
            encrypted: Compressed::default(),
            damaged: Listed::default(),
            hidden: Listed::default(),
            renamed: Listed::default(),
            comment: String::from_utf8_lossy(comment).into_owned(),
            comment_hex: std::str::from_utf8(comment).is_err().then(|| hex(comment)),
            layout: Layout::of(&index.survey(), index.cd_range().start, index.format()),
            playback,
        };
        let (hidden, count) = index.hidden();
        for one in hidden {
            report.hidden.add(|| Hidden {
                name: one.name.clone(),
                why: one.why,
            });
        }
        report.hidden.entries = count;
        report.entries.total = index.len() as u64 + count;
        for id in index.ids() {
            report.add(unmounted, id);
        }
        let entries = index.ids().filter(|id| index.kind(*id) == Kind::Dir);
        let shown = 1 + entries.filter(|id| tree.ino_of(*id).is_some()).count();
        report.entries.implied_directories = tree.directories().saturating_sub(shown) as u64;
        report
    }

    /// Counts an entry that is not hidden.
    fn add(&mut self, unmounted: &Unmounted, id: EntryId) {
        let (index, tree) = (unmounted.archive().index(), unmounted.tree());
        let entry = index.get(id);
        let path = || String::from_utf8_lossy(index.path(id)).into_owned();
        let entries = &mut self.entries;
        *match entry.kind {
            Kind::File => &mut entries.files,
            Kind::Dir => &mut entries.directories,
            Kind::Symlink => &mut entries.symlinks,
            Kind::Special => &mut entries.special,
        } += 1;
        if entry.kind == Kind::Dir {
            return;
        }
        let ino = tree.ino_of(id);
        if let Some(shown) = ino.map(|ino| tree.path(ino))
            && shown != index.path(id)
        {
            self.renamed.add(|| Renamed {
                name: path(),
                shown_as: String::from_utf8_lossy(&shown).into_owned(),
            });
        }
        // A hard link has the data of the file that it is.
        if ino.and_then(|ino| tree.entry(ino)) != Some(id) && ino.is_some() {
            return;
        }
        let is_sparse = entry.method == Method::Sparse;
        let why = match (index.stored(id), index.readable(id)) {
            (Ok(()), _) => return self.stored.add(entry.size),
            (Err(Error::Encrypted { .. }), _) => return self.encrypted.add(&entry),
            (Err(Error::Compressed { .. }), Ok(())) if is_sparse => {
                return self.sparse.add(entry.size);
            }
            (Err(Error::Compressed { .. }), Err(why)) if is_sparse => why,
            (Err(Error::Compressed { .. }), _) => return self.compressed.add(&entry),
            (Err(why), _) => why,
        };
        self.damaged.add(|| Damaged {
            path: path(),
            why: why.to_string(),
        });
    }

    /// For people.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut say = |what: &str, value: String| writeln!(out, "{what:<18} {value}");
        say(self.kind, quoted(self.source.as_bytes()))?;
        say("size", sized(self.size))?;
        say("format", self.format.clone())?;
        if let Some(problem) = &self.problem {
            say("incomplete", problem.clone())?;
        }
        say("entries", self.entries.text())?;
        say("stored", self.stored.text())?;
        if self.sparse.entries > 0 {
            say("sparse", self.sparse.text())?;
        }
        if self.compressed.entries > 0 {
            say("compressed", self.compressed.text())?;
        }
        if self.encrypted.entries > 0 {
            let text = self.encrypted.text();
            say(
                "encrypted",
                format!("{text}; reading them needs a password (--password-file)"),
            )?;
        }
        let (damaged, hidden, renamed) = (&self.damaged, &self.hidden, &self.renamed);
        damaged.write(&mut say, "damaged", "; they cannot be read", |one| {
            one.why.clone()
        })?;
        let note = ", which a directory tree cannot show";
        hidden.write(&mut say, "hidden", note, |one| {
            format!("{}: {}", quoted(one.name.as_bytes()), one.why)
        })?;
        let note = ", as a later entry or a directory has the name";
        renamed.write(&mut say, "under another name", note, |one| {
            let [name, shown] = [&one.name, &one.shown_as].map(|name| quoted(name.as_bytes()));
            format!("{name} is {shown}")
        })?;
        if damaged.has_more() || hidden.has_more() || renamed.has_more() {
            say(
                "",
                format!("(only the first {MAX_NAMED} of each are listed)"),
            )?;
        }
        if !self.comment.is_empty() {
            say("comment", self.comment_text())?;
        }
        self.layout.write(&mut say)?;
        self.playback.write(&mut say)
    }

    fn comment_text(&self) -> String {
        let mut end = self.comment.len().min(MAX_COMMENT);
        while !self.comment.is_char_boundary(end) {
            end -= 1;
        }
        let shown = quoted(&self.comment.as_bytes()[..end]);
        if end == self.comment.len() {
            shown
        } else {
            format!("{shown}... ({} bytes)", self.comment.len())
        }
    }
}

type Say<'s> = dyn FnMut(&str, String) -> io::Result<()> + 's;

impl Layout {
    fn of(survey: &Survey, directory_offset: u64, format: Format) -> Self {
        Self {
            before: survey.before,
            headers: survey.headers,
            data: survey.data,
            hidden: survey.hidden,
            between: survey.between,
            longest_between: survey.longest.map_or(0, |run| run.len),
            longest_between_offset: survey.longest.map(|run| run.offset),
            sharing: survey.sharing,
            in_directory_order: survey.in_directory_order,
            directory: survey.directory,
            directory_offset,
            behind: survey.behind,
            is_tar: format == Format::Tar,
        }
    }

    fn write(&self, say: &mut Say) -> io::Result<()> {
        say("data", sized(self.data))?;
        let (headers, what) = if self.is_tar {
            ("headers", "extended headers and padding")
        } else {
            let what = "extra fields, descriptors, padding or gaps";
            ("local headers", what)
        };
        say(headers, format!("{} bytes", self.headers))?;
        let mut between = format!("{} bytes", self.between);
        if let Some(offset) = self.longest_between_offset {
            let longest = self.longest_between;
            between += &format!(" of {what}; the longest, {longest}, at offset {offset}");
        }
        say("between entries", between)?;
        if self.before > 0 {
            say("before the first", format!("{} bytes", self.before))?;
        }
        if self.hidden > 0 {
            say("of hidden ones", format!("{} bytes", self.hidden))?;
        }
        if self.sharing > 0 {
            let text = count(self.sharing, "entry has", "entries have");
            say("sharing", format!("{text} bytes in common with another"))?;
        }
        if self.is_tar {
            let (end, behind) = (self.directory_offset, self.behind);
            return say(
                "members end",
                format!("at offset {end}, {behind} bytes behind them"),
            );
        }
        say(
            "directory",
            format!(
                "{} bytes at offset {}, {} behind it",
                self.directory, self.directory_offset, self.behind
            ),
        )?;
        let order = if self.in_directory_order {
            "entries lie in the order of the central directory"
        } else {
            "entries lie in another order than in the central directory"
        };
        say("order", order.into())
    }
}

impl Playback {
    fn write(&self, say: &mut Say) -> io::Result<()> {
        let first = if self.has_more { "the first " } else { "" };
        let all = first.to_owned() + &count(self.playlists, "playlist", "playlists");
        let text = match self.in_order {
            None => "no playlists".to_owned(),
            Some(true) => format!("yes, by {all}"),
            Some(false) => format!("no, by {} of {all}", self.disordered.len()),
        };
        say("playback order", text)?;
        for one in &self.disordered {
            let [list, next, after] =
                [&one.playlist, &one.next, &one.after].map(|path| quoted(path.as_bytes()));
            say(
                "",
                format!("{list}: {next} does not lie right behind {after}"),
            )?;
        }
        Ok(())
    }
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn text(&self) -> String {
        format!("{}, {}", self.entries, sized(self.bytes))
    }
}

impl Compressed {
    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        let bytes = &mut self.compressed_bytes;
        *bytes = bytes.saturating_add(entry.compressed_size);
        *self.methods.entry(entry.storage()).or_default() += 1;
    }

    fn text(&self) -> String {
        let methods = self.methods.iter().map(|(name, n)| format!("{n} {name}"));
        format!(
            "{}, {} in {}: {}",
            self.entries,
            sized(self.bytes),
            sized(self.compressed_bytes),
            methods.collect::<Vec<_>>().join(", ")
        )
    }
}

impl Entries {
    fn text(&self) -> String {
        let kinds = [
            (self.files, "file", "files"),
            (self.directories, "directory", "directories"),
            (self.symlinks, "symbolic link", "symbolic links"),
            (self.special, "special file", "special files"),
        ];
        let kinds = kinds.iter().filter(|(n, ..)| *n > 0);
        let kinds: Vec<String> = kinds.map(|(n, one, many)| count(*n, one, many)).collect();
        let mut text = self.total.to_string();
        if !kinds.is_empty() {
            text += &format!(": {}", kinds.join(", "));
        }
        if self.implied_directories > 0 {
            let implied = count(self.implied_directories, "directory", "directories");
            text += &format!("; and {implied} without an entry, only in names");
        }
        text
    }
}

fn sized(bytes: u64) -> String {
    if bytes < 1024 {
        format!("{bytes} bytes")
    } else {
        format!("{bytes} bytes ({})", HumanBytes(bytes))
    }
}

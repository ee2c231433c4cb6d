//! `aiozfs ls`.

mod args;
mod directory;
mod row;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use futures_util::StreamExt;
use futures_util::stream;
use term_grid::{Direction, Filling, Grid, GridOptions};
use tokio::runtime::Runtime;

use super::Failure;
use super::access::Access;
use super::paint::{Look, Painter};
use super::show::{self, JsonRows};
use super::unmounted::{Unmounted, resolve, with_access};
use crate::archive::{Entry, Error, Kind};
use crate::decode;
use crate::fs::{Attr, Ino, natural};
use crate::ranges::arrange;
pub(super) use args::LsArgs;
use row::Row;

/// How many targets of symbolic links are fetched at once.
const TARGETS_AT_ONCE: usize = 16;

pub(super) fn ls(args: &LsArgs) -> Result<ExitCode, Failure> {
    let access = resolve(&args.source, &args.read)?;
    let archive = |unmounted: &Unmounted| list(args, unmounted);
    let directory = |runtime: &Runtime| {
        if args.paths.is_empty() {
            directory::list(&access, runtime, args)?;
        }
        for path in &args.paths {
            let below = access.below(&path.to_string_lossy())?;
            list_below(args, &below)?;
        }
        Ok(ExitCode::SUCCESS)
    };
    with_access(&access, archive, directory)
}

/// Lists an archive or a directory in a directory of IPFS.
fn list_below(args: &LsArgs, access: &Access) -> Result<ExitCode, Failure> {
    let whole = |unmounted: &Unmounted| write(args, unmounted, &[Ino::ROOT]);
    let directory = |runtime: &Runtime| {
        directory::list(access, runtime, args)?;
        Ok(ExitCode::SUCCESS)
    };
    with_access(access, whole, directory)
}

fn list(args: &LsArgs, unmounted: &Unmounted) -> Result<ExitCode, Failure> {
    let mut named = Vec::new();
    for path in &args.paths {
        let literal = || start(unmounted, path, args.long);
        named.extend(unmounted.named(path, false, literal)?.inos());
    }
    if named.is_empty() {
        named.push(Ino::ROOT);
    }
    write(args, unmounted, &named)
}

fn write(args: &LsArgs, unmounted: &Unmounted, named: &[Ino]) -> Result<ExitCode, Failure> {
    let mut listing = Listing {
        unmounted,
        args,
        painter: Painter::for_stdout(args.color),
        columns: columns(args),
        widths: Widths::of(unmounted, args),
        targets: Targets::new(),
        rows: JsonRows::default(),
        is_first: true,
        failed: None,
    };
    show::print(|out| listing.write(named, out))?;
    listing.failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// The width of the terminal, if names are printed in columns.
fn columns(args: &LsArgs) -> Option<usize> {
    if args.long || args.recursive || args.one || args.json || !io::stdout().is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let width = size.map(|size| usize::from(size.ws_col));
    Some(width.filter(|width| *width > 0).unwrap_or(80))
}

/// What to list: for a link to a directory the directory, except with `-l`.
fn start(unmounted: &Unmounted, path: &OsStr, long: bool) -> Result<Ino, Failure> {
    let tree = unmounted.tree();
    let itself = unmounted.find(path, false)?;
    if long || tree.kind(itself) != Some(Kind::Symlink) {
        return Ok(itself);
    }
    let target = unmounted.find(path, true).ok();
    let directory = target.filter(|ino| tree.kind(*ino) == Some(Kind::Dir));
    Ok(directory.unwrap_or(itself))
}

struct Listing<'a> {
    unmounted: &'a Unmounted<'a>,
    args: &'a LsArgs,
    painter: Painter,
    /// The width of the terminal, if names are printed in columns.
    columns: Option<usize>,
    widths: Widths,
    targets: Targets,
    rows: JsonRows,
    /// Whether nothing was printed yet.
    is_first: bool,
    /// What ended the listing, unless it was standard output.
    failed: Option<Failure>,
}

/// Columns of `-l`, wide enough for everything in the archive.
#[derive(Default)]
struct Widths {
    owner: usize,
    size: usize,
}

impl Widths {
    fn of(unmounted: &Unmounted, args: &LsArgs) -> Self {
        let mut widths = Self::default();
        if args.long && !args.json {
            let index = unmounted.archive().index();
            for entry in index.ids().map(|id| index.get(id)) {
                let size = show::size(entry.size, args.human_readable);
                widths.size = widths.size.max(size.len());
                widths.owner = widths.owner.max(owner(Some(&entry)).len());
            }
        }
        widths
    }
}

fn owner(entry: Option<&Entry>) -> String {
    let owner = entry.and_then(|entry| entry.owner);
    owner.map_or_else(|| "-".into(), |(user, group)| format!("{user}/{group}"))
}

/// Targets of symbolic links that were fetched.
type Targets = HashMap<Ino, Vec<u8>>;

impl<'a> Listing<'a> {
    /// Lists `named`: files first, then what is in directories, as `ls` does. Of several, the full names.
    fn write(&mut self, named: &[Ino], out: &mut dyn Write) -> io::Result<()> {
        let full_names = named.len() > 1;
        let is_directory = |ino: &Ino| self.unmounted.tree().kind(*ino) == Some(Kind::Dir);
        let (directories, files): (Vec<_>, Vec<_>) = named.iter().copied().partition(is_directory);
        let files = files.into_iter();
        let files = files.map(|ino| (Cow::Owned(self.unmounted.tree().path(ino)), ino));
        self.group(files.collect(), full_names, out)?;
        for directory in directories {
            if full_names && !self.args.json && !self.args.recursive {
                let path = self.unmounted.tree().path(directory);
                out.write_all(if self.is_first { b"" } else { b"\n" })?;
                self.painter.write(&path, Look::Directory, out)?;
                out.write_all(b":\n")?;
                self.is_first = false;
            }
            let children = self.children(directory);
            self.group(children, false, out)?;
        }
        if self.args.json && self.failed.is_none() {
            self.rows.end(out)?;
        }
        Ok(())
    }

    /// Lists files together, with `-R` also what is below them.
    fn group(
        &mut self,
        files: Vec<(Cow<'a, [u8]>, Ino)>,
        full_names: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        // Files that are still to be listed, the next one last.
        let mut ahead = self.sorted(files);
        if let Some(width) = self.columns {
            return self.grid(&ahead, full_names, width, out);
        }
        ahead.reverse();
        self.fetch_targets(&ahead);
        while let Some(ino) = ahead.pop() {
            if self.failed.is_some() {
                // The output must not look complete.
                return Ok(());
            }
            let target = self.targets.remove(&ino);
            if self.args.json {
                let row = self.json(ino, target.as_deref());
                self.rows.row(&row, out)?;
            } else {
                self.line(ino, full_names, target.as_deref(), out)?
            }
            self.is_first = false;
            if self.args.recursive {
                let mut below = self.sorted(self.children(ino));
                below.reverse();
                self.fetch_targets(&below);
                ahead.append(&mut below);
            }
        }
        Ok(())
    }

    /// Prints names in columns.
    fn grid(
        &mut self,
        inos: &[Ino],
        full_names: bool,
        width: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if inos.is_empty() {
            return Ok(());
        }
        let mut cells = Vec::with_capacity(inos.len());
        for ino in inos {
            let mut cell = Vec::new();
            self.short(*ino, full_names, &mut cell)?;
            // On a terminal names are quoted, which makes text of them.
            cells.push(String::from_utf8_lossy(&cell).into_owned());
        }
        let options = GridOptions {
            direction: Direction::TopToBottom,
            filling: Filling::Spaces(2),
            width,
        };
        self.is_first = false;
        write!(out, "{}", Grid::new(cells, options))
    }

    /// The names and files of a directory; none for anything else.
    fn children(&self, dir: Ino) -> Vec<(Cow<'a, [u8]>, Ino)> {
        // After `.` and `..`.
        let lines = self.unmounted.tree().read_dir(dir, 2);
        let lines = lines.into_iter().flatten();
        lines
            .map(|line| (Cow::Borrowed(line.name), line.ino))
            .collect()
    }

    fn sorted(&self, mut files: Vec<(Cow<'a, [u8]>, Ino)>) -> Vec<Ino> {
        arrange(&mut files, |(a, first), (b, second)| {
            let (first, second) = (*first, *second);
            let order = if self.args.by_time {
                self.attr(second).mtime.cmp(&self.attr(first).mtime)
            } else if self.args.by_size {
                self.attr(second).size.cmp(&self.attr(first).size)
            } else {
                Ordering::Equal
            };
            order.then_with(|| natural(a, b))
        });
        if self.args.reverse {
            files.reverse();
        }
        files.into_iter().map(|(_, ino)| ino).collect()
    }

    /// Fetches the targets of the links among `inos`, several at once. A link that cannot be read, for
    /// example a compressed one, has no target. Any other failure ends the listing.
    fn fetch_targets(&mut self, inos: &[Ino]) {
        let (unmounted, tree) = (self.unmounted, self.unmounted.tree());
        let is_link = |ino: &Ino| {
            self.args.long && tree.kind(*ino) == Some(Kind::Symlink) && self.problem(*ino).is_none()
        };
        let links: Vec<Ino> = inos.iter().copied().filter(is_link).collect();
        let fetches = links.into_iter();
        let fetches =
            fetches.map(|ino| async move { (ino, unmounted.volume.link_target(ino).await) });
        let mut fetched = stream::iter(fetches).buffer_unordered(TARGETS_AT_ONCE);
        unmounted.runtime.block_on(async {
            while let Some((ino, target)) = fetched.next().await {
                match target {
                    Ok(target) => drop(self.targets.insert(ino, target)),
                    Err(why) => {
                        let link = show::quoted(&tree.path(ino));
                        self.failed = Some(Failure::new(format!("{link}: {why}")));
                        return;
                    }
                }
            }
        });
    }

    fn attr(&self, ino: Ino) -> Attr {
        let attr = self.unmounted.tree().attr(ino);
        attr.expect("an inode that the tree itself gave")
    }

    fn record(&self, ino: Ino) -> Option<Entry> {
        let index = self.unmounted.archive().index();
        self.unmounted.tree().record(ino).map(|id| index.get(id))
    }

    /// Why a file cannot be read, if it cannot.
    fn problem(&self, ino: Ino) -> Option<decode::Error> {
        let id = self.unmounted.tree().entry(ino)?;
        self.unmounted.volume.decoder().readable(id).err()
    }

    /// What is special about the way in which a file is stored.
    fn storage(&self, ino: Ino) -> Option<String> {
        let id = self.unmounted.tree().entry(ino)?;
        let index = self.unmounted.archive().index();
        match (index.readable(id), index.stored(id)) {
            (Err(_), _) => Some("damaged".to_owned()),
            (_, Err(Error::Compressed { .. } | Error::Encrypted { .. })) => {
                Some(index.get(id).storage())
            }
            _ => None,
        }
    }

    /// Prints the name, and a slash behind that of a directory.
    fn short(&self, ino: Ino, full_name: bool, out: &mut dyn Write) -> io::Result<()> {
        let attr = self.attr(ino);
        let path = self.unmounted.tree().path(ino);
        let name = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) if !full_name && !self.args.recursive => &path[slash + 1..],
            _ => &path[..],
        };
        self.painter.write(name, Look::of(&attr), out)?;
        let is_directory = attr.kind == Kind::Dir;
        out.write_all(if is_directory { b"/" } else { b"" })
    }

    fn line(
        &self,
        ino: Ino,
        full_name: bool,
        target: Option<&[u8]>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let attr = self.attr(ino);
        if self.args.long {
            let (date, time) = show::date_and_time(attr.mtime);
            let (mode, Widths { owner: wide, size }) =
                (show::mode(attr.kind, attr.perm), &self.widths);
            let owner = owner(self.record(ino).as_ref());
            let bytes = show::size(attr.size, self.args.human_readable);
            write!(out, "{mode} {owner:>wide$} {bytes:>size$} {date} {time} ")?;
        }
        self.short(ino, full_name, out)?;
        if self.args.long && attr.kind == Kind::Symlink {
            out.write_all(b" -> ")?;
            match target {
                Some(target) => show::write_name(target, out)?,
                None => out.write_all(b"?")?,
            }
        }
        if self.args.long
            && let Some(storage) = self.storage(ino)
        {
            write!(out, " [{storage}]")?;
        }
        out.write_all(b"\n")
    }

    fn json(&self, ino: Ino, target: Option<&[u8]>) -> Row {
        let path = self.unmounted.tree().path(ino);
        let problem = self.problem(ino).map(|why| why.to_string());
        let (attr, entry) = (self.attr(ino), self.record(ino));
        Row::new(&path, &attr, entry.as_ref(), target, problem)
    }
}

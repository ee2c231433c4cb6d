//! `aiozfs ls`.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::access::Access;
use super::directory::{self, Style};
use super::show::{self, Names};
use super::unmounted::{ReadArgs, SourceArgs, Unmounted, resolve, with_access};
use super::{Failure, completions};
use crate::archive::{Entry, Error, Kind};
use crate::decode;
use crate::fs::{Attr, Ino, natural};

/// How many targets of symbolic links are fetched at once.
const TARGETS_AT_ONCE: usize = 16;

/// List the files of an archive, without mounting it, or the archives in a directory.
///
/// A directory is one of IPFS, whose files are all listed, a prefix in an object store (s3://BUCKET/PREFIX/), the
/// index of a web server, or a directory of this machine.
///
/// Names are those of the mount, in natural order ("2" before "10"); directories end in '/'. On a terminal,
/// names with special characters are quoted as by GNU ls.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LsArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// A directory or file of the archive [default: all of it]
    #[arg(add = completions::paths())]
    path: Option<OsString>,
    /// Also print type and permissions, user/group in the archive, size, time (UTC), targets of symbolic
    /// links, and what cannot be read
    #[arg(short, long)]
    long: bool,
    /// Also list all directories below, with full paths
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Print a JSON array, one file a line, with all metadata; targets of symbolic links with -l. For a
    /// path that is not UTF-8, 'path_hex' has its exact bytes
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadArgs,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs ls bafybei...
  aiozfs ls -l bafybei.../videos/holiday.zip
  aiozfs ls -l https://example.com/holiday.zip 720p
  aiozfs ls s3://bucket/films/
  aiozfs ls https://example.com/films/
  aiozfs ls -R ./holiday.zip | grep '\\.m3u8$'
  aiozfs ls -R --json ./holiday.zip | jq '.[] | select(.method != \"stored\") | .path'";

pub(super) fn ls(args: &LsArgs) -> Result<ExitCode, Failure> {
    let access = resolve(&args.source, &args.read)?;
    list(args, &access, args.path.as_deref())
}

/// Lists `path` of the archive or directory at `access`.
fn list(args: &LsArgs, access: &Access, path: Option<&OsStr>) -> Result<ExitCode, Failure> {
    let archive = |unmounted: &Unmounted| {
        let start = match path {
            Some(path) => start(unmounted, path, args.long)?,
            None => Ino::ROOT,
        };
        let listing = Listing {
            unmounted,
            args,
            names: Names::for_stdout(),
            widths: Widths::of(unmounted, args),
        };
        let mut failed = None;
        show::print(|out| listing.write(start, out, &mut failed))?;
        failed.map_or(Ok(ExitCode::SUCCESS), Err)
    };
    let directory = |runtime: &Runtime| {
        let Some(path) = path else {
            let style = Style {
                long: args.long,
                recursive: args.recursive,
                json: args.json,
            };
            directory::list(access, runtime, &style)?;
            return Ok(ExitCode::SUCCESS);
        };
        let below = access.below(&path.to_string_lossy())?;
        list(args, &below, None)
    };
    with_access(access, archive, directory)
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
    names: Names,
    widths: Widths,
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
                widths.size = widths.size.max(entry.size.to_string().len());
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

impl Listing<'_> {
    /// Writes the listing. Errors other than those of standard output are stored in `failed`.
    fn write(
        &self,
        start: Ino,
        out: &mut dyn Write,
        failed: &mut Option<Failure>,
    ) -> io::Result<()> {
        let mut is_first = true;
        if self.args.json {
            out.write_all(b"[")?;
        }
        let mut ahead = match self.children(start) {
            Some(children) => children,
            None => vec![start],
        };
        let mut targets = Targets::new();
        // Files that are still to be listed, the next one last.
        ahead.reverse();
        self.fetch_targets(&ahead, &mut targets, failed);
        while let Some(ino) = ahead.pop() {
            if failed.is_some() {
                // The output must not look complete.
                return Ok(());
            }
            let target = targets.remove(&ino);
            if self.args.json {
                out.write_all(if is_first { b"\n" } else { b",\n" })?;
                out.write_all(self.json(ino, target.as_deref()).as_bytes())?;
            } else {
                self.line(ino, target.as_deref(), out)?
            }
            is_first = false;
            if self.args.recursive
                && let Some(mut below) = self.children(ino)
            {
                below.reverse();
                self.fetch_targets(&below, &mut targets, failed);
                ahead.append(&mut below);
            }
        }
        if self.args.json {
            out.write_all(if is_first { b"]\n" } else { b"\n]\n" })?;
        }
        Ok(())
    }

    /// The files of a directory in natural order; `None` if it is not a directory.
    fn children(&self, dir: Ino) -> Option<Vec<Ino>> {
        // After `.` and `..`.
        let lines = self.unmounted.tree().read_dir(dir, 2)?;
        let mut lines: Vec<_> = lines.map(|line| (line.name, line.ino)).collect();
        lines.sort_unstable_by(|a, b| natural(a.0, b.0));
        Some(lines.into_iter().map(|(_, ino)| ino).collect())
    }

    /// Fetches the targets of the links among `inos`, several at once. A link that cannot be read, for
    /// example a compressed one, has no target. Any other failure ends the listing.
    fn fetch_targets(&self, inos: &[Ino], targets: &mut Targets, failed: &mut Option<Failure>) {
        let tree = self.unmounted.tree();
        let is_link = |ino: &Ino| {
            self.args.long && tree.kind(*ino) == Some(Kind::Symlink) && self.problem(*ino).is_none()
        };
        let links = inos.iter().copied().filter(is_link);
        let fetches =
            links.map(|ino| async move { (ino, self.unmounted.volume.link_target(ino).await) });
        let mut fetched = stream::iter(fetches).buffer_unordered(TARGETS_AT_ONCE);
        self.unmounted.runtime.block_on(async {
            while let Some((ino, target)) = fetched.next().await {
                match target {
                    Ok(target) => drop(targets.insert(ino, target)),
                    Err(why) => {
                        let link = show::quoted(&tree.path(ino));
                        *failed = Some(Failure::new(format!("{link}: {why}")));
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

    /// The name to print: the full path, or the name within the directory.
    fn name(&self, ino: Ino) -> Vec<u8> {
        let path = self.unmounted.tree().path(ino);
        match (self.args.recursive, path.iter().rposition(|b| *b == b'/')) {
            (false, Some(slash)) => path[slash + 1..].to_vec(),
            _ => path,
        }
    }

    fn line(&self, ino: Ino, target: Option<&[u8]>, out: &mut dyn Write) -> io::Result<()> {
        let attr = self.attr(ino);
        if self.args.long {
            let (date, time) = show::date_and_time(attr.mtime);
            let (mode, Widths { owner: wide, size }) =
                (show::mode(attr.kind, attr.perm), &self.widths);
            let owner = owner(self.record(ino).as_ref());
            let bytes = attr.size;
            write!(out, "{mode} {owner:>wide$} {bytes:>size$} {date} {time} ")?;
        }
        self.names.write(&self.name(ino), out)?;
        if attr.kind == Kind::Dir {
            out.write_all(b"/")?;
        }
        if self.args.long && attr.kind == Kind::Symlink {
            out.write_all(b" -> ")?;
            match target {
                Some(target) => self.names.write(target, out)?,
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

    fn json(&self, ino: Ino, target: Option<&[u8]>) -> String {
        let (attr, entry) = (self.attr(ino), self.record(ino));
        let entry = entry.as_ref();
        let is_file = attr.kind != Kind::Dir;
        let of_file = entry.filter(|_| is_file);
        let (path, path_hex) = text(&self.unmounted.tree().path(ino));
        let target = target.map(text);
        show::json(&Row {
            path,
            path_hex,
            kind: match attr.kind {
                Kind::File => "file",
                Kind::Dir => "dir",
                Kind::Symlink => "symlink",
                Kind::Special => "special",
            },
            size: attr.size,
            mtime: show::rfc3339(attr.mtime),
            mode: format!("{:04o}", attr.perm),
            uid: entry.and_then(|e| e.owner).map(|owner| owner.0),
            gid: entry.and_then(|e| e.owner).map(|owner| owner.1),
            method: of_file.map(|e| e.method.to_string()),
            encrypted: of_file.map(|e| e.encryption.is_some()),
            encryption: of_file.and_then(|e| e.encryption).map(|e| e.to_string()),
            compressed_size: of_file.map(|e| e.compressed_size),
            crc32: of_file
                .and_then(|e| e.crc32)
                .map(|crc| format!("{crc:08x}")),
            header_offset: of_file.map(|e| e.header_offset),
            problem: self.problem(ino).map(|e| e.to_string()),
            target_hex: target.as_ref().and_then(|(_, hex)| hex.clone()),
            target: target.map(|(text, _)| text),
        })
    }
}

/// Bytes as text, and in hexadecimal if they are not UTF-8.
fn text(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (
            String::from_utf8_lossy(bytes).into_owned(),
            Some(show::hex(bytes)),
        ),
    }
}

/// A file or directory in JSON. Unknown values are left out.
#[derive(Serialize)]
struct Row {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: &'static str,
    size: u64,
    mtime: String,
    /// In octal, as the mount shows it.
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compressed_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header_offset: Option<u64>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
}

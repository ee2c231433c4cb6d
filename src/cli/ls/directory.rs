//! `aiozfs ls` of a directory: of IPFS, of a store, of a web server, of this machine.

use std::cmp::Reverse;
use std::io::{self, Write};

use serde::Serialize;
use tokio::runtime::Runtime;

use super::args::LsArgs;
use crate::cli::Failure;
use crate::cli::access::Access;
use crate::cli::explain::explain_open;
use crate::cli::paint::{Look, Painter};
use crate::cli::show::{self, JsonRows};
use crate::content::{Listed, ListedKind};
use crate::fs::natural;
use crate::ranges::{arrange, arrange_by_key};
use crate::volume::{self, Location, OpenError};

/// The most entries that `ls -R` lists. A few blocks of IPFS can name one another so often that the listing would
/// never end.
const MAX_LISTED: usize = 1_000_000;

#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    kind: Option<&'static str>,
    size: Option<u64>,
    /// In a directory of IPFS.
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<&'a str>,
    /// Where it is, in other directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

/// An entry of a directory of any kind.
struct Entry {
    name: String,
    kind: ListedKind,
    size: Option<u64>,
    /// Where it is.
    location: Location,
    /// The location as a text without secrets.
    shown: String,
}

impl Entry {
    fn of_ipfs(entry: Listed) -> Self {
        Self {
            name: entry.name,
            kind: entry.kind,
            size: entry.size,
            shown: entry.cid.to_string(),
            location: Location::Cid(entry.cid),
        }
    }

    fn of(listed: volume::Listed, kind: ListedKind) -> Self {
        Self {
            name: listed.name,
            kind,
            size: listed.size,
            shown: listed.location.shown().1,
            location: listed.location,
        }
    }
}

/// Lists the directory at `access` on standard output.
pub(super) fn list(access: &Access, runtime: &Runtime, args: &LsArgs) -> Result<(), Failure> {
    let mut failed = None;
    show::print(|out| {
        let mut listing = Listing {
            access,
            runtime,
            args,
            painter: Painter::for_stdout(args.color),
            rows: JsonRows::default(),
            listed: 0,
        };
        listing.write(out, &mut failed)
    })?;
    failed.map_or(Ok(()), Err)
}

struct Listing<'a> {
    access: &'a Access,
    runtime: &'a Runtime,
    args: &'a LsArgs,
    painter: Painter,
    rows: JsonRows,
    /// How many entries were written.
    listed: usize,
}

impl Listing<'_> {
    /// Writes the listing. Errors other than those of standard output are stored in `failed`.
    fn write(&mut self, out: &mut dyn Write, failed: &mut Option<Failure>) -> io::Result<()> {
        // Directories that are still to be listed, the next one last, each with its path and a slash.
        let mut ahead = vec![(String::new(), self.access.location.clone())];
        while let Some((above, location)) = ahead.pop() {
            let entries = match self.entries(&location) {
                Ok(entries) => entries,
                Err(error) => {
                    // The output must not look complete.
                    *failed = Some(error);
                    return Ok(());
                }
            };
            let digits = |entry: &Entry| size_text(entry, self.args).len();
            let wide = entries.iter().map(digits).max().unwrap_or(1);
            let mut below = Vec::new();
            for entry in entries {
                let path = format!("{above}{}", entry.name);
                self.row(&path, &entry, wide, out)?;
                if self.args.recursive && entry.kind == ListedKind::Directory {
                    below.push((format!("{path}/"), entry.location));
                }
            }
            below.reverse();
            ahead.append(&mut below);
        }
        if self.args.json {
            self.rows.end(out)?;
        }
        Ok(())
    }

    /// All entries of a directory of IPFS; of another, the archives and directories.
    fn entries(&self, location: &Location) -> Result<Vec<Entry>, Failure> {
        let options = &self.access.options;
        let entries = self.runtime.block_on(async {
            if location.content().is_some() {
                let mut directory = volume::list(location, options).await?;
                directory.kinds().await;
                return Ok(directory.entries.into_iter().map(Entry::of_ipfs).collect());
            }
            let listing = volume::listing(location, options).await?;
            let archives = listing.archives.into_iter();
            let archives = archives.map(|archive| Entry::of(archive, ListedKind::File));
            let directories = listing.directories.into_iter();
            let directories = directories.map(|below| Entry::of(below, ListedKind::Directory));
            let mut entries: Vec<Entry> = archives.chain(directories).collect();
            arrange(&mut entries, |a, b| {
                natural(a.name.as_bytes(), b.name.as_bytes())
            });
            Ok(entries)
        });
        let mut entries =
            entries.map_err(|e: OpenError| explain_open(&self.access.location, &e))?;
        if self.listed + entries.len() > MAX_LISTED {
            return Err(Failure::new(format!(
                "there are more than {MAX_LISTED} entries; list a directory below"
            )));
        }
        // The times of what is in a directory are not known, so `-t` leaves the order as it is.
        if self.args.by_size {
            arrange_by_key(&mut entries, |entry| Reverse(entry.size));
        }
        if self.args.reverse {
            entries.reverse();
        }
        Ok(entries)
    }

    fn row(
        &mut self,
        path: &str,
        entry: &Entry,
        wide: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.listed += 1;
        if self.args.json {
            let shown = Some(&*entry.shown);
            let is_ipfs = matches!(entry.location, Location::Cid(_));
            let row = Row {
                path,
                kind: kind(entry.kind),
                size: entry.size,
                cid: shown.filter(|_| is_ipfs),
                source: shown.filter(|_| !is_ipfs),
            };
            return self.rows.row(&row, out);
        }
        if self.args.long {
            let kind = kind(entry.kind).unwrap_or("?");
            let size = size_text(entry, self.args);
            write!(out, "{kind:7} {size:>wide$} ")?;
            if matches!(entry.location, Location::Cid(_)) {
                write!(out, "{} ", entry.shown)?;
            }
        }
        let look = match entry.kind {
            ListedKind::Directory => Look::Directory,
            ListedKind::Symlink => Look::Link,
            ListedKind::File | ListedKind::Other | ListedKind::Unknown => Look::File,
        };
        self.painter.write(path.as_bytes(), look, out)?;
        let is_directory = entry.kind == ListedKind::Directory;
        out.write_all(if is_directory { b"/\n" } else { b"\n" })
    }
}

fn size_text(entry: &Entry, args: &LsArgs) -> String {
    let text = |size| show::size(size, args.human_readable);
    entry.size.map_or_else(|| "-".into(), text)
}

fn kind(kind: ListedKind) -> Option<&'static str> {
    match kind {
        ListedKind::File => Some("file"),
        ListedKind::Directory => Some("dir"),
        ListedKind::Symlink => Some("symlink"),
        ListedKind::Other => Some("other"),
        ListedKind::Unknown => None,
    }
}

//! `aiozfs ls` of a directory: of IPFS, of a store, of a web server, of this machine.

use std::io::{self, Write};

use serde::Serialize;
use tokio::runtime::Runtime;

use super::Failure;
use super::access::Access;
use super::explain::explain_open;
use super::show::{self, Names};
use crate::content::{Listed, ListedKind};
use crate::fs::natural;
use crate::volume::{self, Location, OpenError};

/// The most entries that `ls -R` lists. Directories that lead to one another through few blocks may have
/// more entries than there are atoms.
const MOST_LISTED: usize = 1_000_000;

/// How a directory is listed.
pub(super) struct Style {
    pub(super) long: bool,
    pub(super) recursive: bool,
    pub(super) json: bool,
}

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
pub(super) fn list(access: &Access, runtime: &Runtime, style: &Style) -> Result<(), Failure> {
    let mut failed = None;
    show::print(|out| {
        let mut listing = Listing {
            access,
            runtime,
            style,
            names: Names::for_stdout(),
            rows: 0,
        };
        listing.write(out, &mut failed)
    })?;
    failed.map_or(Ok(()), Err)
}

struct Listing<'a> {
    access: &'a Access,
    runtime: &'a Runtime,
    style: &'a Style,
    names: Names,
    /// How many rows were written.
    rows: usize,
}

impl Listing<'_> {
    /// Writes the listing. Errors other than those of standard output are stored in `failed`.
    fn write(&mut self, out: &mut dyn Write, failed: &mut Option<Failure>) -> io::Result<()> {
        // Directories that are still to be listed, the next one last, each with its path and a slash.
        let mut ahead = vec![(String::new(), self.access.location.clone())];
        if self.style.json {
            out.write_all(b"[")?;
        }
        while let Some((above, location)) = ahead.pop() {
            let entries = match self.entries(&location) {
                Ok(entries) => entries,
                Err(error) => {
                    // The output must not look complete.
                    *failed = Some(error);
                    return Ok(());
                }
            };
            let digits = |entry: &Entry| entry.size.map_or(1, |size| size.to_string().len());
            let wide = entries.iter().map(digits).max().unwrap_or(1);
            let mut below = Vec::new();
            for entry in entries {
                let path = format!("{above}{}", entry.name);
                self.row(&path, &entry, wide, out)?;
                if self.style.recursive && entry.kind == ListedKind::Directory {
                    below.push((format!("{path}/"), entry.location));
                }
            }
            below.reverse();
            ahead.append(&mut below);
        }
        if self.style.json {
            out.write_all(if self.rows == 0 { b"]\n" } else { b"\n]\n" })?;
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
            entries.sort_by(|a, b| natural(a.name.as_bytes(), b.name.as_bytes()));
            Ok(entries)
        });
        let entries = entries.map_err(|e: OpenError| explain_open(&self.access.location, &e))?;
        if self.rows + entries.len() > MOST_LISTED {
            return Err(Failure::new(format!(
                "there are more than {MOST_LISTED} entries; list a directory below"
            )));
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
        let is_first = self.rows == 0;
        self.rows += 1;
        if self.style.json {
            let shown = Some(&*entry.shown);
            let is_ipfs = matches!(entry.location, Location::Cid(_));
            let row = Row {
                path,
                kind: kind(entry.kind),
                size: entry.size,
                cid: shown.filter(|_| is_ipfs),
                source: shown.filter(|_| !is_ipfs),
            };
            let comma = if is_first { "\n" } else { ",\n" };
            return write!(out, "{comma}{}", show::json(&row));
        }
        if self.style.long {
            let kind = kind(entry.kind).unwrap_or("?");
            let size = entry
                .size
                .map_or_else(|| "-".into(), |size| size.to_string());
            write!(out, "{kind:7} {size:>wide$} ")?;
            if matches!(entry.location, Location::Cid(_)) {
                write!(out, "{} ", entry.shown)?;
            }
        }
        self.names.write(path.as_bytes(), out)?;
        let is_directory = entry.kind == ListedKind::Directory;
        out.write_all(if is_directory { b"/\n" } else { b"\n" })
    }
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

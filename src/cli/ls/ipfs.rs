//! `aiozfs ls` of a directory of IPFS.

use std::cmp::Reverse;
use std::io::{self, Write};

use serde::Serialize;
use tokio::runtime::Runtime;

use super::LsArgs;
use crate::cli::Failure;
use crate::cli::access::Access;
use crate::cli::explain::explain_open;
use crate::cli::paint::{Look, Painter};
use crate::cli::show;
use crate::content::{Listed, ListedKind};
use crate::volume::{self, Location, OpenError};

/// The most entries that `ls -R` lists. Directories that lead to one another through few blocks may have
/// more entries than there are atoms.
const MOST_LISTED: usize = 1_000_000;

#[derive(Serialize)]
struct Row<'a> {
    path: &'a str,
    kind: Option<&'static str>,
    size: Option<u64>,
    cid: String,
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
            rows: 0,
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
    /// How many rows were written.
    rows: usize,
}

impl Listing<'_> {
    /// Writes the listing. Errors other than those of standard output are stored in `failed`.
    fn write(&mut self, out: &mut dyn Write, failed: &mut Option<Failure>) -> io::Result<()> {
        // Directories that are still to be listed, the next one last, each with its path and a slash.
        let mut ahead = vec![(String::new(), self.access.location.clone())];
        if self.args.json {
            out.write_all(b"[")?;
        }
        while let Some((above, location)) = ahead.pop() {
            let entries = match self.entries(&location) {
                Ok(mut entries) => {
                    sort(&mut entries, self.args);
                    entries
                }
                Err(error) => {
                    // The output must not look complete.
                    *failed = Some(error);
                    return Ok(());
                }
            };
            let digits = |entry: &Listed| size_text(entry, self.args).len();
            let wide = entries.iter().map(digits).max().unwrap_or(1);
            let mut below = Vec::new();
            for entry in entries {
                let path = format!("{above}{}", entry.name);
                self.row(&path, &entry, wide, out)?;
                if self.args.recursive && entry.kind == ListedKind::Directory {
                    below.push((format!("{path}/"), Location::Cid(entry.cid)));
                }
            }
            below.reverse();
            ahead.append(&mut below);
        }
        if self.args.json {
            out.write_all(if self.rows == 0 { b"]\n" } else { b"\n]\n" })?;
        }
        Ok(())
    }

    fn entries(&self, location: &Location) -> Result<Vec<Listed>, Failure> {
        let entries = self.runtime.block_on(async {
            let mut directory = volume::list(location, &self.access.options).await?;
            directory.kinds().await;
            Ok(directory.entries)
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
        entry: &Listed,
        wide: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let is_first = self.rows == 0;
        self.rows += 1;
        if self.args.json {
            let row = Row {
                path,
                kind: kind(entry.kind),
                size: entry.size,
                cid: entry.cid.to_string(),
            };
            let comma = if is_first { "\n" } else { ",\n" };
            return write!(out, "{comma}{}", show::json(&row));
        }
        if self.args.long {
            let kind = kind(entry.kind).unwrap_or("?");
            let size = size_text(entry, self.args);
            write!(out, "{kind:7} {size:>wide$} {} ", entry.cid)?;
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

/// Directories of IPFS have no times.
fn sort(entries: &mut [Listed], args: &LsArgs) {
    if args.by_size {
        entries.sort_by_key(|entry| Reverse(entry.size));
    }
    if args.reverse {
        entries.reverse();
    }
}

fn size_text(entry: &Listed, args: &LsArgs) -> String {
    let text = |size| super::size_text(size, args);
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

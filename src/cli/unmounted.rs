//! An archive read without a mount: what `ls`, `info` and `cat` have in common.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::Args;

use super::access::AccessArgs;
use super::location::Location;
use super::mount_options::MountOptions;
use super::show::quoted;
use super::{Failure, job, logging};
use crate::archive::Kind;
use crate::fs::{Ino, Tree};
use crate::reader::Archive;

/// The longest symlink target that is read, in bytes (PATH_MAX without its NUL).
const MAX_LINK: u64 = 4095;

/// So many symbolic links are followed on the way to one file, as the kernel does (MAXSYMLINKS).
const MAX_FOLLOWED: u32 = 40;

#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// The archive: a file, an http(s) URL, a CID, id:TEXT for an id of another network, or the
    /// name of an archive in the configuration
    source: String,
}

#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    #[command(flatten)]
    access: AccessArgs,
    /// Say more; twice, and more still
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// An archive, its names, and what fetches its bytes.
pub(super) struct Unmounted<'r> {
    pub(super) archive: Archive,
    pub(super) tree: Tree,
    pub(super) runtime: &'r tokio::runtime::Runtime,
    /// What it is, and which one, without secrets.
    pub(super) shown: (&'static str, String),
}

/// Opens the archive, and hands it over.
pub(super) fn with_archive(
    source: &SourceArgs,
    args: &ReadArgs,
    work: impl FnOnce(&Unmounted) -> Result<ExitCode, Failure>,
) -> Result<ExitCode, Failure> {
    logging::init(args.verbose);
    let location = Location::parse(&source.source)?;
    let shown = location.shown();
    let access = args.access.to(location, &MountOptions::default())?;
    let runtime = job::runtime()?;
    let opened = runtime.block_on(access.open());
    let done = opened.and_then(|archive| {
        work(&Unmounted {
            tree: Tree::build(archive.index().clone(), job::own_tree()),
            archive,
            runtime: &runtime,
            shown,
        })
    });
    // Nobody waits for what was fetched ahead.
    runtime.shutdown_background();
    done
}

impl Unmounted<'_> {
    /// The file or directory at a path as the mount would have it: symbolic links on the way are
    /// followed if they stay inside, the last one only if `follow` says so.
    pub(super) fn find(&self, path: &OsStr, follow: bool) -> Result<Ino, Failure> {
        let shown = quoted(path.as_bytes());
        let mut followed = 0;
        // What is still to be walked, the next component last.
        let mut ahead = components(path.as_bytes());
        let mut here = Ino::ROOT;
        while let Some(name) = ahead.pop() {
            if self.tree.kind(here) != Some(Kind::Dir) {
                let path = quoted(&self.tree.path(here));
                return Err(Failure::new(format!(
                    "{shown}: {path} is a file, and there is nothing below it"
                )));
            }
            let dir = here;
            here = match &name[..] {
                b".." => self.tree.parent(here).unwrap_or(Ino::ROOT),
                name => self.tree.lookup(here, name).ok_or_else(|| {
                    Failure::new(format!(
                        "{} has no {shown}; 'aiozfs ls -R' lists what it has",
                        self.shown.1
                    ))
                })?,
            };
            let is_link = self.tree.kind(here) == Some(Kind::Symlink);
            if !is_link || ahead.is_empty() && !follow {
                continue;
            }
            followed += 1;
            if followed > MAX_FOLLOWED {
                return Err(Failure::new(format!(
                    "{shown}: more than {MAX_FOLLOWED} symbolic links lead from one to the other"
                )));
            }
            let target = self.runtime.block_on(self.target(here));
            let target = target.map_err(|why| Failure::new(format!("{shown}: {why}")))?;
            if self.tree.check_symlink(here, &target).is_err() {
                let (link, target) = (quoted(&self.tree.path(here)), quoted(&target));
                return Err(Failure::new(format!(
                    "{shown}: the symbolic link {link} leads to {target}, out of the archive"
                )));
            }
            ahead.extend(components(&target));
            here = dir;
        }
        Ok(here)
    }

    /// The target of a symbolic link, wherever it leads.
    pub(super) async fn target(&self, link: Ino) -> Result<Vec<u8>, String> {
        let id = self.tree.entry(link).ok_or("it is no symbolic link")?;
        let size = self.archive.index().get(id).size;
        if size > MAX_LINK {
            return Err("the symbolic link's target is longer than a path may be".into());
        }
        let read = self.archive.read(id, 0..size).await;
        read.map_err(|e| e.to_string())
    }
}

/// The parts of a path that mean something, the first one last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|b| *b == b'/').rev();
    let parts = parts.filter(|part| !matches!(*part, b"" | b"."));
    parts.map(<[u8]>::to_vec).collect()
}

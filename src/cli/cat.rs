//! `aiozfs cat`.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::Args;

use super::show::{printed, quoted, stdout};
use super::unmounted::{Named, ReadArgs, SourceArgs, Unmounted, with_archive};
use super::{Failure, completions};
use crate::archive::EntryId;
use crate::decode;
use crate::fs::Ino;

/// How much is read and written at once, in bytes. Read-ahead fetches the next bytes meanwhile, so more
/// would only need memory.
const PIECE: u64 = 512 * 1024;

/// Print files of an archive, one after the other, without mounting it.
///
/// Prints the stored bytes, of playlists too (a mount shows playlists without range links). All paths are
/// looked up before anything is printed. If a file turns out to be damaged while it is printed, the output
/// ends after the last good bytes, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CatArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Files of the archive, as 'aiozfs ls -R' names them; * ? [a-z] {a,b} and ** as in a shell
    #[arg(required = true, value_name = "PATH|GLOB", add = completions::paths())]
    paths: Vec<OsString>,
    #[command(flatten)]
    read: ReadArgs,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs cat bafybei... master_playlist.m3u8
  aiozfs cat https://example.com/holiday.zip 720p/seg_0000.ts 720p/seg_0001.ts | ffprobe -
  aiozfs cat ./holiday.zip film.mp4 > film.mp4
  aiozfs cat ./logs.zip '2026-*/*.log' | grep ERROR";

pub(super) fn cat(args: &CatArgs) -> Result<ExitCode, Failure> {
    with_archive(&args.source, &args.read, |unmounted| {
        let mut files = Vec::new();
        for path in &args.paths {
            let literal = || unmounted.find(path, true);
            match unmounted.named(path, true, literal)? {
                Named::Literal(ino) => {
                    let shown = quoted(path.as_bytes());
                    let file = file(unmounted, &shown, ino)?;
                    let id = file.ok_or_else(|| {
                        Failure::new(format!(
                            "{shown} is a directory; 'aiozfs ls' lists what is in it"
                        ))
                    })?;
                    files.push((shown, id));
                }
                Named::Matching(inos) => {
                    for path in inos.into_iter().map(|ino| unmounted.tree().path(ino)) {
                        let ino = unmounted.find(OsStr::from_bytes(&path), true)?;
                        let shown = quoted(&path);
                        let file = file(unmounted, &shown, ino)?;
                        files.extend(file.map(|id| (shown, id)));
                    }
                }
            }
        }
        let ids: Vec<_> = files.iter().map(|(_, id)| *id).collect();
        unmounted.unlock(&ids);
        let decoder = unmounted.volume.decoder();
        for (path, id) in &files {
            let unlocked = unmounted.runtime.block_on(decoder.unlock(*id));
            unlocked.map_err(|why| Failure::new(format!("{path}: {why}")))?;
        }
        let mut out = stdout()?;
        for (path, id) in &files {
            let size = unmounted.archive().index().get(*id).size;
            let mut at = 0;
            while at < size {
                let end = size.min(at + PIECE);
                let bytes = unmounted.runtime.block_on(decoder.read(*id, at..end));
                let bytes = bytes.map_err(|why| Failure::new(format!("{path}: {why}")))?;
                if !printed(out.write_all(&bytes))? {
                    return Ok(ExitCode::SUCCESS);
                }
                at = end;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The entry of a file that can be read; `None` for a directory.
fn file(unmounted: &Unmounted, shown: &str, ino: Ino) -> Result<Option<EntryId>, Failure> {
    let Some(id) = unmounted.tree().entry(ino) else {
        return Ok(None);
    };
    let readable = unmounted.volume.decoder().readable(id);
    readable.map_err(|why| match why {
        decode::Error::Read(why) => Failure::new(why),
        why => Failure::new(format!("{shown}: {why}")),
    })?;
    Ok(Some(id))
}

//! `aiozfs cat`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::Args;

use super::show::{cannot_write, quoted, stdout};
use super::unmounted::{ReadArgs, SourceArgs, Unmounted, with_archive};
use super::{Failure, completions};
use crate::archive::EntryId;
use crate::decode;

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
    /// Files of the archive, as 'aiozfs ls -R' names them
    #[arg(required = true, value_name = "PATH", add = completions::paths())]
    paths: Vec<OsString>,
    #[command(flatten)]
    read: ReadArgs,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs cat bafybei... master_playlist.m3u8
  aiozfs cat https://example.com/holiday.zip 720p/seg_0000.ts 720p/seg_0001.ts | ffprobe -
  aiozfs cat ./holiday.zip film.mp4 > film.mp4";

pub(super) fn cat(args: &CatArgs) -> Result<ExitCode, Failure> {
    with_archive(&args.source, &args.read, |unmounted| {
        let files = args.paths.iter().map(|path| file(unmounted, path));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        unmounted.unlock(&files);
        for (path, id) in args.paths.iter().zip(&files) {
            let unlocked = unmounted.volume.decoder().unlock(*id);
            unmounted.runtime.block_on(unlocked).map_err(|why| {
                let path = quoted(path.as_bytes());
                Failure::new(format!("{path}: {why}"))
            })?;
        }
        let mut out = stdout()?;
        for (path, id) in args.paths.iter().zip(files) {
            match copy(unmounted, id, &mut out) {
                Ok(()) => {}
                Err(Stopped::Closed(e)) if e.kind() == io::ErrorKind::BrokenPipe => break,
                Err(Stopped::Closed(e)) => return Err(cannot_write(&e)),
                Err(Stopped::Read(why)) => {
                    let path = quoted(path.as_bytes());
                    return Err(Failure::new(format!("{path}: {why}")));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The entry of a file that can be read.
fn file(unmounted: &Unmounted, path: &OsString) -> Result<EntryId, Failure> {
    let ino = unmounted.find(path, true)?;
    let shown = quoted(path.as_bytes());
    let id = unmounted.tree().entry(ino).ok_or_else(|| {
        Failure::new(format!(
            "{shown} is a directory; 'aiozfs ls' lists what is in it"
        ))
    })?;
    let readable = unmounted.volume.decoder().readable(id);
    readable.map_err(|why| match why {
        decode::Error::Read(why) => Failure::new(why),
        why => Failure::new(format!("{shown}: {why}")),
    })?;
    Ok(id)
}

enum Stopped {
    /// Standard output cannot be written.
    Closed(io::Error),
    Read(decode::Error),
}

fn copy(unmounted: &Unmounted, id: EntryId, out: &mut impl Write) -> Result<(), Stopped> {
    let decoder = unmounted.volume.decoder();
    let size = unmounted.archive().index().get(id).size;
    let mut at = 0;
    while at < size {
        let end = size.min(at + PIECE);
        let read = unmounted.runtime.block_on(decoder.read(id, at..end));
        let bytes = read.map_err(Stopped::Read)?;
        out.write_all(&bytes).map_err(Stopped::Closed)?;
        at = end;
    }
    Ok(())
}

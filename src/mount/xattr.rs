//! Extended attributes: metadata of a file from the archive, and of the mount.

use super::archives_page::ArchivesPage;
use super::report::Report;
use super::served::Served;
use super::trace::{self, TRACE};
use crate::archive::{EntryId, Kind};
use crate::fs::Ino;
use crate::library::File;
use crate::volume::{FileError, Volume};

/// All names begin with this.
const PREFIX: &str = "user.aiozfs.";

/// The prefix of an attribute whose name ends with the hash of a source. Only a mount of that source has
/// the attribute. The hash is only ever in the request, so nobody can read it from a mount and search
/// offline for the secrets in the source.
pub(super) const SOURCE: &str = "source.";

pub(super) const STATUS: &str = "status";

pub(super) const PID: &str = "pid";

/// The attribute whose reading reloads the list of a library.
pub(super) const RELOAD: &str = "reload";

/// The prefix of an attribute whose name ends with a number: the status of a library's archives. The first of them has
/// this number, and an attribute's length limits how many follow.
pub(super) const ARCHIVES: &str = "archives.";

/// Attributes of a file with an entry in the archive.
const OF_FILES: [&str; 3] = ["size", "crc32", "method"];

/// Attributes of a file whose data can be read by ranges.
const OF_READABLE: [&str; 5] = ["offset", "size", "crc32", "method", "range"];

/// The rest of the name of an attribute that is ours.
pub(super) fn own_name(name: &[u8]) -> Option<&str> {
    std::str::from_utf8(name).ok()?.strip_prefix(PREFIX)
}

/// Whether a user may read this attribute. Three attributes are for root and the user who mounted: with `allow_other`,
/// other users could guess logins by `source`, watch reads by `trace`, and make the list be read again and again by
/// `reload`.
pub(super) fn may_read(name: &str, user: u32) -> bool {
    let is_private = [SOURCE, TRACE, RELOAD]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    let mounter = rustix::process::getuid().as_raw();
    [0, mounter].contains(&user) || !is_private
}

/// Whether this is an attribute of the mount's root that aiozfs commands read.
pub(super) fn is_asked_by_name(name: &str) -> bool {
    let is_prefix = |prefix: &&str| name.starts_with(prefix);
    [STATUS, PID, RELOAD].contains(&name) || [SOURCE, TRACE, ARCHIVES].iter().any(is_prefix)
}

/// Whether an inode is the root of the mount, or another directory whose attributes are known without its
/// archive.
pub(super) fn is_of_mount(served: &Served, ino: Ino) -> bool {
    ino == Ino::ROOT || served.library.attr(ino).is_some()
}

/// The names of the attributes of a directory [of the mount](is_of_mount) that are listed. See [`names`].
pub(super) fn names_of_mount(served: &Served, ino: Ino) -> Vec<u8> {
    let names = origin(served, ino).map(|(kind, _)| list(&[kind]));
    names.unwrap_or_default()
}

/// The value of an attribute of a directory [of the mount](is_of_mount); `None` if it has no attribute of that name.
pub(super) async fn of_mount(served: &Served, ino: Ino, name: &str) -> Option<String> {
    if let Some((kind, place)) = origin(served, ino)
        && name == kind
    {
        return Some(place);
    }
    if ino != Ino::ROOT {
        return None;
    }
    match name {
        STATUS => serde_json::to_string(&Report::of(served)).ok(),
        // For `aiozfs umount`, which asks this process to end.
        PID => Some(std::process::id().to_string()),
        RELOAD => Some(reload(served).await),
        _ => {
            if let Some(hash) = name.strip_prefix(SOURCE) {
                // For `aiozfs mount`, which asks whether the same source is mounted here.
                return (served.source_hash.as_deref() == Some(hash)).then(|| "1".to_owned());
            }
            if let Some(from) = name.strip_prefix(TRACE) {
                return trace::value(served, from);
            }
            let page = name.strip_prefix(ARCHIVES)?.parse().ok()?;
            serde_json::to_string(&ArchivesPage::of(served, page)).ok()
        }
    }
}

/// Reloads the list of a library. The answer is JSON.
async fn reload(served: &Served) -> String {
    let done = served.library.reload().await;
    serde_json::to_string(&done.map_err(|why| why.to_string())).unwrap_or_default()
}

/// Where an archive comes from, if the directory is the root of one.
fn origin(served: &Served, ino: Ino) -> Option<(&'static str, String)> {
    match served.library.single() {
        Some(volume) => Some(volume.origin().clone()),
        None => served.library.origin(ino),
    }
}

/// The names of the attributes of a file that are listed, each ended by a NUL. Programs copy every listed
/// attribute (`rsync -X`, `cp -a`), and fail if its size changes between two calls. So the status and the
/// process id are not listed; they can be read by name.
pub(super) fn names(file: &File) -> Result<Vec<u8>, FileError> {
    let Some(id) = entry(file)? else {
        return Ok(Vec::new());
    };
    let volume = file.volume();
    let names = if is_readable(volume, id) {
        &OF_READABLE[..]
    } else {
        &OF_FILES
    };
    // A member of a tar has no CRC-32.
    let has_crc = volume.archive().index().get(id).crc32.is_some();
    let names = names.iter().filter(|name| has_crc || **name != "crc32");
    Ok(list(&names.copied().collect::<Vec<_>>()))
}

fn list(names: &[&str]) -> Vec<u8> {
    let list = names.iter().flat_map(|name| [PREFIX, name, "\0"]);
    list.collect::<String>().into_bytes()
}

/// The value of an attribute of a file; `None` if the file has no attribute of that name.
pub(super) async fn of_file(file: &File, name: &str) -> Result<Option<String>, FileError> {
    match entry(file)? {
        Some(id) => of_entry(file.volume(), id, name).await,
        None => Ok(None),
    }
}

async fn of_entry(volume: &Volume, id: EntryId, name: &str) -> Result<Option<String>, FileError> {
    let entry = volume.archive().index().get(id);
    let has_range = is_readable(volume, id);
    Ok(Some(match name {
        "size" => entry.size.to_string(),
        "crc32" => match entry.crc32 {
            Some(crc32) => format!("{crc32:08x}"),
            None => return Ok(None),
        },
        "method" => entry.storage(),
        // The local header, which may have to be fetched, says where the data begins.
        "offset" if has_range => volume.archive().extent(id).await?.offset.to_string(),
        "range" if has_range => {
            let extent = volume.archive().extent(id).await?;
            format!("{},{}", extent.offset, extent.len)
        }
        _ => return Ok(None),
    }))
}

/// The entry of a file that can have attributes. Linux supports those of the namespace `user` only on files and
/// directories (xattr(7)). The kernel sends no request for one of a symbolic link, so a listed one could not be read.
fn entry(file: &File) -> Result<Option<EntryId>, FileError> {
    let (volume, ino) = (file.volume(), file.ino());
    volume.attr(ino)?;
    let is_symlink = volume.tree().kind(ino) == Some(Kind::Symlink);
    Ok(volume.tree().entry(ino).filter(|_| !is_symlink))
}

fn is_readable(volume: &Volume, id: EntryId) -> bool {
    volume.archive().index().stored(id).is_ok()
}

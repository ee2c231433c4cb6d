//! Extended attributes: metadata of a file from the archive, and of the mount.

use super::report::Report;
use super::served::Served;
use super::trace::{self, TRACE};
use crate::archive::{EntryId, Kind};
use crate::fs::Ino;
use crate::volume::{FileError, Volume};

/// All names begin with this.
const PREFIX: &str = "user.aiozfs.";

/// The prefix of an attribute whose name ends with the hash of a source. Only a mount of that source has
/// the attribute. The hash is only ever in the request, so nobody can read it from a mount and search
/// offline for the secrets in the source.
pub(super) const SOURCE: &str = "source.";

/// Attributes of a file with an entry in the archive.
const OF_FILES: [&str; 3] = ["size", "crc32", "method"];

/// Attributes of a file whose data can be read by ranges.
const OF_READABLE: [&str; 5] = ["offset", "size", "crc32", "method", "range"];

/// The names of the attributes of a file that are listed, each ended by a NUL. Programs copy every listed
/// attribute (`rsync -X`, `cp -a`), and fail if its size changes between two calls. So the status and the
/// process id are not listed; they can be read by name.
pub(super) fn names(volume: &Volume, ino: Ino) -> Result<Vec<u8>, FileError> {
    volume.attr(ino)?;
    let of_root = [volume.origin().0];
    let names: &[&str] = match (volume.tree().entry(ino), ino) {
        _ if is_symlink(volume, ino) => &[],
        (Some(id), _) if is_readable(volume, id) => &OF_READABLE,
        (Some(_), _) => &OF_FILES,
        (None, Ino::ROOT) => &of_root,
        (None, _) => &[],
    };
    // A member of a tar has none.
    let entry = volume.tree().entry(ino);
    let has_crc = entry.is_none_or(|id| volume.archive().index().get(id).crc32.is_some());
    let names = names.iter().filter(|name| has_crc || **name != "crc32");
    let list = names.flat_map(|name| [PREFIX, name, "\0"]);
    Ok(list.collect::<String>().into_bytes())
}

/// Whether only root and the user who mounted may read this attribute. Other users (`allow_other`) could
/// guess logins with one, and watch with the other.
pub(super) fn is_for_mounter(name: &[u8]) -> bool {
    let name = name.strip_prefix(PREFIX.as_bytes());
    let is_private = |name: &[u8]| {
        [SOURCE, TRACE]
            .iter()
            .any(|p| name.starts_with(p.as_bytes()))
    };
    name.is_some_and(is_private)
}

/// The value of an attribute; `None` if the file has no such attribute.
pub(super) async fn get(
    served: &Served,
    ino: Ino,
    name: &[u8],
) -> Result<Option<Vec<u8>>, FileError> {
    let volume = &*served.volume;
    volume.attr(ino)?;
    let Some(name) = name.strip_prefix(PREFIX.as_bytes()) else {
        return Ok(None);
    };
    let value = match (volume.tree().entry(ino), ino) {
        _ if is_symlink(volume, ino) => None,
        (Some(id), _) => of_file(volume, id, name).await?,
        (None, Ino::ROOT) => of_root(served, name),
        (None, _) => None,
    };
    Ok(value.map(String::into_bytes))
}

async fn of_file(volume: &Volume, id: EntryId, name: &[u8]) -> Result<Option<String>, FileError> {
    let entry = volume.archive().index().get(id);
    let has_range = is_readable(volume, id);
    Ok(Some(match name {
        b"size" => entry.size.to_string(),
        b"crc32" => match entry.crc32 {
            Some(crc32) => format!("{crc32:08x}"),
            None => return Ok(None),
        },
        b"method" => entry.storage(),
        // The local header, which may have to be fetched, says where the data begins.
        b"offset" if has_range => volume.archive().extent(id).await?.offset.to_string(),
        b"range" if has_range => {
            let extent = volume.archive().extent(id).await?;
            format!("{},{}", extent.offset, extent.len)
        }
        _ => return Ok(None),
    }))
}

/// Linux supports attributes of the namespace `user` only on files and directories (xattr(7)). The kernel
/// sends no request for one of a symbolic link, so a listed one could not be read.
fn is_symlink(volume: &Volume, ino: Ino) -> bool {
    volume.tree().kind(ino) == Some(Kind::Symlink)
}

fn is_readable(volume: &Volume, id: EntryId) -> bool {
    volume.archive().index().stored(id).is_ok()
}

fn is_own_source(served: &Served, name: &[u8]) -> bool {
    let hash = name.strip_prefix(SOURCE.as_bytes());
    hash.is_some() && hash == served.source_hash.as_deref().map(str::as_bytes)
}

fn of_root(served: &Served, name: &[u8]) -> Option<String> {
    let (kind, place) = served.volume.origin();
    match name {
        b"status" => serde_json::to_string(&Report::of(served)).ok(),
        name if name.starts_with(TRACE.as_bytes()) => trace::value(served, &name[TRACE.len()..]),
        // For `aiozfs umount`, which asks this process to end.
        b"pid" => Some(std::process::id().to_string()),
        // For `aiozfs mount`, which asks whether the same source is mounted here.
        name if is_own_source(served, name) => Some("1".to_owned()),
        name if name == kind.as_bytes() => Some(place.clone()),
        _ => None,
    }
}

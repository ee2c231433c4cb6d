//! A member, from what its header, the extended headers before it and the global ones say of it.

use super::builder::{Map, Member};
use super::extended::{Extended, Sparse};
use super::header::Header;
use crate::archive::entry::Kind;

/// What the header at `header_offset`, the extended headers before it and those of all members say of a member whose
/// recorded size is `recorded`; and of its map, if it is sparse.
pub(super) fn describe(
    header: Header,
    header_offset: u64,
    recorded: u64,
    local: Extended,
    global: &Extended,
) -> (Member, Option<Sparse>) {
    let typeflag = header.typeflag();
    let mut sparse = local.sparse;
    let version = sparse.version();
    let path = version.and(sparse.name.take()).or(local.path);
    let path = path.or_else(|| global.path.clone()).unwrap_or_else(|| {
        let mut name = Vec::new();
        header.name(&mut name);
        name
    });
    let link = || local.link.or_else(|| global.link.clone());
    let link = || link().unwrap_or_else(|| header.link().to_vec());
    let kind = match typeflag {
        b'2' => Kind::Symlink,
        b'3' | b'4' | b'6' => Kind::Special,
        b'5' | b'D' => Kind::Dir,
        // Before POSIX, a slash at the end of its name made a directory.
        b'0' | 0 if path.ends_with(b"/") => Kind::Dir,
        // POSIX: other types are treated as files.
        _ => Kind::File,
    };
    // What GNU tar, bsdtar and Python do: these have no data, whatever size is recorded.
    let stored = match typeflag {
        b'1'..=b'6' => 0,
        _ => recorded,
    };
    let is_sparse = typeflag == b'S' || version.is_some() && kind == Kind::File;
    let size = match (is_sparse, version) {
        (false, _) => stored,
        (true, Some(_)) => sparse.size.unwrap_or(u64::MAX),
        (true, None) => header.real_size().unwrap_or(u64::MAX),
    };
    let user = local.user.or(global.user).or(header.user());
    let group = local.group.or(global.group).or(header.group());
    let mtime = local.mtime.or(global.mtime);
    let member = Member {
        header_offset,
        header_crc: header.crc32(),
        path,
        link: matches!(typeflag, b'1' | b'2').then(link),
        kind,
        size: if kind == Kind::Dir { 0 } else { size },
        stored,
        mode: header.mode(),
        owner: user.zip(group),
        mtime: mtime.unwrap_or_else(|| header.mtime()),
        map: Map::Whole,
    };
    (member, is_sparse.then_some(sparse))
}

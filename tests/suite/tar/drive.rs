//! Walks tars in memory, in pieces of any size.

use std::collections::BTreeMap;
use std::ops::Range;

use aiozfs::archive::{EntryId, Index, Kind, ParseOptions, Recognized, TarWalk, recognize};

/// The index of a tar that is fed in pieces. `piece` gives the length of each.
pub fn index(blob: &[u8], mut piece: impl FnMut() -> usize) -> Index {
    let size = blob.len() as u64;
    assert_eq!(recognize(blob, size), Some(Recognized::Tar));
    let mut walk = TarWalk::new(size, &ParseOptions::default());
    while let Some(wanted) = walk.wants() {
        assert!(
            wanted.start < wanted.end && wanted.end <= size,
            "{wanted:?} of {size}"
        );
        let from = wanted.start as usize;
        let len = piece().clamp(1, (size - wanted.start) as usize);
        walk.feed(wanted.start, &blob[from..from + len])
            .expect("few members");
    }
    walk.finish()
}

/// The content of a member: what its pieces say, with zeros in between.
pub fn content(index: &Index, blob: &[u8], id: EntryId) -> Result<Vec<u8>, String> {
    index.readable(id).map_err(|why| why.to_string())?;
    let check = index.header_check(id);
    let part = |range: Range<u64>| &blob[range.start as usize..range.end as usize];
    let extent = check
        .confirm(part(check.range()))
        .map_err(|why| why.to_string())?;
    let data = part(extent.range());
    if index.is_stored(id) {
        return Ok(data.to_vec());
    }
    let mut content = vec![0; index.get(id).size as usize];
    for piece in index.pieces(id) {
        let (to, from) = (piece.offset as usize, piece.stored as usize);
        let len = piece.len as usize;
        content[to..to + len].copy_from_slice(&data[from..from + len]);
    }
    Ok(content)
}

/// A line for each member by its path: its kind, size, mode, owner, time, target and content.
pub fn described(index: &Index, blob: &[u8]) -> BTreeMap<String, String> {
    let describe = |id: EntryId| {
        let entry = index.get(id);
        let path = String::from_utf8_lossy(index.path(id)).into_owned();
        let target = index.link_target(id).map(String::from_utf8_lossy);
        let is_hard_link = entry.kind == Kind::File && target.is_some();
        let kind = match entry.kind {
            Kind::File if is_hard_link => "hard",
            Kind::File => "file",
            Kind::Dir => "dir",
            Kind::Symlink => "sym",
            Kind::Special => "special",
        };
        let crc = match entry.kind {
            Kind::File if !is_hard_link => {
                let content = content(index, blob, id).unwrap_or_else(|why| panic!("{why}"));
                format!("{:08x}", crc32fast::hash(&content))
            }
            _ => "-".to_owned(),
        };
        let (user, group) = entry.owner.expect("a tar has owners");
        let line = format!(
            "{kind} {} {:o} {user} {group} {}.{:09} {} {crc}",
            if kind == "file" { entry.size } else { 0 },
            entry.mode.expect("a tar has modes"),
            entry.mtime.secs,
            entry.mtime.nanos,
            target.as_deref().unwrap_or("-"),
        );
        (path, line)
    };
    index.ids().map(describe).collect()
}

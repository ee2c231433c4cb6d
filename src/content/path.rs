//! Finds the CID of a path below a directory. Every block on the way is verified, so the result follows
//! from the root alone.

use thiserror::Error;

use super::block::{Kind, fetch, malformed};
use super::directory::{Slot, Way};
use super::{Cid, NamedLink, Object, Shard};
use crate::source::{self, Blocks};

/// Why a path below a CID leads nowhere. `path` is the part of the path in question.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum PathError {
    /// A block cannot be fetched, or it is malformed.
    #[error(transparent)]
    Blocks(#[from] source::Error),
    #[error("directory {directory} has no '{name}'")]
    NotFound { directory: Cid, name: String },
    /// Something that is no directory, but names follow.
    #[error("{}, and there is nothing below it", no_directory(.path, *.is_file))]
    NotADirectory {
        /// The path that leads to it; empty if it is the root.
        path: String,
        is_file: bool,
    },
    #[error(
        "'{path}' is a symbolic link to '{target}', and links are not followed; give the path of the target"
    )]
    Symlink { path: String, target: String },
}

/// `path` leads to something without names below it.
fn no_directory(path: &str, is_file: bool) -> String {
    let what = if is_file { "a file" } else { "no directory" };
    match path {
        "" => format!("the CID is that of {what}"),
        path => format!("'{path}' is {what}"),
    }
}

/// The CID of what `names` lead to from the directory `root`, one request for each block on the way. The
/// block of the result is not fetched.
pub async fn resolve(blocks: &dyn Blocks, root: Cid, names: &[String]) -> Result<Cid, PathError> {
    let mut here = root;
    for (at, name) in names.iter().enumerate() {
        let path = || names[..at].join("/");
        let kind = if at == 0 { Kind::First } else { Kind::Node };
        here = match fetch(blocks, &here, kind).await? {
            Object::Directory(links) => {
                let found = only(&here, &links, name)?;
                found.ok_or_else(|| PathError::NotFound {
                    directory: here,
                    name: name.clone(),
                })?
            }
            Object::DirectoryShard(shard) => find(blocks, here, shard, name).await?,
            Object::Symlink { target } => {
                return Err(PathError::Symlink {
                    path: path(),
                    target: String::from_utf8_lossy(&target).into_owned(),
                });
            }
            object @ (Object::File { .. } | Object::Other { .. }) => {
                return Err(PathError::NotADirectory {
                    path: path(),
                    is_file: matches!(object, Object::File { .. }),
                });
            }
        };
    }
    Ok(here)
}

/// The entry of this name.
///
/// # Errors
/// If there are several: which one is meant would depend on the reader.
fn only(directory: &Cid, links: &[NamedLink], name: &str) -> source::Result<Option<Cid>> {
    let mut found = links.iter().filter(|link| link.name == name);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(malformed(directory, &format!("two entries named '{name}'"))),
        (first, None) => Ok(first.map(|link| link.cid)),
    }
}

/// The entry of this name in a directory of many blocks.
async fn find(
    blocks: &dyn Blocks,
    directory: Cid,
    root: Shard,
    name: &str,
) -> Result<Cid, PathError> {
    let (mut shard, mut way) = (root, Way::of(name));
    // Ends, since each step uses bits of the hash.
    loop {
        let below = match shard.next(&mut way) {
            Some(Slot::Entry(entry)) if entry.name == name => return Ok(entry.cid),
            Some(Slot::Below(cid)) => *cid,
            Some(Slot::Entry(_)) | None => {
                return Err(PathError::NotFound {
                    directory,
                    name: name.to_owned(),
                });
            }
        };
        shard = match fetch(blocks, &below, Kind::Node).await? {
            Object::DirectoryShard(shard) => shard,
            _ => return Err(malformed(&below, "it is no part of a directory").into()),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use bytes::Bytes;
    use futures_util::future::{BoxFuture, FutureExt, ready};

    use super::*;
    use crate::content::protobuf::{put_bytes, put_number};
    use crate::content::{Codec, ListedKind, Version, kinds, list};
    use crate::source::{BlockCheck, Error, Origin, Result};

    /// Blocks that were put together by hand.
    #[derive(Default)]
    struct Store(Mutex<HashMap<String, Bytes>>);

    impl Blocks for Store {
        fn block(
            &self,
            cid: &str,
            _most: usize,
            check: BlockCheck,
        ) -> BoxFuture<'_, Result<Bytes>> {
            let blocks = self.0.lock().expect("not poisoned");
            let block = blocks.get(cid).filter(|block| check(block)).cloned();
            let origin = Origin::new("store");
            ready(block.ok_or(Error::NotFound { origin })).boxed()
        }
    }

    impl Store {
        /// A node with this UnixFS message and these links.
        fn node(&self, fields: &[(u32, u64)], data: &[u8], links: &[(&str, Cid)]) -> Cid {
            let mut unixfs = Vec::new();
            for (field, value) in fields {
                put_number(&mut unixfs, *field, *value);
            }
            if !data.is_empty() {
                put_bytes(&mut unixfs, 2, data);
            }
            let mut block = Vec::new();
            for (name, cid) in links {
                let mut link = Vec::new();
                put_bytes(&mut link, 1, &cid.to_bytes());
                put_bytes(&mut link, 2, name.as_bytes());
                put_bytes(&mut block, 2, &link);
            }
            put_bytes(&mut block, 1, &unixfs);
            let cid = Cid::of_block(Version::V1, Codec::DagPb, &block);
            let mut blocks = self.0.lock().expect("not poisoned");
            blocks.insert(cid.to_string(), block.into());
            cid
        }

        fn directory(&self, links: &[(&str, Cid)]) -> Cid {
            self.node(&[(1, 1)], b"", links)
        }

        fn shard(&self, links: &[(&str, Cid)]) -> Cid {
            self.node(&[(1, 5), (5, 0x22), (6, 256)], b"", links)
        }

        fn resolve(&self, root: Cid, path: &str) -> std::result::Result<Cid, String> {
            let names: Vec<String> = path.split('/').map(str::to_owned).collect();
            let found = resolve(self, root, &names).now_or_never().expect("ready");
            found.map_err(|e| e.to_string())
        }

        fn list(&self, root: Cid) -> std::result::Result<Vec<String>, String> {
            let listed = list(self, root).now_or_never().expect("ready");
            let listed = listed.map_err(|e| e.to_string())?.expect("a directory");
            Ok(listed.into_iter().map(|entry| entry.name).collect())
        }
    }

    fn file(byte: u8) -> Cid {
        Cid::of_block(Version::V1, Codec::Raw, &[byte])
    }

    #[test]
    fn what_is_on_the_way_is_told() {
        let store = Store::default();
        let inner = store.directory(&[("a.zip", file(1))]);
        let link = store.node(&[(1, 4)], b"../target", &[]);
        let leaf = store.node(&[(1, 2)], b"bytes", &[]);
        let absent = Cid::of_block(Version::V1, Codec::DagPb, b"absent");
        let root = store.directory(&[
            ("gone", absent),
            ("inner", inner),
            ("leaf", leaf),
            ("link", link),
        ]);
        assert_eq!(store.resolve(root, "inner/a.zip"), Ok(file(1)));
        for (path, told) in [
            ("inner/b.zip", "has no 'b.zip'"),
            ("leaf/x", "'leaf' is a file"),
            ("inner/a.zip/x", "'inner/a.zip' is a file"),
            ("link/x", "'link' is a symbolic link to '../target'"),
            ("gone/x", "not found"),
        ] {
            // The raw leaf's block is needed to see that it is a file.
            let raw = Bytes::from_static(&[1]);
            let mut blocks = store.0.lock().expect("not poisoned");
            blocks.insert(file(1).to_string(), raw);
            drop(blocks);
            let error = store.resolve(root, path).expect_err(path);
            assert!(error.contains(told), "{path}: {error}");
        }
        let listed = list(&store, root).now_or_never().expect("ready");
        let mut listed = listed.expect("a directory").expect("entries");
        kinds(&store, &mut listed).now_or_never().expect("ready");
        let kinds: Vec<_> = listed
            .iter()
            .map(|entry| (entry.kind, entry.size))
            .collect();
        let expected = [
            (ListedKind::Unknown, None),
            (ListedKind::Directory, None),
            (ListedKind::File, Some(5)),
            (ListedKind::Symlink, None),
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn two_entries_of_one_name_are_refused() {
        let store = Store::default();
        let root = store.directory(&[("a", file(1)), ("a", file(2)), ("b", file(3))]);
        let error = store.resolve(root, "a").expect_err("which?");
        assert!(error.contains("two entries named 'a'"), "{error}");
        assert!(
            store
                .list(root)
                .expect_err("which?")
                .contains("two entries")
        );
    }

    /// The hash of "hello" begins with the bytes cb, d8, a7, b3, 41, bd, 9b and 02.
    #[test]
    fn hostile_directories_of_many_blocks_end_with_errors() {
        let store = Store::default();
        let inner = store.shard(&[("D8hello", file(1))]);
        let good = store.shard(&[("CB", inner)]);
        assert_eq!(store.resolve(good, "hello"), Ok(file(1)));
        assert_eq!(store.list(good), Ok(vec!["hello".to_owned()]));
        // A name where its hash does not lead to.
        let astray = store.shard(&[("CC", inner)]);
        assert!(store.resolve(astray, "hello").is_err());
        let error = store.list(astray).expect_err("a wrong place");
        assert!(error.contains("wrong place"), "{error}");
        // A block in two places: each level of such would multiply the entries by 256.
        let twice = store.shard(&[("CA", inner), ("CB", inner)]);
        assert!(
            store
                .list(twice)
                .expect_err("a bomb")
                .contains("two places")
        );
        // A part that is something else.
        for other in [store.directory(&[]), store.node(&[(1, 2)], b"x", &[])] {
            let root = store.shard(&[("CB", other)]);
            for error in [store.resolve(root, "hello"), store.list(root).map(|_| root)] {
                let error = error.expect_err("no part of a directory");
                assert!(error.contains("no part of a directory"), "{error}");
            }
        }
        // Deeper than a hash is long.
        let mut deep = store.shard(&[("00hello", file(1))]);
        for prefix in ["02", "9B", "BD", "41", "B3", "A7", "D8", "CB"] {
            deep = store.shard(&[(prefix, deep)]);
        }
        let error = store.resolve(deep, "hello").expect_err("too deep");
        assert!(error.contains("has no 'hello'"), "{error}");
        assert!(store.list(deep).expect_err("too deep").contains("too deep"));
    }
}

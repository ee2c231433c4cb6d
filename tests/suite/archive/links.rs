//! Hard and symbolic links as PKZIP stores them: the target in an extra field, and no data.

use std::sync::Arc;

use aiozfs::archive::Kind;
use aiozfs::fs::{Ino, Owners, Symlinks, Tree, TreeOptions};

use super::drive;
use crate::common::zips::{Item, Zip, extra};

const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;
const DEVICE: u32 = 0o060_644;

/// PKWARE's Unix field: times, owner, and this.
fn unix(data: &[u8]) -> Vec<u8> {
    extra(0x000d, &[&[0; 12], data].concat())
}

fn item(name: &str, data: &str, mode: u32, target: &str) -> Item {
    Item::new(name, data).with(|item| {
        item.external = mode << 16;
        item.extra = unix(target.as_bytes());
    })
}

fn tree_of(items: impl IntoIterator<Item = Item>) -> Tree {
    let blob = Zip::of(items).finish();
    let index = drive::index(&blob, "", || 7).expect("an index");
    Tree::build(Arc::new(index), OPTIONS)
}

const OPTIONS: TreeOptions = TreeOptions {
    uid: 1,
    gid: 1,
    owners: Owners::Given,
    fmask: 0,
    dmask: 0,
    symlinks: Symlinks::Inside,
};

fn ino(tree: &Tree, path: &str) -> Ino {
    let mut parts = path.split('/');
    let found = parts.try_fold(Ino::ROOT, |dir, name| tree.lookup(dir, name.as_bytes()));
    found.expect("a file of this name")
}

#[test]
fn hard_link_has_the_inode_and_content_of_its_target() {
    let tree = tree_of([
        item("before", "", FILE, "d/target"),
        item("d/target", "content", FILE, ""),
        item("d/chain", "", FILE, "./before"),
    ]);
    let target = ino(&tree, "d/target");
    let entry = tree.entry(target);
    assert_eq!(tree.index().readable(entry.expect("an entry")), Ok(()));
    for name in ["before", "d/chain", "d/target"] {
        let link = ino(&tree, name);
        let attr = tree.attr(link).expect("attributes");
        assert_eq!((attr.ino, attr.size, attr.nlink), (target, 7, 3), "{name}");
        assert_eq!(tree.inode(link), target);
        assert_eq!(tree.entry(link), entry, "{name}");
        assert_eq!(tree.path(link), name.as_bytes());
    }
    // The same from the stored form.
    let mut bytes = Vec::new();
    tree.store(&mut |piece| bytes.extend_from_slice(piece));
    let mut rest = &bytes[..];
    let mut pull = |out: &mut [u8]| {
        let Some((now, behind)) = rest.split_at_checked(out.len()) else {
            return false;
        };
        out.copy_from_slice(now);
        rest = behind;
        true
    };
    let again = Tree::load(tree.index().clone(), OPTIONS, &mut pull).expect("a tree");
    assert_eq!(again.inode(ino(&again, "d/chain")), target);
    assert_eq!(again.attr(target).expect("attributes").nlink, 3);
}

#[test]
fn hard_link_that_leads_to_no_file_cannot_be_read() {
    let tree = tree_of([
        item("missing", "", FILE, "nowhere"),
        item("directory", "", FILE, "d"),
        item("itself", "", FILE, "itself"),
        item("a", "", FILE, "b"),
        item("b", "", FILE, "a"),
        // From another directory, a relative target leads elsewhere.
        item("symbolic", "", FILE, "d/link"),
        item("up", "", FILE, "d/../d/file"),
        item("d/link", "", LINK, "file"),
        item("d/file", "content", FILE, ""),
    ]);
    for name in ["missing", "directory", "itself", "a", "b", "symbolic", "up"] {
        let attr = tree.attr(ino(&tree, name)).expect("attributes");
        assert_eq!((attr.kind, attr.size, attr.nlink), (Kind::File, 0, 1));
        let entry = tree.entry(ino(&tree, name)).expect("an entry");
        let why = tree.index().readable(entry).expect_err(name).to_string();
        assert!(why.contains("it is a hard link to"), "{name}: {why}");
    }
}

#[test]
fn symbolic_link_has_its_target_in_the_field_or_in_its_data() {
    let tree = tree_of([
        item("in field", "", LINK, "d/target"),
        item("in data", "other", LINK, "d/target"),
    ]);
    let target = |name: &str| {
        let entry = tree.entry(ino(&tree, name)).expect("an entry");
        tree.index().link_target(entry)
    };
    let size = |name: &str| tree.attr(ino(&tree, name)).map(|attr| attr.size);
    assert_eq!(target("in field"), Some(&b"d/target"[..]));
    assert_eq!(size("in field"), Some(8));
    assert_eq!((target("in data"), size("in data")), (None, Some(5)));
}

#[test]
fn device_numbers_and_data_are_no_links() {
    let tree = tree_of([
        item("device", "", DEVICE, "\x08\0\0\0\x01\0\0\0"),
        item("file", "content", FILE, "device"),
    ]);
    for (name, size) in [("device", 0), ("file", 7)] {
        let entry = tree.entry(ino(&tree, name)).expect("an entry");
        assert_eq!(tree.index().link_target(entry), None, "{name}");
        assert_eq!(tree.index().readable(entry), Ok(()), "{name}");
        let attr = tree.attr(ino(&tree, name)).expect("attributes");
        assert_eq!((attr.size, attr.nlink), (size, 1), "{name}");
    }
}

/// Names in another encoding are decoded after all were read, which moves them; targets move along.
#[test]
fn links_between_names_of_a_guessed_encoding() {
    let mut items: Vec<Item> = ["Gr\u{fc}n", "Stra\u{df}e"]
        .into_iter()
        .map(|name| {
            let latin: Vec<u8> = name.chars().map(|c| c as u8).collect();
            Item::new(latin, "x").with(|item| item.external = FILE << 16)
        })
        .collect();
    items.insert(1, item("link", "", LINK, "somewhere"));
    items.push(item("hard", "", FILE, "plain"));
    items.push(item("plain", "content", FILE, ""));
    let tree = tree_of(items);
    let entry = tree.entry(ino(&tree, "link")).expect("an entry");
    assert_eq!(tree.index().link_target(entry), Some(&b"somewhere"[..]));
    assert_eq!(tree.inode(ino(&tree, "hard")), ino(&tree, "plain"));
}

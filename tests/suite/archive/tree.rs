//! The tree against a plain model, for entries of any kind in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aiozfs::archive::{Index, IndexParser, Kind, ParseOptions};
use aiozfs::fs::{Ino, LinkRefused, Owners, Symlinks, Tree, TreeOptions};
use proptest::prelude::*;

/// An entry: its name, and its Unix mode with the type.
type Given = (String, u32);

const FILE: u32 = 0o100_644;
const DIR: u32 = 0o040_755;
const LINK: u32 = 0o120_777;

/// An archive of these entries by a Unix writer; each file's content is its number as text.
fn index_of(entries: &[Given]) -> Arc<Index> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (number, (name, mode)) in entries.iter().enumerate() {
        let data = match *mode & 0o170_000 {
            0o040_000 => String::new(),
            _ => number.to_string(),
        };
        let offset = bytes.len() as u32;
        let sizes = [data.len() as u32, data.len() as u32]
            .map(u32::to_le_bytes)
            .concat();
        let crc = crc32fast::hash(data.as_bytes()).to_le_bytes();
        let common = [&[20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0x58][..], &crc, &sizes].concat();
        let name_len = (name.len() as u16).to_le_bytes();
        bytes.extend(
            [
                b"PK\x03\x04",
                &common[..],
                &name_len,
                &[0, 0],
                name.as_bytes(),
            ]
            .concat(),
        );
        bytes.extend(data.as_bytes());
        directory.extend([b"PK\x01\x02", &[20, 3][..], &common, &name_len, &[0; 8]].concat());
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, len) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(directory);
    let count = (entries.len() as u16).to_le_bytes();
    bytes.extend([b"PK\x05\x06", &[0; 4][..], &count, &count].concat());
    bytes.extend([len.to_le_bytes(), start.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    let mut parser =
        IndexParser::new(bytes.len() as u64, ParseOptions::default()).expect("long enough");
    while let Some(wanted) = parser.wants() {
        let wanted = wanted.start as usize..wanted.end as usize;
        parser.feed(&bytes[wanted]).expect("an archive");
    }
    Arc::new(parser.finish().expect("an index"))
}

fn options(symlinks: Symlinks) -> TreeOptions {
    TreeOptions {
        uid: 5,
        gid: 6,
        owners: Owners::Given,
        fmask: 0o022,
        dmask: 0o027,
        symlinks,
    }
}

fn tree_of(entries: &[(&str, u32)]) -> Tree {
    let entries: Vec<Given> = entries
        .iter()
        .map(|(name, mode)| ((*name).to_owned(), *mode))
        .collect();
    Tree::build(index_of(&entries), options(Symlinks::Inside))
}

/// All paths below the root, directories with a slash, with the size of each file.
fn listing(tree: &Tree) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut to_do = vec![(Ino::ROOT, String::new())];
    while let Some((dir, prefix)) = to_do.pop() {
        for line in tree.read_dir(dir, 0).expect("a directory").skip(2) {
            let name = String::from_utf8(line.name.to_vec()).expect("UTF-8");
            let path = format!("{prefix}{name}");
            assert_eq!(tree.lookup(dir, line.name), Some(line.ino), "{path}");
            assert_eq!(tree.parent(line.ino), Some(dir), "{path}");
            assert_eq!(tree.path(line.ino), path.as_bytes());
            let attr = tree.attr(line.ino).expect("attributes");
            assert_eq!((attr.ino, attr.kind), (line.ino, line.kind), "{path}");
            let path = match attr.kind {
                Kind::Dir => {
                    to_do.push((line.ino, format!("{path}/")));
                    format!("{path}/")
                }
                _ => path,
            };
            assert_eq!(found.insert(path.clone(), attr.size), None, "{path} twice");
        }
    }
    found
}

fn lookup(tree: &Tree, path: &str) -> Ino {
    let names = path.split('/').filter(|name| !name.is_empty());
    names.fold(Ino::ROOT, |dir, name| {
        tree.lookup(dir, name.as_bytes())
            .unwrap_or_else(|| panic!("no {path}"))
    })
}

fn paths(tree: &Tree) -> Vec<String> {
    listing(tree).into_keys().collect()
}

#[test]
fn directories_are_implied_by_names() {
    let tree = tree_of(&[("a/b/c.ts", FILE), ("a/d.ts", FILE), ("e", FILE)]);
    assert_eq!(paths(&tree), ["a/", "a/b/", "a/b/c.ts", "a/d.ts", "e"]);
    let nlink = |path| tree.attr(lookup(&tree, path)).expect("attributes").nlink;
    assert_eq!(
        (nlink("/"), nlink("a"), nlink("a/b"), nlink("e")),
        (3, 3, 2, 1)
    );
    let attr = tree.attr(lookup(&tree, "a/b")).expect("attributes");
    let newest = tree
        .attr(lookup(&tree, "a/b/c.ts"))
        .expect("attributes")
        .mtime;
    assert_eq!((attr.mtime, attr.size, attr.perm), (newest, 0, 0o750));
    assert_eq!((attr.uid, attr.gid), (5, 6));
}

#[test]
fn inodes_and_directories_are_in_the_order_of_entries() {
    let tree = tree_of(&[
        ("z", FILE),
        ("d/y", FILE),
        ("a", FILE),
        ("d/", DIR),
        ("d/x", FILE),
    ]);
    let inos = ["z", "d/y", "a", "d", "d/x"].map(|path| lookup(&tree, path).0);
    assert_eq!(inos, [2, 3, 4, 5, 6]);
    let names: Vec<&[u8]> = tree
        .read_dir(lookup(&tree, "d"), 0)
        .expect("d")
        .map(|l| l.name)
        .collect();
    assert_eq!(names, [&b"."[..], b"..", b"y", b"x"]);
    // Going on behind any line gives the rest, with the same cookies.
    let all: Vec<_> = tree.read_dir(Ino::ROOT, 0).expect("root").collect();
    for (at, line) in all.iter().enumerate() {
        let rest: Vec<_> = tree
            .read_dir(Ino::ROOT, line.cookie)
            .expect("root")
            .collect();
        assert_eq!(rest, all[at + 1..]);
    }
    assert_eq!(
        tree.read_dir(Ino::ROOT, u64::MAX - 1)
            .expect("root")
            .count(),
        0
    );
    assert!(tree.read_dir(lookup(&tree, "a"), 0).is_none());
}

#[test]
fn the_last_of_equal_names_keeps_it_and_none_is_lost() {
    let tree = tree_of(&[
        ("a.ts", FILE),
        ("a (1).ts", FILE),
        ("a.ts", FILE),
        ("a.ts", FILE),
        (".hidden", FILE),
        (".hidden", FILE),
    ]);
    let entry = |path: &str| tree.entry(lookup(&tree, path)).expect("an entry").index();
    assert_eq!(entry("a.ts"), 3);
    assert_eq!(entry("a (1).ts"), 1, "its own name");
    assert_eq!(entry("a (2).ts"), 0);
    assert_eq!(entry("a (3).ts"), 2);
    assert_eq!((entry(".hidden"), entry(".hidden (1)")), (5, 4));
    assert_eq!(paths(&tree).len(), 6);
}

#[test]
fn a_directory_takes_the_name_of_a_file() {
    let tree = tree_of(&[("a/b", FILE), ("a", FILE), ("c", LINK), ("c/", DIR)]);
    assert_eq!(paths(&tree), ["a (1)", "a/", "a/b", "c (1)", "c/"]);
}

#[test]
fn repeated_directories_are_one() {
    let tree = tree_of(&[("a/", DIR), ("a/b", FILE), ("a/", 0o040_700)]);
    assert_eq!(paths(&tree), ["a/", "a/b"]);
    let attr = tree.attr(lookup(&tree, "a")).expect("attributes");
    assert_eq!(
        (attr.perm, attr.ino),
        (0o700, Ino(4)),
        "the last entry counts"
    );
    assert_eq!(tree.attr(Ino(2)), None, "the other is nowhere");
    assert_eq!(tree.len(), 2);
}

#[test]
fn long_names_are_cut_for_their_number() {
    let long = format!("{}.ts", "ü".repeat(126));
    let tree = tree_of(&[(&long, FILE), (&long, FILE), (&long, FILE)]);
    let paths = paths(&tree);
    assert_eq!(paths.len(), 3);
    assert!(
        paths
            .iter()
            .all(|path| path.len() <= 255 && path.ends_with(".ts")),
        "{paths:?}"
    );
}

/// Without the number that was used last, each of n entries of one name would try all the numbers
/// before its own: minutes for an archive of a few megabytes.
#[test]
fn many_entries_of_one_name_are_fast() {
    let entries = vec![("a.ts".to_owned(), FILE); 60_000];
    let tree = Tree::build(index_of(&entries), options(Symlinks::Inside));
    assert_eq!(tree.len(), 60_000);
    let last = lookup(&tree, "a (59999).ts");
    assert_eq!(tree.entry(last).expect("an entry").index(), 59_998);
}

/// A directory is asked for in pieces of a few hundred lines. Going on in the middle once looked at
/// all lines before, so that listing a million names in one directory took two seconds of work.
#[test]
fn continuing_a_listing_costs_no_more_than_starting_it() {
    let entries: Vec<Given> = (0..100_000).map(|n| (format!("{n}"), FILE)).collect();
    let tree = Tree::build(index_of(&entries), options(Symlinks::Inside));
    let lines_from = |cookie: u64| {
        let before = std::time::Instant::now();
        for _ in 0..2000 {
            let mut lines = tree.read_dir(Ino::ROOT, cookie).expect("the root");
            assert!(lines.next().is_some());
        }
        before.elapsed()
    };
    let (begin, end) = (lines_from(0), lines_from(100_000));
    let most = begin * 50 + std::time::Duration::from_millis(200);
    assert!(end < most, "{end:?} at the end, {begin:?} at the begin");
}

#[test]
fn links_that_could_lead_outside_are_refused() {
    let tree = tree_of(&[
        ("dir/sub/link", LINK),
        ("dir/up", LINK),
        ("dir/file", FILE),
        ("top", LINK),
    ]);
    let check =
        |from: &str, target: &str| tree.check_symlink(lookup(&tree, from), target.as_bytes());
    for (from, target) in [
        ("top", "dir/file"),
        ("top", "./dir//sub/../file"),
        ("top", "nowhere/at/all"),
        ("dir/sub/link", "../../top"),
        ("dir/sub/link", "../up/x"),
        ("top", "dir/sub/.."),
    ] {
        assert_eq!(check(from, target), Ok(()), "{from} -> {target}");
    }
    for (from, target) in [
        ("top", ".."),
        ("top", "dir/../.."),
        ("dir/sub/link", "../../../etc/passwd"),
        // `dir/up` may itself lead up: what is above it is not what the names say.
        ("dir/sub/link", "../up/.."),
        ("top", "nowhere/../.."),
        ("top", "dir/file/.."),
    ] {
        assert_eq!(
            check(from, target),
            Err(LinkRefused::Outside),
            "{from} -> {target}"
        );
    }
    assert_eq!(check("top", "/etc/passwd"), Err(LinkRefused::Absolute));
    assert_eq!(check("top", ""), Err(LinkRefused::Malformed));
    assert_eq!(check("top", "a\0b"), Err(LinkRefused::Malformed));
    let index = tree.index().clone();
    let all = Tree::build(index.clone(), options(Symlinks::All));
    assert_eq!(all.check_symlink(Ino(5), b"/etc/passwd"), Ok(()));
    let none = Tree::build(index, options(Symlinks::None));
    assert_eq!(
        none.check_symlink(Ino(5), b"dir/file"),
        Err(LinkRefused::Disabled)
    );
}

#[test]
fn the_next_file_is_the_next_name_of_a_file() {
    let tree = tree_of(&[
        ("d/s_10.ts", FILE),
        ("d/s_9.ts", FILE),
        ("d/s_9x/", DIR),
        ("d/s_100.ts", FILE),
        ("d/s_11.ts", LINK),
        ("x", FILE),
    ]);
    let mut names = vec!["d/s_9.ts".to_owned()];
    let mut here = lookup(&tree, "d/s_9.ts");
    while let Some(next) = tree.after(here) {
        names.push(String::from_utf8(tree.path(next)).expect("UTF-8"));
        here = next;
    }
    assert_eq!(names, ["d/s_9.ts", "d/s_10.ts", "d/s_100.ts"]);
    assert_eq!(tree.after(lookup(&tree, "x")), None);
}

#[test]
fn totals_count_visible_entries() {
    let tree = tree_of(&[
        ("a", FILE),
        ("a", FILE),
        ("b/c", FILE),
        ("b/", DIR),
        ("b/", DIR),
    ]);
    let totals = tree.totals();
    assert_eq!((totals.bytes, totals.files), (3, 5));
    assert_eq!(tree.len(), 4);
}

/// Few names, so that they meet.
fn entries() -> impl Strategy<Value = Vec<Given>> {
    let component = prop::sample::select(vec!["a", "b", "a.ts", "a (1)", "a (1).ts"]);
    let path = prop::collection::vec(component, 1..4).prop_map(|parts| parts.join("/"));
    let kind = prop::sample::select(vec![FILE, FILE, DIR, LINK]);
    let entry = (path, kind).prop_map(|(path, kind)| match kind {
        DIR => (format!("{path}/"), kind),
        kind => (path, kind),
    });
    prop::collection::vec(entry, 0..24)
}

proptest! {
    #[test]
    fn the_tree_equals_a_simple_model(entries in entries()) {
        let tree = Tree::build(index_of(&entries), options(Symlinks::Inside));
        let listing = listing(&tree);

        let mut dirs = BTreeSet::new();
        let mut last_of = BTreeMap::new();
        for (number, (name, mode)) in entries.iter().enumerate() {
            for (slash, _) in name.match_indices('/') {
                dirs.insert(name[..=slash].to_owned());
            }
            if *mode != DIR {
                last_of.insert(name.clone(), number);
            }
        }
        let shown_dirs: BTreeSet<String> =
            listing.keys().filter(|path| path.ends_with('/')).cloned().collect();
        prop_assert_eq!(&shown_dirs, &dirs);
        // Every entry that is no directory is one file, and the last of a name bears it.
        let files = entries.iter().filter(|(_, mode)| *mode != DIR).count();
        prop_assert_eq!(listing.len() - dirs.len(), files);
        for (name, number) in last_of {
            if !dirs.contains(&format!("{name}/")) {
                let entry = tree.entry(lookup(&tree, &name)).expect("a file");
                prop_assert_eq!(entry.index(), number, "{}", name);
            }
        }
        // Each entry's inode follows from its place, or another one of its name has taken its place.
        for ino in 2..=entries.len() as u64 + 1 {
            if let Some(entry) = tree.entry(Ino(ino)) {
                prop_assert_eq!(entry.index() as u64 + 2, ino);
            }
        }
        let subdirs = |dir: &str| dirs.iter().filter(|d| {
            d.strip_prefix(dir).is_some_and(|rest| rest.matches('/').count() == 1)
        }).count();
        for dir in &dirs {
            let attr = tree.attr(lookup(&tree, dir)).expect("attributes");
            prop_assert_eq!(attr.nlink as usize, 2 + subdirs(dir), "{}", dir);
        }
    }
}

//! An index and a tree, stored as bytes and loaded again.
//!
//! Intact bytes give the same index and tree. Damaged bytes give nothing, or an index and a tree that answer every
//! question without a panic and in bounded time. The cache notices damage by its checksum; these tests check what
//! holds without it.

use std::sync::Arc;

use aiozfs::archive::{Index, IndexParser, ParseOptions};
use aiozfs::fs::{Ino, Tree};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as Place;

use super::stored_form::{OPTIONS, load};
use crate::common::zips::{self, Item, Zip};

/// Names that meet: in one directory, as a file and a directory, twice, and with some that are
/// hidden.
fn names() -> impl Strategy<Value = Vec<String>> {
    vec(
        "([ab]/){0,3}([a-c]|seg_[0-9]{1,2}\\.ts|\\.\\.|x\\.m3u8)/?",
        0..24,
    )
}

fn index_of(names: &[String], style: u8) -> Arc<Index> {
    let items = names.iter().enumerate().map(|(number, name)| {
        let data = if name.ends_with('/') {
            Vec::new()
        } else {
            vec![number as u8; number]
        };
        let mut item = Item::new(name, data);
        // What few entries have lies in a table of its own.
        if style & 1 != 0 && number % 3 == 0 {
            item.method = 8;
        }
        if style & 2 != 0 && number % 2 == 0 {
            item.extra = zips::extra(0x7875, &[1, 4, number as u8, 0, 0, 0, 4, 9, 0, 0, 0]);
        }
        if style & 4 != 0 && number % 4 == 0 {
            item.flags |= 1;
        }
        if style & 4 != 0 && number == 0 {
            item.flags = 0;
            item.extra = zips::extra(0x000d, b"\0\0\0\0\0\0\0\0\0\0\0\0d/link");
        }
        item
    });
    let blob = Zip::of(items).finish();
    let mut parser = IndexParser::new(blob.len() as u64, ParseOptions::default()).expect("long");
    while let Some(wanted) = parser.wants() {
        let wanted = wanted.start as usize..wanted.end as usize;
        parser.feed(&blob[wanted]).expect("an archive");
    }
    Arc::new(parser.finish().expect("an index"))
}

fn index_bytes(index: &Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.store(&mut |piece| bytes.extend_from_slice(piece));
    bytes
}

fn tree_bytes(tree: &Tree) -> Vec<u8> {
    let mut bytes = Vec::new();
    tree.store(&mut |piece| bytes.extend_from_slice(piece));
    bytes
}

/// All that an index says.
fn tell_index(index: &Index) -> Vec<String> {
    let mut told = vec![
        format!(
            "{:?} {:?} {:?}",
            index.hidden(),
            index.comment(),
            index.cd_range()
        ),
        format!("{:?} {}", index.survey(), index.blob_size()),
    ];
    for id in index.ids() {
        let (path, entry, span) = (index.path(id), index.get(id), index.span(id));
        let check = index.header_check(id);
        let place = (index.directory_order(id), index.at(entry.header_offset));
        told.push(format!("{path:?} {entry:?} {span:?} {place:?}"));
        told.push(format!("{:?} {:?}", check.range(), check.predicted()));
        told.push(format!("{:?} {:?}", index.stored(id), index.playable(id)));
        told.push(format!(
            "{:?} {:?}",
            index.readable(id),
            index.link_target(id)
        ));
    }
    told
}

/// All that a tree says.
fn tell_tree(tree: &Tree) -> Vec<String> {
    let (len, dirs) = (tree.len(), tree.directories());
    let mut told = vec![format!("{len} {dirs} {:?}", tree.totals())];
    // Nodes that are not shown are among them, and some that are none.
    for ino in (0..tree.index().len() as u64 * 5 + 9).map(Ino) {
        let (attr, parent, path) = (tree.attr(ino), tree.parent(ino), tree.path(ino));
        told.push(format!("{attr:?} {parent:?} {path:?}"));
        told.push(format!("{:?} {:?}", tree.entry(ino), tree.after(ino)));
        let found = ["a", "b", "c", "x.m3u8", "seg_1.ts", "a (1)", ""];
        let found = found.map(|name| tree.lookup(ino, name.as_bytes()));
        told.push(format!("{found:?}"));
        if let Some(lines) = tree.read_dir(ino, 0) {
            let lines: Vec<String> = lines.map(|line| format!("{line:?}")).collect();
            let names = tree.read_dir(ino, 2).expect("a directory");
            for line in names {
                told.push(format!("{:?}", tree.lookup(ino, line.name)));
            }
            told.push(lines.concat());
        }
    }
    told
}

/// What happens to bytes.
fn damage(bytes: &mut Vec<u8>, harm: &[(Place, u8)], cut: Option<Place>) {
    for (at, mask) in harm {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        }
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len() + 1));
    }
}

fn harm() -> impl Strategy<Value = (Vec<(Place, u8)>, Option<Place>)> {
    let flips = vec((any::<Place>(), prop_oneof![Just(0xff), 1u8..=255]), 0..4);
    (flips, proptest::option::weighted(0.2, any::<Place>()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_stored_index_reads_back(names in names(), style in 0u8..8) {
        let index = index_of(&names, style);
        let bytes = index_bytes(&index);
        prop_assert!(index.stored_len() <= bytes.len() as u64);
        let again = load(&bytes, |pull| Index::load(pull)).expect("an index");
        prop_assert_eq!(tell_index(&again), tell_index(&index));
        prop_assert_eq!(index_bytes(&again), bytes);

        let tree = Tree::build(index.clone(), OPTIONS);
        let bytes = tree_bytes(&tree);
        prop_assert!(tree.stored_len() <= bytes.len() as u64);
        let again = Arc::new(again);
        let again = load(&bytes, |pull| Tree::load(again, OPTIONS, pull)).expect("a tree");
        prop_assert_eq!(tell_tree(&again), tell_tree(&tree));
        prop_assert_eq!(tree_bytes(&again), bytes);
    }

    #[test]
    fn a_damaged_index_is_refused_or_harmless(
        names in names(),
        style in 0u8..8,
        (flips, cut) in harm(),
        (tree_flips, tree_cut) in harm(),
    ) {
        let index = index_of(&names, style);
        let mut tree = tree_bytes(&Tree::build(index.clone(), OPTIONS));
        let mut bytes = index_bytes(&index);
        damage(&mut bytes, &flips, cut);
        let damaged = load(&bytes, |pull| Index::load(pull)).map(Arc::new);
        if let Some(index) = &damaged {
            tell_index(index);
        }
        // A tree together with the index of another archive.
        damage(&mut tree, &tree_flips, tree_cut);
        for index in damaged.into_iter().chain([index]) {
            if let Some(tree) = load(&tree, |pull| Tree::load(index, OPTIONS, pull)) {
                tell_tree(&tree);
            }
        }
    }
}

/// What the fuzz target `stored` found worth keeping: an index, and a tree behind it, from where the
/// first two bytes say.
#[test]
fn the_corpus_is_refused_or_harmless() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/stored");
    let (mut indexes, mut trees) = (0, 0);
    for file in std::fs::read_dir(corpus).expect("the corpus") {
        let input = std::fs::read(file.expect("a file").path()).expect("an input");
        let Some((cut, kept)) = input.split_first_chunk::<2>() else {
            continue;
        };
        let (index, tree) = kept.split_at(usize::from(u16::from_le_bytes(*cut)).min(kept.len()));
        let Some(index) = load(index, |pull| Index::load(pull)) else {
            continue;
        };
        indexes += 1;
        tell_index(&index);
        let index = Arc::new(index);
        tell_tree(&Tree::build(index.clone(), OPTIONS));
        if let Some(tree) = load(tree, |pull| Tree::load(index, OPTIONS, pull)) {
            trees += 1;
            tell_tree(&tree);
        }
    }
    assert!(indexes > 0 && trees > 0, "{indexes} indexes, {trees} trees");
}

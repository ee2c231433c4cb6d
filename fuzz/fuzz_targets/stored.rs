//! Any bytes where the cache keeps an index and a tree (a checksum guards them there; this is what
//! holds without it): none is loaded, or one that answers every question without a panic or an end.
//!
//! The first two bytes of an input say where the index ends and the tree begins.

#![no_main]

#[path = "../../src/archive/mod.rs"]
#[allow(dead_code, unused_imports)]
mod archive;
#[path = "../../src/fs/mod.rs"]
#[allow(dead_code, unused_imports)]
mod fs;
#[path = "../../src/ranges/mod.rs"]
#[allow(dead_code, unused_imports)]
mod ranges;
#[path = "../../tests/common/stored_form.rs"]
mod stored_form;

use std::hint::black_box;
use std::sync::Arc;

use archive::Index;
use fs::{Ino, Tree};
use libfuzzer_sys::fuzz_target;
use stored_form::{OPTIONS, load};

fuzz_target!(|input: &[u8]| {
    let Some((cut, kept)) = input.split_first_chunk::<2>() else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes(*cut)).min(kept.len());
    let (index, tree) = kept.split_at(cut);
    let Some(index) = load(index, |pull| Index::load(pull)) else {
        return;
    };
    ask_index(&index);
    let index = Arc::new(index);
    // A tree that is built of it holds to the same.
    ask_tree(&Tree::build(index.clone(), OPTIONS));
    if let Some(tree) = load(tree, |pull| Tree::load(index, OPTIONS, pull)) {
        ask_tree(&tree);
    }
});

fn ask_index(index: &Index) {
    black_box((index.hidden(), index.comment(), index.cd_range()));
    black_box((index.survey(), index.blob_size()));
    for id in index.ids() {
        let (entry, check) = (index.get(id), index.header_check(id));
        black_box((index.path(id), index.span(id), index.directory_order(id)));
        black_box((
            index.at(entry.header_offset),
            check.range(),
            check.predicted(),
        ));
        black_box((index.readable(id).is_ok(), index.playable(id)));
    }
}

fn ask_tree(tree: &Tree) {
    black_box((tree.len(), tree.directories(), tree.totals()));
    // Nodes that are not shown are among them, and some that are none.
    for ino in (0..tree.index().len() as u64 * 5 + 9).map(Ino) {
        black_box((tree.attr(ino), tree.parent(ino), tree.path(ino)));
        black_box((tree.entry(ino), tree.after(ino), tree.lookup(ino, b"a")));
        for line in tree.read_dir(ino, 0).into_iter().flatten() {
            black_box(tree.lookup(ino, line.name));
        }
    }
}

//! Random trees, written as archives and read back. Random damage gives an error or a tree, never a panic, and never
//! an extent that belongs to another entry.

use std::collections::BTreeMap;

use aiozfs::archive::Index;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::checks;
use super::drive;
use crate::common::zips::{End, Item, UTF8, Zip, zip64};

/// Files by path; a path that is also another's directory is as good as any here.
fn files() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let path = "[a-zA-Z0-9ü日. _-]{0,6}[a-z]/?[a-z0-9]{1,20}";
    btree_map(path, vec(any::<u8>(), 0..100), 0..20)
}

/// How an archive is written.
#[derive(Debug, Clone)]
struct Style {
    prepended: Vec<u8>,
    adjusted: bool,
    zip64_end: bool,
    zip64_fields: u8,
    descriptor: Option<(bool, bool)>,
    gap: Vec<u8>,
    extra: usize,
    comment: Vec<u8>,
    backwards: bool,
}

fn style() -> impl Strategy<Value = Style> {
    let bytes = |most| vec(any::<u8>(), 0..most);
    (
        (bytes(50), any::<bool>(), any::<bool>(), 0..8u8),
        proptest::option::of(any::<(bool, bool)>()),
        (bytes(20), 0..4usize, bytes(100), any::<bool>()),
    )
        .prop_map(|(first, descriptor, second)| Style {
            prepended: first.0,
            adjusted: first.1,
            zip64_end: first.2,
            zip64_fields: first.3,
            descriptor,
            gap: second.0,
            extra: second.1,
            comment: second.2,
            backwards: second.3,
        })
}

fn write(files: &BTreeMap<String, Vec<u8>>, style: &Style) -> Vec<u8> {
    let mut zip = Zip::default();
    zip.gap(&style.prepended);
    if !style.adjusted {
        zip.base = style.prepended.len() as u64;
    }
    let mut records = Vec::new();
    for (path, data) in files {
        let mut item = Item::new(path, data);
        item.flags = UTF8;
        item.local_extra = vec![0; style.extra];
        if let Some((signature, wide)) = style.descriptor {
            item = item.described(signature, wide);
        }
        let mut numbers = Vec::new();
        let len = data.len() as u64;
        if style.zip64_fields & 1 != 0 {
            item.sizes.0 = u32::MAX;
            numbers.push(len);
        }
        if style.zip64_fields & 2 != 0 {
            item.sizes.1 = u32::MAX;
            numbers.push(len);
        }
        if style.zip64_fields & 4 != 0 {
            item.offset = Some(u32::MAX);
            numbers.push(zip.bytes.len() as u64 - zip.base);
        }
        if !numbers.is_empty() {
            item.extra = zip64(&numbers);
        }
        zip.add(&item);
        records.push(std::mem::take(&mut zip.directory));
        zip.gap(&style.gap);
    }
    if style.backwards {
        records.reverse();
    }
    zip.directory = records.concat();
    zip.end(&End {
        comment: style.comment.clone(),
        zip64: style.zip64_end,
        ..End::default()
    })
}

fn tree(index: &Index, blob: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let entries = drive::tree(index, blob).into_iter();
    entries
        .map(|(path, content)| (path, content.expect("a file").expect("readable")))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn written_archives_read_back(
        files in files(),
        style in style(),
        pieces in vec(1..200usize, 1..20),
    ) {
        let blob = write(&files, &style);
        let mut pieces = pieces.iter().copied().cycle();
        let index = drive::index(&blob, "", || pieces.next().expect("endless"));
        let index = index.map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(index.hidden().1, 0);
        prop_assert_eq!(tree(&index, &blob), files);
        checks::check(&index, &blob);
    }

    #[test]
    fn damage_never_panics(
        files in files(),
        style in style(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut blob = write(&files, &style);
        for (at, byte) in damage {
            let at = at.index(blob.len());
            blob[at] = byte;
        }
        if let Some(cut) = cut {
            blob.truncate(cut.index(blob.len()));
        }
        if let Ok(index) = drive::index(&blob, "auto", || usize::MAX) {
            checks::check(&index, &blob);
        }
    }

    #[test]
    fn a_cut_archive_is_an_error(
        files in files(),
        cut in any::<prop::sample::Index>(),
        comment in "[a-z]{0,300}",
        zip64 in any::<bool>(),
    ) {
        let mut zip = Zip::of(files.iter().map(|(path, data)| Item::new(path, data)));
        zip.base = 0;
        let blob = zip.end(&End { comment: comment.into_bytes(), zip64, ..End::default() });
        let blob = &blob[..cut.index(blob.len())];
        prop_assert!(drive::index(blob, "", || usize::MAX).is_err());
    }
}

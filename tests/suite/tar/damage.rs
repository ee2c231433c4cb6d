//! Tars that are cut off or damaged: what lies before is shown, and it is said where they end.

use aiozfs::archive::{Ending, Index, Recognized, recognize};

use super::drive;
use super::made::{Header, Made};
use crate::common::{run, tree};

fn paths(index: &Index) -> Vec<String> {
    let path = |id| String::from_utf8_lossy(index.path(id)).into_owned();
    index.ids().map(path).collect()
}

fn three() -> Made {
    Made::default()
        .file("a", &tree::bytes(1, 700))
        .pax(b'x', &[("path", "long/b")])
        .file("b", &tree::bytes(2, 512))
        .file("c", b"last")
}

/// Wherever it is cut, all members that are whole are shown and readable, and never wrong bytes.
#[test]
fn cut_anywhere_shows_the_members_before() {
    let whole = three().ended();
    let members = [("a", 512 + 700), ("long/b", 3584), ("c", 4096 + 4)];
    for len in (512..whole.len()).step_by(4) {
        let cut = &whole[..len];
        let index = drive::index(cut, || 333);
        let readable: Vec<String> = index
            .ids()
            .filter(|id| drive::content(&index, cut, *id).is_ok())
            .map(|id| String::from_utf8_lossy(index.path(id)).into_owned())
            .collect();
        let whole_ones = members.iter().filter(|(_, end)| *end <= len);
        let expected: Vec<&str> = whole_ones.map(|(name, _)| *name).collect();
        assert_eq!(readable, expected, "of {len} bytes");
        let is_marked = len >= 4608 + 512;
        assert_eq!(
            index.ending() == Ending::Marked,
            is_marked,
            "of {len} bytes"
        );
        let problem = index.problem();
        assert_eq!(problem.is_none(), is_marked, "of {len} bytes: {problem:?}");
    }
    let index = drive::index(&whole[..4608], || 512);
    let said = index.problem().expect("no blocks of zeros");
    assert!(said.contains("ends at offset 4608 without"), "{said}");
    let index = drive::index(&whole[..1000], || 512);
    assert_eq!(paths(&index), ["a"], "a member that is cut is shown");
    let id = index.id(0).expect("a member");
    let why = index.readable(id).expect_err("cut").to_string();
    assert!(why.contains("cut off, at offset 1000"), "{why}");
}

#[test]
fn damaged_header_ends_the_list_and_is_named() {
    let mut blob = three().ended();
    for at in [1536, 2560] {
        blob[at] ^= 0x20;
        let index = drive::index(&blob, || 512);
        let said = index.problem().expect("damage");
        assert_eq!(index.ending(), Ending::NoHeader);
        assert!(said.contains(&format!("damaged at offset {at}")), "{said}");
        assert_eq!(paths(&index), ["a"]);
        blob[at] ^= 0x20;
    }
    let mut blob = three().ended();
    blob[2048] = b'x'; // the length of the record
    let index = drive::index(&blob, || 512);
    assert_eq!(index.ending(), Ending::BadExtended);
    // Where an extended header has no member, one is missing.
    let index = drive::index(&three().0[..2560], || 512);
    assert_eq!(
        (paths(&index), index.ending()),
        (vec!["a".into()], Ending::Cut)
    );
}

/// GNU tar, bsdtar and Python end at one block of zeros. GNU tar warns, and we once did not.
#[test]
fn lone_block_of_zeros_ends_the_list_and_is_told() {
    let mut blob = three().0;
    let end = blob.len();
    blob.resize(end + 512, 0);
    // Cut in the blocks of zeros, nothing is missing.
    assert_eq!(drive::index(&blob, || 512).problem(), None);
    let blob = Made(blob).file("behind", b"").ended();
    let index = drive::index(&blob, || 512);
    assert_eq!((paths(&index).len(), index.ending()), (3, Ending::Lone));
    let said = index
        .problem()
        .expect("one block is not the mark of the end");
    assert!(
        said.contains(&format!("end at offset {end}, at one block of zeros")),
        "{said}"
    );
    let dir = tree::temp();
    let path = dir.path().join("a.tar");
    std::fs::write(&path, &blob).expect("written");
    let listed = run::run(run::tool("tar").arg("-tf").arg(&path)).ok("tar");
    assert_eq!(listed.stdout.lines().count(), 3);
    assert!(
        listed.stderr.contains("lone zero block"),
        "{}",
        listed.stderr
    );
    // What is shown is whole.
    run::run(run::aiozfs().arg("verify").arg(&path)).ok("verify");
}

/// The index of a cached or downloaded archive may be older than the archive.
#[test]
fn member_whose_header_changed_gives_no_bytes() {
    let blob = three().ended();
    let index = drive::index(&blob, || 512);
    let id = index.id(0).expect("a member");
    assert!(drive::content(&index, &blob, id).is_ok());
    let mut other = blob.clone();
    other[..512].copy_from_slice(&Header::new("a", b'0', 699).block());
    let why = drive::content(&index, &other, id).expect_err("another header");
    assert!(why.contains("the archive has changed"), "{why}");
}

#[test]
fn first_bytes_tell_what_a_blob_is() {
    let tar = Made::default().file("a", b"a").ended();
    let table: [(&[u8], Option<Recognized>); 9] = [
        (&tar, Some(Recognized::Tar)),
        (&[0; 1024], Some(Recognized::Tar)),
        (&[0; 10240], Some(Recognized::Tar)),
        (&[0; 700], None),
        (&tar[..511], None),
        (b"PK\x03\x04 and more", Some(Recognized::Zip)),
        (
            b"\x1f\x8b\x08\0",
            Some(Recognized::Compressed("gzip", "gunzip")),
        ),
        (b"\xfd7zXZ\0\0", Some(Recognized::Compressed("xz", "unxz"))),
        (b"", None),
    ];
    for (first, expected) in table {
        assert_eq!(recognize(first, first.len() as u64), expected);
    }
    // A file that is full of zeros is no archive: a download may have left it so.
    assert_eq!(recognize(&[0; 65536], 1 << 30), None);
}

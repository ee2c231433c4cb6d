//! Archives read by another program through the room `volume`, as `examples/read.rs` does.

use std::path::Path;

use aiozfs::fs::{Ino, Tree};
use aiozfs::volume::{self, FindError, Location, OpenError, Options, Server, Verify, Volume};

use super::{Way, packed};
use crate::common::node::Node;
use crate::common::{archives, tree};

#[expect(dead_code, reason = "the test calls `print`, not `main`")]
#[path = "../../../../examples/read.rs"]
mod read;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(work)
}

async fn open(archive: &str, options: &Options) -> Result<Volume, OpenError> {
    volume::open(&Location::parse(archive).expect("a location"), options).await
}

#[test]
fn example_prints_a_file_of_a_local_archive_a_url_and_a_cid() {
    let source = tree::temp();
    let film = tree::bytes(1, 2_000_000);
    tree::write(source.path(), "sub/film", &film);
    let (_out, archive) = packed(source.path(), archives::bsdtar);
    for way in Way::ALL {
        let reached = way.reach(Path::new(&archive));
        let mut arguments = vec![reached.source.clone(), "sub/film".to_owned()];
        let gateways = reached.options.iter().filter(|o| !o.starts_with('-'));
        arguments.extend(gateways.cloned());
        let mut printed = Vec::new();
        block_on(read::print(&arguments, &mut printed)).expect("printed");
        assert_eq!(tree::differs(&film, &printed), None, "{way:?}");
        arguments[1] = "sub/none".to_owned();
        let missing = block_on(read::print(&arguments, &mut printed));
        let missing = missing.expect_err("no such file").to_string();
        assert!(missing.contains("no such file"), "{missing}");
    }
}

/// The paths of all files below a directory, in the order of the archive.
fn list(tree: &Tree, dir: Ino, found: &mut Vec<String>) {
    // Behind `.` and `..`.
    for entry in tree.read_dir(dir, 2).into_iter().flatten() {
        found.push(String::from_utf8(tree.path(entry.ino)).expect("UTF-8"));
        list(tree, entry.ino, found);
    }
}

#[test]
fn volume_lists_what_was_packed() {
    let source = tree::sample();
    let (_out, archive) = packed(source.path(), archives::bsdtar);
    let volume = block_on(open(&archive, &Options::default())).expect("opened");
    let mut found = Vec::new();
    list(volume.tree(), Ino::ROOT, &mut found);
    found.sort();
    let packed = tree::names(source.path()).into_iter();
    let mut packed: Vec<String> = packed.map(|p| p.display().to_string()).collect();
    packed.sort();
    assert_eq!(found, packed);
    assert_eq!(volume.origin(), &("file", archive));
}

#[test]
fn playlists_are_playable_unless_options_say_stored() {
    let source = tree::temp();
    tree::write(source.path(), "s_0.ts", &tree::bytes(1, 5000));
    let stored = "#EXTM3U\n#EXTINF:4,\ns_0.ts?range=36,5000\n";
    tree::write(source.path(), "v.m3u8", stored.as_bytes());
    let (_out, archive) = packed(source.path(), archives::zipfile);
    for (stored_playlists, expected) in [(true, stored), (false, "#EXTM3U\n#EXTINF:4,\ns_0.ts\n")] {
        let options = Options {
            stored_playlists,
            ..Options::default()
        };
        let text = block_on(async {
            let volume = open(&archive, &options).await.expect("opened");
            let file = volume.find(b"v.m3u8", true).await.expect("found");
            volume.settle(file).await.expect("its size");
            let size = volume.attr(file).expect("attributes").size;
            assert_eq!(size, expected.len() as u64);
            let moment = volume.open(file).expect("readable");
            volume.read(file, moment, 0, 1000).await.expect("read")
        });
        assert_eq!(String::from_utf8(text).expect("UTF-8"), expected);
    }
}

#[test]
fn gateway_url_of_a_cid_is_verified() {
    let source = tree::temp();
    tree::write(source.path(), "a", b"some bytes");
    let (_out, archive) = packed(source.path(), archives::zipfile);
    let node = Node::of(Path::new(&archive));
    let url = format!("{}/ipfs/{}", node.base, node.cid);
    let options = Options {
        verify: Some(Verify::Trustless),
        ..Options::default()
    };
    let volume = block_on(open(&url, &options)).expect("opened");
    assert_eq!(volume.origin(), &("cid", node.cid.clone()));
    let file = Location::File(archive.into());
    let refused = block_on(volume::open(&file, &options)).err();
    assert_eq!(refused, Some(OpenError::NotVerifiable(file)));
}

#[test]
fn a_broken_path_says_why() {
    let source = tree::temp();
    tree::write(source.path(), "dir/a", b"some bytes");
    let (_out, archive) = packed(source.path(), archives::zipfile);
    block_on(async {
        let mut options = Options::default();
        // Not asked for a file.
        options.servers.servers = vec![Server::new("http://127.0.0.1:9")];
        let volume = open(&archive, &options).await.expect("opened");
        assert_eq!(volume.find(b"dir/b", true).await, Err(FindError::NotFound));
        let path = b"dir/a".to_vec();
        let below = volume.find(b"dir/a/b", true).await;
        assert_eq!(below, Err(FindError::NotADirectory { path }));
    });
}

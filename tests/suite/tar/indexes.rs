//! Indexes that are written to a file and brought along.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::tree::TempDir;

use super::made::Made;
use crate::common::archives::info_zip;
use crate::common::fault::FaultNode;
use crate::common::mount::Mount;
use crate::common::node::Node;
use crate::common::run::{self, Finished, run};
use crate::common::tree;

fn aiozfs(args: &[&str]) -> Finished {
    run(run::aiozfs().args(args))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A folder, and its archives as ZIP and tar.
fn archives() -> (TempDir, TempDir, [PathBuf; 2]) {
    let (folder, out) = (tree::sample(), tree::temp());
    let (zip, tar) = (out.path().join("a.zip"), out.path().join("a.tar"));
    info_zip(folder.path(), &zip);
    let mut made = run::tool("tar");
    run(made
        .arg("-cf")
        .arg(&tar)
        .arg("-C")
        .arg(folder.path())
        .arg("."))
    .ok("tar");
    (folder, out, [zip, tar])
}

#[test]
fn index_that_is_brought_along_saves_reading_the_archives_own() {
    let (folder, out, archives) = archives();
    for archive in archives {
        let blob = fs::read(&archive).expect("readable");
        let node = FaultNode::start(blob);
        let (url, index) = (node.url(), out.path().join("index"));
        let said = aiozfs(&["index", &url, "-o", text(&index)])
            .ok("index")
            .stdout;
        assert!(said.contains("entries"), "{said}");
        let plain = aiozfs(&["ls", "-R", &url]).ok("ls").stdout;
        let requests = node.requests();
        let listed = aiozfs(&["ls", "-R", "--index", text(&index), &url]).ok("ls");
        assert_eq!(listed.stdout, plain);
        let made = node.requests() - requests;
        assert!(made <= 1, "{made} requests to open {}", archive.display());
        // The index itself may come from a server.
        let served = FaultNode::start(fs::read(&index).expect("readable"));
        let mount = Mount::with(&url, &["--index", &served.url()]);
        tree::assert_same("a mount", folder.path(), mount.path());
        let options = format!("index={}", index.display());
        let mount = Mount::with(&url, &["-o", &options]);
        tree::assert_same("-o index=", folder.path(), mount.path());
        let cat = aiozfs(&["cat", "--index", text(&index), &url, "hello.txt"]).ok("cat");
        let expected = fs::read(folder.path().join("hello.txt")).expect("there");
        assert_eq!(cat.stdout, String::from_utf8_lossy(&expected));
        aiozfs(&["verify", "--index", text(&index), &url]).ok("verify");
        aiozfs(&["info", "--index", text(&index), &url]).ok("info");
    }
}

#[test]
fn index_of_another_archive_is_refused() {
    let out = tree::temp();
    let (first, second) = (out.path().join("1.tar"), out.path().join("2.tar"));
    let (index, bad) = (out.path().join("index"), out.path().join("bad"));
    fs::write(&first, Made::default().file("a", b"content").ended()).expect("written");
    fs::write(
        &second,
        Made::default().file("b", b"CONTENT").file("c", b"").ended(),
    )
    .expect("written");
    aiozfs(&["index", text(&first), "-o", text(&index)]).ok("index");
    let refused = |index: &Path, source: &Path, part: &str| {
        let refused = aiozfs(&["ls", "--index", text(index), text(source)]);
        assert_eq!(refused.code(), Some(1), "{}", refused.stdout);
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    };
    refused(&index, &second, "of another archive");
    refused(&second, &first, "it is not an index file");
    refused(&out.path().join("missing"), &first, "no such file");
    let whole = fs::read(&index).expect("readable");
    for at in [16, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&bad, damaged).expect("written");
        refused(&bad, &first, "checksum is wrong");
    }
    fs::write(&bad, &whole[..20]).expect("written");
    refused(&bad, &first, "it is not an index file");
    // The archive is not walked first.
    let node = FaultNode::start(fs::read(&second).expect("readable"));
    refused(&index, Path::new(&node.url()), "of another archive");
    assert!(node.requests() <= 1, "{} requests", node.requests());
    // Of the same size, so only the headers tell: no wrong byte is given out.
    fs::write(&second, Made::default().file("b", b"CONTENT").ended()).expect("written");
    let read = aiozfs(&["cat", "--index", text(&index), text(&second), "a"]);
    assert_eq!(
        (read.code(), &read.stdout[..]),
        (Some(1), ""),
        "{}",
        read.stderr
    );
    assert!(
        read.stderr.contains("index is of another"),
        "{}",
        read.stderr
    );
}

/// A CID is verified, so a server must not be able to bring along any index that it likes.
#[test]
fn verified_archive_takes_only_an_index_of_its_cid() {
    let (folder, out, [zip, tar]) = archives();
    let (node, index) = (Node::of(&tar), out.path().join("index"));
    let [gateway, url] = node.options();
    let cid = node.cid.as_str();
    aiozfs(&["index", gateway, url, cid, "-o", text(&index)]).ok("index");
    let mount = Mount::with(cid, &[gateway, url, "--index", text(&index)]);
    tree::assert_same("by its CID", folder.path(), mount.path());
    let served = FaultNode::start(fs::read(&index).expect("readable"));
    let refused = aiozfs(&["ls", gateway, url, "--index", &served.url(), cid]);
    assert!(
        refused.stderr.contains("an index from a URL is not"),
        "{}",
        refused.stderr
    );
    // Made of the same bytes, but nothing says so.
    aiozfs(&["index", text(&tar), "-o", text(&index)]).ok("index");
    let refused = aiozfs(&["ls", gateway, url, "--index", text(&index), cid]);
    assert!(
        refused.stderr.contains("of another archive"),
        "{}",
        refused.stderr
    );
    drop(zip);
}

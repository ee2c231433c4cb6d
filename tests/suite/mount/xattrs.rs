//! Extended attributes: of files, where their bytes lie; of the root, what is mounted and its state.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::attributes::packed;
use crate::common::fault::FaultNode;
use crate::common::mount::{Mount, xattr};
use crate::common::run::{self, run};
use crate::common::way::Way;
use crate::common::{archives, tree};
use rustix::io::Errno;

#[test]
fn attributes_tell_where_the_bytes_lie() {
    let (source, _out, archive) = packed();
    let line = fs::read(&archive).expect("the archive");
    for way in Way::ALL {
        let mount = way.mount(&archive);
        for name in ["dir/seg_0000.ts", "hello.txt", "empty"] {
            let path = mount.join(name);
            let content = fs::read(source.path().join(name)).expect("the source");
            let get = |attribute: &str| xattr(&path, attribute).expect(attribute);
            let offset: usize = get("offset").parse().expect("a number");
            assert_eq!(line[offset..offset + content.len()], content, "{name}");
            assert_eq!(get("size"), content.len().to_string());
            assert_eq!(get("crc32"), format!("{:08x}", crc32fast::hash(&content)));
            assert_eq!(get("method"), "stored");
            assert_eq!(get("range"), format!("{offset},{}", content.len()));
            assert_eq!(xattr(&path, "nonsense"), Err(Errno::NODATA));
            assert_eq!(xattr(&path, "status"), Err(Errno::NODATA));
        }
    }
}

/// `ls -l` asked for security.selinux and the ACL of each file. It does so as long as it is told that the file has no such
/// attribute, and stops when it is told that the filesystem has none.
#[test]
fn attributes_of_other_namespaces_are_not_supported() {
    let (_source, _out, archive) = packed();
    let mount = Mount::new(&archive);
    for path in [mount.path().to_owned(), mount.join("hello.txt")] {
        for name in ["security.selinux", "system.posix_acl_access"] {
            let value = rustix::fs::lgetxattr(&path, name, &mut [0; 64][..]);
            assert_eq!(value.err(), Some(Errno::NOTSUP), "{name} of {path:?}");
        }
    }
}

#[test]
fn getfattr_lists_all_attributes() {
    let (source, out) = (tree::temp(), tree::temp());
    let archive = out.path().join("mixed.zip");
    archives::mixed(source.path(), &archive);
    let mount = Mount::new(&archive);
    let dump = |name: &str| {
        let mut getfattr = run::tool("getfattr");
        let shown = run(getfattr
            .args(["-d", "-m", "-", "--absolute-names"])
            .arg(mount.join(name)));
        assert_eq!((shown.code(), &*shown.stderr), (Some(0), ""), "{name}");
        let lines = shown
            .stdout
            .lines()
            .filter(|l| l.starts_with("user.aiozfs."));
        let pairs = lines.filter_map(|l| l.split_once('='));
        let pairs =
            pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let stored = dump("stored.txt");
    for name in ["offset", "size", "crc32", "method", "range"] {
        assert!(
            stored.contains_key(&format!("user.aiozfs.{name}")),
            "{name}"
        );
    }
    assert_eq!(dump("deflated.txt")["user.aiozfs.method"], "deflated");
    let root = dump(".");
    let file = archive.to_str().expect("plain").to_owned();
    assert_eq!(root, BTreeMap::from([("user.aiozfs.file".into(), file)]));
}

/// What is listed can be read, and copies: `rsync -X` left symbolic links out, whose attributes
/// Linux does not read, and failed on the root, whose status grew between the call for its length
/// and the call for its value.
#[test]
fn programs_that_copy_attributes_copy_the_whole_mount() {
    let (source, out) = (tree::sample(), tree::temp());
    std::os::unix::fs::symlink("hello.txt", source.path().join("link")).expect("a link");
    let archive = out.path().join("links.zip");
    archives::info_zip(source.path(), &archive);
    let mount = Mount::new(&archive);
    let listed = |path: &Path| {
        let mut names = vec![0; 4096];
        let len = rustix::fs::llistxattr(path, &mut names[..]).expect("a list");
        let names = names[..len]
            .split(|b| *b == 0)
            .filter(|name| !name.is_empty());
        let names = names.map(|name| String::from_utf8(name.to_vec()).expect("text"));
        let ours = names.filter(|name| name.starts_with("user."));
        ours.collect::<BTreeSet<_>>()
    };
    for name in tree::names(mount.path())
        .into_iter()
        .chain([PathBuf::new()])
    {
        let path = mount.join(&name);
        for attribute in listed(&path) {
            let value = rustix::fs::lgetxattr(&path, &attribute, &mut [0; 4096][..]);
            value.unwrap_or_else(|e| panic!("{} {attribute}: {e}", name.display()));
        }
    }
    assert!(listed(&mount.join("link")).is_empty());
    for (tool, args) in [
        ("rsync", &["-aX"][..]),
        ("cp", &["-a", "--preserve=xattr", "-T"]),
    ] {
        let copy = out.path().join(tool);
        let mut command = run::tool(tool);
        // With the slash rsync copies the root's own attributes as well.
        command.args(args).arg(mount.join("")).arg(&copy);
        let done = run(&mut command).ok(tool);
        assert_eq!(done.stderr, "", "{tool}");
        let target = fs::read_link(copy.join("link")).expect("a link");
        assert_eq!(target, Path::new("hello.txt"), "{tool}");
        for name in ["", "hello.txt"] {
            assert_eq!(
                listed(&copy.join(name)),
                listed(&mount.join(name)),
                "{tool}"
            );
        }
    }
    // By their names they are there.
    for name in ["status", "pid"] {
        xattr(mount.path(), name).expect(name);
    }
}

#[test]
fn the_root_has_attributes_for_source_and_status() {
    let (source, _out, archive) = packed();
    let node = FaultNode::start(fs::read(&archive).expect("the archive"));
    let mount = Mount::new(node.url());
    assert_eq!(
        xattr(mount.path(), "url").expect("an attribute"),
        node.url()
    );
    let status = || -> serde_json::Value {
        let text = xattr(mount.path(), "status").expect("an attribute");
        serde_json::from_str(&text).expect("JSON")
    };
    let before = status();
    assert_eq!(
        before["blob_size"],
        fs::metadata(&archive).expect("it").len()
    );
    assert_eq!(before["errors"], 0);
    tree::assert_same("by URL", source.path(), mount.path());
    let after = status();
    let read = after["bytes_read"].as_u64().expect("a number");
    assert!(read >= 3_000_017, "{after}");
    // Each byte once: what the node sent is the archive and little more.
    assert!(
        node.sent() < fs::metadata(&archive).expect("it").len() + 300_000,
        "{after}"
    );
}

#[test]
fn by_cid_the_root_tells_the_cid() {
    let (source, _out, archive) = packed();
    let mount = Way::Cid.mount(&archive);
    let cid = xattr(mount.path(), "cid").expect("an attribute");
    assert!(mount.proc_mounts().starts_with(&format!("{cid} ")));
    let mut count = run::aiozfs();
    let counted = run(count.arg("cid").arg(&archive)).ok("aiozfs cid");
    assert_eq!(counted.stdout.trim(), cid);
    tree::assert_same("by CID", source.path(), mount.path());
}

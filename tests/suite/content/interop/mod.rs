//! Verification of trees that the JavaScript importer of IPFS made and serves. Needs node, npm and a registry.

mod directories;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::LazyLock;

use crate::common::mount::Mount;
use crate::common::{archives, needs, registry, run, tree};

/// A directory with the importer and the gateways that use it. Its files are written once, since others
/// may be reading them.
fn importer() -> &'static Path {
    static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
        let dir = registry::npm("interop", include_str!("package.json"));
        for (name, text) in [
            ("gateway.js", include_str!("gateway.js")),
            ("directories.js", include_str!("directories.js")),
        ] {
            fs::write(dir.join(name), text).expect("a file");
        }
        dir
    });
    &DIR
}

/// The gateway, which never outlives the test.
struct Gateway {
    process: Child,
    cid: String,
    base: String,
}

impl Gateway {
    fn new(dir: &Path, file: &Path, layout: &str) -> Self {
        let mut command = run::tool("node");
        command
            .current_dir(dir)
            .arg("gateway.js")
            .arg(file)
            .arg(layout);
        command.stdout(Stdio::piped());
        let mut process = command.spawn().expect("node, which was there");
        let mut said = String::new();
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        out.read_line(&mut said).expect("a line");
        let mut gateway = Self {
            process,
            cid: String::new(),
            base: String::new(),
        };
        let (cid, port) = said.trim().split_once(' ').expect("CID and port");
        gateway.cid = cid.to_owned();
        gateway.base = format!("http://127.0.0.1:{port}");
        gateway
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_javascript_importer_as_a_gateway() {
    needs::fuse();
    let dir = importer();
    let source = tree::sample();
    tree::write(source.path(), "large.bin", &tree::bytes(5, 9_000_001));
    let out = tree::temp();
    let archive = out.path().join("archive.zip");
    archives::zipfile(source.path(), &archive);
    let named = ["unixfs-v1-2025", "unixfs-v0-2015", "kubo-1mib-174"];
    for layout in named.into_iter().chain(["deep", "trickle"]) {
        let gateway = Gateway::new(dir, &archive, layout);
        if named.contains(&layout) {
            let mut cid = run::aiozfs();
            cid.args(["cid", "--profile", layout]).arg(&archive);
            assert_eq!(run::run(&mut cid).stdout.trim(), gateway.cid, "{layout}");
        }
        let mount = Mount::with(&gateway.cid, &["--gateway", &gateway.base]);
        tree::assert_same(layout, source.path(), mount.path());
        mount.assert_no_complaint();
    }
}

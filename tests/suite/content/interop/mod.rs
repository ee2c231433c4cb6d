//! Proofs with trees that an independent implementation made, the JavaScript importer of IPFS, and
//! gave out itself. Needs node, npm and a registry to have the importer from; without them the test
//! says so, past the capture of its output, and proves nothing.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::mount::Mount;
use crate::common::{archives, needs, run, tree};

/// The importer, installed for this build of the tests.
fn importer() -> Result<PathBuf, String> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/content/interop");
    for name in ["package.json", "gateway.js"] {
        fs::copy(here.join(name), dir.join(name)).map_err(|e| format!("{name}: {e}"))?;
    }
    let works = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(&dir).stdin(Stdio::null());
        let done = command.output().map_err(|e| format!("{program}: {e}"))?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        done.status.success().then_some(()).ok_or(said)
    };
    works("node", &["--version"])?;
    if !dir.join("node_modules/ipfs-unixfs-importer").exists() {
        works(
            "npm",
            &["install", "--no-audit", "--no-fund", "--ignore-scripts"],
        )?;
    }
    Ok(dir)
}

/// The gateway, which never outlives the test.
struct Gateway {
    process: Child,
    cid: String,
    base: String,
}

impl Gateway {
    fn new(dir: &Path, file: &Path, layout: &str) -> Self {
        let mut command = Command::new("node");
        command
            .current_dir(dir)
            .arg("gateway.js")
            .arg(file)
            .arg(layout);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
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
    let dir = match importer() {
        Ok(dir) => dir,
        Err(why) => {
            let said = format!("\nNOT RUN: the interop test needs node and npm: {why}\n");
            let _ = std::io::stderr().write_all(said.as_bytes());
            return;
        }
    };
    let source = tree::sample();
    tree::write(source.path(), "large.bin", &tree::bytes(5, 9_000_001));
    let out = tree::temp();
    let archive = out.path().join("archive.zip");
    archives::zipfile(source.path(), &archive);
    let named = ["unixfs-v1-2025", "unixfs-v0-2015", "kubo-1mib-174"];
    for layout in named.into_iter().chain(["deep", "trickle"]) {
        let gateway = Gateway::new(&dir, &archive, layout);
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

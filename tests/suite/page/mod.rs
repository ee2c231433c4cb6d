//! The node's page in real browsers, and its library under Node. The steps are in `web/test`, which
//! starts the binary under test; here they run and are judged.
//!
//! `mount-scripts/page` must have bundled the page's player before the binary was built, as
//! `mount-scripts/test` does. Screenshots, at 1280 and 390 pixels, are left in the directory that the variable
//! `AIOZFS_SCREENSHOTS` names, as in CI, else in `target/tmp/page`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::run;
use crate::players::packages;

/// A browser takes about a minute for all of it on an idle machine.
const LONGEST: Duration = Duration::from_secs(400);

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web")
}

/// Node with the packages of the page. Fails the test if they are not there.
fn node() -> Command {
    assert!(
        web().join("node_modules").is_dir() && web().join("dist").is_dir(),
        "this test needs the page's packages and its player; run mount-scripts/page, and build again"
    );
    let mut node = run::tool("node");
    // A newer one than the system's, if mount-scripts/page installed that.
    let own = web().join("node_modules/.node/bin/node");
    if own.exists() {
        node = Command::new(own);
    }
    node.current_dir(web()).env("AIOZFS", run::AIOZFS);
    node
}

fn all_checks_pass(browser: &str, program: &str) {
    run::tool(program);
    let shots = std::env::var_os("AIOZFS_SCREENSHOTS").map(PathBuf::from);
    let shots = shots.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("page"));
    let mut node = node();
    node.arg("test/browser/run.js").arg(browser);
    node.arg(packages::folders()).arg(shots);
    let finished = run::run_for(&mut node, LONGEST);
    println!("{}", finished.stdout);
    finished.ok(&format!("the page in {browser}"));
}

#[test]
fn the_page_in_chromium() {
    all_checks_pass("chromium", "chromium");
}

#[test]
fn the_page_in_firefox() {
    all_checks_pass("firefox", "firefox-esr");
}

#[test]
fn the_library_reads_what_the_node_serves() {
    run::run_for(node().arg("test/node/served.js"), LONGEST).ok("the library under Node");
}

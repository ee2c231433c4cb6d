//! Packages as people make them, played as people play them: what ffmpeg and Shaka Packager write,
//! packed, in the players of browsers and in mpv, VLC and GStreamer, by range links from a node and
//! from a mount. Each of them must find the right duration, play, seek to three quarters, and reach
//! the end.
//!
//! The players are pinned in package.json, Shaka Packager in requirements.txt. To see each case with
//! its time: `cargo test --test suite players:: -- --nocapture`.

mod browser;
pub mod packages;
mod programs;

use std::path::PathBuf;
use std::time::Duration;

use crate::common::node::Node;
use crate::common::tree::TempDir;
use crate::common::{run, tree};
use packages::{DASH, HLS, PACKAGES, Package, Text};

/// What came of one player with one package.
struct Outcome {
    name: String,
    took: Duration,
    failure: Option<String>,
}

/// Prints all outcomes, and fails the test if one of them is a failure.
fn assert_all_play(mut outcomes: Vec<Outcome>) {
    outcomes.sort_by_key(|outcome| outcome.failure.is_some());
    for Outcome {
        name,
        took,
        failure,
    } in &outcomes
    {
        let said = failure.as_deref().unwrap_or("plays");
        println!("{:5.1} s  {name}: {said}", took.as_secs_f64());
    }
    let failed = outcomes.iter().filter(|o| o.failure.is_some());
    let names: Vec<_> = failed.map(|outcome| outcome.name.as_str()).collect();
    assert!(
        names.is_empty(),
        "{} of {} do not play: {}",
        names.len(),
        outcomes.len(),
        names.join("; ")
    );
}

/// The packages, packed, and a node that serves all of them.
struct Library {
    archives: TempDir,
    node: Node,
    /// One for each package.
    cids: Vec<String>,
}

impl Library {
    fn new() -> Self {
        let folders = packages::folders();
        let archives = tree::temp();
        let mut cids = Vec::new();
        for Package { name, .. } in &PACKAGES {
            let archive = archives.path().join(format!("{name}.zip"));
            let mut pack = run::aiozfs();
            pack.args(["pack", "--no-sync"]).arg(folders.join(name));
            let said = run::run(pack.arg(archive)).ok(name).stdout;
            let cid = said.split_whitespace().next().expect("a CID");
            cids.push(cid.to_owned());
        }
        let node = Node::of_folder(archives.path(), PACKAGES.len());
        Self {
            archives,
            node,
            cids,
        }
    }

    fn archive(&self, package: &Package) -> PathBuf {
        self.archives.path().join(format!("{}.zip", package.name))
    }

    /// The address of a playlist with its range link, which `pack --dry-run` tells.
    fn link(&self, package: &Package, playlist: &str) -> String {
        let mut pack = run::aiozfs();
        pack.args(["pack", "--dry-run"]);
        pack.arg(packages::folders().join(package.name));
        pack.arg(self.archives.path().join("not-made.zip"));
        let layout = run::run(&mut pack).ok("pack --dry-run").stdout;
        let mut lines = layout.lines().map(str::split_whitespace);
        let range = lines.find_map(|mut words| {
            let (offset, size, name) = (words.next()?, words.next()?, words.next()?);
            (name == playlist).then(|| format!("{offset},{size}"))
        });
        let range = range.expect("the playlist is in the layout");
        let at = PACKAGES.iter().position(|other| other.name == package.name);
        let cid = &self.cids[at.expect("one of the packages")];
        let base = &self.node.base;
        format!("{base}/ipfs/{cid}/{playlist}?range={range}")
    }
}

#[test]
fn players_in_chromium_play_range_links() {
    let library = Library::new();
    let mut cases = Vec::new();
    for package in &PACKAGES {
        let mut add = |playlist: &str, players: &[&'static str]| {
            let url = library.link(package, playlist);
            for &player in players {
                cases.push(browser::Case::new(package, playlist, &url, player));
            }
        };
        if package.hls {
            add(HLS, &["hls.js", "shaka-player", "native"]);
        }
        if package.dash {
            add(DASH, &["shaka-player"]);
            // It does not start a manifest with WebVTT in segments, from loose files either.
            if package.text != Text::Segments {
                add(DASH, &["dash.js"]);
            }
        }
    }
    let outcomes = browser::play(&cases);
    assert_eq!(library.node.complaints(), "", "the node has answered well");
    assert_all_play(outcomes);
}

#[test]
fn mpv_vlc_and_gstreamer_play_range_links_and_mounts() {
    let library = Library::new();
    let mut cases = Vec::new();
    let mounts: Vec<_> = PACKAGES
        .iter()
        .map(|p| programs::mount(&library.archive(p)))
        .collect();
    // None of them has the key of the encrypted package.
    for (package, mount) in PACKAGES.iter().zip(&mounts).filter(|(p, _)| !p.encrypted) {
        for (playlist, _) in [(HLS, package.hls), (DASH, package.dash)]
            .iter()
            .filter(|(_, has)| *has)
        {
            let link = library.link(package, playlist);
            let mounted = mount
                .join(playlist)
                .to_str()
                .expect("a plain path")
                .to_owned();
            cases.extend(programs::cases(package, playlist, &link, &mounted));
        }
    }
    let outcomes = programs::play(cases);
    for mount in mounts {
        mount.assert_no_complaint();
    }
    assert_eq!(library.node.complaints(), "", "the node has answered well");
    assert_all_play(outcomes);
}

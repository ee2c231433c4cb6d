//! The map of the house holds: a room uses only the rooms that it has a door to, and no files of a room
//! use each other in a circle. Files are short, and say what they are about.
//!
//! The map is the table in `src/lib.rs`; this test reads it from there.

mod circles;
mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use circles::Modules;

/// Crates that only some rooms may name, and which.
const GUESTS: &[(&str, &[&str])] = &[
    ("fuser", &["mount"]),
    ("libc", &["cache", "mount"]),
    ("reqwest", &["http"]),
    ("axum", &["metrics", "serve"]),
    ("prometheus_client", &["metrics"]),
    ("clap", &["cli"]),
];

/// Rooms that have no runtime, so that they stay free of waiting and of clocks.
const WITHOUT_RUNTIME: &[&str] = &["ranges", "archive", "playlist", "fs", "pack"];

/// The most lines of a file.
const MAX_LINES: usize = 500;

/// The rooms and the rooms that each may use, from the table in `lib.rs`.
struct Map(BTreeMap<String, BTreeSet<String>>);

impl Map {
    /// Reads rows of the form ``//! | [`room`] | what it does | `other`, `other` |``. "all" means every room.
    fn parse(lib: &str) -> Self {
        let mut rooms = BTreeMap::new();
        for line in lib.lines().filter(|line| line.starts_with("//! | [`")) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, room, _, doors, _] = cells[..] else {
                panic!("a row of the map has three cells: {line}");
            };
            let name = |text: &str| text.trim_matches(['[', ']', '`', ' ']).to_owned();
            let doors = doors.split(',').map(name).filter(|door| !door.is_empty());
            rooms.insert(name(room), doors.collect::<BTreeSet<_>>());
        }
        let all: BTreeSet<String> = rooms.keys().cloned().collect();
        for doors in rooms.values_mut() {
            if doors.remove("all") {
                doors.clone_from(&all);
            }
        }
        rooms.insert("main.rs".into(), BTreeSet::from(["cli".into()]));
        Self(rooms)
    }

    fn read() -> Self {
        let lib = fs::read_to_string(src().join("lib.rs")).expect("the map");
        Self::parse(&lib)
    }

    /// The doors that a file of `room` goes through without being allowed to.
    fn forbidden(&self, room: &str, text: &str) -> BTreeSet<String> {
        let doors = self.0.get(room);
        let doors = doors.unwrap_or_else(|| panic!("room '{room}' is not on the map"));
        let code = paths::code_of(text);
        let roots = ["crate", "aiozfs"].map(str::to_owned);
        let mut named = paths::used(&code, false);
        named.extend(paths::inline(&code, &roots));
        let rooms = named.into_iter().filter(|path| roots.contains(&path[0]));
        let mut found: BTreeSet<String> = rooms.filter_map(|path| path.get(1).cloned()).collect();
        found.retain(|door| door != room && !doors.contains(door));
        for (guest, rooms) in GUESTS {
            if names(&code, guest) && !rooms.contains(&room) {
                found.insert((*guest).to_owned());
            }
        }
        if names(&code, "tokio") && WITHOUT_RUNTIME.contains(&room) {
            found.insert("tokio".into());
        }
        found
    }
}

/// Whether the code names something of a crate.
fn names(code: &str, guest: &str) -> bool {
    let is_used = paths::used(code, false).iter().any(|path| path[0] == guest);
    is_used || !paths::inline(code, &[guest.to_owned()]).is_empty()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The Rust files below a directory, as their paths from there and their texts.
fn rust_files(root: &Path) -> Vec<(String, String)> {
    fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a directory of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(root, &mut files);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).expect("below the root");
        let name = name.to_str().expect("a name").to_owned();
        (name, fs::read_to_string(&path).expect("a source"))
    };
    files.into_iter().map(read).collect()
}

/// The Rust files of the rooms.
fn sources() -> Vec<(String, String)> {
    let mut sources = rust_files(&src());
    sources.retain(|(name, _)| name != "lib.rs");
    assert!(sources.len() > 100, "the sources are found");
    sources
}

#[test]
fn rooms_use_only_the_rooms_on_the_map() {
    let map = Map::read();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let room = file.split('/').next().expect("a room");
        for door in map.forbidden(room, &text) {
            wrong.push(format!("{file}: {room} -> {door}"));
        }
    }
    assert!(wrong.is_empty(), "forbidden doors:\n{}", wrong.join("\n"));
}

#[test]
fn files_of_a_room_do_not_use_each_other_in_a_circle() {
    let mut modules = Modules::default();
    for (file, text) in sources() {
        modules.add(&file, &text);
    }
    let circles: Vec<String> = modules
        .circles()
        .iter()
        .map(|circle| circle.join(", "))
        .collect();
    assert!(circles.is_empty(), "circles:\n{}", circles.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are_about() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for dir in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"] {
        let files = rust_files(&root.join(dir));
        assert!(!files.is_empty(), "{dir}");
        for (file, text) in files {
            let lines = text.lines().count();
            if lines > MAX_LINES {
                wrong.push(format!("{dir}/{file}: {lines} lines"));
            }
            if !text.lines().any(|line| line.starts_with("//!")) {
                wrong.push(format!("{dir}/{file}: no //!"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_fuzz_corpus_is_small() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let targets = fs::read_dir(corpus).expect("the corpus");
    let files = |target: &Path| fs::read_dir(target).expect("inputs").count();
    let count: usize = targets
        .map(|target| files(&target.expect("a target").path()))
        .sum();
    // fuzz/Cargo.toml says which inputs are worth their place.
    assert!((1..=150).contains(&count), "{count} files");
}

#[test]
fn every_test_named_in_semantics_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("doc/SEMANTICS.md")).expect("the page");
    let named: Vec<(&str, &str)> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|quoted| quoted.split_once(": "))
        .collect();
    assert!(named.len() > 30, "the names are found");
    for (file, test) in named {
        let paths = [format!("{file}.rs"), format!("{file}/mod.rs")];
        let text = paths
            .iter()
            .find_map(|path| fs::read_to_string(root.join("tests/suite").join(path)).ok());
        let text = text.unwrap_or_else(|| panic!("there is no tests/suite/{file}.rs"));
        assert!(
            text.contains(&format!("fn {test}()")),
            "{file}.rs has no test {test}"
        );
    }
}

#[test]
fn a_forbidden_door_is_found() {
    let map = Map::parse(
        "//! | [`archive`] | x | |\n//! | [`source`] | x | |\n//! | [`fs`] | x | `archive` |\n\
         //! | [`reader`] | x | `archive`, `source` |\n//! | [`mount`] | x | `fs` |\n//! | [`cli`] | x | all |",
    );
    let cases: &[(&str, &str, &[&str])] = &[
        ("archive", "use crate::source::Error;", &["source"]),
        ("archive", "fn f() { crate::reader::g() }", &["reader"]),
        ("archive", "use tokio::time;", &["tokio"]),
        (
            "reader",
            "use crate::{archive, fs::Tree, mount::{a, b}};",
            &["fs", "mount"],
        ),
        ("reader", "use crate::{archive::{x, y}, source};", &[]),
        ("fs", "use fuser::Errno;", &["fuser"]),
        ("fs", "// use crate::mount;", &[]),
        ("cli", "use crate::mount::Volume;", &[]),
        ("main.rs", "aiozfs::cli::main()", &[]),
        ("main.rs", "aiozfs::mount::x()", &["mount"]),
    ];
    for (room, text, expected) in cases {
        let found: Vec<String> = map.forbidden(room, text).into_iter().collect();
        assert_eq!(found, *expected, "{room}: {text}");
    }
}

#[test]
fn a_circle_of_files_is_found() {
    let circles = |files: &[(&str, &str)]| {
        let mut modules = Modules::default();
        for (file, text) in files {
            modules.add(file, text);
        }
        modules.circles()
    };
    let two = [
        ("r/mod.rs", "mod a;\nmod b;"),
        ("r/a.rs", "use super::b::B;"),
        ("r/b.rs", "fn f() { super::a::g() }"),
    ];
    assert_eq!(circles(&two), [["r::a", "r::b"]]);
    // A mod.rs that re-exports is looked through, one that defines is a party.
    let re_export = [
        ("r/mod.rs", "mod a;\nmod b;\npub use b::B;"),
        ("r/a.rs", "use super::B;"),
        ("r/b.rs", ""),
    ];
    assert!(circles(&re_export).is_empty());
    let through = [
        ("r/mod.rs", "mod a;\nmod b;\npub use b::{B, C};"),
        ("r/a.rs", "use super::B;"),
        ("r/b.rs", "use super::a::{self, A};"),
    ];
    assert_eq!(circles(&through), [["r::a", "r::b"]]);
    let definer = [
        ("r/mod.rs", "mod a;\nuse a::A;\npub struct S(A);"),
        ("r/a.rs", "use super::S;"),
    ];
    assert_eq!(circles(&definer), [["r", "r::a"]]);
    let tests_do_not_count = [
        ("r/mod.rs", "mod a;\nmod b;"),
        ("r/a.rs", "use super::b::B;"),
        (
            "r/b.rs",
            "\n#[cfg(test)]\nmod tests { use super::super::a::A; }",
        ),
    ];
    assert!(circles(&tests_do_not_count).is_empty());
}

//! The map of the house holds: a room uses only the rooms it has a door to.
//!
//! Finds every `crate::` path in `src`, in `use` lines and inline, and compares it with the table
//! below, which is that of `src/lib.rs` and `doc/DESIGN.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Room, and the rooms it may use.
const DOORS: &[(&str, &[&str])] = &[
    ("archive", &[]),
    ("playlist", &[]),
    ("source", &[]),
    ("content", &["source"]),
    ("cache", &["source", "content"]),
    ("reader", &["archive", "source"]),
    ("fs", &["archive"]),
    // `archive` and `source` for the words of the errors that become errno, and of entries.
    ("mount", &["fs", "archive", "reader", "source", "playlist"]),
    ("pack", &["archive", "playlist"]),
    ("serve", &["source", "content"]),
    (
        "cli",
        &[
            "archive", "playlist", "source", "content", "cache", "reader", "fs", "mount", "pack",
            "serve",
        ],
    ),
    ("main.rs", &["cli"]),
];

/// Crates that only some rooms may name, and which.
const GUESTS: &[(&str, &[&str])] = &[
    ("fuser", &["mount"]),
    ("libc", &["cache", "mount"]),
    ("reqwest", &["source"]),
    ("axum", &["serve"]),
    ("clap", &["cli"]),
    (
        "tokio",
        &[
            "source", "content", "cache", "reader", "mount", "serve", "cli",
        ],
    ),
];

/// The doors that a file's text goes through without being allowed to.
fn forbidden(room: &str, text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let allowed = DOORS.iter().find(|(name, _)| *name == room);
    let allowed = allowed
        .unwrap_or_else(|| panic!("room '{room}' is not on the map"))
        .1;
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "aiozfs::"] {
        for (at, _) in code.match_indices(prefix) {
            for name in rooms_at(&code[at + prefix.len()..]) {
                if name != room && !allowed.contains(&name.as_str()) {
                    found.insert(name);
                }
            }
        }
    }
    for (guest, rooms) in GUESTS {
        let named = [format!("{guest}::"), format!("use {guest};")];
        let is_named = named.iter().any(|pattern| {
            code.match_indices(pattern.as_str()).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            })
        });
        if is_named && !rooms.contains(&room) {
            found.insert((*guest).to_owned());
        }
    }
    found
}

/// The first names of a path: one, or those of a group `{a::x, b}`.
fn rooms_at(path: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)];
    };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn files_below(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_room_uses_a_door_that_is_not_on_the_map() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    files_below(&src, &mut files);
    assert!(files.len() > 20, "the sources are found");
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).expect("below src");
        let room = inside.iter().next().and_then(|part| part.to_str());
        let room = room.expect("a room");
        if room == "lib.rs" {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source");
        for door in forbidden(room, &text) {
            wrong.push(format!("{}: {room} -> {door}", inside.display()));
        }
    }
    assert!(wrong.is_empty(), "forbidden doors:\n{}", wrong.join("\n"));
}

#[test]
fn a_forbidden_door_is_found() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("archive", "use crate::source::Error;", &["source"]),
        ("archive", "fn f() { crate::reader::g() }", &["reader"]),
        (
            "reader",
            "use crate::{archive, fs::Tree, mount::{a, b}};",
            &["fs", "mount"],
        ),
        ("reader", "use crate::{archive::{x, y}, source};", &[]),
        ("fs", "use fuser::Errno;", &["fuser"]),
        ("fs", "// use crate::mount;", &[]),
        ("serve", "use crate::mount::Volume;", &["mount"]),
        ("main.rs", "aiozfs::cli::main()", &[]),
        ("main.rs", "aiozfs::mount::x()", &["mount"]),
    ];
    for (room, text, expected) in cases {
        let found: Vec<String> = forbidden(room, text).into_iter().collect();
        assert_eq!(found, *expected, "{room}: {text}");
    }
}

//! What bash completes, with the script of `aiozfs completions bash`.

use std::fs;
use std::path::Path;

use crate::common::run::{self, run, tool};
use crate::common::tree;
use crate::common::zips::{Item, Zip};

/// Calls the script as bash does: the words as bash divides them, and the one before the cursor.
const CALL: &str = r#"
PATH=$(dirname "$1"):$PATH
source <(aiozfs completions bash)
how=$(complete -p aiozfs)
how=${how##*-F }
COMP_WORDS=("${@:3}") COMP_CWORD=$(($# - 3)) COMP_TYPE=9
${how% aiozfs} aiozfs "$2" "" 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// What the last of these words is completed to. `current`: that word, as bash says it to the script.
fn completed(dir: &Path, words: &[&str], current: &str) -> String {
    let mut bash = tool("bash");
    bash.args(["--norc", "-c", CALL, "bash", run::AIOZFS, current]);
    bash.args(words).current_dir(dir);
    bash.env("AIOZFS_CACHE_SIZE", "0");
    run(&mut bash).ok("bash").stdout
}

/// `m/with space/` was completed to two words, and nothing was completed behind `my\ film.zip` or `http://...`.
#[test]
fn bash_completes_names_with_characters_of_the_shell() {
    let dir = tree::temp();
    let names = ["m/with space", "m/a:b c", "m/it's", "plain"];
    let zip = Zip::of(names.map(|name| Item::new(name, "x"))).finish();
    fs::write(dir.path().join("my film.zip"), zip).expect("an archive");
    for (words, current, expected) in [
        (&["aiozfs", "ls", "my"][..], "my", r"my\ film.zip"),
        (&["aiozfs", "ls", r"my\ f"], r"my\ f", r"my\ film.zip"),
        (&["aiozfs", "ls", "'my f"], "my f", "my film.zip"),
        (
            &["aiozfs", "cat", r"my\ film.zip", "m/w"],
            "m/w",
            r"m/with\ space",
        ),
        (
            &["aiozfs", "cat", r"my\ film.zip", r"m/with\ "],
            r"m/with\ ",
            r"m/with\ space",
        ),
        (
            &["aiozfs", "cat", r"my\ film.zip", "m/i"],
            "m/i",
            r"m/it\'s",
        ),
        (
            &["aiozfs", "cat", r"my\ film.zip", "m/a", ":", "b"],
            "b",
            r"b\ c",
        ),
        (&["aiozfs", "cat", r"my\ film.zip", "p"], "p", "plain"),
        (&["aiozfs", "ex"], "ex", "extract"),
    ] {
        let found = completed(dir.path(), words, current);
        assert_eq!(found, format!("{expected}\n"), "{words:?}");
    }
}

/// Behind a quote that the user had typed, a name like `$(command)` was put on the command line as it is, and ran.
#[test]
fn bash_never_completes_to_what_it_would_run() {
    let dir = tree::temp();
    let names = [
        "$(x)",
        "`x`",
        "a\"; x",
        "a'; x",
        "a\\",
        "!x",
        "a\u{1}'; x",
        "fine",
    ];
    let items = names.map(|name| Item::new(format!("m/{name}"), "x"));
    fs::write(dir.path().join("a.zip"), Zip::of(items).finish()).expect("an archive");
    for quote in ["\"", "'"] {
        let words = ["aiozfs", "cat", "a.zip", &format!("{quote}m/")];
        assert_eq!(completed(dir.path(), &words, "m/"), "m/fine\n", "{quote}");
    }
    // A quote within the word.
    let found = completed(dir.path(), &["aiozfs", "cat", "a.zip", "m/'"], "m/");
    assert!(!found.contains("$'"), "{found}");
    let found = completed(dir.path(), &["aiozfs", "cat", "a.zip", "m/"], "m/");
    for quoted in [r"m/\$\(x\)", r"m/\`x\`", r"m/a\'\;\ x", "m/fine"] {
        assert!(
            found.lines().any(|line| line == quoted),
            "{quoted}: {found}"
        );
    }
}

#[test]
fn bash_completes_paths_in_the_archive_at_a_url() {
    let dir = tree::temp();
    let zip = Zip::of([Item::new("one", "x"), Item::new("two", "x")]).finish();
    let node = crate::common::fault::FaultNode::start(zip);
    let url = node.url();
    let (host, port) = url
        .split_once("//")
        .and_then(|(_, rest)| rest.split_once(':'))
        .expect("a port");
    let host = format!("//{host}");
    let words = ["aiozfs", "cat", "http", ":", &host, ":", port, "t"];
    assert_eq!(completed(dir.path(), &words, "t"), "two\n");
}

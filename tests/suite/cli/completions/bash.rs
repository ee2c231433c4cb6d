//! What an interactive bash completes, with the script of `aiozfs completions bash`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::fault::FaultNode;
use crate::common::needs;
use crate::common::run::{self, run_for, tool};
use crate::common::tree;
use crate::common::zips::{Item, Zip};

/// What follows a typed line.
#[derive(Clone, Copy)]
enum Keys {
    Tab,
    TabEnter,
}

/// The lines that bash makes of these lines and a tab.
fn completed(dir: &Path, lines: &[&str], keys: Keys) -> Vec<String> {
    needs::tool("bash");
    let mut python = tool("python3");
    let keys = match keys {
        Keys::Tab => "tab",
        Keys::TabEnter => "enter",
    };
    let text = serde_json::to_string(lines).expect("JSON");
    python.args(["-c", include_str!("bash.py"), run::AIOZFS, keys, &text]);
    python.current_dir(dir).env("HOME", dir);
    python.env("AIOZFS_CACHE_SIZE", "0");
    let made = run_for(&mut python, Duration::from_secs(120)).ok("bash");
    serde_json::from_str(&made.stdout).expect("a list of lines")
}

/// Compares what bash makes of each line with what is expected.
fn expect(dir: &Path, table: &[(&str, &str)]) {
    let lines: Vec<_> = table.iter().map(|(line, _)| *line).collect();
    let made = completed(dir, &lines, Keys::Tab);
    for ((line, expected), made) in table.iter().zip(made) {
        assert_eq!(made.trim_end(), *expected, "{line}");
    }
}

/// `m/with space/` was completed to two words, and nothing was completed behind `my\ film.zip`, `'my film.zip'` or
/// `http://...`.
#[test]
fn bash_completes_names_with_characters_of_the_shell() {
    let dir = tree::temp();
    let names = ["m/with space", "m/a:b c", "m/it's", "plain"];
    let zip = Zip::of(names.map(|name| Item::new(name, "x"))).finish();
    fs::write(dir.path().join("my film.zip"), &zip).expect("an archive");
    let node = FaultNode::start(zip);
    let at_url = format!("aiozfs cat {} p", node.url());
    expect(
        dir.path(),
        &[
            ("aiozfs ex", "aiozfs extract"),
            ("aiozfs ls my", r"aiozfs ls my\ film.zip"),
            (r"aiozfs ls my\ f", r"aiozfs ls my\ film.zip"),
            ("aiozfs ls 'my f", "aiozfs ls 'my film.zip'"),
            (
                r"aiozfs cat my\ film.zip m/with\ ",
                r"aiozfs cat my\ film.zip m/with\ space",
            ),
            (
                "aiozfs cat 'my film.zip' m/i",
                r"aiozfs cat 'my film.zip' m/it\'s",
            ),
            (
                "aiozfs cat 'my film.zip' m/a:b",
                r"aiozfs cat 'my film.zip' m/a:b\ c",
            ),
            (
                "aiozfs cat 'my film.zip' \"m/w",
                "aiozfs cat 'my film.zip' \"m/with space\"",
            ),
            (
                "aiozfs cat 'my film.zip' m/'w",
                "aiozfs cat 'my film.zip' m/'with space'",
            ),
            (
                "aiozfs cat 'my film.zip' 'm/w'",
                r"aiozfs cat 'my film.zip' m/with\ space",
            ),
            (&at_url, &format!("{at_url}lain")),
        ],
    );
}

/// Bash gives `--color=n` as three words. Nothing was completed behind `=`.
#[test]
fn bash_completes_values_behind_an_equals_sign() {
    let dir = tree::temp();
    fs::write(dir.path().join("my film.zip"), "").expect("a file");
    expect(
        dir.path(),
        &[
            ("aiozfs ls --color=n", "aiozfs ls --color=never"),
            (
                "aiozfs mount -o offline,verify=t",
                "aiozfs mount -o offline,verify=trustless",
            ),
            ("aiozfs mount --xattrs=y", "aiozfs mount --xattrs=yes"),
            (
                "aiozfs mount --add name=m",
                r"aiozfs mount --add name=my\ film.zip",
            ),
            (
                "aiozfs mount --add name='my",
                "aiozfs mount --add name='my film.zip'",
            ),
            // The value is a word of its own here.
            ("aiozfs mount --verify n", "aiozfs mount --verify none"),
        ],
    );
}

/// Behind a quote that the user had typed, a name like `$(command)` was put on the command line as it is, and ran.
#[test]
fn bash_never_completes_to_what_it_would_run() {
    let dir = tree::temp();
    let commands = [
        "$(touch ran)",
        "`touch ran`",
        "a;touch ran",
        "';touch ran;'\"",
        "\u{1}'$(touch ran)",
    ];
    let mut lines = Vec::new();
    for (typed, begin) in [
        ("\"", ""),
        ("'", ""),
        ("x'", "x"),
        ("x\"", "x"),
        ("'a'", "a"),
        ("a", "a"),
    ] {
        for (number, command) in commands.iter().enumerate() {
            // One name in the archive, so that it is completed to its end.
            let archive = format!("{begin}{number}.zip");
            let zip = Zip::of([Item::new(format!("{begin}{command}"), "x")]).finish();
            fs::write(dir.path().join(&archive), zip).expect("an archive");
            lines.push(format!("aiozfs cat {archive} -- {typed}"));
        }
    }
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let made = completed(dir.path(), &lines, Keys::TabEnter);
    assert!(!dir.path().join("ran").exists(), "{made:#?}");
    for expected in [
        "aiozfs cat 2.zip -- \"a;touch ran\"",
        "aiozfs cat 2.zip -- 'a;touch ran'",
        "aiozfs cat x2.zip -- x'a;touch ran'",
        "aiozfs cat x2.zip -- x\"a;touch ran\"",
        r"aiozfs cat a0.zip -- a\$\(touch\ ran\)",
        r"aiozfs cat a1.zip -- a\`touch\ ran\`",
    ] {
        let is_made = made.iter().any(|line| line.trim_end() == expected);
        assert!(is_made, "{expected}: {made:#?}");
    }
}

//! zsh and fish: names with characters of the shell, as bash has them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::run::{self, run_for, tool};
use crate::common::tree::{self, TempDir};
use crate::common::zips::{Item, Zip};

/// Types a line and a tab in an interactive zsh, and prints the line that this makes.
const ZSH: &str = r#"
PATH=${1:h}:$PATH
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=; autoload -Uz compinit; compinit -u -D; source <(aiozfs completions zsh); setopt no_beep no_auto_menu; show() { zle complete-word; print -r -- "<<$BUFFER>>" }; zle -N show; bindkey "^I" show; print READY'
zpty -r -m z said '*READY*READY*'
zpty -w -n z "$2"$'\t'
zpty -r -m z said '*<<*>>*'
said=${said##*<<}
print -r -- "${said%%>>*}"
zpty -d z
"#;

/// Prints what fish offers for the last word of a line.
const FISH: &str = r#"
set -p PATH (path dirname $argv[1])
source (aiozfs completions fish | psub)
complete -C "$argv[2]"
"#;

/// `my film.zip` and `a.zip`, with names that a shell must quote.
fn archives() -> TempDir {
    let dir = tree::temp();
    let names = ["m/with space", "m/a:b c", "m/it's", "m/$(x)", "plain"];
    let zip = Zip::of(names.map(|name| Item::new(name, "x"))).finish();
    fs::write(dir.path().join("my film.zip"), zip).expect("an archive");
    dir
}

fn said(command: &mut Command, dir: &Path, line: &str) -> String {
    command.args([run::AIOZFS, line]).current_dir(dir);
    command.env("AIOZFS_CACHE_SIZE", "0").env("HOME", dir);
    let done = run_for(command, Duration::from_secs(20)).ok(line);
    done.stdout.trim().to_owned()
}

/// Words reached the program as they were typed, so that nothing was completed behind a name with a space.
#[test]
fn zsh_completes_names_with_characters_of_the_shell() {
    let dir = archives();
    for (line, expected) in [
        ("aiozfs ex", "aiozfs extract"),
        ("aiozfs ls my", r"aiozfs ls my\ film.zip"),
        (r"aiozfs ls my\ f", r"aiozfs ls my\ film.zip"),
        (
            r"aiozfs cat my\ film.zip m/w",
            r"aiozfs cat my\ film.zip m/with\ space",
        ),
        (
            r"aiozfs cat my\ film.zip m/with\ s",
            r"aiozfs cat my\ film.zip m/with\ space",
        ),
        (
            "aiozfs cat 'my film.zip' 'm/a",
            "aiozfs cat 'my film.zip' 'm/a:b c'",
        ),
        (
            r"aiozfs cat my\ film.zip m/a:b",
            r"aiozfs cat my\ film.zip m/a:b\ c",
        ),
        (
            "aiozfs cat 'my film.zip' \"m/it",
            "aiozfs cat 'my film.zip' \"m/it's\"",
        ),
        (
            r"aiozfs cat my\ film.zip m/\$",
            r"aiozfs cat my\ film.zip m/\$\(x\)",
        ),
        ("aiozfs mount --verify n", "aiozfs mount --verify none"),
        ("aiozfs ls --color=n", "aiozfs ls --color=never"),
    ] {
        let found = said(tool("zsh").args(["-f", "-c", ZSH, "zsh"]), dir.path(), line);
        assert_eq!(found, expected, "{line}");
    }
}

/// The current word reached the program as it was typed, with backslashes and quotes.
#[test]
fn fish_completes_names_with_characters_of_the_shell() {
    let dir = archives();
    for (line, expected) in [
        ("aiozfs ex", "extract"),
        (r"aiozfs ls my\ f", "my film.zip"),
        ("aiozfs ls 'my f", "my film.zip"),
        (r"aiozfs cat my\ film.zip m/w", "m/with space"),
        (r"aiozfs cat my\ film.zip m/with\ s", "m/with space"),
        ("aiozfs cat 'my film.zip' 'm/a", "m/a:b c"),
        (r"aiozfs cat my\ film.zip m/a:b", "m/a:b c"),
        ("aiozfs cat 'my film.zip' \"m/it", "m/it's"),
        ("aiozfs mount --verify n", "none"),
        ("aiozfs ls --color=n", "--color=never"),
    ] {
        let found = said(tool("fish").args(["-N", "-c", FISH]), dir.path(), line);
        // Behind a tab is what it means.
        let values: Vec<_> = found
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        assert_eq!(values, [expected], "{line}");
    }
}

/// Installed as a file on fpath, the script is the function of zsh, and its first use must complete already.
#[test]
fn zsh_completes_with_an_installed_script() {
    let dir = archives();
    let functions = dir.path().join("functions");
    fs::create_dir(&functions).expect("a directory");
    let script = run::run(run::aiozfs().args(["completions", "zsh"])).ok("completions");
    fs::write(functions.join("_aiozfs"), script.stdout).expect("the script");
    let installed = ZSH.replace(
        "compinit -u -D; source <(aiozfs completions zsh)",
        "fpath+=(functions); compinit -u -D",
    );
    assert_ne!(installed, ZSH);
    let found = said(
        tool("zsh").args(["-f", "-c", &installed, "zsh"]),
        dir.path(),
        "aiozfs ls my",
    );
    assert_eq!(found, r"aiozfs ls my\ film.zip");
}

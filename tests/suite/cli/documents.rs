//! Manual pages and completions, as the programs that read them see them.

use std::fs;
use std::path::Path;

use crate::common::run::{self, run, tool};
use crate::common::tree;
use crate::common::zips::{Item, Zip};

#[test]
fn manual_pages_have_no_fault_that_groff_finds() {
    let out = tree::temp();
    run(run::aiozfs().arg("man").arg(out.path())).ok("man");
    let pages = tree::names(out.path());
    let has = |name: &str| pages.iter().any(|page| page == Path::new(name));
    for name in [
        "aiozfs.1",
        "aiozfs-mount.1",
        "aiozfs-cache-pin.1",
        "mount.aiozfs.8",
    ] {
        assert!(has(name), "{name} is missing: {pages:?}");
    }
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|number| number == "1"))
    {
        let mut groff = tool("groff");
        groff
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(out.path().join(page));
        let said = run(&mut groff).ok("groff").stderr;
        assert_eq!(said, "", "{page:?}");
    }
    let mount = fs::read_to_string(out.path().join("aiozfs-mount.1")).expect("a page");
    assert!(mount.contains(".SH EXAMPLES"), "{mount}");
}

/// What bash completes for a command line whose last word is under the cursor.
fn completed(words: &[&str]) -> Vec<String> {
    let script = r#"
        PATH=$(dirname "$AIOZFS"):$PATH
        eval "$(aiozfs completions bash)"
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _clap_complete_aiozfs aiozfs "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = tool("bash");
    bash.args(["-c", script, "bash"])
        .args(words)
        .env("AIOZFS", run::AIOZFS);
    let mut lines: Vec<_> = run(&mut bash)
        .ok("bash")
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

#[test]
fn bash_completes_commands_options_and_paths_in_an_archive() {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    let items = ["film/1.ts", "film/2.ts", "film/sub/x", "other"].map(|name| Item::new(name, name));
    fs::write(&archive, Zip::of(items).finish()).expect("an archive");
    let archive = archive.to_str().expect("a plain path");
    assert_eq!(completed(&["aiozfs", "stat"]), ["status"]);
    assert_eq!(
        completed(&["aiozfs", "mount", "--allow-o"]),
        ["--allow-other"]
    );
    assert_eq!(completed(&["aiozfs", "ls", archive, "o"]), ["other"]);
    assert_eq!(
        completed(&["aiozfs", "cat", archive, "film/"]),
        ["film/1.ts", "film/2.ts", "film/sub/"]
    );
    assert_eq!(completed(&["aiozfs", "cat", "/no/such.zip", "f"]), [""]);
}

#[test]
fn every_shell_gets_a_script() {
    for shell in ["bash", "zsh", "fish", "elvish"] {
        let script = run(run::aiozfs().args(["completions", shell]))
            .ok(shell)
            .stdout;
        assert!(script.contains("AIOZFS_COMPLETE"), "{shell}: {script}");
    }
}

//! `--help` teaches: examples, and the options by their names.

use crate::common::run::{self, run};

#[test]
fn help_of_mount_has_examples_and_options() {
    let help = run(run::aiozfs().args(["mount", "--help"]))
        .ok("--help")
        .stdout;
    for word in [
        "Examples:",
        "aiozfs mount",
        "--gateway",
        "--timeout",
        "nonempty",
        "https://",
    ] {
        assert!(help.contains(word), "no {word} in: {help}");
    }
    let all = run(run::aiozfs().arg("--help")).ok("--help").stdout;
    for word in ["mount", "umount"] {
        assert!(all.contains(word), "no {word} in: {all}");
    }
    assert_eq!(run(&mut run::aiozfs()).code(), Some(2), "without a command");
}

//! Archives read without a mount, by the real binary: `aiozfs ls`, `du`, `tree`, `info` and `cat`.

mod cat;
mod info;
mod library;
mod ls;
mod paths;
mod usage;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::common::tree::TempDir;
use crate::common::way::{Reached, Way};
use crate::common::{run, tree};

/// Runs `aiozfs` to its end. What it prints need not be text.
fn aiozfs(args: &[&str]) -> Output {
    let mut command = run::aiozfs();
    command.args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = run::within(Duration::from_secs(60), "aiozfs", move || command.output());
    ended.0.expect("the binary under test")
}

/// What it prints, if that is all that it does.
fn printed(args: &[&str]) -> Vec<u8> {
    let output = aiozfs(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{args:?}: {} {said}",
        output.status
    );
    output.stdout
}

/// Expects that it prints nothing but one line of what is wrong.
fn refused(args: &[&str]) -> String {
    let output = aiozfs(args);
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
    assert_eq!(output.stdout, b"", "{args:?}");
    assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    assert!(said.starts_with("aiozfs: "), "{said}");
    said
}

/// A command on an archive, got at in one way, with more arguments behind.
fn on<'a>(command: &'a str, reached: &'a Reached, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec![command];
    args.extend(reached.options.iter().map(String::as_str));
    args.push(&reached.source);
    args.extend(more);
    args
}

/// A folder, packed.
fn packed(folder: &Path, make: fn(&Path, &Path)) -> (TempDir, String) {
    let out = tree::temp();
    let archive = out.path().join("archive.zip");
    make(folder, &archive);
    let path = archive.to_str().expect("a plain path").to_owned();
    (out, path)
}

/// An archive of these bytes.
fn written(bytes: &[u8]) -> (TempDir, String) {
    let out = tree::temp();
    let archive = out.path().join("archive.zip");
    std::fs::write(&archive, bytes).expect("a file");
    let path = archive.to_str().expect("a plain path").to_owned();
    (out, path)
}

//! The exit codes that doc/REFERENCE.md lists, and that every command explains itself.

use std::fs;

use crate::common::run::{self, run};
use crate::common::tree;
use crate::common::zips::{Item, Zip};

/// The names of the commands below `command`, from its help.
fn commands(command: &[&str]) -> Vec<String> {
    let help = run(run::aiozfs().args(command).arg("--help"))
        .ok("help")
        .stdout;
    let Some((_, list)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_command_has_examples_in_its_help() {
    let names = commands(&[]);
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let below = commands(&[&name])
            .into_iter()
            .map(|sub| vec![name.clone(), sub]);
        for command in std::iter::once(vec![name.clone()]).chain(below) {
            let help = run(run::aiozfs().args(&command).arg("--help"))
                .ok("help")
                .stdout;
            let example = format!("  aiozfs {}", command.join(" "));
            let example = match command[0].as_str() {
                "completions" => "aiozfs completions",
                _ => &example,
            };
            assert!(
                help.contains("\nExamples:\n") && help.contains(example),
                "{command:?}: {help}"
            );
        }
    }
}

#[test]
fn exit_codes_are_those_of_the_reference() {
    let out = tree::temp();
    let (good, bad) = (out.path().join("good.zip"), out.path().join("bad.zip"));
    let zip = Zip::of([Item::new("f", "content")]);
    fs::write(&good, zip.clone().finish()).expect("an archive");
    let mut bytes = zip.finish();
    let at = bytes
        .windows(7)
        .position(|part| part == b"content")
        .expect("the data");
    bytes[at] ^= 1;
    fs::write(&bad, bytes).expect("an archive");
    let [good, bad] = [&good, &bad].map(|path| path.to_str().expect("a plain path"));
    let directory = out.path().to_str().expect("a plain path");
    let empty = out.path().join("empty");
    fs::create_dir(&empty).expect("a directory");
    let empty = empty.to_str().expect("a plain path");
    let list = out.path().join("list");
    fs::write(&list, "no source\n").expect("a list");
    let list = list.to_str().expect("a plain path");
    // Nothing listens there.
    let silent = "http://127.0.0.1:9";
    let table: &[(i32, &[&str])] = &[
        (0, &["ls", good]),
        (0, &["verify", good]),
        (0, &["--version"]),
        (0, &["help"]),
        (0, &["mount", "--fake", good, directory]),
        (1, &["ls", "/no/such.zip"]),
        (1, &["ls", good, "none"]),
        (1, &["tree", good, "none"]),
        (1, &["du", good, "*.mp4"]),
        (1, &["cat", bad, "f"]),
        (1, &["verify", bad]),
        (1, &["extract", bad, "-C", directory]),
        (1, &["umount", directory]),
        (1, &["status", directory]),
        (1, &["gateways", "--gateway", silent]),
        (1, &["cid", "/no/such/file"]),
        (1, &["pack", "/no/such/folder", "-"]),
        (1, &["mount", good, "/no/such/directory"]),
        (1, &["mount", "--each", "/no/such/place", empty]),
        (1, &["mount", "--each", silent, empty]),
        (1, &["mount", "--each", good, empty]),
        (1, &["mount", "--library", "/no/such/list", empty]),
        (1, &["mount", "--any", "--token-file", "/no/such", empty]),
        (1, &["serve", "--listen", "name.invalid:80", good]),
        (1, &["serve", "/no/such/file"]),
        (1, &["index", good, "-o", "/no/such/index"]),
        (1, &["ls", "--index", silent, good]),
        (2, &[]),
        (2, &["nothing"]),
        (2, &["ls"]),
        (2, &["ls", "--color=red", good]),
        (2, &["tree", "-L", "0", good]),
        (2, &["du", "-s", "-d", "1", good]),
        (2, &["fetch", good]),
        (2, &["mount", "--memory", "much", good, directory]),
        (2, &["gateways", "--check", "nothing"]),
        (2, &["gateways", "--gateway", "ftp://h"]),
        (2, &["mount", "--each", "nothing", empty]),
        (2, &["mount", "--each", "http://h:99999/", empty]),
        (2, &["mount", "--library", list, empty]),
        (2, &["mount", "--library", "nothing", empty]),
        (2, &["mount", "--metrics", "unix:", good, empty]),
        (2, &["serve", "--listen", "127.0.0.1:99999", good]),
        (2, &["ls", "http://h:99999/"]),
        (2, &["ls", "--endpoint-url", "ftp://h", "s3://b/k"]),
        (2, &["ls", "--profile", "none", "s3://b/k"]),
        (
            2,
            &["publish", "--endpoint-url", "ftp://h", good, "s3://b/k"],
        ),
    ];
    for (code, args) in table {
        let done = run(run::aiozfs().args(*args));
        assert_eq!(done.code(), Some(*code), "{args:?}: {}", done.stderr);
        // One line says what is wrong, or clap explains the arguments.
        if *code == 1 && args[0] != "verify" {
            let said = done.stderr.lines().next().unwrap_or_default();
            assert!(said.starts_with("aiozfs: "), "{args:?}: {}", done.stderr);
        }
    }
}

/// mount(8) takes 2 of its helper for an error of the system.
#[test]
fn arguments_that_clap_refuses_of_mount_end_with_the_code_of_mount() {
    let done = run(run::aiozfs().args(["mount.aiozfs", "a.zip", ""]));
    assert_eq!(done.code(), Some(1), "{}", done.stderr);
}

/// Each command takes the same patterns for the same files.
#[test]
fn patterns_mean_the_same_everywhere() {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    let names = [
        "a/1.ts", "a/2.ts", "a/b/3.ts", "c[1].txt", "c1.txt", "{d,e}",
    ];
    fs::write(
        &archive,
        Zip::of(names.map(|name| Item::new(name, name))).finish(),
    )
    .expect("an archive");
    let archive = archive.to_str().expect("a plain path");
    for (number, (patterns, expected)) in [
        (&["a"][..], &["a/1.ts", "a/2.ts", "a/b/3.ts"][..]),
        (&["a/*.ts"], &["a/1.ts", "a/2.ts"]),
        (&["**/[23].ts"], &["a/2.ts", "a/b/3.ts"]),
        (&["a/{1,b/3}.ts"], &["a/1.ts", "a/b/3.ts"]),
        // What exists is taken as it is.
        (&["c[1].txt"], &["c[1].txt"]),
        (&["{d,e}"], &["{d,e}"]),
        (&["c?.txt", "{d\\,e}"], &["c1.txt", "{d,e}"]),
    ]
    .into_iter()
    .enumerate()
    {
        let said = |command: &str, more: &[&str]| {
            let mut aiozfs = run::aiozfs();
            aiozfs.arg(command).args(more).arg(archive).args(patterns);
            let done = run(&mut aiozfs);
            assert_eq!(
                done.code(),
                Some(0),
                "{command} {patterns:?}: {}",
                done.stderr
            );
            done.stdout
        };
        let mut listed: Vec<_> = said("ls", &["-R"]).lines().map(str::to_owned).collect();
        listed.retain(|line| !line.ends_with('/'));
        assert_eq!(listed, expected, "ls {patterns:?}");
        let into = out.path().join(number.to_string());
        said("extract", &["-C", into.to_str().expect("a plain path")]);
        let mut files = tree::names(&into);
        files.retain(|name| into.join(name).is_file());
        let expected_files: Vec<_> = expected.iter().map(std::path::PathBuf::from).collect();
        assert_eq!(files, expected_files, "extract {patterns:?}");
        let verified: serde_json::Value =
            serde_json::from_str(&said("verify", &["--json"])).expect("JSON");
        assert_eq!(verified["files"], expected.len(), "verify {patterns:?}");
        let used: serde_json::Value = serde_json::from_str(&said("du", &["--json"])).expect("JSON");
        let counted: u64 = used
            .as_array()
            .expect("rows")
            .iter()
            .filter(|row| row["kind"] == "file" || row["path"] == "a")
            .filter_map(|row| row["files"].as_u64())
            .sum();
        assert_eq!(counted, expected.len() as u64, "du {patterns:?}: {used}");
        if !patterns.contains(&"a") {
            assert_eq!(said("cat", &[]), expected.concat(), "cat {patterns:?}");
        }
    }
}

//! What the program answers to a shell: values of options, names of the configuration, places, paths in archives.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::mount::Mount;
use crate::common::run::{self, run};
use crate::common::tree;
use crate::common::zips::{Item, Zip};

/// What the last of these words is completed to, without options.
fn completed(dir: &Path, words: &[&str]) -> Vec<String> {
    completed_by(run::aiozfs(), dir, words)
}

/// The same, with a program that has variables of its own.
fn completed_by(mut asked: Command, dir: &Path, words: &[&str]) -> Vec<String> {
    asked.current_dir(dir).args(["--", "aiozfs"]).args(words);
    asked.env("AIOZFS_COMPLETE", "fish");
    asked
        .env("HOME", dir)
        .env("XDG_CONFIG_HOME", dir.join("config"));
    asked.env("AWS_CONFIG_FILE", dir.join("aws"));
    let answer = run(&mut asked).ok("completion").stdout;
    let values = answer.lines().filter_map(|line| line.split('\t').next());
    let is_option = |value: &&str| {
        value.starts_with("-") && !words.last().is_some_and(|word| word.starts_with('-'))
    };
    values
        .filter(|value| !is_option(value))
        .map(str::to_owned)
        .collect()
}

#[test]
fn values_of_options_are_completed() {
    let dir = tree::temp();
    let at = |name: &str| dir.path().join(name);
    for name in ["config/aiozfs", "folder"] {
        fs::create_dir_all(at(name)).expect("a directory");
    }
    let zip = Zip::of([Item::new("one", "x"), Item::new("sub/two", "x")]).finish();
    fs::write(at("a.zip"), zip).expect("an archive");
    let config = "[gateway.near]\nurl = 'http://h'\n[store.disk]\n[archive.abc]\nsource = './a.zip'\n[library.films]\n";
    fs::write(at("config/aiozfs/config.toml"), config).expect("a configuration");
    fs::write(
        at("aws"),
        "[default]\n[profile work]\nregion = x\n[sso-session s]\n",
    )
    .expect("a file");
    let table: &[(&[&str], &[&str])] = &[
        (
            &["ls", "--encoding", "cp86"],
            &[
                "cp860", "cp861", "cp862", "cp863", "cp864", "cp865", "cp866", "cp869",
            ],
        ),
        (&["mount", "--xattrs", ""], &["yes", "no"]),
        (
            &["mount", "-o", "offline,verify=t"],
            &["offline,verify=trustless"],
        ),
        (&["mount", "--gateway", ""], &["near"]),
        (&["gateways", "--gateway", "n"], &["near"]),
        (&["publish", "--store", ""], &["disk"]),
        (&["ls", "--profile", ""], &["default", "work"]),
        (&["cid", "--profile", "k"], &["kubo-1mib-174"]),
        (&["mount", "--library", "f"], &["folder/", "films"]),
        (&["mount", "--each", "f"], &["folder/"]),
        (
            &["mount", "--add", "name=a"],
            &["name=a.zip", "name=aws", "name=abc"],
        ),
        (&["ls", "--index", "a."], &["a.zip"]),
        (&["mount", "a.zip", "a"], &[]),
        (&["mount", "a.zip", "f"], &["folder/"]),
        (&["pack", "f"], &["folder/"]),
        (&["trace", "--only", "read,d"], &["read,demand"]),
        (
            &["ls", "--color="],
            &["--color=auto", "--color=always", "--color=never"],
        ),
        // WHEN would be an archive here.
        (&["ls", "--color", "a"], &["a.zip", "aws", "abc"]),
        (&["cat", "a.zip", ""], &["one", "sub/"]),
        (&["cat", "a.zip", "sub/"], &["sub/two"]),
        // A value of an option was taken for the archive.
        (&["extract", "-C", "folder", "a.zip", "o"], &["one"]),
        (
            &["ls", "--cache-dir", "folder", "--memory=64M", "abc", "s"],
            &["sub/"],
        ),
        (
            &["ls", "-l", "--color=always", "a.zip", "one", "s"],
            &["sub/"],
        ),
    ];
    for (words, expected) in table {
        assert_eq!(completed(dir.path(), words), *expected, "{words:?}");
    }
}

#[test]
fn mountpoints_and_cached_archives_are_completed() {
    let dir = tree::temp();
    fs::write(
        dir.path().join("a.zip"),
        Zip::of([Item::new("f", "x")]).finish(),
    )
    .expect("an archive");
    let mount = Mount::new(dir.path().join("a.zip"));
    let (above, name) = (mount.path().parent(), mount.path().file_name());
    let name = name.and_then(|name| name.to_str()).expect("a plain name");
    for command in ["umount", "status", "trace", "reload"] {
        let found = completed(
            above.expect("a directory"),
            &[command, &name[..name.len() - 2]],
        );
        assert_eq!(found, [name], "{command}");
        let whole = mount.path().to_str().expect("a plain path");
        assert_eq!(
            completed(dir.path(), &[command, whole]),
            [whole],
            "{command}"
        );
    }
    let node = crate::common::fault::FaultNode::start(Zip::of([Item::new("f", "x")]).finish());
    let mut ls = run::aiozfs();
    ls.args(["ls", "--cache-size=1G", &node.url()])
        .env("HOME", dir.path());
    run(&mut ls).ok("ls");
    for command in ["pin", "unpin", "rm", "verify"] {
        let found = completed(dir.path(), &["cache", command, "http"]);
        assert_eq!(found, [node.url()], "{command}");
    }
}

/// Only archives in the usual cache were completed, and a tab removed caches of other formats and changed modes.
#[test]
fn archives_in_a_named_cache_are_completed_and_the_cache_stays_as_it_is() {
    let dir = tree::temp();
    let place = dir.path().join("place");
    let place_text = place.to_str().expect("a plain path");
    let node = crate::common::fault::FaultNode::start(Zip::of([Item::new("f", "x")]).finish());
    let mut ls = run::aiozfs();
    ls.args([
        "ls",
        "--cache-size=1G",
        "--cache-dir",
        place_text,
        &node.url(),
    ]);
    run(&mut ls).ok("ls");
    let other = place.join("v0/file");
    tree::write(&place, "v0/file", b"old");
    let by_option = || {
        let words = ["cache", "pin", "--cache-dir", place_text, "http"];
        completed(dir.path(), &words)
    };
    assert_eq!(by_option(), [node.url()]);
    let mut named = run::aiozfs();
    named.env("AIOZFS_CACHE_DIR", &place);
    let by_variable = completed_by(named, dir.path(), &["cache", "rm", "http"]);
    assert_eq!(by_variable, [node.url()]);
    assert_eq!(completed(dir.path(), &["cache", "rm", "http"]), [""; 0]);
    assert!(other.exists());
    // What others had access to is not believed.
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(place.join("v1"), open).expect("a mode");
    assert_eq!(by_option(), [""; 0]);
    let mode = fs::metadata(place.join("v1"))
        .expect("it is there")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o755);
    // Nor is one made.
    let missing = dir.path().join("missing");
    let mut named = run::aiozfs();
    named.env("AIOZFS_CACHE_DIR", &missing);
    assert_eq!(
        completed_by(named, dir.path(), &["cache", "rm", "http"]),
        [""; 0]
    );
    assert!(!missing.exists());
}

//! Files that options and the configuration name: an error says which option or key named the file, and what is wrong.

use std::fs;

use crate::common::mount::MountPoint;
use crate::common::run::{self, run};
use crate::common::tree;
use crate::common::zips::{Item, Zip};

/// What is wrong with a file, and what a reader of it says.
const READ: [(&str, &str); 5] = [
    ("missing", "there is no such file"),
    ("directory", "it is a directory, not a file"),
    // Reading it fails, also for root.
    ("/proc/self/mem", "it cannot be read"),
    ("empty", "empty"),
    // Its size is said to be 0, and it has no end: reading all of it took all memory.
    ("/dev/zero", "it has more than 4194304 bytes"),
];

/// "/home/me/token: No such file or directory" told neither which of several options was wrong, nor, of an empty
/// token file, anything at all: requests were sent without a token.
#[test]
fn errors_of_files_name_the_option_and_the_fault() {
    let dir = tree::temp();
    fs::create_dir(dir.path().join("directory")).expect("a directory");
    fs::write(dir.path().join("empty"), "").expect("a file");
    fs::write(
        dir.path().join("a.zip"),
        Zip::of([Item::new("f", "x")]).finish(),
    )
    .expect("an archive");
    let point = MountPoint::new();
    let at = point.path().to_str().expect("a plain path");
    let url = "http://127.0.0.1:9/a.zip";
    let no_certificate = "it has no certificate";
    let no_index = "it is not an index file";
    let table: &[(&[&str], &str, &str)] = &[
        (
            &["ls", "--password-file", "FILE", "a.zip"],
            "--password-file FILE",
            "empty",
        ),
        (
            &["ls", "--token-file", "FILE", url],
            "--token-file FILE",
            "empty",
        ),
        (
            &["ls", "--ca-file", "FILE", url],
            "--ca-file FILE",
            no_certificate,
        ),
        (
            &["ls", "--index", "./FILE", "a.zip"],
            "--index ./FILE",
            no_index,
        ),
        (
            &["mount", "-o", "index=./FILE", "a.zip", at],
            "-o index=./FILE",
            no_index,
        ),
        (
            &["mount", "-o", "password-file=FILE", "a.zip", at],
            "-o password-file=FILE",
            "empty",
        ),
        (
            &["mount", "--any", "--password-file", "FILE", at],
            "--password-file FILE",
            "empty",
        ),
        (
            &["mount", "--any", "--token-file", "FILE", at],
            "--token-file FILE",
            "empty",
        ),
        (
            &["mount", "--any", "--ca-file", "FILE", at],
            "--ca-file FILE",
            no_certificate,
        ),
    ];
    for (args, named, of_empty) in table {
        for (file, why) in READ {
            // A path that begins with '/' stays one.
            let with = |text: &str| text.replace("./FILE", &local(file)).replace("FILE", file);
            let done = run(run::aiozfs()
                .current_dir(dir.path())
                .args(args.iter().map(|arg| with(arg))));
            let said = &done.stderr;
            // What is written in a file is as wrong as an argument. The program itself wrote the index.
            let is_content = ["empty", "/dev/zero"].contains(&file) && *of_empty != no_index;
            let code = if is_content { 2 } else { 1 };
            assert_eq!(done.code(), Some(code), "{args:?}, {file}: {said}");
            let why = match file {
                "empty" => of_empty,
                "/dev/zero" if *of_empty == no_index => no_index,
                _ => why,
            };
            let expected = format!("aiozfs: {}: ", with(named));
            assert!(said.starts_with(&expected), "{expected}: {said}");
            assert!(said.contains(why), "{why}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        assert!(!point.is_mounted(), "{args:?}");
    }
}

/// The same path, so that it is a file and nothing else to `--index`.
fn local(file: &str) -> String {
    if file.starts_with('/') {
        file.to_owned()
    } else {
        format!("./{file}")
    }
}

#[test]
fn errors_of_configured_files_name_the_key() {
    let dir = tree::temp();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().expect("a plain path");
    let archive = dir.path().join("a.zip");
    fs::write(&archive, Zip::of([Item::new("f", "x")]).finish()).expect("an archive");
    let archive = archive.to_str().expect("a plain path");
    let config = dir.path().join("aiozfs/config.toml");
    fs::create_dir(dir.path().join("aiozfs")).expect("a directory");
    let point = MountPoint::new();
    let at = point.path().to_str().expect("a plain path");
    let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    for (text, args, key) in [
        (
            format!("[archive.film]\nsource = '{archive}'\npassword-file = '{missing}'"),
            &["ls", "film"][..],
            "[archive.film] password-file",
        ),
        (
            format!("[gateway.near]\nurl = 'http://127.0.0.1:9'\ntoken-file = '{missing}'"),
            &["ls", cid],
            "[gateway.near] token-file",
        ),
        (
            format!("[mount]\nca-file = '{missing}'"),
            &["ls", "http://127.0.0.1:9/"],
            "[mount] ca-file",
        ),
        (
            format!("[library.films]\nlist = '{missing}'"),
            &["mount", "--library", "films", at],
            "[library.films] list",
        ),
    ] {
        fs::write(&config, text).expect("a configuration");
        let done = run(run::aiozfs().env("XDG_CONFIG_HOME", dir.path()).args(args));
        assert_eq!(done.code(), Some(1), "{args:?}: {}", done.stderr);
        let expected = format!("aiozfs: {key} {missing}: there is no such file\n");
        assert_eq!(done.stderr, expected);
    }
}

/// The same wrong token ended with 2 if a variable had it, and with 1 if a file had it.
#[test]
fn a_wrong_token_ends_with_the_same_code_wherever_it_is() {
    let dir = tree::temp();
    let (token, config) = (dir.path().join("token"), dir.path().join("aiozfs"));
    let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    let token_text = token.to_str().expect("a plain path");
    fs::create_dir(&config).expect("a directory");
    let table = format!("[gateway.near]\nurl = 'http://127.0.0.1:9'\ntoken-file = '{token_text}'");
    fs::write(config.join("config.toml"), table).expect("a configuration");
    for content in [&b"a\x01b"[..], b"\xff", b" \n"] {
        fs::write(&token, content).expect("a token");
        let url = "http://127.0.0.1:9/a.zip";
        for args in [&["ls", "--token-file", token_text, url][..], &["ls", cid]] {
            let mut ls = run::aiozfs();
            let done = run(ls.args(args).env("XDG_CONFIG_HOME", dir.path()));
            assert_eq!(done.code(), Some(2), "{args:?}: {}", done.stderr);
            assert!(done.stderr.contains(token_text), "{}", done.stderr);
        }
    }
    let mut ls = run::aiozfs();
    let done = run(ls
        .args(["ls", "http://127.0.0.1:9/"])
        .env("AIOZFS_TOKEN", "a\u{1}b"));
    assert_eq!(done.code(), Some(2), "{}", done.stderr);
}

#[test]
fn errors_of_files_to_write_name_the_option() {
    let dir = tree::temp();
    fs::create_dir(dir.path().join("directory")).expect("a directory");
    let archive = dir.path().join("a.zip");
    fs::write(&archive, Zip::of([Item::new("f", "x")]).finish()).expect("an archive");
    let point = MountPoint::new();
    let at = point.path().to_str().expect("a plain path");
    for (file, why) in [
        ("/no/such/file", "its directory does not exist"),
        ("directory", "it is a directory, not a file"),
    ] {
        for (args, option) in [
            (&["index", "a.zip", "-o", file][..], "--output"),
            (&["mount", "--log-file", file, "a.zip", at], "--log-file"),
        ] {
            let done = run(run::aiozfs().current_dir(dir.path()).args(args));
            assert_eq!(done.code(), Some(1), "{args:?}: {}", done.stderr);
            let (said, parts) = (&done.stderr, [option, file, why]);
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
    }
}

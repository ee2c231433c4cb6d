//! A store of another maker: `rclone serve s3`, which checks signatures.

use std::fs;

use super::*;
use crate::common::mount::Mount;
use crate::common::rclone::{KEY, Rclone, SECRET};

/// Names whose encoding in the URL and in the signature must be the same.
const NAMES: [&str; 3] = ["a.zip", "my film+é (1) ~%20.zip", "sub/=&@:,;!'*$.zip"];

#[test]
fn objects_with_any_name_are_mounted() {
    let folder = tree::temp();
    for name in NAMES {
        tree::write(folder.path(), &format!("films/{name}"), &archive());
    }
    let store = Rclone::serve(folder.path());
    let env = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL_S3", store.base.as_str()),
        ("AWS_REGION", "us-east-1"),
    ];
    for name in NAMES {
        let source = format!("s3://films/{name}");
        let mount = Mount::with_env(&source, &["--connections", "4"], &env);
        let read = fs::read(mount.join("b.bin")).expect(name);
        assert!(read == tree::bytes(3, 3_000_000), "{name}: other bytes");
        mount.assert_no_complaint();
        mount.end();
    }
    // fstab's form, and the commands without a mount.
    let options = format!("-orw,endpoint_url={},region=us-east-1", store.base);
    let mount = Mount::with_env("s3://films/a.zip", &[&options], &env[..2]);
    assert_eq!(fs::read(mount.join("a.txt")).expect("a file"), b"hello\n");
    mount.end();
    for command in [&["info"][..], &["verify"], &["ls", "-l"]] {
        let mut run = run::aiozfs();
        run.envs(env).args(command).arg("s3://films/a.zip");
        run::run(&mut run).ok(command[0]);
    }
    let mut cat = run::aiozfs();
    let cat = run::run(cat.envs(env).args(["cat", "s3://films/a.zip", "a.txt"]));
    assert_eq!(cat.ok("cat").stdout, "hello\n");
}

#[test]
fn what_rclone_refuses_is_told() {
    let folder = tree::temp();
    tree::write(folder.path(), "films/a.zip", &archive());
    let store = Rclone::serve(folder.path());
    let ls = |key: &str, secret: &str, source: &str| {
        let mut command = run::aiozfs();
        command
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", secret);
        let done = run::run(command.args(["ls", "--endpoint-url", &store.base, source]));
        assert_eq!(done.code(), Some(1), "{done:?}");
        done.stderr
    };
    for (error, part) in [
        (ls(KEY, "wrong", SOURCE), "SignatureDoesNotMatch"),
        (ls("AKOTHER", SECRET, SOURCE), "InvalidAccessKeyId"),
        (ls(KEY, SECRET, "s3://films/b.zip"), "NoSuchKey"),
        (ls(KEY, SECRET, "s3://music/a.zip"), "NoSuchBucket"),
    ] {
        assert!(error.contains(part), "{part}: {error}");
        assert!(!error.contains(SECRET), "{error}");
    }
}

/// `[store.NAME]` and `[archive.NAME]` in the configuration.
#[test]
fn a_store_of_the_configuration() {
    let (folder, config) = (tree::temp(), tree::temp());
    tree::write(folder.path(), "films/a.zip", &archive());
    let store = Rclone::serve(folder.path());
    let text = format!(
        "[store.near]\nendpoint = \"{}\"\nregion = \"us-east-1\"\naddressing = \"path\"\n\
         [archive.holiday]\nsource = \"{SOURCE}\"\nstore = \"near\"\n",
        store.base
    );
    tree::write(config.path(), "aiozfs/config.toml", text.as_bytes());
    for args in [&["holiday"][..], &["--store", "near", SOURCE], &[SOURCE]] {
        let mut command = run::aiozfs();
        command.env("XDG_CONFIG_HOME", config.path());
        command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        run::run(command.arg("ls").args(args)).ok(args[0]);
    }
}

//! Stores of other makers: `rclone serve s3` and s3s-fs, which check signatures; Azurite; an emulator of
//! Google Cloud Storage.

use std::fs;

use super::*;
use crate::common::emulators::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite, google, s3s_fs};
use crate::common::mount::Mount;
use crate::common::rclone::{KEY, Rclone, SECRET};

/// Names whose encoding in the URL and in the signature must be the same.
const NAMES: [&str; 3] = ["a.zip", "my film+é (1) ~%20.zip", "sub/=&@:,;!'*$.zip"];

#[test]
fn objects_with_any_name_are_mounted_from_rclone() {
    let folder = films();
    let store = Rclone::serve(folder.path());
    objects_are_mounted(&store.base);
}

#[test]
fn objects_with_any_name_are_mounted_from_s3s() {
    let folder = films();
    let store = s3s_fs(folder.path());
    objects_are_mounted(&store.base);
}

/// The bucket `films` with the archive under each of [`NAMES`].
fn films() -> tree::TempDir {
    let folder = tree::temp();
    for name in NAMES {
        tree::write(folder.path(), &format!("films/{name}"), &archive());
    }
    folder
}

fn objects_are_mounted(endpoint: &str) {
    let env = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL_S3", endpoint),
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
    let options = format!("-orw,endpoint_url={endpoint},region=us-east-1");
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

/// s3s-fs says NoSuchKey of an absent bucket, too.
#[test]
fn what_s3s_refuses_is_told() {
    let folder = films();
    let store = s3s_fs(folder.path());
    for (secret, source, part) in [
        ("wrong", SOURCE, "SignatureDoesNotMatch"),
        (SECRET, "s3://films/b.zip", "NoSuchKey"),
    ] {
        let mut command = run::aiozfs();
        command.env("AWS_ACCESS_KEY_ID", KEY);
        command.env("AWS_SECRET_ACCESS_KEY", secret);
        let done = run::run(command.args(["ls", "--endpoint-url", &store.base, source]));
        assert_eq!(done.code(), Some(1), "{done:?}");
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
}

/// A listing of a whole container was refused: Azurite leaves parameters without a value out of what is signed,
/// and `prefix=` was sent.
#[test]
fn azurite_lists_and_gives_a_blob() {
    let (data, name) = (tree::temp(), "my film+é.zip");
    let store = Azurite::with_object(data.path(), name, &archive());
    let aiozfs = |args: &[&str]| {
        let mut command = run::aiozfs();
        command.env("AZURE_STORAGE_ACCOUNT", AZURITE_ACCOUNT);
        command.env("AZURE_STORAGE_KEY", AZURITE_KEY);
        command.args(args).args(["--endpoint-url", &store.endpoint]);
        run::run(&mut command).ok(args[0]).stdout
    };
    assert_eq!(aiozfs(&["ls", "az://films/"]), format!("{name}\n"));
    let blob = format!("az://films/{name}");
    assert_eq!(aiozfs(&["cat", &blob, "a.txt"]), "hello\n");
    aiozfs(&["verify", &blob]);
}

#[test]
fn the_emulator_of_google_gives_an_object() {
    let folder = tree::temp();
    tree::write(folder.path(), "a.zip", &archive());
    let store = google("my%20film.zip", &folder.path().join("a.zip"));
    for args in [&["cat"][..], &["verify"]] {
        let mut command = run::aiozfs();
        command.env("STORAGE_EMULATOR_HOST", &store.base);
        command
            .args(args)
            .args(["--anonymous", "gs://films/my film.zip"]);
        if args[0] == "cat" {
            command.arg("a.txt");
        }
        run::run(&mut command).ok(args[0]);
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

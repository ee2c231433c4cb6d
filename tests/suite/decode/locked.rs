//! Entries of every method and encryption through a real mount and the commands, and their passwords.

use std::fs::{self, File};
use std::path::Path;

use rustix::io::Errno;

use super::input::Data;
use crate::archive::drive;
use crate::common::coded::{self, Cipher, Coded, PASSWORD};
use crate::common::mount::{Mount, xattr};
use crate::common::run::{self, aiozfs, run};
use crate::common::{archives, tree};

/// A file with this password.
fn password_file(dir: &Path, password: &str) -> String {
    let path = dir.join(format!("password {}", password.len()));
    fs::write(&path, format!("{password}\n")).expect("a file");
    path.to_str().expect("plain").to_owned()
}

/// Makes `text.txt` and others into an archive of the first kind that fits.
fn archive_of(dir: &Path, is_it: impl Fn(&Coded) -> bool) -> String {
    let source = tree::temp();
    coded::sample(source.path());
    let kind = coded::all().into_iter().find(is_it).expect("a kind");
    let archive = dir.join("archive.zip");
    kind.make(source.path(), &archive);
    archive.to_str().expect("plain").to_owned()
}

#[test]
fn every_method_and_encryption_reads_the_same_through_a_mount() {
    let (source, out) = (tree::temp(), tree::temp());
    coded::sample(source.path());
    let password = password_file(out.path(), PASSWORD);
    let archive = |at: usize| out.path().join(format!("{at}.zip"));
    let kinds: Vec<_> = coded::all().into_iter().enumerate().collect();
    for (at, coded) in &kinds {
        coded.make(source.path(), &archive(*at));
    }
    let kinds = kinds.into_iter().map(|(at, coded)| (at, coded.name));
    run::each(kinds.collect(), 4, |(at, name)| {
        let mount = Mount::with(archive(at), &["--password-file", &password]);
        tree::assert_same(&name, source.path(), mount.path());
        let text = fs::read(source.path().join("text.txt")).expect("the source");
        tree::assert_random_reads(&mount.join("text.txt"), &text, 20);
        mount.assert_no_complaint();
    });
}

#[test]
fn without_the_right_password_open_is_refused() {
    let dir = tree::temp();
    let archive = archive_of(dir.path(), |coded| matches!(coded.cipher, Cipher::Aes(_)));
    let wrong = password_file(dir.path(), "wrong");
    for (args, word) in [
        (&[][..], "--password-file"),
        (&["--password-file", &*wrong], "the password is wrong"),
    ] {
        let mount = Mount::with(&archive, args);
        let listed = fs::metadata(mount.join("text.txt")).expect("listed");
        assert!(listed.len() > 100_000);
        let error = File::open(mount.join("text.txt")).expect_err("locked");
        assert_eq!(error.raw_os_error(), Some(Errno::ACCESS.raw_os_error()));
        let said = mount.log_lines("text.txt");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(word), "{said:?}");
    }
}

/// Opening compares one byte, which one wrong password in 256 has by chance. Then the CRC-32, or the decoder, finds it
/// out when the file is read.
#[test]
fn a_wrong_password_that_passes_by_chance_is_an_io_error_with_one_line() {
    let dir = tree::temp();
    let archive = archive_of(dir.path(), |coded| coded.name == "zip -e");
    let blob = fs::read(&archive).expect("an archive");
    let index = drive::index(&blob, "", || usize::MAX).expect("an index");
    let text = Data::all(&index, &blob)
        .into_iter()
        .find(|data| data.name == "text.txt");
    let text = text.expect("an entry");
    let passes = |wrong: &String| text.open_with(wrong, None).is_ok();
    let wrong = (0..)
        .map(|n| format!("wrong {n}"))
        .find(passes)
        .expect("one in 256");
    let mount = Mount::with(
        &archive,
        &["--password-file", &password_file(dir.path(), &wrong)],
    );
    let error = fs::read(mount.join("text.txt")).expect_err("other bytes");
    assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
    let said = mount.log_lines("text.txt");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("or the password is wrong"), "{said:?}");
}

#[test]
fn the_password_is_in_no_argument_and_no_log() {
    let dir = tree::temp();
    let archive = archive_of(dir.path(), |coded| coded.name == "zip -e");
    let password = password_file(dir.path(), PASSWORD);
    let options = format!("password-file={password}");
    let mount = Mount::with(&archive, &["-vvv", "-o", &options]);
    fs::read(mount.join("text.txt")).expect("its content");
    let arguments = fs::read(format!("/proc/{}/cmdline", mount.pid())).expect("arguments");
    let said = format!("{}{}", String::from_utf8_lossy(&arguments), mount.log());
    assert!(!said.contains(PASSWORD), "{said}");
    let method = xattr(&mount.join("text.txt"), "method").expect("an attribute");
    assert_eq!(method, "deflated, ZipCrypto");
    assert_eq!(xattr(&mount.join("text.txt"), "range"), Err(Errno::NODATA));
}

#[test]
fn commands_take_the_password_from_variable_file_or_configuration() {
    let (source, dir) = (tree::temp(), tree::temp());
    archives::mixed(source.path(), &dir.path().join("mixed.zip"));
    let archive = dir.path().join("mixed.zip");
    let archive = archive.to_str().expect("plain");
    let password = password_file(dir.path(), "secret");
    let content = "encrypted.txt".repeat(1000);
    let cat = ["cat", archive, "encrypted.txt"];
    let said = run(aiozfs().args(cat).env("AIOZFS_PASSWORD", "secret")).ok("cat");
    assert_eq!(said.stdout, content);
    let said = run(aiozfs().args(cat).args(["--password-file", &password])).ok("cat");
    assert_eq!(said.stdout, content);
    let config = dir.path().join("aiozfs");
    fs::create_dir(&config).expect("a directory");
    let text = format!("[archive.mine]\nsource = '{archive}'\npassword-file = '{password}'\n");
    fs::write(config.join("config.toml"), text).expect("a file");
    for name in ["mine", archive] {
        let mut command = aiozfs();
        command.env("XDG_CONFIG_HOME", dir.path());
        let said = run(command.args(["cat", name, "encrypted.txt"])).ok("cat");
        assert_eq!(said.stdout, content);
    }

    let none = run(aiozfs().args(cat));
    assert_eq!((none.code(), &*none.stdout), (Some(1), ""));
    assert!(none.stderr.contains("--password-file"), "{}", none.stderr);
    let empty = dir.path().join("empty");
    fs::write(&empty, "\nsecret\n").expect("a file");
    let empty = run(aiozfs().args(cat).arg("--password-file").arg(&empty));
    assert_eq!(empty.code(), Some(2));
    assert!(empty.stderr.contains("first line"), "{}", empty.stderr);

    let verify = ["verify", archive];
    let said = run(aiozfs().args(verify).env("AIOZFS_PASSWORD", "secret")).ok("verify");
    assert!(said.stdout.contains("3 entries"), "{}", said.stdout);
    let none = run(aiozfs().args(verify));
    assert!(none.stdout.contains("--password-file"), "{}", none.stdout);
}

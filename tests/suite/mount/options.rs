//! What a mount shows of an archive's attributes, and the options that change it: encodings of
//! names, owners, symbolic links, times.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::common::fault::FaultNode;
use crate::common::mount::Mount;
use crate::common::run::{self, run};
use crate::common::tree::TempDir;
use crate::common::zips::{DOS, Item, Zip, extra};
use crate::common::{archives, tree};
use rustix::io::Errno;

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let out = tree::temp();
    let archive = out.path().join("archive.zip");
    fs::write(&archive, bytes).expect("a file");
    (out, archive)
}

/// Two films as a Russian Windows would name them, in the code page that DOS had there.
fn russian() -> (TempDir, PathBuf) {
    let names: [&[u8]; 2] = [
        b"\x94\xa8\xab\xec\xac\xeb\\\x8f\xe0\xa8\xa2\xa5\xe2 \xac\xa8\xe0.mp4",
        b"\x94\xa8\xab\xec\xac\xeb\\\x82\xe2\xae\xe0\xa0\xef \xe1\xa5\xe0\xa8\xef.mp4",
    ];
    let items = names.map(|name| Item::new(name, "film").with(|item| item.made_by = DOS));
    written(&Zip::of(items).finish())
}

#[test]
fn names_are_decoded_as_the_option_says() {
    let (out, archive) = russian();
    let right = ["Фильмы", "Фильмы/Вторая серия.mp4", "Фильмы/Привет мир.mp4"];
    let right = right.map(PathBuf::from);
    let check = |mount: &Mount, what: &str| {
        assert_eq!(tree::names(mount.path()), right, "{what}");
        let film = fs::read(mount.join(&right[2])).expect("a film");
        assert_eq!(film, b"film", "{what}");
    };
    for args in [
        ["--encoding", "cp866"],
        ["--encoding", "CP866"],
        ["--encoding", "ibm866"],
        ["--encoding", "auto"],
        ["-o", "encoding=cp866"],
    ] {
        check(&Mount::with(&archive, &args), &args.join(" "));
    }
    let config = out.path().join("aiozfs");
    fs::create_dir(&config).expect("a directory");
    let text = "[mount]\nencoding = \"cp866\"\n";
    fs::write(config.join("config.toml"), text).expect("a file");
    let home = out.path().to_str().expect("plain");
    let configured = Mount::with_env(&archive, &[], &[("XDG_CONFIG_HOME", home)]);
    check(&configured, "the configuration");
    // The command line wins over it.
    let args = ["-o", "encoding=cp437"];
    let other = Mount::with_env(&archive, &args, &[("XDG_CONFIG_HOME", home)]);
    assert!(!other.join("Фильмы").exists());
    // What the specification says, if nobody says anything else.
    assert!(Mount::new(&archive).join("ö¿½∞¼δ").is_dir());
}

#[test]
fn names_are_decoded_alike_without_a_mount() {
    let (_out, archive) = russian();
    let archive = archive.to_str().expect("plain");
    let path = "Фильмы/Привет мир.mp4";
    let aiozfs = |args: &[&str]| run(run::aiozfs().args(args)).ok("aiozfs").stdout;
    let listed = aiozfs(&["ls", "-R", "--encoding", "cp866", archive]);
    assert!(listed.contains(path), "{listed}");
    let film = aiozfs(&["cat", "--encoding", "auto", archive, path]);
    assert_eq!(film, "film");
    aiozfs(&["info", "--encoding", "cp866", archive]);
}

#[test]
fn an_unknown_encoding_is_an_error_that_lists_all() {
    let (_out, archive) = russian();
    let point = crate::common::mount::MountPoint::new();
    let mut commands = Vec::new();
    for command in ["ls", "info", "mount", "mount -o"] {
        let mut aiozfs = run::aiozfs();
        match command {
            "mount -o" => aiozfs.args(["mount", "-o", "encoding=klingon"]),
            command => aiozfs.args([command, "--encoding", "klingon"]),
        };
        aiozfs.arg(&archive);
        if command.starts_with("mount") {
            aiozfs.arg(point.path());
        }
        commands.push(aiozfs);
    }
    for mut command in commands {
        let failed = run(&mut command);
        assert_eq!(failed.code(), Some(2), "{command:?}");
        for word in [
            "'klingon'",
            "auto",
            "cp850",
            "cp866",
            "Shift_JIS",
            "windows-1252",
        ] {
            assert!(
                failed.stderr.contains(word),
                "{command:?}: {}",
                failed.stderr
            );
        }
    }
    assert!(!point.is_mounted());
}

#[test]
fn owners_are_the_mounter_unless_options_say_archive() {
    let sized = |uid: u8, gid: u8| extra(0x7875, &[1, 1, uid, 1, gid]);
    let owned = |name: &str, owner: (u8, u8)| {
        Item::new(name, "").with(|item| item.extra = sized(owner.0, owner.1))
    };
    let zip = Zip::of([
        owned("dir/", (11, 12)),
        owned("dir/file", (21, 22)),
        Item::new("nobody's", ""),
    ]);
    let (_out, archive) = written(&zip.finish());
    let owner = |mount: &Mount, name: &str| {
        let meta = fs::metadata(mount.join(name)).expect(name);
        (meta.uid(), meta.gid())
    };
    let given = ["-o", "owner=archive,uid=77,gid=78"];
    let archives = Mount::with(&archive, &given);
    assert_eq!(owner(&archives, "dir"), (11, 12));
    assert_eq!(owner(&archives, "dir/file"), (21, 22));
    assert_eq!(owner(&archives, "nobody's"), (77, 78));
    assert_eq!(owner(&archives, "."), (77, 78));
    let own = (
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw(),
    );
    for args in [&[][..], &["-o", "owner=mounter"]] {
        let mount = Mount::with(&archive, args);
        for name in ["dir", "dir/file", "nobody's"] {
            assert_eq!(owner(&mount, name), own, "{args:?} {name}");
        }
    }
}

#[test]
fn owners_of_info_zip_equal_the_source() {
    let source = tree::temp();
    tree::write(source.path(), "file", b"x");
    let file = source.path().join("file");
    // Only root may give files away; for other users all files have one owner.
    let is_root = rustix::process::geteuid().is_root();
    let want = if is_root { Some(1234) } else { None };
    std::os::unix::fs::chown(&file, want, want).expect("an owner");
    let (out, meta) = (tree::temp(), fs::metadata(&file).expect("a file"));
    for (what, make) in [
        ("zip", archives::info_zip as archives::Maker),
        ("bsdtar", archives::bsdtar),
    ] {
        let archive = out.path().join(format!("{what}.zip"));
        make(source.path(), &archive);
        let mount = Mount::with(&archive, &["-o", "owner=archive,uid=1,gid=1"]);
        let shown = fs::metadata(mount.join("file")).expect("a file");
        assert_eq!(
            (shown.uid(), shown.gid()),
            (meta.uid(), meta.gid()),
            "{what}"
        );
    }
}

#[test]
fn symbolic_links_are_followed_as_the_option_says() {
    let source = tree::temp();
    tree::write(source.path(), "dir/file", b"content");
    for (target, link) in [
        ("dir/file", "inside"),
        ("/etc/hostname", "absolute"),
        ("../../outside", "dir/outside"),
    ] {
        symlink(target, source.path().join(link)).expect("a link");
    }
    let (out, denied) = (tree::temp(), Some(Errno::ACCESS.raw_os_error()));
    let archive = out.path().join("archive.zip");
    archives::info_zip(source.path(), &archive);
    for (option, followed) in [
        ("symlinks=none", [false, false, false]),
        ("symlinks=inside", [true, false, false]),
        ("symlinks=all", [true, true, true]),
    ] {
        let mount = Mount::with(&archive, &["-o", option]);
        for (name, is_followed) in ["inside", "absolute", "dir/outside"].iter().zip(followed) {
            let path = mount.join(name);
            let meta = fs::symlink_metadata(&path).expect("nothing is hidden");
            assert!(meta.is_symlink(), "{option} {name}");
            match fs::read_link(&path) {
                Ok(target) => {
                    let expected = fs::read_link(source.path().join(name)).expect("a link");
                    assert!(is_followed && target == expected, "{option} {name}");
                }
                Err(e) => {
                    assert!(!is_followed, "{option} {name}: {e}");
                    assert_eq!(e.raw_os_error(), denied, "{option} {name}");
                    let said = mount.log_lines(name);
                    assert!(said[0].contains("symlinks="), "{said:?}");
                }
            }
        }
    }
}

#[test]
fn a_target_is_fetched_at_the_first_readlink_and_kept() {
    let link = |name: &str, target: &str| {
        Item::new(name, target).with(|item| item.external = 0o120_777 << 16)
    };
    let mut zip = Zip::of([link("link", "far/away"), link("long", &"x/".repeat(2048))]);
    // What comes along with the end of the archive would cost nothing.
    zip.add(&Item::new("filler", vec![7; 300_000]));
    let node = FaultNode::start(zip.finish());
    let mount = Mount::new(node.url());
    let mut ls = run::tool("ls");
    run(ls.arg("-R").arg(mount.path())).ok("ls");
    let before = node.requests();
    let read = || fs::read_link(mount.join("link")).expect("a target");
    assert_eq!(read(), Path::new("far/away"));
    let after = node.requests();
    assert!(after > before, "it was not there before");
    for _ in 0..10 {
        assert_eq!(read(), Path::new("far/away"));
    }
    assert_eq!(node.requests(), after);
    // 4,096 bytes are more than a path may have, and are not even fetched.
    let long = fs::read_link(mount.join("long")).expect_err("too long");
    assert_eq!(long.raw_os_error(), Some(Errno::ACCESS.raw_os_error()));
    assert_eq!(node.requests(), after);
}

/// fuser lets all users through to itself then, and refuses others one call at a time. The kernel
/// must ask for each directory that is opened, or it would list what it has cached.
#[test]
fn allow_root_refuses_other_users() {
    let (_out, archive) = written(&Zip::of([Item::new("dir/file", "x")]).finish());
    let point = crate::common::mount::MountPoint::new();
    fs::set_permissions(point.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut mount = run::aiozfs();
    mount.args(["mount", "-o", "allow_root"]).arg(&archive);
    let mounted = run(mount.arg(point.path()));
    if !rustix::process::geteuid().is_root() {
        // The system's administrator decides, and there is no other user to be.
        let is_told = mounted.stderr.contains("user_allow_other");
        assert!(mounted.status.success() || is_told, "{}", mounted.stderr);
        return;
    }
    mounted.ok("aiozfs mount");
    let names = tree::names(point.path());
    assert_eq!(
        names.len(),
        2,
        "root lists it, and the kernel caches it: {names:?}"
    );
    for (tool, name) in [("ls", "dir"), ("ls", ""), ("cat", "dir/file")] {
        let mut other = run::tool("setpriv");
        other.args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            tool,
        ]);
        let refused = run(other.arg(point.path().join(name)));
        assert!(
            refused.stderr.contains("Permission denied"),
            "{tool}: {refused:?}"
        );
    }
    run(run::aiozfs().arg("umount").arg(point.path())).ok("aiozfs umount");
}

#[test]
fn times_have_the_precision_that_the_archive_has() {
    let at = |extra: Vec<u8>| Item::new("file", "x").with(|item| item.extra = extra);
    let ntfs = |secs: i64, ticks: u64| {
        let since_1601 = (secs + 11_644_473_600) as u64 * 10_000_000 + ticks;
        let mut body = vec![0, 0, 0, 0, 1, 0, 24, 0];
        body.extend(since_1601.to_le_bytes().iter().chain(&[0; 16]));
        extra(0x000a, &body)
    };
    let unix = |secs: i32| {
        let body = [&[1][..], &secs.to_le_bytes()].concat();
        extra(0x5455, &body)
    };
    let old = |secs: i32| extra(0x5855, &[[0; 4], secs.to_le_bytes()].concat());
    for (what, extra, expected) in [
        // The DOS time of an item is 2024-01-01, with two seconds' precision.
        ("DOS", vec![], (1_704_067_200, 0)),
        ("UT", unix(1_704_067_201), (1_704_067_201, 0)),
        ("UT before 1970", unix(-2), (-2, 0)),
        ("old Info-ZIP", old(1_704_067_203), (1_704_067_203, 0)),
        (
            "NTFS",
            ntfs(1_704_067_205, 1_234_567),
            (1_704_067_205, 123_456_700),
        ),
        ("NTFS before 1970", ntfs(-2, 5_000_000), (-2, 500_000_000)),
        (
            "the most precise",
            [unix(7), ntfs(9, 1), old(8)].concat(),
            (9, 100),
        ),
    ] {
        let (_out, archive) = written(&Zip::of([at(extra)]).finish());
        let mount = Mount::new(&archive);
        let meta = fs::metadata(mount.join("file")).expect(what);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), expected, "{what}");
    }
}

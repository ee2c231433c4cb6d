//! A mount that fails says in one line why and what to do, and leaves nothing behind. A mount that succeeds is complete
//! from its first moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::{Mount, MountPoint, serving};
use crate::common::run::{self, run};
use crate::common::tree::TempDir;
use crate::common::{archives, needs, tree};

const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

fn packed() -> (TempDir, PathBuf) {
    let (source, out) = (tree::temp(), tree::temp());
    tree::write(source.path(), "file.txt", b"content");
    let archive = out.path().join("archive.zip");
    archives::zipfile(source.path(), &archive);
    (out, archive)
}

/// Runs a command that should fail to mount on `point`; returns the one line that it says.
fn failure(what: &str, mut command: Command, point: &Path) -> String {
    let before = serving(point);
    let failed = run(&mut command);
    let said = failed.stderr.clone();
    assert!(
        matches!(failed.code(), Some(1 | 2)),
        "{what}: {} {said}",
        failed.status
    );
    assert_eq!(failed.stdout, "", "{what}");
    assert_eq!(said.lines().count(), 1, "{what}: {said}");
    assert!(said.starts_with("aiozfs: "), "{what}: {said}");
    assert!(said.len() < 500, "{what}: {said}");
    assert_eq!(serving(point), before, "{what}: a process is left");
    said
}

/// Tries to mount, in the background and in the foreground, and expects these words.
fn cannot_mount(what: &str, args: &[&str], source: &str, point: &Path, words: &[&str]) {
    for foreground in [false, true] {
        let mut command = run::aiozfs();
        command.arg("mount").args(args);
        if foreground {
            command.arg("--foreground");
        }
        command.arg(source).arg(point);
        let said = failure(what, command, point);
        for word in words {
            assert!(said.contains(word), "{what}: no '{word}' in: {said}");
        }
    }
}

#[test]
fn invalid_sources_are_refused() {
    let (out, _archive) = packed();
    let point = MountPoint::new();
    let text = out.path().join("text.txt");
    fs::write(&text, "not an archive at all\n".repeat(100)).expect("a file");
    let empty = out.path().join("empty");
    fs::write(&empty, "").expect("a file");
    let (text, empty) = (
        text.to_str().expect("plain"),
        empty.to_str().expect("plain"),
    );
    let missing = out.path().join("missing.zip");
    let missing = missing.to_str().expect("plain");
    let folder = out.path().to_str().expect("plain");
    let table: [(&str, &[&str]); 7] = [
        (
            "nonsense",
            &["'nonsense'", "neither a file", "nor a CID", "id:"],
        ),
        (missing, &["not found", missing]),
        (folder, &["is a directory with an archive in it"]),
        (text, &[text, "not a ZIP archive"]),
        (empty, &[empty, "not a ZIP archive"]),
        ("ftp://127.0.0.1/a.zip", &["'ftp'", "not supported"]),
        ("id:a/b", &["'id:'"]),
    ];
    for (source, words) in table {
        cannot_mount(source, &[], source, point.path(), words);
        assert!(!point.is_mounted(), "{source}");
    }
}

#[test]
fn servers_that_cannot_serve_the_archive_are_errors() {
    let (_out, archive) = packed();
    let point = MountPoint::new();
    let node = FaultNode::start(fs::read(archive).expect("the archive"));
    let other = FaultNode::start(b"not an archive at all\n".repeat(10_000));
    let dead = FaultNode::start(vec![0]);
    dead.die();
    let table: [(&str, &FaultNode, Behaviour, &[&str]); 7] = [
        (
            "unreachable",
            &dead,
            Behaviour::Good,
            &["cannot reach", "server up"],
        ),
        (
            "404",
            &node,
            Behaviour::Status(404, None),
            &["not found", "check"],
        ),
        (
            "403",
            &node,
            Behaviour::Status(403, None),
            &["status 403", "wants a login"],
        ),
        (
            "503",
            &node,
            Behaviour::Status(503, None),
            &["status 503", "try again later"],
        ),
        (
            "no ranges",
            &node,
            Behaviour::Whole,
            &["serves no ranges", "Range requests"],
        ),
        ("no ZIP", &other, Behaviour::Good, &["not a ZIP archive"]),
        (
            "silent",
            &node,
            Behaviour::Silent,
            &["sent nothing", "server up"],
        ),
    ];
    for (what, node, behaviour, words) in table {
        node.behave(behaviour);
        let args = ["--timeout", "1s"];
        cannot_mount(what, &args, &node.url(), point.path(), words);
        let base = node.base();
        let args = ["--timeout", "1s", "--verify", "none", "--gateway", &base];
        cannot_mount(what, &args, CID, point.path(), &words[..1]);
        assert!(!point.is_mounted(), "{what}");
    }
    let args = ["--timeout", "1s", "--gateway", &dead.base()];
    cannot_mount(
        "gateway",
        &args,
        CID,
        point.path(),
        &[CID, "is the gateway up", "--gateway"],
    );
    node.behave(Behaviour::Status(404, None));
    let args = ["--gateway", &node.base()];
    cannot_mount(
        "CID",
        &args,
        CID,
        point.path(),
        &[CID, "does not know", "--gateway"],
    );
}

/// A gateway that knows one directory: its root block where that is asked for, else a page.
fn gateway_of_a_directory() -> String {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else {
                return;
            };
            let lines = BufReader::new(connection.try_clone().expect("a socket")).lines();
            let head: Vec<String> = lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let wants_block = head.first().is_some_and(|line| line.contains("format=raw"));
            // dag-pb with UnixFS of type 1 in it: the empty directory.
            let (kind, body): (_, &[u8]) = if wants_block {
                ("application/vnd.ipld.raw", &[0x0a, 0x02, 0x08, 0x01])
            } else {
                ("text/html", b"<html>Index of /</html>")
            };
            let len = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n"
            );
            let _ = connection.write_all(&[head.as_bytes(), body].concat());
        }
    });
    format!("http://{address}")
}

#[test]
fn the_cid_of_a_directory() {
    let point = MountPoint::new();
    let gateway = gateway_of_a_directory();
    let empty_directory = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354";
    for verify in ["none", "trustless"] {
        cannot_mount(
            "the CID of a directory",
            &["--gateway", &gateway, "--verify", verify],
            empty_directory,
            point.path(),
            &["is a directory of 0 entries", "aiozfs ls ipfs://"],
        );
    }
}

#[test]
fn invalid_mountpoints_are_refused() {
    let (out, archive) = packed();
    let archive = archive.to_str().expect("plain");
    let point = MountPoint::new();
    let missing = point.path().join("missing");
    cannot_mount(
        "missing",
        &[],
        archive,
        &missing,
        &["does not exist", "mkdir -p"],
    );
    assert!(!missing.exists());
    cannot_mount(
        "a file",
        &[],
        archive,
        Path::new(archive),
        &["not a directory"],
    );
    let nonempty = tree::temp();
    tree::write(nonempty.path(), "precious", b"x");
    let full = nonempty.path();
    cannot_mount(
        "not empty",
        &[],
        archive,
        full,
        &["not empty", "-o nonempty"],
    );

    let mount = Mount::new(archive);
    let other = out.path().join("other.zip");
    fs::copy(archive, &other).expect("a copy");
    let other = other.to_str().expect("plain");
    let words = ["already mounted", "aiozfs umount"];
    cannot_mount("already a mount", &[], other, mount.path(), &words);
    assert!(
        fs::read(mount.join("file.txt")).is_ok(),
        "the first one is not harmed"
    );
    drop(out);
}

#[test]
fn nonempty_hides_what_is_there() {
    let (_out, archive) = packed();
    let point = MountPoint::new();
    tree::write(point.path(), "precious", b"x");
    let mut mount = run::aiozfs();
    run(mount
        .args(["mount", "-o", "nonempty"])
        .arg(archive)
        .arg(point.path()))
    .ok("aiozfs mount");
    assert_eq!(tree::names(point.path()), [Path::new("file.txt")]);
    run(run::aiozfs().arg("umount").arg(point.path())).ok("aiozfs umount");
    assert_eq!(
        fs::read(point.path().join("precious")).expect("unharmed"),
        b"x"
    );
}

#[test]
fn invalid_options_are_refused() {
    let (_out, archive) = packed();
    let archive = archive.to_str().expect("plain");
    let point = MountPoint::new();
    for option in [
        "frobnicate",
        "uid=me",
        "timeout=0",
        "symlinks=some",
        "remount",
    ] {
        let args = ["-o", &format!("ro,{option}")];
        cannot_mount(option, &args, archive, point.path(), &[option]);
        assert!(!point.is_mounted());
    }
    let log = ["--log-file", "/proc/no/such.log"];
    let mut command = run::aiozfs();
    command
        .arg("mount")
        .args(log)
        .arg(archive)
        .arg(point.path());
    let said = failure("log file", command, point.path());
    assert!(said.contains("--log-file"), "{said}");
    assert!(!point.is_mounted());
}

/// As mount(8) and fstab pass them.
#[test]
fn options_of_fstab_are_understood() {
    let (_out, archive) = packed();
    let options = r#"rw,suid,dev,noexec,_netdev,nofail,x-systemd.automount,defaults,default_permissions,uid=7,timeout=5s,memory=32M,user=joe,group,owner,comment="a,b",context="system_u:object_r:container_file_t:s0:c1,c2",sync,lazytime,allow_root,max_read=131072,fsname=film"#;
    let mount = Mount::with(&archive, &["-o", options]);
    let line = mount.proc_mounts();
    assert!(
        line.contains("noexec") && line.contains("default_permissions"),
        "{line}"
    );
    assert!(line.contains("nosuid,nodev"), "{line}");
    assert!(line.starts_with("film "), "{line}");
    assert!(line.contains(" ro,"), "{line}");
}

/// What a user who is not root is told. The binary is copied to where that user can run it.
#[test]
fn a_user_who_may_not_mount_gets_an_error() {
    let (out, archive) = packed();
    let binary = out.path().join("aiozfs");
    run::copy_program(&binary);
    for path in [out.path(), &binary] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let is_root = rustix::process::geteuid().is_root();
    let as_nobody = |args: &[&str], point: &Path| {
        let mut command = run::tool(if is_root { "setpriv" } else { "env" });
        if is_root {
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        }
        command
            .arg(&binary)
            .arg("mount")
            .args(args)
            .arg(&archive)
            .arg(point);
        command
    };
    // Somebody else's directory, or one in which everybody may write: that is refused as well.
    let point = MountPoint::new();
    let theirs = if is_root {
        point.path()
    } else {
        Path::new("/usr/share")
    };
    fs::set_permissions(point.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let said = failure(
        "not permitted",
        as_nobody(&["-o", "nonempty"], theirs),
        theirs,
    );
    assert!(said.contains("not permitted"), "{said}");
    assert!(!point.is_mounted());

    let config = fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    if config.lines().any(|line| line.trim() == "user_allow_other") {
        return; // here they are permitted to
    }
    if is_root {
        std::os::unix::fs::chown(point.path(), Some(65534), Some(65534)).expect("theirs");
    }
    let command = as_nobody(&["--allow-other"], point.path());
    let said = failure("allow_other", command, point.path());
    let usable = fs::metadata("/dev/fuse").expect("it").permissions().mode() & 0o006 == 0o006;
    if usable {
        assert!(said.contains("user_allow_other"), "{said}")
    } else {
        assert!(said.contains("not permitted"), "{said}")
    }
    assert!(!point.is_mounted());
}

/// `aiozfs mount` that is ended before it is usable takes its background process along.
#[test]
fn an_interrupted_start_leaves_nothing() {
    let (_out, archive) = packed();
    let node = FaultNode::start(fs::read(archive).expect("the archive"));
    node.behave(Behaviour::Silent);
    let point = MountPoint::new();
    let mut command = run::aiozfs();
    command
        .args(["mount", "--timeout", "60s", &node.url()])
        .arg(point.path());
    let mut child = command
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary under test");
    assert!(run::wait_until(Duration::from_secs(10), || node.requests() > 0));
    child.kill().expect("a child");
    child.wait().expect("a child");
    let gone = || serving(point.path()).is_none();
    assert!(
        run::wait_until(Duration::from_secs(2), gone),
        "a process is left"
    );
    assert!(!point.is_mounted());
}

/// The number of readers that wait for the mount to appear, each for a file of its own. One of them comes first.
const IN_A_HURRY: u8 = 8;

/// The largest read of the kernel's in each file, by inode, as fuser's log tells.
fn largest_reads(log: &str) -> BTreeMap<&str, u64> {
    let mut largest = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(" READ ")) {
        let after = |word| line.split_whitespace().skip_while(|w| *w != word).nth(1);
        let ino = after("ino").expect("an inode");
        let size: u64 = after("size").and_then(|s| s.parse().ok()).expect("a size");
        let known = largest.entry(ino).or_default();
        *known = size.max(*known);
    }
    largest
}

/// How far the kernel reads ahead in a file is settled when it is opened. The mount raised it a
/// moment after it could be seen: who had waited for it and opened a file read all of that in
/// pieces of 128 KiB.
#[test]
fn open_before_readahead_is_raised_still_reads_large() {
    needs::fuse();
    let (source, out, cache) = (tree::temp(), tree::temp(), tree::temp());
    let name = |number| format!("{number}.bin");
    for number in 0..=IN_A_HURRY {
        let content = tree::bytes(u64::from(number), 4 << 20);
        tree::write(source.path(), &name(number), &content);
    }
    let archive = out.path().join("archive.zip");
    archives::zipfile(source.path(), &archive);
    let point = MountPoint::new();
    let log = out.path().join("log");
    let mut command = run::aiozfs();
    command
        .env("AIOZFS_CACHE_DIR", cache.path())
        .env_remove(run::CACHE_SIZE)
        .args(["mount", "--foreground", "-vvvv"])
        .arg(&archive)
        .arg(point.path())
        .stdout(Stdio::null())
        .stderr(File::create(&log).expect("a log"));
    let mut process = command.spawn().expect("the binary under test");
    let asked = Instant::now();
    let read_at_once = |path: PathBuf| {
        // Without a pause, or the moment would be over.
        let mut file = loop {
            match File::open(&path) {
                Ok(file) => break file,
                Err(e) => assert!(asked.elapsed() < Duration::from_secs(20), "{e}"),
            }
        };
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("all is well");
    };
    thread::scope(|scope| {
        for number in 0..IN_A_HURRY {
            let path = point.path().join(name(number));
            scope.spawn(|| read_at_once(path));
        }
    });
    fs::read(point.path().join(name(IN_A_HURRY))).expect("the last file");
    drop(point);
    let ended = run::wait(&mut process, Duration::from_secs(10));
    let log = fs::read_to_string(&log).expect("the log");
    assert!(ended.is_some(), "it goes on without a mount: {log}");
    let largest = largest_reads(&log);
    assert_eq!(largest.len(), usize::from(IN_A_HURRY) + 1, "{largest:?}");
    let sizes: BTreeSet<_> = largest.values().collect();
    assert_eq!(sizes.len(), 1, "{largest:?}");
}

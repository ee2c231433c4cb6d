//! The end of a mount: quick and complete, whatever hangs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::{Mount, MountPoint, serving};
use crate::common::run::{self, run};
use crate::common::tree::TempDir;
use crate::common::{archives, needs, tree};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::process::Signal;

/// What was promised: gone within two seconds, also while a gateway hangs.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// A user that every system has.
const NOBODY: u32 = 65534;

fn packed() -> (TempDir, PathBuf) {
    let (source, out) = (tree::temp(), tree::temp());
    tree::write(source.path(), "small.txt", b"small");
    tree::write(source.path(), "large.bin", &tree::bytes(1, 8 << 20));
    let archive = out.path().join("archive.zip");
    archives::zipfile(source.path(), &archive);
    (out, archive)
}

fn umount(mount: &Mount) -> run::Finished {
    run(run::aiozfs().arg("umount").arg(mount.path()))
}

/// Ends a mount while its server hangs, four reads wait in it, a file is open and a directory is
/// somebody's.
fn ends_while_reads_hang(way: &str, end: impl FnOnce(&Mount)) {
    let (_out, archive) = packed();
    let node = FaultNode::start(fs::read(archive).expect("the archive"));
    let mut mount = Mount::with(node.url(), &["--timeout", "60s"]);
    let open = File::open(mount.join("small.txt")).expect("it opens");
    let _dir = File::open(mount.path()).expect("the root");
    node.behave(Behaviour::Silent);
    let (sender, failed) = mpsc::channel();
    for reader in 1..=4u64 {
        let file = File::open(mount.join("large.bin")).expect("it opens");
        let sender = sender.clone();
        thread::spawn(move || {
            let read = file.read_at(&mut [0; 4096], reader << 20);
            drop(sender.send(read.map(drop)));
        });
    }
    let asked = node.requests();
    run::wait_until(Duration::from_secs(5), || node.requests() > asked);
    thread::sleep(Duration::from_millis(200)); // for the others, which may share a request
    assert!(failed.try_recv().is_err(), "{way}: the reads wait");

    let start = Instant::now();
    end(&mount);
    assert!(
        run::wait_until(GONE_WITHIN, || !mount.is_mounted()),
        "{way}: still mounted after {:?}",
        start.elapsed()
    );
    let status = mount.wait(GONE_WITHIN.saturating_sub(start.elapsed()));
    let status = status.unwrap_or_else(|| panic!("{way}: still there after {:?}", start.elapsed()));
    assert_eq!(status.code(), Some(0), "{way}");
    for _ in 0..4 {
        let left = GONE_WITHIN.saturating_sub(start.elapsed());
        let read = failed.recv_timeout(left.max(Duration::from_millis(100)));
        let error = read
            .expect("it no longer waits")
            .expect_err("it has no bytes");
        // By an answer of ours, not by the end of the process, which would be as good as a crash.
        let code = error.raw_os_error().map(Errno::from_raw_os_error);
        let by_death = [Some(Errno::NOTCONN), Some(Errno::CONNABORTED)];
        assert!(!by_death.contains(&code), "{way}: {error}");
    }
    open.read_at(&mut [0], 0)
        .expect_err("the file is gone as well");
    assert_eq!(
        fs::read_dir(mount.path()).expect("the mountpoint").count(),
        0
    );
}

#[test]
fn aiozfs_umount_while_reads_hang() {
    ends_while_reads_hang("aiozfs umount", |mount| {
        let done = umount(mount).ok("aiozfs umount");
        let me = format!("(process {})", std::process::id());
        let holders = done.stderr.contains("was in use by ") && done.stderr.contains(&me);
        assert!(holders, "it names who reads: {}", done.stderr);
        assert!(!mount.is_mounted(), "when it returns, it is done");
        assert!(done.took < GONE_WITHIN, "{:?}", done.took);
    });
}

#[test]
fn sigterm_while_reads_hang() {
    ends_while_reads_hang("SIGTERM", |mount| mount.signal(Signal::TERM));
}

#[test]
fn ctrl_c_while_reads_hang() {
    ends_while_reads_hang("SIGINT", |mount| mount.signal(Signal::INT));
}

#[test]
fn repeated_ctrl_c_unmounts_as_well() {
    ends_while_reads_hang("SIGINT, thrice", |mount| {
        for _ in 0..3 {
            mount.signal(Signal::INT);
        }
    });
}

#[test]
fn umount_and_fusermount_end_an_idle_mount() {
    let (_out, archive) = packed();
    let aiozfs = run::AIOZFS;
    for command in [&["umount"][..], &["fusermount3", "-u"], &[aiozfs, "umount"]] {
        let mut mount = Mount::new(&archive);
        assert_eq!(fs::read(mount.join("small.txt")).expect("a file"), b"small");
        let mut unmount = if command[0] == aiozfs {
            run::aiozfs()
        } else {
            run::tool(command[0])
        };
        let done = run(unmount.args(&command[1..]).arg(mount.path())).ok(command[0]);
        // `aiozfs umount` used to wait for a process that had ended, but whose parent (here this
        // test, in a container often the first process) had not asked for its exit code.
        assert!(
            done.took < Duration::from_secs(1),
            "{command:?}: {:?}",
            done.took
        );
        assert!(!mount.is_mounted(), "{command:?}");
        let status = mount.wait(GONE_WITHIN);
        assert_eq!(status.and_then(|s| s.code()), Some(0), "{command:?}");
        mount.assert_no_complaint();
    }
}

#[test]
fn an_idle_mount_ends_at_once() {
    let (_out, archive) = packed();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut mount = Mount::new(&archive);
        mount.signal(signal);
        let status = mount.wait(GONE_WITHIN);
        assert_eq!(status.and_then(|s| s.code()), Some(0), "{signal:?}");
        assert!(!mount.is_mounted());
    }
}

/// Signals that the program did not know ended it and left a dead mount.
#[test]
fn no_signal_leaves_a_dead_mount() {
    let (_out, archive) = packed();
    let mut mount = Mount::new(&archive);
    let others = (1..=64).filter(|number| {
        // Those that cannot be caught; those that stop a process; 32 and 33 are glibc's own.
        ![9, 19, 20, 21, 22, 32, 33].contains(number)
    });
    let mut endings = Vec::new();
    for number in others {
        let pid = mount.pid().to_string();
        let mut kill = run::tool("kill");
        run(kill.arg(format!("-{number}")).arg(pid)).ok("kill");
        let ends = [1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 24, 30, 31].contains(&number);
        if ends {
            let ended = mount.wait(GONE_WITHIN);
            endings.push((number, ended.is_some()));
            assert!(!mount.is_mounted(), "signal {number}");
            mount = Mount::new(&archive);
        } else {
            let read = fs::read(mount.join("small.txt"));
            assert_eq!(read.expect("it lives on"), b"small", "signal {number}");
        }
    }
    assert!(endings.iter().all(|(_, ended)| *ended), "{endings:?}");
}

/// logrotate(8) moves the log and sends SIGHUP. A mount in the background took it for the end of a
/// terminal that it does not have.
#[test]
fn sighup_opens_the_log_of_a_background_mount_anew() {
    let (out, archive) = packed();
    let point = MountPoint::new();
    let (log, moved) = (out.path().join("log"), out.path().join("log.1"));
    let mut mount = run::aiozfs();
    mount.args(["mount", "-v", "--log-file"]).arg(&log);
    run(mount.arg(&archive).arg(point.path())).ok("aiozfs mount");
    fs::rename(&log, &moved).expect("moved");
    let pid = serving(point.path()).expect("it goes on");
    rustix::process::kill_process(pid, Signal::HUP).expect("a process of ours");
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let is_open = || said().contains("SIGHUP");
    assert!(run::wait_until(GONE_WITHIN, is_open), "{}", said());
    assert_eq!(
        fs::read(point.path().join("small.txt")).expect("a file"),
        b"small"
    );
    run(run::aiozfs().arg("umount").arg(point.path())).ok("aiozfs umount");
    let before = fs::read_to_string(&moved).expect("the old log");
    assert!(
        before.contains("is mounted on") && !before.contains("SIGHUP"),
        "{before}"
    );
}

#[test]
fn sighup_ends_a_mount_in_the_foreground_unless_nohup_has_it_ignored() {
    let (_out, archive) = packed();
    let mut mount = Mount::new(&archive);
    mount.signal(Signal::HUP);
    assert!(
        mount
            .wait(GONE_WITHIN)
            .is_some_and(|status| status.success())
    );
    assert!(!mount.is_mounted());
    assert_eq!(mount.log_lines("SIGHUP").len(), 1);

    let point = MountPoint::new();
    let mut nohup = run::tool("nohup");
    nohup
        .arg(run::AIOZFS)
        .args(["mount", "--foreground"])
        .arg(&archive)
        .arg(point.path());
    nohup
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut process = nohup.spawn().expect("nohup");
    let file = point.path().join("small.txt");
    assert!(run::wait_until(Duration::from_secs(20), || file.exists()));
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, Signal::HUP).expect("a process of ours");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(fs::read(&file).expect("it lives on"), b"small");
    run(run::aiozfs().arg("umount").arg(point.path())).ok("aiozfs umount");
    assert!(run::wait(&mut process, GONE_WITHIN).is_some());
}

/// umount(8) may say that it is busy, and then nothing has happened.
#[test]
fn a_busy_mount_survives_umount_and_not_aiozfs_umount() {
    let (_out, archive) = packed();
    let mut mount = Mount::new(&archive);
    let file = File::open(mount.join("large.bin")).expect("it opens");
    for command in [&["umount"][..], &["fusermount3", "-u"]] {
        let mut unmount = run::tool(command[0]);
        let refused = run(unmount.args(&command[1..]).arg(mount.path()));
        assert_ne!(refused.code(), Some(0), "{command:?}");
        assert!(refused.stderr.contains("busy"), "{}", refused.stderr);
    }
    file.read_at(&mut [0; 4096], 3 << 20)
        .expect("nothing has happened");
    umount(&mount).ok("aiozfs umount");
    assert!(!mount.is_mounted());
    assert_eq!(mount.wait(GONE_WITHIN).and_then(|s| s.code()), Some(0));
    mount.assert_no_complaint();
}

/// A stopped process answers nothing, so a request to it hangs. `aiozfs umount` must not hang.
///
/// The story: closing a file used to ask as well (FUSE_FLUSH), in a wait that no signal ends; even
/// a child of a process with a file open in the mount hung on its way to exec.
#[test]
fn a_stopped_process_is_unmounted() {
    let (_out, archive) = packed();
    let mut mount = Mount::new(&archive);
    let open = File::open(mount.join("large.bin")).expect("it opens");
    mount.signal(Signal::STOP);
    let path = mount.path().to_owned();
    let (done, took) = run::within(Duration::from_secs(10), "aiozfs umount", move || {
        run(run::aiozfs().arg("umount").arg(path))
    });
    done.ok("aiozfs umount");
    assert!(!mount.is_mounted());
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop(open);
    mount.signal(Signal::CONT);
    let ended = mount.wait(Duration::from_secs(5));
    assert_eq!(
        ended.and_then(|s| s.code()),
        Some(0),
        "it sees that it is unmounted"
    );
}

/// The story: fstab was mounted, unmounted and mounted again in a loop, and now and then a mount was gone at once. The
/// process of the mount before, which was late to notice its end, had unmounted the path: the FUSE library
/// took the severed connection for a sign that its mount was still there, and the kernel had given the new mount
/// the old device number.
#[test]
fn a_process_that_ends_late_leaves_the_next_mount_alone() {
    let (_out, archive) = packed();
    for signal in [None, Some(Signal::TERM)] {
        let mut old = Mount::new(&archive);
        old.signal(Signal::STOP);
        rustix::mount::unmount(old.path(), UnmountFlags::DETACH).expect("it is unmounted");
        let next = run::aiozfs()
            .arg("mount")
            .arg(&archive)
            .arg(old.path())
            .output();
        assert!(next.expect("aiozfs mount").status.success());
        if let Some(signal) = signal {
            old.signal(signal);
        }
        old.signal(Signal::CONT);
        let ended = old.wait(Duration::from_secs(5));
        assert_eq!(ended.and_then(|s| s.code()), Some(0), "{signal:?}");
        let small = fs::read(old.join("small.txt"));
        assert_eq!(small.expect("the next mount"), b"small", "{signal:?}");
        umount(&old).ok("aiozfs umount");
    }
}

/// The story: another filesystem was mounted on the same directory. The process took its mount for gone, ended without
/// a word and with exit code 0, and left a dead mount below the other one.
#[test]
fn a_mount_below_another_is_named_and_the_other_left_alone() {
    let (_out, archive) = packed();
    let mut mount = Mount::new(&archive);
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("none", mount.path(), "tmpfs", flags, None).expect("a tmpfs");
    fs::write(mount.join("other.txt"), b"other").expect("written");
    mount.signal(Signal::TERM);
    let ended = mount.wait(Duration::from_secs(5));
    assert_eq!(ended.and_then(|s| s.code()), Some(1));
    let other = fs::read(mount.join("other.txt"));
    assert_eq!(other.expect("the other filesystem"), b"other");
    let said = mount.log_lines("another filesystem is mounted over it");
    assert_eq!(said.len(), 1, "{}", mount.log());
    rustix::mount::unmount(mount.path(), UnmountFlags::empty()).expect("it is unmounted");
    umount(&mount).ok("aiozfs umount");
    assert!(!mount.is_mounted());
}

#[test]
fn a_dead_mount_is_cleared() {
    let (_out, archive) = packed();
    let mount = Mount::new(&archive);
    let _open = File::open(mount.join("small.txt")).expect("it opens");
    let point = mount.crash();
    let dead = fs::metadata(point.path()).expect_err("nobody serves it");
    assert_eq!(dead.raw_os_error(), Some(Errno::NOTCONN.raw_os_error()));
    run(run::aiozfs().arg("umount").arg(point.path())).ok("aiozfs umount");
    assert!(!point.is_mounted());
    run(run::aiozfs().arg("mount").arg(&archive).arg(point.path())).ok("aiozfs mount");
    assert_eq!(
        fs::read(point.path().join("small.txt")).expect("a file"),
        b"small"
    );
}

#[test]
fn other_mounts_and_plain_directories_are_left_alone() {
    let point = MountPoint::new();
    let nothing = run(run::aiozfs().arg("umount").arg(point.path()));
    assert_eq!(nothing.code(), Some(1));
    assert!(
        nothing.stderr.contains("nothing is mounted"),
        "{}",
        nothing.stderr
    );
    let proc = run(run::aiozfs().args(["umount", "/proc"]));
    assert_eq!(proc.code(), Some(1));
    assert!(proc.stderr.contains("type proc"), "{}", proc.stderr);
    let missing = run(run::aiozfs().arg("umount").arg(point.path().join("no")));
    assert_eq!(missing.code(), Some(1));
}

#[test]
fn in_the_background_it_is_usable_when_the_command_returns() {
    let (out, archive) = packed();
    let point = MountPoint::named("aiozfs test ");
    let name = archive.file_name().expect("a name");
    let mut mount = run::aiozfs();
    // Paths that only mean something here: the process that stays moves to the root.
    let mount = mount
        .current_dir(out.path())
        .args(["mount", "--log-file", "log", "-v"]);
    let done = run(mount.arg(PathBuf::from("./").join(name)).arg(point.path())).ok("aiozfs mount");
    assert_eq!(done.stdout, "", "nothing is said");
    let large = fs::read(point.path().join("large.bin")).expect("usable");
    assert_eq!(tree::differs(&tree::bytes(1, 8 << 20), &large), None);
    let pid = serving(point.path()).expect("it goes on");
    let process = format!("/proc/{}", pid.as_raw_nonzero());
    assert_eq!(
        fs::read_link(format!("{process}/cwd")).expect("its own"),
        PathBuf::from("/")
    );
    let stat = fs::read_to_string(format!("{process}/stat")).expect("its own");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let session = fields.split_whitespace().nth(3).expect("a session");
    assert_eq!(
        session,
        pid.as_raw_nonzero().to_string(),
        "a session of its own"
    );
    run(run::aiozfs().arg("umount").arg(point.path())).ok("aiozfs umount");
    assert!(!point.is_mounted());
    assert_eq!(serving(point.path()), None, "the process has gone");
    let log = fs::read_to_string(out.path().join("log")).expect("a log");
    assert!(log.contains("is mounted on"), "{log}");
}

/// A user with another PATH than that of the mount could not unmount it: "fusermount3: No such file or directory".
#[test]
fn a_user_without_fusermount_on_the_path_unmounts() {
    needs::fuse_for_users();
    let (dir, archive) = packed();
    let binary = dir.path().join("aiozfs");
    run::copy_program(&binary);
    let point = MountPoint::new();
    for path in [dir.path(), &archive, point.path()] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("its owner");
    }
    let as_user = |args: &[&str], name: &str, value: &str| {
        let mut command = run::unbiased("setpriv");
        let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
        command.args(ids).args(["--clear-groups", "env"]);
        command.arg(format!("{name}={value}")).arg(&binary);
        command.args(args).arg(point.path());
        run(&mut command)
    };
    let source = archive.to_str().expect("a plain path");
    as_user(&["mount", source], "LANG", "C").ok("mount");
    let refused = as_user(&["umount"], "FUSERMOUNT_PATH", "/no/such/program");
    assert_eq!(refused.code(), Some(1));
    for remedy in ["install the package fuse3", "sudo umount -l /"] {
        assert!(refused.stderr.contains(remedy), "{}", refused.stderr);
    }
    assert!(point.is_mounted());
    as_user(&["umount"], "PATH", "/no/such/directory").ok("umount");
    assert!(!point.is_mounted());
}

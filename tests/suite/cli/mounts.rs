//! `aiozfs mounts`, what umount says of a busy mount, and what a service manager is told.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::common::archives;
use crate::common::fault::FaultNode;
use crate::common::mount::Mount;
use crate::common::run::{self, run};
use crate::common::tree;
use rustix::process::Signal;

#[test]
fn living_and_dead_mounts_are_listed_and_a_dead_one_is_cleared() {
    let (source, out) = (tree::sample(), tree::temp());
    let archive = out.path().join("a.zip");
    archives::info_zip(source.path(), &archive);
    let (living, dead) = (Mount::new(&archive), Mount::new(&archive));
    let living_pid = living.pid();
    let dead = dead.crash();
    let listed = run(run::aiozfs().arg("mounts")).ok("mounts").stdout;
    let line = |path: &std::path::Path| {
        let on = format!(" on {} ", path.display());
        let found = listed.lines().find(|line| line.contains(&on));
        found.unwrap_or_else(|| panic!("{on} is not in\n{listed}"))
    };
    let process = format!("(process {living_pid}, ");
    assert!(line(living.path()).contains(&process), "{listed}");
    assert!(line(dead.path()).contains("(dead: "), "{listed}");

    let json = run(run::aiozfs().args(["mounts", "--json"]))
        .ok("mounts")
        .stdout;
    let rows: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let row = |path: &std::path::Path| {
        let rows = rows.as_array().expect("an array");
        let path = path.to_str().expect("a plain path");
        rows.iter()
            .find(|row| row["mountpoint"] == path)
            .expect("a row")
            .clone()
    };
    assert_eq!(row(living.path())["pid"], living_pid);
    assert_eq!(row(living.path())["state"], "mounted");
    assert_eq!(row(dead.path())["state"], "dead");

    let asked = run(run::aiozfs().arg("status").arg(dead.path()));
    assert_eq!(asked.code(), Some(1));
    assert!(asked.stderr.contains("'aiozfs umount "), "{}", asked.stderr);

    run(run::aiozfs().arg("umount").arg(dead.path())).ok("umount");
    assert!(!dead.is_mounted());
}

/// `aiozfs umount` repeated what fusermount3 says, that the mount is not in /etc/mtab.
#[test]
fn the_mount_of_another_user_is_called_that() {
    if !rustix::process::geteuid().is_root() {
        return; // there is no other user to be
    }
    let (source, out) = (tree::sample(), tree::temp());
    let archive = out.path().join("a.zip");
    archives::info_zip(source.path(), &archive);
    let mount = Mount::new(&archive);
    let binary = out.path().join("aiozfs");
    run::copy_program(&binary);
    for path in [out.path(), &binary] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    for command in ["status", "umount"] {
        let mut nobody = run::unbiased("setpriv");
        nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        let said = run(nobody.arg(&binary).arg(command).arg(mount.path()));
        assert_eq!(said.code(), Some(1), "{command}");
        assert!(
            said.stderr.contains("another user (id 0)"),
            "{}",
            said.stderr
        );
    }
    assert!(mount.is_mounted());
}

#[test]
fn umount_names_the_process_that_holds_a_file_open() {
    let (source, out) = (tree::sample(), tree::temp());
    let archive = out.path().join("a.zip");
    archives::info_zip(source.path(), &archive);
    let mount = Mount::new(&archive);
    let name = tree::names(source.path())
        .into_iter()
        .find(|name| source.path().join(name).is_file());
    let _open = File::open(mount.join(name.expect("a file"))).expect("it opens");
    let said = run(run::aiozfs().arg("umount").arg(mount.path()))
        .ok("umount")
        .stderr;
    let me = format!("(process {})", std::process::id());
    assert!(
        said.contains("was in use by ") && said.contains(&me),
        "{said}"
    );
}

#[test]
fn a_service_manager_hears_of_start_life_and_end() {
    let (source, out) = (tree::sample(), tree::temp());
    let archive = out.path().join("a.zip");
    archives::info_zip(source.path(), &archive);
    let path = out.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket");
    let path = path.to_str().expect("a plain path");
    let env = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "300000")];
    let mut mount = Mount::with_env(&archive, &[], &env);
    let hear = || {
        let mut buffer = [0; 1000];
        let len = socket.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..len].to_vec()).expect("text")
    };
    let ready = hear();
    assert!(
        ready.starts_with("READY=1\nSTATUS=") && ready.contains("is mounted on"),
        "{ready}"
    );
    for _ in 0..2 {
        assert_eq!(hear().trim_end(), "WATCHDOG=1");
    }
    mount.signal(Signal::TERM);
    mount.wait(Duration::from_secs(10)).expect("it ends");
    let last = std::iter::repeat_with(hear).find(|said| !said.starts_with("WATCHDOG"));
    assert_eq!(last.as_deref().map(str::trim_end), Some("STOPPING=1"));
}

/// Directories that systemd makes for a service.
#[test]
fn directories_of_a_service_are_used() {
    let (source, out) = (tree::sample(), tree::temp());
    let archive = out.path().join("a.zip");
    archives::info_zip(source.path(), &archive);
    let logs = out.path().join("logs");
    fs::create_dir(&logs).expect("a directory");
    let cache = out.path().join("cache");
    let node = FaultNode::start(fs::read(&archive).expect("the archive"));
    let mut ls = run::aiozfs();
    ls.env("CACHE_DIRECTORY", format!("{}:/nowhere", cache.display()));
    run(ls.env_remove(run::CACHE_SIZE).args(["ls", &node.url()])).ok("ls");
    assert!(cache.is_dir(), "the cache is elsewhere");
    let env = [("LOGS_DIRECTORY", logs.to_str().expect("a plain path"))];
    let mut command = run::aiozfs();
    let point = crate::common::mount::MountPoint::new();
    command
        .envs(env)
        .args(["mount", "-v", "--log-file", "film.log"])
        .arg(&archive)
        .arg(point.path());
    run(&mut command).ok("mount");
    let log = fs::read_to_string(logs.join("film.log")).expect("the log");
    assert!(log.contains("is mounted on"), "{log}");
}

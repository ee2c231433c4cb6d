//! Mounts under a supervisor: it makes the mountpoint, starts the mount again after a crash, asks whether it is well,
//! and ends it. With the commands of the shipped Kubernetes manifests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

use crate::common::fault::FaultNode;
use crate::common::mount::MountPoint;
use crate::common::node::Node;
use crate::common::run::{self, run, tool};
use crate::common::{archives, needs, registry, tree};

const MANIFESTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/mount-scripts/fleet/kubernetes"
);

fn packed() -> (tree::TempDir, PathBuf) {
    let (folder, out) = (tree::temp(), tree::temp());
    tree::write(folder.path(), "file.txt", b"hello");
    let archive = out.path().join("a.zip");
    archives::zipfile(folder.path(), &archive);
    (out, archive)
}

/// kubernetes-validate, and what it needs.
fn validator() -> PathBuf {
    registry::pip("kubernetes-pip", include_str!("requirements.txt"))
}

/// A manifest as Python reads it.
fn manifest(name: &str) -> Value {
    let program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let mut python = tool("python3");
    python
        .env("PYTHONPATH", validator())
        .args(["-c", program])
        .arg(Path::new(MANIFESTS).join(name));
    let json = run(&mut python).ok("python3").stdout;
    serde_json::from_str(&json).expect("JSON")
}

#[test]
fn manifests_are_valid_for_old_and_new_kubernetes() {
    let files = fs::read_dir(MANIFESTS).expect("the manifests");
    let files: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for version in ["1.29.0", "1.37.0"] {
        let mut python = tool("python3");
        python
            .env("PYTHONPATH", validator())
            .args(["-m", "kubernetes_validate", "--strict", "-k", version])
            .args(&files);
        run(&mut python).ok("kubernetes-validate");
    }
}

/// A container of a manifest that runs `aiozfs mount`.
struct Container {
    container: Value,
    changes: Vec<(&'static str, String)>,
}

impl Container {
    /// A command with the paths and the server of this test.
    fn command(&self, command: &Value) -> std::process::Command {
        let words = command.as_array().expect("a list of words");
        let mut words = words.iter().map(|word| {
            let word = word.as_str().expect("a word").to_owned();
            let change = |word: String, (from, to): &(&str, String)| word.replace(from, to);
            self.changes.iter().fold(word, change)
        });
        assert_eq!(words.next().as_deref(), Some("aiozfs"));
        let mut command = run::aiozfs();
        command.args(words);
        command
    }

    fn probe(&self, name: &str) -> bool {
        let command = &self.container[name]["exec"]["command"];
        run(&mut self.command(command)).status.success()
    }

    fn start(&self) -> Child {
        let mut command = self.command(&self.container["command"]);
        let (out, err) = (Stdio::null(), Stdio::null());
        command.stdout(out).stderr(err).spawn().expect("a mount")
    }
}

#[test]
fn the_commands_of_the_manifests_mount_recover_and_end() {
    let (_out, archive) = packed();
    let node = Node::of(&archive);
    for (name, at, ready) in [
        ("pod.yaml", "/spec/initContainers/0", "startupProbe"),
        (
            "daemonset.yaml",
            "/spec/template/spec/containers/0",
            "readinessProbe",
        ),
    ] {
        let (point, cache) = (MountPoint::new(), tree::temp());
        let path = |path: &Path| path.to_str().expect("a plain path").to_owned();
        let container = Container {
            container: manifest(name).pointer(at).expect("a container").clone(),
            changes: vec![
                ("$(GATEWAY)", node.base.clone()),
                ("$(SOURCE)", node.cid.clone()),
                ("/mnt/aiozfs/film", path(point.path())),
                ("/var/lib/aiozfs/film", path(point.path())),
                ("/var/cache/aiozfs", path(cache.path())),
            ],
        };
        let is_read = || {
            let limit = Duration::from_secs(20);
            assert!(run::wait_until(limit, || container.probe(ready)), "{name}");
            let read = fs::read(point.path().join("file.txt"));
            assert_eq!(read.expect("a file"), b"hello", "{name}");
        };
        let mut mount = container.start();
        is_read();
        mount.kill().expect("a child of ours");
        mount.wait().expect("a child of ours");
        assert!(!container.probe("livenessProbe"), "{name}");
        let mut mount = container.start();
        is_read();
        assert!(container.probe("livenessProbe"), "{name}");
        let stop = &container.container["lifecycle"]["preStop"]["exec"]["command"];
        run(&mut container.command(stop)).ok("preStop");
        let ended = run::wait(&mut mount, Duration::from_secs(10));
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
        assert!(!point.is_mounted());
    }
}

/// A mount that was killed leaves its directory dead, and the supervisor's next start failed because of that.
#[test]
fn a_dead_mount_is_replaced() {
    let (_out, archive) = packed();
    let mount = crate::common::mount::Mount::new(&archive);
    // The kernel still holds the attributes of the root, and a dead mount was taken for one alive.
    assert!(fs::metadata(mount.path()).is_ok());
    let point = mount.crash();
    let again = run(run::aiozfs().arg("mount").arg(&archive).arg(point.path())).ok("aiozfs mount");
    assert!(again.stderr.contains("dead mount"), "{}", again.stderr);
    let read = fs::read(point.path().join("file.txt"));
    assert_eq!(read.expect("a file"), b"hello");
}

#[test]
fn mkdir_makes_a_missing_mountpoint() {
    let (_out, archive) = packed();
    let point = tree::temp();
    for (option, name, mode) in [
        ("X-mount.mkdir", "one/two", 0o755),
        ("ro,X-mount.mkdir=0700", "three", 0o700),
    ] {
        let missing = point.path().join(name);
        let archive = archive.to_str().expect("a plain path");
        let mount = ["mount", "-o", option, archive];
        run(run::aiozfs().args(mount).arg(&missing)).ok("aiozfs mount");
        let read = fs::read(missing.join("file.txt"));
        run(run::aiozfs().arg("umount").arg(&missing)).ok("aiozfs umount");
        assert!(read.is_ok(), "{read:?}");
        let made = fs::metadata(&missing).expect("it stays");
        assert_eq!(made.permissions().mode() & 0o777, mode, "{name}");
    }
}

/// A mount at boot, whose gateway starts on the same machine a second later, gave the gateway up and was never tried again.
#[test]
fn a_mount_in_the_background_waits_for_a_server_that_starts_a_second_later() {
    needs::fuse();
    let (_dir, archive) = packed();
    let blob = fs::read(archive).expect("the archive");
    let (cid, blocks) = crate::common::gateways::import(&blob);
    let (url, cid) = ("/archive.zip", cid.to_string());
    for source in [url, &cid] {
        // Bound, and refuses connections until it listens.
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = "127.0.0.1:0".parse().expect("an address");
        socket.bind(any).expect("a port");
        let base = format!("http://{}", socket.local_addr().expect("its address"));
        let point = MountPoint::new();
        let mount = |more: &[&str]| {
            let mut command = run::aiozfs();
            command.arg("mount").args(more);
            if source == url {
                command.arg(format!("{base}{url}"));
            } else {
                command.args(["--gateway", &base, source]);
            }
            run(command.arg(point.path()))
        };
        // A user who waits learns soon that nobody is there: once in three times, a busy machine does not delay it.
        let is_told_soon = || {
            let before = Instant::now();
            assert!(!mount(&["--foreground"]).status.success(), "{source}");
            before.elapsed() < Duration::from_millis(1500)
        };
        assert!((0..3).any(|_| is_told_soon()), "{source}");

        let (blob, blocks) = (blob.clone(), blocks.clone());
        let starting = thread::spawn(move || {
            thread::sleep(Duration::from_secs(1));
            let runtime = Runtime::new().expect("a runtime");
            let listening = runtime.block_on(async { socket.listen(64)?.into_std() });
            let listener = listening.expect("it listens");
            listener.set_nonblocking(false).expect("a socket");
            FaultNode::start_with(listener, blob, blocks)
        });
        mount(&[]).ok(source);
        let _node = starting.join().expect("a node");
        let file = fs::read(point.path().join("file.txt"));
        assert_eq!(file.expect("the file"), b"hello", "{source}");
    }
}

//! SIGHUP: what a mount in the background takes over from its configuration.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::common::fault::FaultNode;
use crate::common::gateways::import;
use crate::common::mount::{MountPoint, serving};
use crate::common::run::{self, run};
use crate::common::{archives, tree};

const LIMIT: Duration = Duration::from_secs(10);

/// Tokens are renewed every hour in many places. A mount had to end for that.
#[test]
fn sighup_takes_over_token_and_log_filter_and_refuses_a_broken_configuration() {
    let (source, out) = (tree::temp(), tree::temp());
    for name in ["a.bin", "b.bin", "c.bin"] {
        // Larger than what read-ahead brings from the file before.
        tree::write(
            source.path(),
            name,
            &tree::bytes(name.len() as u64, 12_000_000),
        );
    }
    let archive = out.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    let blob = fs::read(&archive).expect("the archive");
    let (cid, blocks) = import(&blob);
    let node = FaultNode::with_blocks(blob, blocks);
    let (token, log) = (out.path().join("token"), out.path().join("log"));
    let config = out.path().join("aiozfs/config.toml");
    fs::create_dir(out.path().join("aiozfs")).expect("a directory");
    let gateway = format!(
        "[gateway.near]\nurl = \"{}\"\ntoken-file = \"{}\"\n",
        node.base(),
        token.display()
    );
    fs::write(&config, &gateway).expect("a configuration");
    fs::write(&token, "first-token").expect("a token");
    let point = MountPoint::new();
    let mut mount = run::aiozfs();
    mount
        .env("XDG_CONFIG_HOME", out.path())
        .args(["mount", "--log-file"])
        .arg(&log);
    run(mount.arg(cid.to_string()).arg(point.path())).ok("aiozfs mount");
    let pid = serving(point.path()).expect("it goes on");
    let hang_up = |expected: &str| {
        rustix::process::kill_process(pid, Signal::HUP).expect("a process of ours");
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(
            run::wait_until(LIMIT, || said().contains(expected)),
            "{}",
            said()
        );
    };
    let read_end = |name: &str| read_last(&point.path().join(name));
    read_end("a.bin");
    assert!(
        node.log()
            .iter()
            .any(|head| head.contains("Bearer first-token"))
    );

    fs::write(&token, "second-token").expect("a token");
    fs::write(&config, format!("{gateway}[mount]\nlog = \"info\"\n")).expect("a configuration");
    hang_up("the configuration was read again");
    let before = node.log().len();
    read_end("b.bin");
    let heads = node.log();
    assert!(
        heads[before..]
            .iter()
            .any(|head| head.contains("Bearer second-token")),
        "{heads:#?}"
    );
    assert!(
        !heads[before..]
            .iter()
            .any(|head| head.contains("first-token"))
    );

    fs::write(&config, "[mount]\nmemroy = 1\n").expect("a configuration");
    hang_up("the old configuration stays");
    let said = fs::read_to_string(&log).expect("the log");
    assert!(
        said.contains("config.toml, line 2: unknown field"),
        "{said}"
    );
    read_end("c.bin");
    run(run::aiozfs().arg("umount").arg(point.path())).ok("umount");
}

/// Reads the end of a file, which no other read has brought.
fn read_last(path: &Path) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::open(path).expect("it opens");
    file.read_exact_at(&mut [0; 1000], 11_900_000)
        .expect("bytes");
}

/// `systemctl reload` sends SIGHUP to a service, which is in the foreground.
#[test]
fn sighup_does_not_end_a_service() {
    let (source, out) = (tree::temp(), tree::temp());
    tree::write(source.path(), "a.txt", b"content");
    let archive = out.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    let mount = crate::common::mount::Mount::with_env(&archive, &[], &[("INVOCATION_ID", "1")]);
    mount.signal(Signal::HUP);
    assert_eq!(mount.log_lines("the configuration was read again").len(), 1);
    assert_eq!(
        fs::read(mount.join("a.txt")).expect("it lives on"),
        b"content"
    );
}

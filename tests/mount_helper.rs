//! mount-scripts/mount.aiozfs, as mount(8) runs it. Needs /dev/fuse, and the package fuse3 unless
//! run as root.

use std::path::Path;
use std::process::Command;

/// It puts a `--` before the source. Going on in the background once added its own option behind
/// that, where it was taken for a third argument, and every mount from fstab failed.
#[test]
fn a_mount_as_mount_8_asks_for_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bin = Path::new(env!("CARGO_BIN_EXE_aiozfs"));
    let dir = tempfile::tempdir().expect("a directory");
    let path = format!(
        "{}:{}",
        bin.parent().expect("a directory").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mounted = Command::new(root.join("mount-scripts/mount.aiozfs"))
        .arg(root.join("src/cli/demo/holiday.zip"))
        .arg(dir.path())
        .args(["-n", "-o", "rw,_netdev,x-systemd.automount,umask=077"])
        .env("PATH", path)
        .output()
        .expect("runs");
    assert!(mounted.status.success(), "{mounted:?}");
    let master = std::fs::read_to_string(dir.path().join("master_playlist.m3u8"));
    let ended = Command::new(bin)
        .arg("umount")
        .arg(dir.path())
        .output()
        .expect("runs");
    assert!(ended.status.success(), "{ended:?}");
    assert!(master.expect("a playlist").starts_with("#EXTM3U"));
}

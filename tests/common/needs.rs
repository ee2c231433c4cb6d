//! What the tests need of the system. If something is missing, the test fails and names the package: a skipped test
//! would go unnoticed.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Tools that tests run, and the Debian packages that have them.
const PACKAGES: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("bsdtar", "libarchive-tools"),
    ("chromium", "chromium"),
    ("du", "coreutils"),
    ("ffmpeg", "ffmpeg"),
    ("ffprobe", "ffmpeg"),
    ("firefox-esr", "firefox-esr"),
    ("find", "findutils"),
    ("fish", "fish"),
    ("fusermount3", "fuse3"),
    ("getfattr", "attr"),
    ("ls", "coreutils"),
    ("mpv", "mpv"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("pip3", "python3-pip"),
    ("promtool", "prometheus"),
    ("python3", "python3"),
    ("rsync", "rsync"),
    ("script", "bsdutils"),
    ("setpriv", "util-linux"),
    ("tar", "tar"),
    ("touch", "coreutils"),
    ("tree", "tree"),
    ("umount", "mount"),
    ("unshare", "util-linux"),
    ("varnishd", "varnish"),
    ("unzip", "unzip"),
    ("vlc", "vlc-bin vlc-plugin-base"),
    ("zip", "zip"),
    ("zsh", "zsh"),
    ("7zz", "7zip"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("cat", "coreutils"),
    ("cp", "coreutils"),
    ("env", "coreutils"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    ("getent", "libc-bin"),
    ("kill", "procps"),
    ("nohup", "coreutils"),
    ("ganesha.nfsd", "nfs-ganesha nfs-ganesha-vfs"),
    ("nfs-ls", "libnfs-utils"),
    ("nfs-cp", "libnfs-utils"),
    ("exportfs", "nfs-kernel-server"),
];

/// Fails the test if a tool is not there.
pub fn tool(name: &str) {
    let path = path();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let package = PACKAGES.iter().find(|(tool, _)| *tool == name);
    let package = package.map_or(name, |(_, package)| package);
    assert!(
        found,
        "this test needs '{name}'; install it with 'apt-get install {package}'"
    );
}

/// Where tools are: also where Debian has servers, which is not on everybody's PATH.
pub fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    path
}

/// Fails the test if nothing can be mounted here.
pub fn fuse() {
    assert!(
        Path::new("/dev/fuse").exists(),
        "this test needs /dev/fuse; load it with 'modprobe fuse' and install the package fuse3, or give it to the container with '--device /dev/fuse --cap-add SYS_ADMIN'"
    );
}

/// Fails the test if users other than root cannot mount here.
pub fn fuse_for_users() {
    fuse();
    tool("fusermount3");
    let mode = fs::metadata("/dev/fuse").expect("it").permissions().mode();
    assert!(
        mode & 0o006 == 0o006,
        "this test mounts as a user; let users open the device, as udev does: chmod 666 /dev/fuse"
    );
}

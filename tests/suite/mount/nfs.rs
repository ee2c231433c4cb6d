//! A mount that a real NFS server exports, and that real clients read.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::ganesha::Ganesha;
use crate::common::mount::{Mount, MountPoint};
use crate::common::{archives, run, tree};

/// As shipped, for the server of the kernel.
const EXPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mount-scripts/nfs/exports");

/// More names than one reply of a server has.
const MANY: usize = 1500;

const LARGE: usize = 3_000_000;

/// Packs a tree of files, which `seed` fills. Returns the folder and the archive in a directory of its own.
fn packed(seed: u64) -> (tree::TempDir, tree::TempDir) {
    let (folder, out) = (tree::temp(), tree::temp());
    for i in 0..MANY {
        tree::write(
            folder.path(),
            &format!("many/{i}"),
            i.to_string().as_bytes(),
        );
    }
    tree::write(folder.path(), "films/film.bin", &tree::bytes(seed, LARGE));
    tree::write(folder.path(), "films/größe", b"name");
    tree::write(folder.path(), "empty", b"");
    symlink("films/film.bin", folder.path().join("link")).expect("a link");
    archives::info_zip(folder.path(), &out.path().join("a.zip"));
    (folder, out)
}

/// The server opens files by handle, which is for root.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("not tried: an NFS server needs root");
    }
    is_root
}

fn assert_copied(server: &Ganesha, path: &str, folder: &Path) {
    let out = tree::temp();
    let copy = out.path().join("copy");
    server.copy(path, &copy).ok("nfs-cp");
    let want = fs::read(folder.join(&path[1..])).expect("a file");
    let have = fs::read(copy).expect("a copy");
    assert_eq!(tree::differs(&want, &have), None, "{path}");
}

#[test]
fn an_nfs_client_lists_and_reads_the_whole_tree() {
    if !is_root() {
        return;
    }
    let (folder, out) = packed(1);
    let mount = Mount::with(out.path().join("a.zip"), &["--allow-other"]);
    let server = Ganesha::of(mount.path());
    let listed = server.list().ok("nfs-ls").stdout;
    // Mode, links, owner, group, size and path.
    let listed: BTreeMap<_, _> = (listed.lines())
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            assert_eq!(words.len(), 6, "{line}");
            (
                words[5].to_owned(),
                (line.chars().next(), words[4].to_owned()),
            )
        })
        .collect();
    let mut want: BTreeMap<_, _> = (0..MANY)
        .map(|i| (format!("many/{i}"), (Some('-'), i.to_string().len())))
        .collect();
    want.insert("many".into(), (Some('d'), 0));
    want.insert("films".into(), (Some('d'), 0));
    want.insert("films/film.bin".into(), (Some('-'), LARGE));
    want.insert("films/größe".into(), (Some('-'), 4));
    want.insert("empty".into(), (Some('-'), 0));
    want.insert("link".into(), (Some('l'), "films/film.bin".len()));
    let want: BTreeMap<_, _> = (want.into_iter())
        .map(|(path, (kind, size))| (path, (kind, size.to_string())))
        .collect();
    assert_eq!(listed, want, "{}", server.log());
    for path in ["/films/film.bin", "/films/größe", "/empty", "/many/7"] {
        assert_copied(&server, path, folder.path());
    }
    let absent = server.copy("/films/none", &folder.path().join("none"));
    assert!(absent.stderr.contains("NFS4ERR_NOENT"), "{}", absent.stderr);
    mount.assert_no_complaint();
}

/// Reads half of a file with libnfs and opens another, lets the server's kernel drop all inodes, and reads on. The server
/// has the first file open. Of the second, and of the directory that has a third, it has nothing but handles.
const READS_ON: &str = r#"
import ctypes, ctypes.util, sys
nfs = ctypes.CDLL(ctypes.util.find_library("nfs"))
class Url(ctypes.Structure):
    _fields_ = [("server", ctypes.c_char_p), ("path", ctypes.c_char_p), ("file", ctypes.c_char_p)]
nfs.nfs_init_context.restype = ctypes.c_void_p
nfs.nfs_parse_url_dir.restype = ctypes.POINTER(Url)
nfs.nfs_get_error.restype = ctypes.c_char_p
context = ctypes.c_void_p(nfs.nfs_init_context())
def done(result):
    if result < 0:
        sys.exit(nfs.nfs_get_error(context).decode())
    return result
url = nfs.nfs_parse_url_dir(context, sys.argv[1].encode()).contents
done(nfs.nfs_mount(context, url.server, url.path))
def opened(path):
    file = ctypes.c_void_p()
    done(nfs.nfs_open(context, path, 0, ctypes.byref(file)))
    return file
def read(file, offset, end):
    data = b""
    while offset + len(data) < end:
        part = ctypes.create_string_buffer(100000)
        at, size = ctypes.c_uint64(offset + len(data)), min(len(part), end - offset - len(data))
        count = done(nfs.nfs_pread(context, file, at, ctypes.c_uint64(size), part))
        data += part.raw[:count]
    return data
want = open(sys.argv[2], "rb").read()
half = len(want) // 2
film, known = opened(b"/films/film.bin"), opened(b"/many/1")
assert read(film, 0, half) == want[:half]
done(nfs.nfs_close(context, known))
with open("/proc/sys/vm/drop_caches", "w") as caches:
    caches.write("2")
assert read(film, half, len(want)) == want[half:]
assert read(opened(b"/many/1"), 0, 1) == b"1"
assert read(opened(b"/many/42"), 0, 2) == b"42"
print("read")
"#;

#[test]
fn what_nfs_clients_have_opened_survives_dropped_caches() {
    if !is_root() {
        return;
    }
    let (folder, out) = packed(2);
    let mount = Mount::with(out.path().join("a.zip"), &["--allow-other"]);
    let server = Ganesha::of(mount.path());
    let film = folder.path().join("films/film.bin");
    let film = film.to_str().expect("a plain path");
    let done = run::python(READS_ON, &[&*server.url(""), film]);
    assert_eq!(done.stdout, "read\n", "{}", done.stderr);
    mount.assert_no_complaint();
}

#[test]
fn after_a_remount_nfs_clients_get_errors_until_the_server_starts_again() {
    if !is_root() {
        return;
    }
    let (folder, out) = packed(3);
    let (point, cache) = (MountPoint::new(), tree::temp());
    let mount = || {
        let mut mount = run::aiozfs();
        mount.env("AIOZFS_CACHE_DIR", cache.path());
        mount.args(["mount", "--allow-other"]);
        mount.arg(out.path().join("a.zip")).arg(point.path());
        run::run(&mut mount).ok("aiozfs mount");
    };
    mount();
    let server = Ganesha::of(point.path());
    assert_copied(&server, "/films/film.bin", folder.path());
    // The server has the root of the mount open all the time.
    let mut umount = run::aiozfs();
    let ended = run::run(umount.arg("umount").arg(point.path())).ok("aiozfs umount");
    assert!(ended.stderr.contains("ganesha.nfsd"), "{}", ended.stderr);
    mount();
    let copy = out.path().join("copy");
    let refused = server.copy("/films/film.bin", &copy);
    assert!(!refused.status.success(), "{}", refused.stdout);
    assert_eq!(fs::read(&copy).unwrap_or_default(), b"");
    drop(server);
    let server = Ganesha::of(point.path());
    assert_copied(&server, "/films/film.bin", folder.path());
}

/// The kernel's NFS server is not in every kernel, so its own program only reads the file.
#[test]
fn exportfs_accepts_the_shipped_exports() {
    if !is_root() {
        return;
    }
    // In a namespace of its own: exportfs knows no other place for what it reads and writes.
    const SCRIPT: &str = "set -e
        for directory in /mnt /var/lib; do mount -t tmpfs tmpfs $directory; done
        mkdir /mnt/video /var/lib/nfs /var/lib/etc
        cp \"$1\" /var/lib/etc/exports
        touch /var/lib/nfs/etab
        mount --bind /var/lib/etc /etc
        exportfs -a
        cat /var/lib/nfs/etab";
    run::tool("exportfs");
    let mut unshare = run::tool("unshare");
    unshare.args(["-m", "sh", "-c", SCRIPT, "sh", EXPORTS]);
    let exported = run::run(&mut unshare).ok("exportfs");
    let line = exported.stdout.trim_end();
    assert!(line.starts_with("/mnt/video\t192.168.0.0/24("), "{line}");
    for option in ["ro", "fsid=1", "no_subtree_check", "root_squash"] {
        assert!(line.contains(option), "{option}: {line}");
    }
}

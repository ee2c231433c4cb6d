//! File handles, as an NFS server uses them: they outlive what the kernel has cached.

use std::fs;
use std::path::Path;

use crate::common::mount::{Mount, MountPoint};
use crate::common::{archives, run, tree};

/// Python functions for name_to_handle_at(2) and open_by_handle_at(2).
const FUNCTIONS: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]
def handle_of(path):
    handle, mount = Handle(128), ctypes.c_int()
    if libc.name_to_handle_at(-100, path.encode(), ctypes.byref(handle), ctypes.byref(mount), 0):
        raise OSError(ctypes.get_errno(), path)
    return handle
def opened(root, handle, flags):
    fd = libc.open_by_handle_at(root, ctypes.byref(handle), flags)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "open_by_handle_at")
    return fd
root = sys.argv[1]
"#;

/// Takes handles of files and directories, and opens them after the kernel has dropped all inodes: it then knows
/// nothing but the handle, and looks up "." and "..".
const OPENS_AFTER_A_DROP: &str = r#"
file, directory = handle_of(root + "/a/b/file"), handle_of(root + "/a/b")
with open("/proc/sys/vm/drop_caches", "w") as caches:
    caches.write("2")
top = os.open(root, os.O_RDONLY)
print(os.read(opened(top, file, os.O_RDONLY), 100).decode())
there = opened(top, directory, os.O_RDONLY | os.O_DIRECTORY)
print(os.listdir(there), os.readlink("/proc/self/fd/%d" % there).removeprefix(root))
print(os.listdir(os.open("..", os.O_RDONLY, dir_fd=there)))
"#;

/// They were stale (ESTALE) as soon as the kernel needed the memory, so NFS clients lost their files.
#[test]
fn file_handles_survive_dropped_caches() {
    if !rustix::process::geteuid().is_root() {
        return; // open_by_handle_at(2) and /proc/sys/vm/drop_caches are for root.
    }
    let (source, out) = (tree::temp(), tree::temp());
    fs::create_dir_all(source.path().join("a/b")).expect("directories");
    tree::write(source.path(), "a/b/file", b"content");
    let archive = out.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    let mount = Mount::new(&archive);
    let root = mount.path().to_str().expect("a plain path");
    let done = run::python(&[FUNCTIONS, OPENS_AFTER_A_DROP].concat(), &[root]);
    assert_eq!(
        done.stdout, "content\n['file'] /a/b\n['b']\n",
        "{}",
        done.stderr
    );
}

/// Prints the handle of a file and of its directory.
const PRINTS: &str = r#"
for path in "/a/b/file", "/a/b":
    print(bytes(handle_of(root + path)).hex())
"#;

/// Opens the handles of the arguments.
const OPENS: &str = r#"
top = os.open(root, os.O_RDONLY)
for flags, handle in zip((os.O_RDONLY, os.O_RDONLY | os.O_DIRECTORY), sys.argv[2:]):
    try:
        fd = opened(top, Handle.from_buffer_copy(bytes.fromhex(handle)), flags)
        print(os.listdir(fd) if flags & os.O_DIRECTORY else os.read(fd, 100).decode())
    except OSError as error:
        print(os.strerror(error.errno))
"#;

/// A handle had the inode number alone. After a mount of another archive on the same directory, an NFS client that kept
/// a handle got the bytes of another file, without an error.
#[test]
fn file_handles_are_for_the_same_archive_only() {
    if !rustix::process::geteuid().is_root() {
        return; // open_by_handle_at(2) is for root.
    }
    let out = tree::temp();
    let archive = |name: &str, content: &[u8]| {
        let (source, archive) = (tree::temp(), out.path().join(name));
        fs::create_dir_all(source.path().join("a/b")).expect("directories");
        tree::write(source.path(), "a/b/file", content);
        archives::zipfile(source.path(), &archive);
        archive
    };
    let (one, another) = (archive("1.zip", b"one"), archive("2.zip", b"two, more"));
    let point = MountPoint::new();
    let root = point.path().to_str().expect("a plain path");
    let mounted = |archive: &Path, program: &str, handles: &[&str]| {
        let mut mount = run::aiozfs();
        mount.arg("mount").arg(archive).arg(root);
        run::run(&mut mount).ok("aiozfs mount");
        let args = [&[root], handles].concat();
        let done = run::python(&[FUNCTIONS, program].concat(), &args);
        let mut umount = run::aiozfs();
        run::run(umount.args(["umount", root])).ok("aiozfs umount");
        done.stdout
    };
    let handles = mounted(&one, PRINTS, &[]);
    let handles: Vec<_> = handles.lines().collect();
    assert_eq!(handles.len(), 2, "{handles:?}");
    assert_eq!(mounted(&one, OPENS, &handles), "one\n['file']\n");
    let stale = "Stale file handle\n".repeat(2);
    assert_eq!(mounted(&another, OPENS, &handles), stale);
    assert_eq!(mounted(&one, OPENS, &handles), "one\n['file']\n");
}

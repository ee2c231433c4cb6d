//! File handles, as an NFS server uses them: they outlive what the kernel has cached.

use std::fs;

use crate::common::mount::Mount;
use crate::common::{archives, run, tree};

/// name_to_handle_at(2) of files and directories, then open_by_handle_at(2) after the kernel has dropped all
/// inodes: it then knows nothing but the handle, and looks up "." and "..".
const PROGRAM: &str = r#"
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
    let done = run::python(PROGRAM, &[root]);
    assert_eq!(
        done.stdout, "content\n['file'] /a/b\n['b']\n",
        "{}",
        done.stderr
    );
}

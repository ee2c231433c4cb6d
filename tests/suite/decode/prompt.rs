//! The question for a password on a terminal.

use std::path::PathBuf;

use crate::common::tree::TempDir;

use crate::common::run::python;
use crate::common::{archives, tree};

/// Runs `aiozfs cat ARCHIVE encrypted.txt` on a terminal of its own, types the keys of the first argument when it asks,
/// and prints how the program ended, whether the terminal showed keys meanwhile and afterwards, and all that it showed.
const PROGRAM: &str = r"
import fcntl, os, pty, select, signal, subprocess, sys, termios
keys = sys.argv[1].encode().decode('unicode_escape').encode()
terminal, other_side = pty.openpty()
def begin():
    os.setsid()
    fcntl.ioctl(other_side, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
os.environ.pop('AIOZFS_PASSWORD', None)
child = subprocess.Popen(sys.argv[2:], stdin=other_side, stdout=other_side, stderr=other_side, preexec_fn=begin)
def shows_keys():
    return bool(termios.tcgetattr(other_side)[3] & termios.ECHO)
shown = b''
while b'Password of' not in shown or shows_keys():
    if b'Password of' not in shown:
        shown += os.read(terminal, 1000)
while_asked = shows_keys()
os.write(terminal, keys)
has_ended = False
while not has_ended:
    has_ended = child.poll() is not None
    while select.select([terminal], [], [], 0.05)[0]:
        shown += os.read(terminal, 100000)
print(child.returncode, while_asked, shows_keys())
print(shown.decode())
";

fn archive() -> (TempDir, PathBuf) {
    let (source, dir) = (tree::temp(), tree::temp());
    let path = dir.path().join("mixed.zip");
    archives::mixed(source.path(), &path);
    (dir, path)
}

fn cat(keys: &str) -> String {
    let (_dir, path) = archive();
    let program = env!("CARGO_BIN_EXE_aiozfs");
    let args = [
        keys.as_ref(),
        program.as_ref(),
        "cat".as_ref(),
        path.as_os_str(),
        "encrypted.txt".as_ref(),
    ];
    python(PROGRAM, &args).stdout
}

#[test]
fn a_password_is_asked_for_without_showing_it() {
    // A wrong character and the key that erases it.
    let said = cat("secrex\\x7ft\\n");
    assert!(said.starts_with("0 False True\n"), "{said}");
    assert!(said.contains("encrypted.txtencrypted.txt"), "{said}");
    assert!(!said.contains("secre"), "{said}");
}

/// Ctrl-C ended the program before it restored the terminal, which then showed no keys in the shell.
#[test]
fn ctrl_c_at_the_question_restores_the_terminal() {
    let said = cat("secr\\x03");
    assert!(said.starts_with("-2 False True\n"), "{said}");
}

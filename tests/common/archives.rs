//! Archives made by the writers that people use, and by hand for cases that no writer should make.

use std::fs;
use std::path::Path;

use super::run::{python, run, tool};

/// Makes an archive of all that is in a folder.
pub type Maker = fn(&Path, &Path);

/// Every kind of archive whose entries are all stored.
pub const STORED: [(&str, Maker); 9] = [
    ("zip -0", info_zip),
    ("zipfile", zipfile),
    ("zipfile, force_zip64", zipfile_zip64),
    ("zipfile, to a pipe", zipfile_streamed),
    ("bsdtar", bsdtar),
    ("with a comment", commented),
    ("with a long comment full of lies", lying_comment),
    ("with bytes before it", prepended),
    ("appended to bytes", appended),
];

/// `zip -0 -r`; symlinks stay such.
pub fn info_zip(folder: &Path, out: &Path) {
    let mut zip = tool("zip");
    zip.current_dir(folder);
    zip.args(["-q", "-0", "-r", "-y"]).arg(out).arg(".");
    run(&mut zip).ok("zip");
}

/// Walks a folder and writes it with Python's zipfile in one of several ways.
const ZIPFILE: &str = r#"
import os, shutil, sys, zipfile
folder, out, way = sys.argv[1:]
class Pipe:
    # Cannot seek: sizes and CRC come in data descriptors behind the data.
    def __init__(self, file): self.file = file
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()
if way == 'append':
    with open(out, 'wb') as f: f.write(bytes(range(256)) * 512)
target = Pipe(open(out, 'wb')) if way == 'pipe' else out
with zipfile.ZipFile(target, 'a' if way == 'append' else 'w', zipfile.ZIP_STORED) as z:
    for at, dirs, files in os.walk(folder):
        dirs.sort()
        for name in sorted(dirs) + sorted(files):
            path = os.path.join(at, name)
            inside = os.path.relpath(path, folder)
            if way in ('zip64', 'pipe') and os.path.isfile(path):
                info = zipfile.ZipInfo.from_file(path, inside)
                with open(path, 'rb') as i, z.open(info, 'w', force_zip64=way == 'zip64') as o:
                    shutil.copyfileobj(i, o)
            else:
                z.write(path, inside)
    if way == 'comment': z.comment = b'Packed by hand'
    # What looks like an end-of-central-directory record, with a comment to the end, and nonsense.
    if way == 'lies': z.comment = (b'PK\x05\x06' + bytes(16) + b'\x00\x00') * 2900 + b'PK\x06\x07PK\x05\x06'
"#;

fn zipfile_as(way: &str, folder: &Path, out: &Path) {
    python(
        ZIPFILE,
        &[folder.as_os_str(), out.as_os_str(), way.as_ref()],
    );
}

pub fn zipfile(folder: &Path, out: &Path) {
    zipfile_as("plain", folder, out);
}

fn zipfile_zip64(folder: &Path, out: &Path) {
    zipfile_as("zip64", folder, out);
}

fn zipfile_streamed(folder: &Path, out: &Path) {
    zipfile_as("pipe", folder, out);
}

fn commented(folder: &Path, out: &Path) {
    zipfile_as("comment", folder, out);
}

fn lying_comment(folder: &Path, out: &Path) {
    zipfile_as("lies", folder, out);
}

/// All offsets count from the beginning of the file.
fn appended(folder: &Path, out: &Path) {
    zipfile_as("append", folder, out);
}

/// All offsets count from where the archive begins, as after `cat stub archive.zip`.
fn prepended(folder: &Path, out: &Path) {
    zipfile(folder, out);
    let archive = fs::read(out).expect("just written");
    let stub = b"#!/bin/sh\nexec something\n".repeat(1000);
    fs::write(out, [stub, archive].concat()).expect("a file");
}

pub fn bsdtar(folder: &Path, out: &Path) {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    let mut bsdtar = tool("bsdtar");
    bsdtar.current_dir(folder).env("LC_ALL", "C.UTF-8");
    bsdtar.args(["--format", "zip", "--options", "zip:compression=store"]);
    bsdtar.arg("-cf").arg(out).args(names);
    run(&mut bsdtar).ok("bsdtar");
}

/// Runs Python with `z`, an open archive, `zipfile` and `info(name)`, which makes a ZipInfo whose
/// writer was on Unix.
pub fn scripted(out: &Path, script: &str) {
    let program = format!(
        "import sys, warnings, zipfile\nwarnings.simplefilter('ignore')\ndef info(name, mode=0o100644):\n    i = zipfile.ZipInfo('x', (2021, 12, 22, 10, 30, 8))\n    i.filename, i.create_system, i.external_attr = name, 3, mode << 16\n    return i\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n{}",
        script
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    );
    python(&program, &[out]);
}

/// One entry of more than 4 GiB, most of it a hole in the file, and another behind it. The CRC of
/// the huge one is left out: to count it takes longer than the test.
pub fn beyond_4_gib(out: &Path) {
    scripted(
        out,
        r#"
z.writestr(info('near.bin'), b'near ' * 1000)
huge = info('huge.bin')
huge.file_size = huge.compress_size = (4 << 30) + 8192
huge.header_offset, huge.CRC = z.fp.tell(), 0
z.fp.write(huge.FileHeader(zip64=True))
data = z.fp.tell()
for at, text in (0, b'begin'), ((4 << 30) - 4, b'over the edge'), ((4 << 30) + 8192 - 3, b'end'):
    z.fp.seek(data + at)
    z.fp.write(text)
z.filelist.append(huge)
z.NameToInfo[huge.filename] = huge
z.start_dir = z.fp.tell()
z.writestr(info('far.bin'), b'far beyond ' * 1000)
"#,
    );
}

/// `stored.txt`, `deflated.txt` and `encrypted.txt`, each as it is called.
pub fn mixed(folder: &Path, out: &Path) {
    for (name, options) in [
        ("stored.txt", &["-0"][..]),
        ("deflated.txt", &["-9"]),
        ("encrypted.txt", &["-0", "-P", "secret"]),
    ] {
        fs::write(folder.join(name), name.repeat(1000)).expect("a file");
        let mut zip = tool("zip");
        zip.current_dir(folder).arg("-q").args(options);
        run(zip.arg(out).arg(name)).ok("zip");
    }
}

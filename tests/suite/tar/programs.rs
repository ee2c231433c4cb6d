//! Archives as real programs write them, compared with what Python's tarfile reads in them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

use crate::common::tree::TempDir;
use aiozfs::archive::{Ending, Index, Kind};

use super::drive;
use crate::common::run::{python, run, tool};
use crate::common::tree;

/// Prints what Python's tarfile reads in archives, as `drive::described` has it, one JSON object an archive. The last
/// member of a name counts.
const READER: &str = r#"
import json, math, sys, tarfile, zlib
from decimal import Decimal
for name in sys.argv[1:]:
    members = {}
    with tarfile.open(name, 'r:') as archive:
        for m in archive:
            path = '/'.join(part for part in m.name.split('/') if part not in ('', '.'))
            if not path: continue
            kind = ('hard' if m.islnk() else 'sym' if m.issym() else 'dir' if m.isdir()
                    else 'special' if m.isdev() else 'file')
            crc = '-'
            if kind == 'file': crc = '%08x' % zlib.crc32(archive.extractfile(m).read())
            time = Decimal(m.pax_headers.get('mtime', m.mtime))
            whole = math.floor(time)
            nanos = int((time - whole) * 10**9)
            target = m.linkname if kind in ('hard', 'sym') else '-'
            size = m.size if kind == 'file' else 0
            members[path] = f'{kind} {size} {m.mode & 0o777:o} {m.uid} {m.gid} {whole}.{nanos:09} {target} {crc}'
    print(json.dumps(members))
"#;

/// What Python reads in each of these archives.
pub fn read_by_python(archives: &[impl AsRef<OsStr>]) -> Vec<BTreeMap<String, String>> {
    let printed = python(READER, archives).stdout;
    let lines = printed.lines().map(serde_json::from_str);
    lines.map(|line| line.expect("JSON")).collect()
}

/// A folder with what a tar can hold.
fn folder() -> TempDir {
    let dir = tree::temp();
    let root = dir.path();
    tree::write(root, "sub/one.ts", &tree::bytes(1, 100_000));
    tree::write(root, "sub/deeper/zwei-ü-日本.ts", b"zwei");
    tree::write(root, "nothing", b"");
    tree::write(root, "block", &tree::bytes(2, 512));
    let long = "long-directory-name/".repeat(12) + &"n".repeat(140);
    tree::write(root, &long, b"behind a long path");
    tree::write(root, &format!("short/{}", "m".repeat(99)), b"99");
    fs::create_dir(root.join("empty")).expect("created");
    symlink("sub/one.ts", root.join("link")).expect("linked");
    symlink("t".repeat(200), root.join("long link")).expect("linked");
    fs::hard_link(root.join("block"), root.join("same")).expect("linked");
    dir
}

/// A file with holes between, before and behind its data.
fn with_holes(path: &Path, pieces: u64) {
    let file = File::create(path).expect("created");
    for piece in 0..pieces {
        let at = (1 << 20) + piece * (1 << 18);
        file.write_all_at(&tree::bytes(piece, 5000), at)
            .expect("written");
    }
    file.set_len((2 << 20) + pieces * (1 << 18))
        .expect("extended");
}

fn compare(what: &str, archive: &Path) -> Index {
    let blob = fs::read(archive).expect("readable");
    let expected = read_by_python(&[archive]).remove(0);
    let mut found = None;
    for piece in [1, 100, 512, 1 << 20] {
        let index = drive::index(&blob, || piece);
        assert_eq!(drive::described(&index, &blob), expected, "{what}");
        assert_eq!(index.hidden().1, 0, "{what}: {:?}", index.hidden().0);
        found = Some(index);
    }
    found.expect("several")
}

#[test]
fn archives_of_gnu_tar_have_what_python_reads() {
    let (folder, out) = (folder(), tree::temp());
    let archive = out.path().join("a.tar");
    // A v7 header has no room for the long names.
    for format in ["gnu", "oldgnu", "pax"] {
        let mut tar = tool("tar");
        let format = format!("--format={format}");
        tar.args(["-c", &format, "-f"]).arg(&archive);
        run(tar.arg("-C").arg(folder.path()).arg(".")).ok("tar");
        let index = compare(&format, &archive);
        assert_eq!(index.ending(), Ending::Marked, "{format}");
        assert_eq!(index.problem(), None);
    }
}

#[test]
fn archives_of_bsdtar_have_what_python_reads() {
    let (folder, out) = (folder(), tree::temp());
    let archive = out.path().join("a.tar");
    for format in ["pax", "gnutar"] {
        let mut bsdtar = tool("bsdtar");
        bsdtar.args(["-c", "--format", format, "-f"]).arg(&archive);
        run(bsdtar.arg("-C").arg(folder.path()).arg(".")).ok("bsdtar");
        compare(format, &archive);
    }
    let short = tree::temp();
    tree::write(short.path(), "a/b", b"short names");
    for format in ["ustar", "v7"] {
        let mut bsdtar = tool("bsdtar");
        bsdtar.args(["-c", "--format", format, "-f"]).arg(&archive);
        run(bsdtar.arg("-C").arg(short.path()).arg("a")).ok("bsdtar");
        compare(format, &archive);
    }
}

#[test]
fn sparse_members_of_every_version_have_their_holes() {
    let (folder, out) = (tree::temp(), tree::temp());
    // More pieces than one block of an old map, or of a map before the data, has.
    with_holes(&folder.path().join("many"), 100);
    with_holes(&folder.path().join("few"), 3);
    let empty = File::create(folder.path().join("only a hole")).expect("created");
    empty.set_len(1 << 20).expect("extended");
    tree::write(folder.path(), "z", b"behind them");
    let archive = out.path().join("a.tar");
    let versions = [
        &["--format=pax", "--sparse-version=1.0"][..],
        &["--format=pax", "--sparse-version=0.1"],
        &["--format=pax", "--sparse-version=0.0"],
        &["--format=gnu"],
    ];
    for version in versions {
        let mut tar = tool("tar");
        tar.args(["-c", "--sparse"]).args(version).arg("-f");
        run(tar.arg(&archive).arg("-C").arg(folder.path()).arg(".")).ok("tar");
        let index = compare(&format!("{version:?}"), &archive);
        let blob = fs::metadata(&archive).expect("there").len();
        assert!(blob < 2 << 20, "{version:?}: tar left the holes out");
        let sparse = index.ids().filter(|id| !index.pieces(*id).is_empty());
        assert_eq!(sparse.count(), 2, "{version:?}");
    }
}

#[test]
fn archives_of_git_have_their_commit_as_comment() {
    let (folder, out) = (folder(), tree::temp());
    let git = |args: &[&str]| {
        let mut git = tool("git");
        git.args(["-c", "user.name=n", "-c", "user.email=e@example.com", "-C"]);
        git.arg(folder.path()).args(args);
        run(git.env("HOME", "/no/such/directory")).ok("git").stdout
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "all"]);
    let archive = out.path().join("a.tar");
    let output = format!("--output={}", archive.display());
    git(&["archive", "--format=tar", "--prefix=v1/", &output, "HEAD"]);
    let index = compare("git archive", &archive);
    let commit = git(&["rev-parse", "HEAD"]);
    assert_eq!(index.comment(), commit.trim().as_bytes());
}

/// `docker save` and its kind: layers are tars within the tar, so headers lie in the data of members.
#[test]
fn tars_within_a_tar_are_members() {
    let (folder, out) = (folder(), tree::temp());
    let layers = tree::temp();
    for layer in ["one", "two"] {
        let path = layers.path().join(layer);
        fs::create_dir(&path).expect("created");
        let mut tar = tool("tar");
        tar.arg("-cf").arg(path.join("layer.tar")).arg("-C");
        run(tar.arg(folder.path()).arg(".")).ok("tar");
        tree::write(layers.path(), &format!("{layer}/VERSION"), b"1.0");
    }
    tree::write(layers.path(), "manifest.json", b"[]");
    let archive = out.path().join("image.tar");
    let mut tar = tool("tar");
    tar.arg("-cf").arg(&archive).arg("-C").arg(layers.path());
    run(tar.args(["one", "two", "manifest.json"])).ok("tar");
    let index = compare("an image", &archive);
    assert_eq!(index.len(), 7);
}

#[test]
fn devices_and_fifos_are_special() {
    let (folder, out) = (tree::temp(), tree::temp());
    run(tool("mkfifo").arg(folder.path().join("fifo"))).ok("mkfifo");
    let archive = out.path().join("a.tar");
    let mut tar = tool("tar");
    tar.arg("-cf")
        .arg(&archive)
        .args(["-C", "/", "dev/null", "-C"]);
    run(tar.arg(folder.path()).arg("fifo")).ok("tar");
    let index = compare("devices", &archive);
    for id in index.ids() {
        assert_eq!((index.kind(id), index.get(id).size), (Kind::Special, 0));
    }
    assert_eq!(index.len(), 2);
}

/// A property of archives that Python's tarfile writes at random: names, links, sizes, times and owners come out as
/// Python reads them.
#[test]
fn random_archives_have_what_python_reads() {
    const WRITER: &str = r#"
import io, random, sys, tarfile
random.seed(int(sys.argv[1]))
LETTERS = 'abcdefgh-_. üß日'
def name(longest):
    parts = [''.join(random.choices(LETTERS, k=random.randint(1, longest))).replace('..', 'x').strip('. ') or 'p'
             for _ in range(random.randint(1, 6))]
    return '/'.join(parts)
for at in range(int(sys.argv[3])):
    format = random.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    is_ustar = format == tarfile.USTAR_FORMAT
    with tarfile.open(f'{sys.argv[2]}/{at}.tar', 'w', format=format) as archive:
        seen = set()
        for n in range(random.randint(0, 12)):
            m = tarfile.TarInfo(f'{n}' + name(9 if is_ustar else random.choice([9, 60])))
            m.type = random.choice([tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
                                    tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.CONTTYPE])
            m.mode = random.randint(0, 0o777)
            big = not is_ustar and random.random() < 0.2
            m.uid = random.randint(0, 2**31 if big else 2**20)
            m.gid = random.randint(0, 2**31 if big else 2**20)
            m.mtime = random.randint(-2**33 if big else 0, 2**34 if big else 2**32)
            if format == tarfile.PAX_FORMAT and random.random() < 0.5: m.mtime += random.choice([0.5, 0.25, 0.125])
            if m.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                m.linkname = name(9 if is_ustar else random.choice([9, 60]))
            data = random.randbytes(random.choice([0, 1, 511, 512, 513, random.randint(0, 5000)]))
            if m.type in (tarfile.REGTYPE, tarfile.CONTTYPE): m.size = len(data)
            try: archive.addfile(m, io.BytesIO(data))
            except ValueError: pass
"#;
    let out = tree::temp();
    let seed = std::env::var("AIOZFS_TEST_SEED").unwrap_or_else(|_| "7".to_owned());
    let count = 300;
    let folder = out.path().to_str().expect("text");
    python(WRITER, &[&seed, folder, &count.to_string()]);
    let archives: Vec<_> = (0..count)
        .map(|n| out.path().join(format!("{n}.tar")))
        .collect();
    let all = read_by_python(&archives);
    assert_eq!(all.len(), count);
    let mut members = 0;
    for (archive, expected) in archives.iter().zip(all) {
        let blob = fs::read(archive).expect("readable");
        let index = drive::index(&blob, || 700);
        let what = format!("{} of seed {seed}", archive.display());
        assert_eq!(drive::described(&index, &blob), expected, "{what}");
        members += index.len();
    }
    assert!(members > count, "{members} members");
}

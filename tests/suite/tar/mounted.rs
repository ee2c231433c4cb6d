//! Tars in a mount, and by the commands.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::common::tree::TempDir;

use super::made::Made;
use crate::common::mount::{Mount, xattr};
use crate::common::run::{self, Finished, run, tool};
use crate::common::tree;
use crate::common::way::Way;

/// A folder with files, links and a hole, and its tar.
fn packed() -> (TempDir, TempDir, PathBuf) {
    let (folder, out) = (tree::sample(), tree::temp());
    symlink("hello.txt", folder.path().join("a link")).expect("linked");
    fs::hard_link(folder.path().join("exec.sh"), folder.path().join("same.sh")).expect("linked");
    let sparse = fs::File::create(folder.path().join("sparse")).expect("created");
    sparse.set_len(5 << 20).expect("extended");
    write_at(&sparse, 1 << 20, 100_000);
    write_at(&sparse, 4 << 20, 7);
    let archive = out.path().join("a.tar");
    let mut tar = tool("tar");
    tar.args(["-c", "--format=pax", "--exclude=./sparse", "-f"]);
    run(tar.arg(&archive).arg("-C").arg(folder.path()).arg(".")).ok("tar");
    let mut tar = tool("tar");
    tar.args(["-r", "--sparse", "--format=pax", "-f"])
        .arg(&archive);
    run(tar.arg("-C").arg(folder.path()).arg("./sparse")).ok("tar");
    (folder, out, archive)
}

fn write_at(file: &fs::File, at: u64, len: usize) {
    use std::os::unix::fs::FileExt;
    file.write_all_at(&tree::bytes(at, len), at)
        .expect("written");
}

fn aiozfs(args: &[&str]) -> Finished {
    run(run::aiozfs().args(args))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn mounted_tar_is_the_folder_in_every_way() {
    let (folder, _out, archive) = packed();
    for way in Way::ALL {
        let mount = way.mount(&archive);
        tree::assert_same(&format!("{way:?}"), folder.path(), mount.path());
        let link = fs::read_link(mount.join("a link")).expect("a link");
        assert_eq!(link, Path::new("hello.txt"));
        let inode = |name: &str| {
            let of = fs::metadata(mount.join(name)).expect("there");
            (of.ino(), of.nlink())
        };
        assert_eq!(inode("exec.sh"), inode("same.sh"), "{way:?}");
        assert_eq!(inode("exec.sh").1, 2, "{way:?}");
        mount.assert_no_complaint();
    }
}

#[test]
fn range_of_a_member_is_its_bytes() {
    let (_folder, _out, archive) = packed();
    let blob = fs::read(&archive).expect("readable");
    let mount = Mount::new(&archive);
    let name = "dir/seg_0001.ts";
    let range = xattr(&mount.join(name), "range").expect("an attribute");
    let (offset, len) = range.split_once(',').expect("two numbers");
    let (offset, len): (usize, usize) = (
        offset.parse().expect("a number"),
        len.parse().expect("a number"),
    );
    let content = fs::read(mount.join(name)).expect("readable");
    assert!(content == blob[offset..offset + len]);
    let linked = mount.join(format!("{name}?range={range}"));
    assert!(fs::read(linked).expect("a range link") == content);
    // A sparse file is in several places, and a tar has no checksums.
    assert!(xattr(&mount.join("sparse"), "range").is_err());
    assert!(xattr(&mount.join(name), "crc32").is_err());
    assert_eq!(
        xattr(&mount.join("sparse"), "method").as_deref(),
        Ok("sparse")
    );
    mount.assert_no_complaint();
}

#[test]
fn commands_read_a_tar() {
    let (folder, out, archive) = packed();
    let archive = text(&archive);
    let listed = aiozfs(&["ls", "-R", archive]).ok("ls").stdout;
    assert!(listed.contains("seg_0001.ts"), "{listed}");
    let info = aiozfs(&["info", archive]).ok("info").stdout;
    assert!(info.contains("format") && info.contains("tar"), "{info}");
    let target = out.path().join("extracted");
    aiozfs(&["extract", archive, "-C", text(&target)]).ok("extract");
    let same = |name: &str| {
        let expected = fs::read(folder.path().join(name)).expect("readable");
        assert!(
            fs::read(target.join(name)).expect("extracted") == expected,
            "{name}"
        );
    };
    for name in ["sparse", "hello.txt", "same.sh", "dir/seg_0000.ts"] {
        same(name);
    }
    let verified = aiozfs(&["verify", archive]).ok("verify").stdout;
    assert!(
        verified.contains("all good") && verified.contains("no checksums"),
        "{verified}"
    );
    let blob = fs::read(archive).expect("readable");
    let at = blob
        .windows(11)
        .position(|w| w == b"seg_0001.ts")
        .expect("a header");
    let cut = &blob[..at + 5000];
    let damaged = out.path().join("cut.tar");
    fs::write(&damaged, cut).expect("written");
    let verified = aiozfs(&["verify", text(&damaged)]);
    assert_eq!(verified.code(), Some(1), "{}", verified.stdout);
    assert!(
        verified.stdout.contains("cut off at offset"),
        "{}",
        verified.stdout
    );
    let listed = aiozfs(&["ls", "-R", text(&damaged)]);
    assert_eq!(listed.code(), Some(0));
    assert!(
        listed.stderr.contains("cut off at offset"),
        "{}",
        listed.stderr
    );
    assert_eq!(listed.stderr.lines().count(), 1, "{}", listed.stderr);
    let info = aiozfs(&["info", text(&damaged)]).ok("info").stdout;
    assert!(info.contains("cut off at offset"), "{info}");
}

#[test]
fn compressed_tars_are_refused_with_what_to_do() {
    let out = tree::temp();
    tree::write(out.path(), "f", b"content");
    for (program, format) in [
        ("gzip", "gzip"),
        ("xz", "xz"),
        ("bzip2", "bzip2"),
        ("zstd", "Zstandard"),
    ] {
        // The name tells nothing.
        let archive = out.path().join("a.zip");
        let mut tar = tool("tar");
        needs_program(program);
        tar.arg(format!("--use-compress-program={program}"))
            .arg("-cf")
            .arg(&archive);
        run(tar.arg("-C").arg(out.path()).arg("f")).ok("tar");
        let refused = aiozfs(&["ls", text(&archive)]);
        assert_eq!(refused.code(), Some(1));
        let said = refused.stderr;
        assert!(
            said.contains(format) && said.contains("unpack it with"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

fn needs_program(name: &str) {
    crate::common::needs::tool(name);
}

/// The last bytes of such a tar are the end of a ZIP, and blocks of zeros.
#[test]
fn tar_that_ends_with_a_zip_is_a_tar() {
    let (folder, out) = (tree::sample(), tree::temp());
    let zip = out.path().join("inner.zip");
    crate::common::archives::info_zip(folder.path(), &zip);
    let inner = fs::read(&zip).expect("readable");
    let archive = out.path().join("outer");
    let named = |name: &str| Made::default().file("first", b"1").file(name, &inner);
    for blob in [
        named("inner.zip").ended(),
        named("inner.zip").file("z", b"").ended(),
    ] {
        fs::write(&archive, blob).expect("written");
        let listed = aiozfs(&["ls", text(&archive)]).ok("ls").stdout;
        assert!(
            listed.contains("inner.zip") && listed.contains("first"),
            "{listed}"
        );
        let mount = Mount::new(&archive);
        assert!(fs::read(mount.join("inner.zip")).expect("readable") == inner);
    }
    // And a ZIP with a tar in it is a ZIP.
    let tar = Made::default().file("in the tar", b"1").ended();
    tree::write(folder.path(), "0.tar", &tar);
    fs::remove_file(&zip).expect("there");
    crate::common::archives::info_zip(folder.path(), &zip);
    let listed = aiozfs(&["ls", text(&zip)]).ok("ls").stdout;
    assert!(
        listed.contains("0.tar") && !listed.contains("in the tar"),
        "{listed}"
    );
}

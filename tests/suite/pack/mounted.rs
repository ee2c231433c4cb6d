//! Playlists in a mount: playable, whichever program packed them, or as stored, by an option.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::mount::{Mount, xattr};
use crate::common::run::{aiozfs, python, run, tool, wait_until, within};
use crate::common::tree;

const LIST: &str = "#EXTM3U\n#EXT-X-MAP:URI=\"one.mp4\",BYTERANGE=\"100@0\"\n#EXT-X-BYTERANGE:900@100\none.mp4\n#EXTINF:2,\na.ts?x=1\n";

fn folder() -> tree::TempDir {
    let dir = tree::temp();
    tree::write(dir.path(), "v/list.m3u8", LIST.as_bytes());
    tree::write(dir.path(), "v/one.mp4", &tree::bytes(1, 1000));
    tree::write(dir.path(), "v/a.ts", &tree::bytes(2, 70_000));
    tree::write(dir.path(), "filler.bin", &tree::bytes(3, 3 << 20));
    tree::write(
        dir.path(),
        "master.m3u8",
        b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv/list.m3u8\n",
    );
    dir
}

fn packed(folder: &Path, out: &Path) {
    run(aiozfs().arg("pack").arg(folder).arg(out)).ok("pack");
}

/// The archive without our field in its directory, as another writer would have made it.
fn foreign(ours: &Path, out: &Path) {
    let program = "import sys\nb = open(sys.argv[1], 'rb').read()\nn = b.count(b'az\\x09\\x00')\nassert n == 2, n\nopen(sys.argv[2], 'wb').write(b.replace(b'az\\x09\\x00', b'zz\\x09\\x00'))";
    python(program, &[ours, out]);
}

#[test]
fn a_mount_of_a_packed_folder_equals_the_folder() {
    let (folder, out) = (folder(), tree::temp());
    let (ours, other) = (out.path().join("ours.zip"), out.path().join("other.zip"));
    packed(folder.path(), &ours);
    foreign(&ours, &other);
    for (archive, is_ours) in [(&ours, true), (&other, false)] {
        let mount = Mount::new(archive);
        // `ls -l` of our own archives fetches nothing; the others' playlists are fetched for it.
        let before = fetched(&mount);
        let list = mount.join("v/list.m3u8");
        // By readdirplus first, as `ls -l` and `find` do.
        let listed = fs::read_dir(mount.join("v")).expect("a directory");
        for entry in listed.map(|entry| entry.expect("an entry")) {
            let expected = fs::metadata(folder.path().join("v").join(entry.file_name()));
            let got = entry.metadata().expect("attributes").len();
            assert_eq!(
                got,
                expected.expect("a file").len(),
                "{:?}",
                entry.file_name()
            );
        }
        assert_eq!(fetched(&mount) == before, is_ours, "{}", archive.display());
        // The same bytes, whose range is written out where the folder's playlist says it.
        assert_eq!(fs::read_to_string(&list).expect("a playlist"), LIST);
        tree::assert_same("mounted", folder.path(), mount.path());
        // Attributes mean what is stored.
        let stored: u64 = xattr(&list, "size")
            .expect("an attribute")
            .parse()
            .expect("a number");
        assert_ne!(stored, LIST.len() as u64);
        let range = xattr(&list, "range").expect("an attribute");
        let by_link = mount.join(format!("v/list.m3u8?range={range}"));
        assert_eq!(fs::read_to_string(by_link).expect("a playlist"), LIST);
    }
}

fn fetched(mount: &Mount) -> u64 {
    let status = xattr(mount.path(), "status").expect("the status");
    let (_, rest) = status.split_once("\"bytes_fetched\":").expect("a counter");
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn playlists_stored_shows_range_links() {
    let (folder, out) = (folder(), tree::temp());
    let archive = out.path().join("a.zip");
    packed(folder.path(), &archive);
    let mount = Mount::with(&archive, &["-o", "playlists=stored"]);
    let list = fs::read_to_string(mount.join("v/list.m3u8")).expect("a playlist");
    assert_eq!(list.matches("range=").count(), 3, "{list}");
    assert!(!list.contains("BYTERANGE"), "{list}");
    let size = xattr(&mount.join("v/list.m3u8"), "size").expect("an attribute");
    assert_eq!(size, list.len().to_string());
}

/// An archive that lies about the length of a playlist: no wrong byte, but an error, and a line in
/// the log that names the way out.
#[test]
fn a_wrong_length_of_a_playlist_is_an_error() {
    let (folder, out) = (folder(), tree::temp());
    let (ours, lie) = (out.path().join("ours.zip"), out.path().join("lie.zip"));
    packed(folder.path(), &ours);
    let program = "import sys\nb = bytearray(open(sys.argv[1], 'rb').read())\nat = b.find(b'az\\x09\\x00')\nb[at + 5] -= 1\nopen(sys.argv[2], 'wb').write(b)";
    python(program, &[&ours, &lie]);
    let mount = Mount::new(&lie);
    let read = fs::read(mount.join("v/list.m3u8"));
    assert_eq!(read.expect_err("an error").raw_os_error(), Some(5));
    let told = mount.log_lines("playlists=stored");
    assert_eq!(told.len(), 1, "{}", mount.log());
    assert!(fs::read(mount.join("master.m3u8")).is_ok());
}

/// A playlist of a foreign archive, far from the tail, on a server that falls silent: an error and
/// not an empty file, while everything else goes on; and the right size once the server is back.
#[test]
fn a_playlist_that_cannot_be_fetched_delays_nothing_else() {
    let (folder, out) = (tree::temp(), tree::temp());
    let text = b"#EXTM3U\na.ts?range=0,0\n";
    tree::write(folder.path(), "list.m3u8", text);
    tree::write(folder.path(), "filler.bin", &tree::bytes(3, 8 << 20));
    let archive = out.path().join("a.zip");
    let mut zip = tool("zip");
    zip.current_dir(folder.path()).arg("-q0").arg(&archive);
    run(zip.args(["list.m3u8", "filler.bin"])).ok("zip");
    let node = FaultNode::start(fs::read(&archive).expect("the archive"));
    let mount = Mount::with(node.url(), &["--timeout", "2s"]);
    node.behave(Behaviour::Silent);
    let list = mount.join("list.m3u8");
    let asked = list.clone();
    let waiting = thread::spawn(move || fs::metadata(asked));
    for _ in 0..10 {
        let filler = mount.join("filler.bin");
        let (size, took) = within(Duration::from_secs(1), "stat", move || fs::metadata(filler));
        assert_eq!(size.expect("there").len(), 8 << 20);
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    let refused = waiting.join().expect("a thread").expect_err("no size");
    assert_eq!(refused.raw_os_error(), Some(5));
    node.behave(Behaviour::Good);
    let there = wait_until(Duration::from_secs(10), || fs::metadata(&list).is_ok());
    assert!(there, "the server is back");
    assert_eq!(fs::read(&list).expect("a playlist"), text);
}

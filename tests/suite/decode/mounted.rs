//! Compressed files in a mount, as programs see them.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::entries::{PART, deflated, gibibyte, item, plain, zip};
use crate::common::fault::FaultNode;
use crate::common::mount::{Mount, xattr};
use crate::common::run::{self, run as run_it, tool};
use crate::common::tree;

const LEN: usize = 8 << 20;

/// A compressed file read by `cp`, and in places.
fn assert_reads(mount: &Mount, name: &str, plain: &[u8]) {
    assert!(
        fs::read(mount.join(name)).expect("it reads") == plain,
        "{name}"
    );
    let file = File::open(mount.join(name)).expect("it opens");
    for at in tree::numbers(5, plain.len().max(1) as u64, 40) {
        let mut buffer = vec![0; 10_000.min(plain.len() - at as usize)];
        file.read_exact_at(&mut buffer, at).expect("bytes");
        assert!(
            buffer == plain[at as usize..][..buffer.len()],
            "{name} at {at}"
        );
    }
}

#[test]
fn archives_of_other_programs_are_read() {
    let (folder, out) = (tree::temp(), tree::temp());
    let (large, small) = (plain(1, LEN), plain(2, 5000));
    tree::write(folder.path(), "large.txt", &large);
    tree::write(folder.path(), "dir/small.txt", &small);
    tree::write(folder.path(), "dir/empty.txt", b"");
    let zip = out.path().join("zip.zip");
    run_it(
        tool("zip")
            .current_dir(folder.path())
            .args(["-qr"])
            .arg(&zip)
            .arg("."),
    )
    .ok("zip");
    let tar = out.path().join("tar.zip");
    run_it(
        tool("bsdtar")
            .current_dir(folder.path())
            .args(["-cf"])
            .arg(&tar)
            .args(["--format", "zip", "."]),
    )
    .ok("bsdtar");
    let python = out.path().join("python.zip");
    let script = "import shutil, sys; shutil.make_archive(sys.argv[1][:-4], 'zip', sys.argv[2])";
    run::python(script, &[python.as_os_str(), folder.path().as_os_str()]).ok("python");
    for archive in [zip, tar, python] {
        let mount = Mount::new(&archive);
        assert_reads(&mount, "large.txt", &large);
        assert_reads(&mount, "dir/small.txt", &small);
        assert_reads(&mount, "dir/empty.txt", b"");
        assert_eq!(
            xattr(&mount.join("large.txt"), "method").as_deref(),
            Ok("deflated")
        );
        assert!(xattr(&mount.join("large.txt"), "range").is_err());
        mount.assert_no_complaint();
        mount.end();
    }
}

/// `cat` and `verify` decode, too.
#[test]
fn commands_read_compressed_files() {
    let large = plain(1, LEN);
    let folder = tree::temp();
    let path = folder.path().join("a.zip");
    let mut bad = deflated(&large, 6);
    let at = bad.len() / 2;
    bad[at..at + 100].fill(0);
    let good = item("good.txt", &large, deflated(&large, 6));
    fs::write(&path, zip(vec![good.clone()])).expect("a file");
    let cat = run_it(run::aiozfs().arg("cat").arg(&path).arg("good.txt")).ok("cat");
    assert!(cat.stdout == String::from_utf8_lossy(&large));
    let verify = run_it(run::aiozfs().arg("verify").arg(&path)).ok("verify");
    assert!(
        verify.stdout.contains("of 1 entries, 1 were compared"),
        "{}",
        verify.stdout
    );

    fs::write(&path, zip(vec![good, item("bad.txt", &large, bad)])).expect("a file");
    let verify = run_it(run::aiozfs().arg("verify").arg(&path));
    assert_eq!(verify.code(), Some(1), "{}", verify.stdout);
    assert!(
        verify.stdout.contains("bad.txt") && !verify.stdout.contains("good.txt"),
        "{}",
        verify.stdout
    );
    let cat = run_it(run::aiozfs().arg("cat").arg(&path).arg("bad.txt"));
    assert_eq!(cat.code(), Some(1));
}

/// A read of damaged data is EIO, with one line in the log; other files are not affected.
#[test]
fn damaged_data_is_an_error_with_one_line() {
    let large = plain(1, 3 << 20);
    let folder = tree::temp();
    let path = folder.path().join("a.zip");
    let mut stored = deflated(&large, 6);
    let at = stored.len() / 2;
    stored[at..at + 2000].fill(0xff);
    let good = item("good.txt", &large, deflated(&large, 6));
    fs::write(&path, zip(vec![item("bad.txt", &large, stored), good])).expect("a file");
    let mount = Mount::new(&path);
    let mut file = File::open(mount.join("bad.txt")).expect("it opens");
    let error = file
        .read_to_end(&mut Vec::new())
        .expect_err("it is damaged");
    assert_eq!(error.raw_os_error(), Some(5));
    assert_eq!(mount.log_lines("bad.txt").len(), 1, "{}", mount.log());
    assert!(fs::read(mount.join("good.txt")).expect("it reads") == large);
}

/// A playlist that is compressed is shown playable.
#[test]
fn playlists_in_compressed_entries_are_playable() {
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nseg.ts?range=30,5\n#EXT-X-ENDLIST\n";
    let folder = tree::temp();
    let path = folder.path().join("a.zip");
    let segment = crate::common::zips::Item::new("seg.ts", b"12345");
    let offset = 30 + 6;
    let text = text.replace("range=30", &format!("range={offset}"));
    let list = item("list.m3u8", text.as_bytes(), deflated(text.as_bytes(), 6));
    fs::write(&path, zip(vec![segment, list])).expect("a file");
    let mount = Mount::new(&path);
    let shown = fs::read_to_string(mount.join("list.m3u8")).expect("text");
    assert!(
        shown.contains("seg.ts\n") && !shown.contains("range="),
        "{shown}"
    );
}

/// Files in `dir` and below whose names begin like this.
fn files(dir: &Path, prefix: &str) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let count = entries.map(|entry| match entry.path() {
        path if path.is_dir() => files(&path, prefix),
        _ => usize::from(entry.file_name().to_string_lossy().starts_with(prefix)),
    });
    count.sum()
}

/// A crash at any moment while checkpoints are written leaves nothing wrong.
#[test]
fn a_crash_while_checkpoints_are_written_costs_at_most_them() {
    let large = plain(1, LEN);
    let node = FaultNode::start(zip(vec![item("large.txt", &large, deflated(&large, 6))]));
    let cache = tree::temp();
    let cache_path = cache.path().to_str().expect("a plain path").to_owned();
    let args = ["--cache-dir", &cache_path];
    for round in 0..6 {
        let mount = Mount::with(node.url(), &args);
        let path = mount.join("large.txt");
        let reader = thread::spawn(move || fs::read(path));
        thread::sleep(Duration::from_millis(40 * round));
        let _point = mount.crash();
        let _ = reader.join().expect("no panic");
    }
    let mount = Mount::with(node.url(), &args);
    assert_reads(&mount, "large.txt", &large);
    mount.assert_no_complaint();
    mount.end();
    assert_eq!(files(cache.path(), "points-"), 1);
}

/// `fetch --index` makes the checkpoints of all compressed files.
#[test]
fn fetch_index_keeps_checkpoints() {
    let large = plain(1, LEN);
    let stored = deflated(&large, 6);
    let items = ["a.txt", "b.txt"].map(|name| item(name, &large, stored.clone()));
    let node = FaultNode::start(zip(items.to_vec()));
    let cache = tree::temp();
    let fetch = |args: &[&str]| {
        let mut command = run::aiozfs();
        command.env_remove(run::CACHE_SIZE);
        command
            .args(["fetch", "--index"])
            .arg(node.url())
            .args(args);
        run_it(command.arg("--cache-dir").arg(cache.path()))
    };
    let done = fetch(&["b*"]).ok("fetch --index");
    assert!(
        done.stdout.contains("1 compressed files"),
        "{}",
        done.stdout
    );
    assert_eq!(files(cache.path(), "points-"), 1);
    fetch(&[]).ok("fetch --index");
    assert_eq!(files(cache.path(), "points-"), 2);
    assert_ne!(fetch(&["c.txt"]).code(), Some(0));
}

/// Eight programs seek and read on in one file of a gibibyte: all get their bytes, within the memory bound.
#[test]
fn eight_seekers_in_a_gibibyte_stay_within_the_memory_bound() {
    let (archive, parts) = gibibyte();
    let node = FaultNode::start(archive);
    for memory in [64u64, 128] {
        let mount = Mount::with(node.url(), &["--memory", &format!("{memory}M")]);
        let path = mount.join("gibibyte");
        thread::scope(|scope| {
            for seeker in 0..8u64 {
                let (path, parts) = (&path, &parts);
                scope.spawn(move || {
                    let file = File::open(path).expect("it opens");
                    let mut buffer = vec![0; PART];
                    for step in 0..6 {
                        let part = (seeker * 128 + step / 2 * 37 + step % 2) % 1024;
                        file.read_exact_at(&mut buffer, part * PART as u64)
                            .expect("bytes");
                        assert!(buffer == parts[part as usize % 7], "part {part}");
                    }
                });
            }
        });
        let (peak, bound) = (mount.peak_memory(), (memory << 20) + 64_000_000);
        assert!(peak <= bound, "--memory {memory}M: {peak} of {bound} bytes");
        mount.assert_no_complaint();
        mount.end();
    }
}

/// Small files that are read in order are decoded ahead; each has its own bytes, also in another order.
#[test]
fn small_files_have_their_bytes_in_order_and_at_random() {
    let contents: Vec<Vec<u8>> = (0..300).map(|n| plain(n, 1000 + 97 * n as usize)).collect();
    let items = contents.iter().enumerate().map(|(n, content)| {
        let stored = deflated(content, 6);
        item(&format!("{n:03}.txt"), content, stored)
    });
    let node = FaultNode::start(zip(items.collect()));
    let mount = Mount::new(node.url());
    let read = |n: usize| fs::read(mount.join(format!("{n:03}.txt"))).expect("it reads");
    for n in tree::numbers(3, 300, 50) {
        assert!(read(n as usize) == contents[n as usize], "{n}");
    }
    for (n, content) in contents.iter().enumerate() {
        assert!(read(n) == *content, "{n}");
    }
    mount.assert_no_complaint();
}

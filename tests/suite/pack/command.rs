//! The command `aiozfs pack`: messages, refusals, and the files that it leaves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::packs::{entry, folder, linked, pack};
use crate::common::restless::RestlessMount;
use crate::common::run::{self, run, tool};
use crate::common::tree;

#[test]
fn broken_links_are_reported() {
    let (folder, out) = (folder(), tree::temp());
    let archive = out.path().join("a.zip");
    fs::remove_file(folder.path().join("v/seg 3.ts")).expect("a file");
    let failed = pack(folder.path(), &archive, &[]);
    assert_eq!(failed.code(), Some(1));
    assert_eq!(
        failed.stderr,
        "aiozfs: v/list.m3u8, line 19: there is no file 'seg%203.ts'; '--allow-missing' packs it nevertheless\n"
    );
    assert!(!archive.exists());
    let allowed = pack(folder.path(), &archive, &["--allow-missing"]).ok("pack");
    assert!(
        allowed.stderr.contains("warning: v/list.m3u8, line 19"),
        "{}",
        allowed.stderr
    );
    assert!(entry(&archive, "v/list.m3u8").contains("\nseg%203.ts\n"));
    pack(folder.path(), &archive, &["--no-links"]).ok("without links");
}

#[test]
fn unpackable_files_are_reported() {
    let (folder, out) = (folder(), tree::temp());
    let zip = out.path().join("a.zip");
    let inside = folder.path().display().to_string();
    let inside_yet_to_be = format!("{inside}/z/../yet/to/be");
    let table = [
        (pack(&out.path().join("absent"), &zip, &[]), "No such file"),
        (
            pack(&folder.path().join("empty"), &zip, &[]),
            "is not a folder",
        ),
        (
            pack(folder.path(), &folder.path().join("z/a.zip"), &[]),
            "is in the folder",
        ),
        (
            pack(folder.path(), out.path(), &[]),
            "is not a regular file",
        ),
        (
            pack(folder.path(), Path::new("/dev/null"), &[]),
            "is not a regular file",
        ),
        (
            pack(folder.path(), &out.path().join("no/a.zip"), &[]),
            "No such file",
        ),
        (pack(folder.path(), &zip, &["--align", "3"]), "power of two"),
        (
            pack(folder.path(), &zip, &["--byterange-playlists", &inside]),
            "is in the folder",
        ),
        (
            pack(
                folder.path(),
                &zip,
                &["--byterange-playlists", &inside_yet_to_be],
            ),
            "is in the folder",
        ),
        (
            pack(
                folder.path(),
                Path::new("-"),
                &["--byterange-playlists", "x"],
            ),
            "give it with --archive-url",
        ),
        (
            pack(
                folder.path(),
                &zip,
                &[
                    "--byterange-playlists",
                    "x",
                    "--archive-url",
                    "http://h/a b",
                ],
            ),
            "is not a URL",
        ),
        (
            pack(folder.path(), &zip, &["--mtime", "noon"]),
            "not a time",
        ),
    ];
    for (finished, expected) in table {
        assert!(!finished.status.success(), "{expected}");
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
    run(tool("mkfifo").arg(folder.path().join("pipe"))).ok("mkfifo");
    let failed = pack(folder.path(), &zip, &[]);
    assert!(
        failed.stderr.contains("neither a file, a folder nor"),
        "{}",
        failed.stderr
    );
    assert_eq!(fs::read_dir(out.path()).expect("a directory").count(), 0);
}

#[test]
fn playlists_by_byte_range_are_written_next_to_the_archive() {
    let (folder, out) = (folder(), tree::temp());
    let zip = out.path().join("a.zip");
    let lists = out.path().join("lists");
    let dir = lists.to_str().expect("a plain path");
    pack(folder.path(), &zip, &["--byterange-playlists", dir]).ok("pack");
    let list = fs::read_to_string(lists.join("v/list.m3u8")).expect("a playlist");
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines[..2], ["#EXTM3U", "#EXT-X-VERSION:4"]);
    assert_eq!(lines[4], "../a.zip");
    let (size, offset) = lines[3]
        .split_once(':')
        .and_then(|(_, range)| range.split_once('@'))
        .expect("a range");
    let bytes = fs::read(&zip).expect("the archive");
    let segment = linked(&bytes, &format!("?range={offset},{size}"));
    assert!(segment == fs::read(folder.path().join("v/seg 11.ts")).expect("a segment"));
    let master = fs::read(lists.join("master.m3u8")).expect("a playlist");
    assert_eq!(
        master,
        fs::read(folder.path().join("master.m3u8")).expect("a playlist")
    );
}

/// The archive's name as a reference, keys along with the playlists, and the playlist of an
/// advertisement, which is one of them and not an original that comes along.
#[test]
fn playlists_by_byte_range_bring_keys_and_escape_the_archive_name() {
    let (folder, out) = (tree::temp(), tree::temp());
    let root = folder.path();
    let list = "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"../k.key\"\n#EXT-X-DATERANGE:ID=\"a\",X-ASSET-URI=\"ad.m3u8\"\na.ts\nmissing.ts\n";
    tree::write(root, "v/list.m3u8", list.as_bytes());
    tree::write(root, "v/ad.m3u8", b"#EXTM3U\nad.ts\n");
    tree::write(root, "v/ad.ts", b"ad");
    tree::write(root, "v/a.ts", b"media");
    tree::write(root, "k.key", b"sixteen bytes!!!");
    let zip = out.path().join("a film: 100% #1?.zip");
    let lists = out.path().join("lists");
    let dir = lists.to_str().expect("a plain path");
    let options = ["--byterange-playlists", dir, "--no-links"];
    let told = pack(root, &zip, &options).ok("pack").stderr;
    assert_eq!(
        told,
        "aiozfs: warning: v/list.m3u8, line 5: there is no file 'missing.ts'\n"
    );
    let text = |name: &str| fs::read_to_string(lists.join(name)).expect("a playlist");
    let name = "../a%20film%3A%20100%25%20%231%3F.zip";
    assert_eq!(text("v/ad.m3u8").lines().last(), Some(name));
    let made = text("v/list.m3u8");
    assert!(made.contains("URI=\"../k.key\"") && made.contains("X-ASSET-URI=\"ad.m3u8\""));
    assert!(made.contains(&format!("\n{name}\nmissing.ts\n")), "{made}");
    assert_eq!(text("k.key"), "sixteen bytes!!!");
    assert_eq!(tree::names(&lists).len(), 4, "{:?}", tree::names(&lists));
}

/// What is called like a playlist and is none goes in as it is, and is told.
#[test]
fn malformed_playlists_are_reported() {
    let (folder, out) = (tree::temp(), tree::temp());
    let root = folder.path();
    tree::write(root, "a.m3u8", b"a.ts\n");
    tree::write(root, "b.mpd", b"<MPD><Period></MPD>");
    tree::write(root, "c.m3u", b"#EXTM3U\n\xff\xfe");
    let long = fs::File::create(root.join("d.M3U8")).expect("a file");
    long.set_len((16 << 20) + 1).expect("a hole");
    let archive = out.path().join("a.zip");
    let told = pack(root, &archive, &[]).ok("pack").stderr;
    let expected = [
        "a.m3u8, line 1: packed as it is, without range links: it does not begin with #EXTM3U",
        "b.mpd, line 1: packed as it is, without range links: it is not well-formed XML with an MPD element",
        "c.m3u, line 1: packed as it is, without range links: it is not UTF-8",
        "d.M3U8, line 1: packed as it is, without range links: it is too long for a playlist",
    ];
    let expected = expected.map(|line| format!("aiozfs: warning: {line}\n"));
    assert_eq!(told, expected.concat());
    assert_eq!(pack(root, &archive, &["--no-links"]).ok("pack").stderr, "");
}

/// Links go over symbolic links as far as the folder reaches.
#[test]
fn links_through_symbolic_links_are_followed() {
    let (folder, out) = (tree::temp(), tree::temp());
    let (root, secret) = (folder.path(), out.path().join("secret.ts"));
    fs::write(&secret, "not of the folder").expect("a file");
    tree::write(root, "media/deep/a.ts", b"media");
    tree::write(root, "list.m3u8", b"#EXTM3U\nv/a.ts\nagain.ts\n");
    symlink("media/deep", root.join("v")).expect("a link");
    symlink("v/a.ts", root.join("again.ts")).expect("a link");
    let archive = out.path().join("a.zip");
    pack(root, &archive, &[]).ok("pack");
    let bytes = fs::read(&archive).expect("the archive");
    for link in entry(&archive, "list.m3u8").lines().skip(1) {
        assert_eq!(linked(&bytes, link), b"media", "{link}");
    }
    let mount = crate::common::mount::Mount::new(&archive);
    tree::assert_same("mounted", root, mount.path());
    fs::remove_file(root.join("again.ts")).expect("a link");
    symlink(&secret, root.join("again.ts")).expect("a link");
    let failed = pack(root, &archive, &[]);
    assert_eq!(failed.code(), Some(1));
    assert!(
        failed
            .stderr
            .contains("list.m3u8, line 3: there is no file 'again.ts'"),
        "{}",
        failed.stderr
    );
}

/// Nothing said which files no playlist leads to, or which links lead nowhere because they may: a
/// forgotten key showed when somebody played.
#[test]
fn the_report_ends_with_unlinked_files_and_broken_links() {
    let (folder, out) = (tree::temp(), tree::temp());
    let root = folder.path();
    let list =
        "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k.key\"\n#EXTINF:2,\na.ts\n#EXT-X-GAP\nb.ts\n";
    tree::write(root, "list.m3u8", list.as_bytes());
    tree::write(root, "a.ts", b"media");
    for at in 0..30 {
        tree::write(root, &format!("left/{at:02}.ts"), b"x");
    }
    let archive = out.path().join("a.zip");
    let told = pack(root, &archive, &[]).ok("pack").stderr;
    let left: String = (0..20).map(|at| format!("  left/{at:02}.ts\n")).collect();
    let expected = format!(
        "aiozfs: links that lead nowhere: 2\n  list.m3u8, line 2: there is no file 'k.key'\n  list.m3u8, line 6: there is no file 'b.ts'\naiozfs: files that no playlist links to: 30\n{left}  and 10 more\n"
    );
    assert_eq!(told, expected);
    // Warnings have an end as well.
    let missing: String = (0..50).map(|at| format!("m{at}.ts\n")).collect();
    tree::write(root, "list.m3u8", format!("#EXTM3U\n{missing}").as_bytes());
    let told = pack(root, &archive, &["--allow-missing"]).ok("pack").stderr;
    assert_eq!(
        told.matches("aiozfs: warning: list.m3u8").count(),
        20,
        "{told}"
    );
    assert!(told.contains("aiozfs: and 30 more warnings\n"), "{told}");
    assert!(told.contains("lead nowhere: 50\n"), "{told}");
}

/// Values of variables come from other playlists of the folder, over two of them.
#[test]
fn variables_are_looked_up_in_referring_playlists() {
    let (folder, out) = (tree::temp(), tree::temp());
    let root = folder.path();
    let master = |dir: &str| {
        format!(
            "#EXTM3U\n#EXT-X-DEFINE:NAME=\"p\",VALUE=\"{dir}\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8?t={{$p}}\n"
        )
    };
    let list = "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"p\"\n#EXT-X-DEFINE:QUERYPARAM=\"t\"\n{$p}/0.ts\n{$t}/1.ts\n";
    tree::write(root, "master.m3u8", master("seg").as_bytes());
    tree::write(root, "v.m3u8", list.as_bytes());
    for name in ["seg/0.ts", "seg/1.ts", "other/0.ts", "other/1.ts"] {
        tree::write(root, name, name.as_bytes());
    }
    let archive = out.path().join("a.zip");
    pack(root, &archive, &[]).ok("pack");
    let bytes = fs::read(&archive).expect("the archive");
    let text = entry(&archive, "v.m3u8");
    for (link, name) in text.lines().skip(3).zip(["seg/0.ts", "seg/1.ts"]) {
        assert_eq!(linked(&bytes, link), name.as_bytes(), "{link}");
    }
    // The mount, which does not know the master when it shows the list, shows the folder's.
    let mount = crate::common::mount::Mount::new(&archive);
    tree::assert_same("mounted", root, mount.path());
    drop(mount);
    tree::write(root, "second.m3u8", master("other").as_bytes());
    let told = pack(root, &archive, &[]).ok("pack").stderr;
    let contradiction = "v.m3u8, line 4: '{$p}/0.ts' will not play from a node: it leads to '";
    assert!(told.contains(contradiction), "{told}");
    assert_eq!(entry(&archive, "v.m3u8"), list);
}

/// Each text with links lies behind what it points to, whatever it is called, and links work.
#[test]
fn texts_with_links_are_recognized_under_any_name() {
    let (folder, out) = (tree::temp(), tree::temp());
    let root = folder.path();
    let files: [(&str, &str); 12] = [
        (
            "master",
            "#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID=\"c\",URI=\"chapters.json\"\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"steer.json\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlist.txt\n",
        ),
        (
            "list.txt",
            "#EXTM3U\n#EXT-X-DATERANGE:ID=\"a\",X-ASSET-LIST=\"assets.json\"\n0.ts\nep #1.ts\n",
        ),
        (
            "assets.json",
            "{\"ASSETS\":[{\"URI\":\"ad.m3u8\",\"DURATION\":2}]}",
        ),
        ("ad.m3u8", "#EXTM3U\nad.ts\n"),
        (
            "steer.json",
            "{\"VERSION\":1,\"RELOAD-URI\":\"steer.json\"}",
        ),
        (
            "chapters.json",
            "[{\"images\":[{\"url\":\"one\\/c.jpg\"}]}]",
        ),
        (
            "thumbs.vtt",
            "WEBVTT\n\n0:00.000 --> 0:02.000\none/s.jpg#xywh=0,0,1,1\n",
        ),
        ("0.ts", "zero"),
        ("ep #1.ts", "one"),
        ("ad.ts", "advertisement"),
        ("one/c.jpg", "chapter"),
        ("one/s.jpg", "sprite"),
    ];
    for (name, text) in files {
        tree::write(root, name, text.as_bytes());
    }
    let mpd = "<?xml version=\"1.0\"?>\n<MPD><Period><AdaptationSet><Representation id=\"1\"><SegmentList duration=\"2\"><SegmentURL media=\"0.ts\"/></SegmentList></Representation></AdaptationSet></Period></MPD>";
    tree::write(root, "dash.xml", mpd.as_bytes());
    let archive = out.path().join("a.zip");
    let told = pack(root, &archive, &[]).ok("pack").stderr;
    assert_eq!(
        told,
        "aiozfs: files that no playlist links to: 1\n  thumbs.vtt\n"
    );
    let bytes = fs::read(&archive).expect("the archive");
    let order = crate::common::packs::names(&archive);
    let place = |name: &str| order.iter().position(|n| n == name).expect("an entry");
    let links = [
        ("master", "chapters.json"),
        ("master", "steer.json"),
        ("master", "list.txt"),
        ("list.txt", "assets.json"),
        ("list.txt", "0.ts"),
        ("list.txt", "ep %231.ts"),
        ("assets.json", "ad.m3u8"),
        ("chapters.json", "one\\/c.jpg"),
        ("thumbs.vtt", "one/s.jpg"),
        ("dash.xml", "0.ts"),
    ];
    for (from, to) in links {
        let text = entry(&archive, from);
        let (_, link) = text.split_once(to).unwrap_or_else(|| panic!("{text}"));
        let end = link.find(|c: char| "\"#&\n".contains(c)).expect("its end");
        let name = to.replace("%23", "#").replace('\\', "");
        let found = linked(&bytes, &link[..end]);
        assert_eq!(found, entry(&archive, &name).as_bytes(), "{from}: {link}");
        assert!(place(from) > place(&name), "{from} lies behind {name}");
    }
    assert_eq!(order.last().map(String::as_str), Some("master"));
    // The mount shows the folder as it was, and `ls` needs no fetch for it.
    let mount = crate::common::mount::Mount::new(&archive);
    tree::assert_same("mounted", root, mount.path());
}

/// What is in no form that links are known in is told, with its line.
#[test]
fn file_names_in_other_texts_are_reported() {
    let (folder, out) = (tree::temp(), tree::temp());
    let root = folder.path();
    tree::write(root, "a.ts", b"media");
    tree::write(root, "s.jpg", b"sprite");
    tree::write(
        root,
        "list.m3u8",
        b"#EXTM3U\n#EXT-X-FOO:BAR=\"s.jpg\"\na.ts\n",
    );
    tree::write(root, "page.html", b"<html>\n<img src=s.jpg>\n</html>");
    tree::write(
        root,
        "t.vtt",
        b"WEBVTT\n\n0:00.000 --> 0:01.000\ngone.jpg#xywh=0,0,1,1\n",
    );
    tree::write(root, "player.js", b"load('list.m3u8')");
    tree::write(root, "d.json", b"{\"title\": \"a.ts\"}");
    let archive = out.path().join("a.zip");
    let told = pack(root, &archive, &[]).ok("pack").stderr;
    for expected in [
        "warning: d.json, line 1: names the file 'a.ts', where no link is known to stand",
        "warning: list.m3u8, line 2: names the file 's.jpg'",
        "warning: page.html, line 2: names the file 's.jpg'",
        "warning: player.js, line 1: names the file 'list.m3u8'",
        "warning: t.vtt, line 4: there is no file 'gone.jpg#xywh=0,0,1,1'",
    ] {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    assert_eq!(
        pack(root, &archive, &["--no-links"])
            .ok("pack")
            .stderr
            .matches("warning")
            .count(),
        0
    );
}

#[test]
fn a_dry_run_prints_the_layout_and_writes_nothing() {
    let (folder, out) = (tree::temp(), tree::temp());
    tree::write(folder.path(), "a.ts", &tree::bytes(1, 4000));
    tree::write(folder.path(), "x.m3u8", b"#EXTM3U\na.ts\n");
    symlink("a.ts", folder.path().join("b.ts")).expect("a link");
    fs::create_dir(folder.path().join("empty")).expect("a directory");
    let zip = out.path().join("a.zip");
    let lists = out.path().join("lists");
    let dir = lists.to_str().expect("a plain path");
    let options = ["--dry-run", "--byterange-playlists", dir];
    let shown = pack(folder.path(), &zip, &options).ok("dry run").stdout;
    assert_eq!(fs::read_dir(out.path()).expect("a directory").count(), 0);
    let zip_size = {
        pack(folder.path(), &zip, &[]).ok("pack");
        fs::metadata(&zip).expect("the archive").len()
    };
    let tail = zip_size - 4135;
    let expected = format!(
        "         offset            size  name
             43            4000  a.ts
           4086               4  b.ts (symbolic link)
           4135               0  empty/
           4180              27  x.m3u8
           4207             {}  (central directory)
{zip_size} bytes ({:.2} KiB), 4 entries; the last {tail} bytes hold the index and all playlists
",
        zip_size - 4207,
        zip_size as f64 / 1024.0,
    );
    assert_eq!(shown, expected);
}

/// Bytes, rate and the time that is left, on a terminal; the result alone in the end.
#[test]
fn progress_on_a_terminal() {
    let (folder, out) = (tree::temp(), tree::temp());
    let hole = fs::File::create(folder.path().join("hole")).expect("a file");
    hole.set_len(600 << 20).expect("a hole");
    let program = "import os, pty, sys\nos.environ['COLUMNS'] = '100'\nsys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut command = tool("python3");
    command
        .env("TERM", "xterm")
        .args(["-c", program, run::AIOZFS]);
    command
        .arg("pack")
        .arg(folder.path())
        .arg(out.path().join("a.zip"));
    let said = run(command.arg("--no-sync"))
        .ok("pack on a terminal")
        .stdout;
    let bars: Vec<&str> = said
        .split(['\r', '\n'])
        .filter(|l| l.contains("packing"))
        .collect();
    let is_full = |bar: &&str| bar.contains("MiB/600.00 MiB") && bar.contains("MiB/s");
    assert!(bars.iter().any(is_full), "{said:?}");
    assert!(said.trim_end().ends_with(" bytes, 1 entries"), "{said:?}");
}

/// A folder on a file system that gives another inode number at each look was "changed while it was
/// packed", whatever was done: by its inode numbers, each file was another one when it was opened.
#[test]
fn a_folder_whose_inode_numbers_change_is_packed() {
    let (folder, out) = (tree::temp(), tree::temp());
    tree::write(folder.path(), "0.ts", &tree::bytes(1, 70_000));
    // Longer than what is read once.
    tree::write(folder.path(), "long.ts", &tree::bytes(2, 9 << 20));
    let list = b"#EXTM3U\n#EXTINF:2,\n0.ts\n#EXTINF:9,\nlong.ts\n#EXT-X-BYTERANGE:5@0\nlong.ts\n";
    tree::write(folder.path(), "list.m3u8", list);
    let restless = RestlessMount::of(folder.path());
    let (archive, plain) = (out.path().join("a.zip"), out.path().join("plain.zip"));
    pack(restless.path(), &archive, &[]).ok("pack");
    pack(folder.path(), &plain, &[]).ok("pack");
    assert!(fs::read(archive).expect("an archive") == fs::read(plain).expect("an archive"));
}

#[test]
fn an_empty_folder_is_packed_with_a_warning() {
    let (folder, out) = (tree::temp(), tree::temp());
    let packed = pack(folder.path(), &out.path().join("a.zip"), &[]).ok("pack");
    assert_eq!(
        packed.stderr,
        "aiozfs: warning: the folder is empty, and so is the archive\n"
    );
}

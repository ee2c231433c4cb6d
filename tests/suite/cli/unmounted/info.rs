//! `aiozfs info` compared with what Python finds in the archive, and with what was packed.

use std::path::Path;

use serde_json::Value;

use super::{Way, on, packed, printed, written};
use crate::common::run::{self, run};
use crate::common::zips::{End, Item, UTF8, Zip};
use crate::common::{archives, media, tree};

fn json(args: &[&str]) -> Value {
    serde_json::from_slice(&printed(args)).expect("JSON")
}

fn info(archive: &str) -> Value {
    json(&["info", "--json", archive])
}

fn text(archive: &str) -> String {
    String::from_utf8(printed(&["info", archive])).expect("UTF-8")
}

/// Python reads directory and local headers by itself.
const COMPARE: &str = r#"
import json, struct, sys, zipfile
got = json.load(open(sys.argv[2]))
data = open(sys.argv[1], 'rb').read()
z = zipfile.ZipFile(sys.argv[1])
infos = z.infolist()
files = [i for i in infos if not i.is_dir()]
stored = [i for i in files if i.compress_type == 0 and not i.flag_bits & 1]
encrypted = [i for i in files if i.flag_bits & 1]
deflated = [i for i in files if i.compress_type == 8 and not i.flag_bits & 1]
assert got['size'] == len(data)
assert got['entries']['total'] == len(infos), got['entries']
assert got['entries']['directories'] == len(infos) - len(files)
assert got['stored'] == {'entries': len(stored), 'bytes': sum(i.file_size for i in stored)}
assert got['encrypted']['entries'] == len(encrypted)
assert got['compressed']['entries'] == len(deflated)
assert got['compressed']['compressed_bytes'] == sum(i.compress_size for i in deflated)
assert got['comment'].encode() == z.comment, got['comment']
layout = got['layout']
assert layout['directory_offset'] == z.start_dir, (layout, z.start_dir)
assert layout['data'] == sum(i.compress_size for i in infos)
names = sum(len(i.orig_filename.encode('utf-8' if i.flag_bits & 0x800 else 'cp437')) for i in infos)
assert layout['headers'] == 30 * len(infos) + names
extras = 0
for i in infos:
    n, e = struct.unpack('<HH', data[i.header_offset + 26:i.header_offset + 30])
    extras += e
descriptors = layout['between'] - extras
assert 0 <= descriptors <= 24 * len(infos), (layout, extras)
assert layout['before'] == min(i.header_offset for i in infos)
assert layout['in_directory_order']
"#;

#[test]
fn info_agrees_with_python_for_every_writer() {
    let (source, more) = (tree::sample(), tree::temp());
    let (_out, plain) = packed(source.path(), archives::zipfile);
    let info_of_plain = info(&plain);
    for (what, make) in archives::STORED {
        let (out, archive) = packed(source.path(), make);
        if what == "zip -0" {
            archives::mixed(more.path(), Path::new(&archive));
        }
        let found = out.path().join("info.json");
        std::fs::write(&found, printed(&["info", "--json", &archive])).expect("a file");
        if what.contains("lies") {
            // Python is taken in by such a comment.
            let found = info(&archive);
            assert_eq!(found["stored"]["bytes"], info_of_plain["stored"]["bytes"]);
            assert_eq!(found["layout"]["data"], info_of_plain["layout"]["data"]);
            continue;
        }
        println!("{what}");
        run::python(COMPARE, &[Path::new(&archive), &found]);
    }
    let (_out, archive) = packed(source.path(), archives::bsdtar);
    let by_file = info(&archive);
    for way in Way::ALL {
        let reached = way.reach(Path::new(&archive));
        let mut found = json(&on("info", &reached, &["--json"]));
        let source = found["source"].take();
        assert_eq!(source.as_str(), Some(&*reached.source), "{way:?}");
        for key in ["size", "entries", "stored", "layout", "playback"] {
            assert_eq!(found[key], by_file[key], "{way:?}");
        }
    }
}

#[test]
fn hidden_and_unreadable_entries_are_named_with_the_reason() {
    let long = "x".repeat(256);
    let beyond = Item::new("beyond", "data").with(|item| item.sizes = (1 << 30, 1 << 30));
    let method = Item::new("odd", "data").with(|item| item.method = 12);
    let items = [
        Item::new("../escape", "1"),
        Item::new(&long, "2"),
        Item::new("nul\0.txt", "3"),
        Item::new("a.ts", "first"),
        Item::new("a.ts", "second"),
        Item::new("both", "a file"),
        Item::new("both/within", "below"),
        method,
        beyond,
    ];
    let (_out, archive) = written(&Zip::of(items).finish());
    let found = info(&archive);
    assert_eq!(found["entries"]["total"], 9);
    assert_eq!(found["entries"]["files"], 6);
    assert_eq!(found["entries"]["implied_directories"], 1);
    assert_eq!(found["hidden"]["entries"], 3);
    let hidden = found["hidden"]["first"].as_array().expect("a list");
    let why = |at: usize| hidden[at]["why"].as_str().expect("a reason");
    assert_eq!(hidden[0]["name"], "../escape");
    assert!(why(0).contains("'..'") && why(1).contains("255") && why(2).contains("NUL"));
    let renamed = found["renamed"]["first"].to_string();
    assert_eq!(
        renamed,
        r#"[{"name":"a.ts","shown_as":"a (1).ts"},{"name":"both","shown_as":"both (1)"}]"#
    );
    assert_eq!(found["compressed"]["methods"]["bzip2"], 1);
    assert_eq!(found["damaged"]["entries"], 1);
    let text = text(&archive);
    for line in [
        "entries            9: 6 files; and 1 directory without an entry, only in names\n",
        "compressed         1, 4 bytes in 4 bytes: 1 bzip2\n",
        "damaged            1; they cannot be read\n",
        "'beyond' cannot be read: its 1073741824 bytes do not end before",
        "hidden             3, which a directory tree cannot show\n",
        "                   ../escape: its name has '..' in it\n",
        "                   a.ts is 'a (1).ts'\n",
    ] {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
}

#[test]
fn gaps_order_and_overlaps_are_reported() {
    let mut zip = Zip::default();
    zip.gap(&[1; 500]);
    zip.add(&Item::new("first", "12345"));
    zip.add(&Item::new("second", "123").with(|item| item.local_extra = vec![0; 12]));
    zip.gap(&[2; 70_000]);
    zip.add(&Item::new("third", "1234567"));
    // The directory lists it the other way round, and the first one twice.
    let records: Vec<Vec<u8>> = [
        (Item::new("third", "1234567"), 500 + 40 + 51 + 70_000),
        (Item::new("second", "123"), 540),
        (Item::new("first", "12345"), 500),
        (Item::new("again", "12345"), 500),
    ]
    .map(|(item, offset)| item.central(offset))
    .into();
    zip.directory = records.concat();
    zip.entries = 4;
    let (_out, archive) = written(&zip.end(&End {
        comment: b"made by \x1b[31mhand\n".to_vec(),
        ..End::default()
    }));
    let found = info(&archive);
    let layout = &found["layout"];
    for (key, expected) in [
        ("before", 500),
        ("data", 15),
        ("between", 12 + 70_000),
        ("longest_between", 70_000 + 12),
        ("longest_between_offset", 500 + 40 + 39),
        ("sharing", 1),
        ("behind", 22 + 18),
    ] {
        assert_eq!(layout[key], expected, "{key}: {layout}");
    }
    assert_eq!(layout["in_directory_order"], false);
    assert_eq!(found["comment"], "made by \x1b[31mhand\n");
    let text = text(&archive);
    for line in [
        "comment            'made by '$'\\033''[31mhand'$'\\n'\n",
        "before the first   500 bytes\n",
        "in another order than in the central directory\n",
        "1 entry has bytes in common with another\n",
    ] {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
}

#[test]
fn text_of_an_archive_is_escaped_on_a_terminal() {
    let odd = "\x1b[31m\u{9b}";
    let utf8 = |name: String| Item::new(name, "x").with(|item| item.flags = UTF8);
    let items = [
        utf8(format!("{odd}a")),
        utf8(format!("{odd}a")),
        utf8(format!("../{odd}")),
        utf8(format!("{odd}.m3u8")).with(|item| item.sizes = (1 << 30, 1 << 30)),
    ];
    let comment = format!("{odd} a comment").into_bytes();
    let end = End {
        comment,
        ..End::default()
    };
    let (_out, archive) = written(&Zip::of(items).end(&end));
    for args in [&["info", &*archive][..], &["info", "--json", &archive]] {
        let text = String::from_utf8(printed(args)).expect("UTF-8");
        let raw = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(raw), "{text:?}");
    }
}

#[test]
fn playback_order_follows_the_playlists() {
    // As packed for streaming, by us and with the segments of ffmpeg.
    let out = tree::temp();
    let ours = out.path().join("ours.zip");
    let mut pack = run::aiozfs();
    run(pack.arg("pack").arg(media::folder()).arg(&ours)).ok("pack");
    let ours = ours.to_str().expect("plain");
    let found = info(ours);
    assert_eq!(found["playback"]["in_order"], true, "{}", found["playback"]);
    assert_eq!(found["playback"]["playlists"], 2);
    assert!(text(ours).contains("playback order     yes, by 2 playlists\n"));

    let segment = |n: u32| Item::new(format!("v/s_{n}.ts"), "x".repeat(100));
    let list = "#EXTM3U\n#EXTINF:4,\ns_0.ts\n#EXTINF:4,\ns_1.ts\n#EXTINF:4,\ns_2.ts\n";
    let playlist = || Item::new("v/list.m3u8", list);
    for (order, expected) in [
        ([0, 1, 2], Ok(())),
        ([0, 2, 1], Err(("v/s_1.ts", "v/s_0.ts"))),
        ([1, 0, 2], Err(("v/s_1.ts", "v/s_0.ts"))),
    ] {
        // What has no bytes may stand between.
        let items = order.map(segment).into_iter();
        let items = items.flat_map(|item| [item, Item::new("empty/", "")]);
        let zip = Zip::of(items.chain([playlist()]));
        let (_out, archive) = written(&zip.finish());
        let found = &info(&archive)["playback"];
        assert_eq!(found["in_order"], expected.is_ok(), "{order:?} {found}");
        if let Err((next, after)) = expected {
            let told = &found["disordered"][0];
            assert_eq!(
                (&told["playlist"], &told["next"], &told["after"]),
                (&"v/list.m3u8".into(), &next.into(), &after.into())
            );
            let line = format!("v/list.m3u8: {next} does not lie right behind {after}\n");
            assert!(text(&archive).contains(&line));
        }
    }
    let (_out, archive) = written(&Zip::of([segment(1)]).finish());
    assert_eq!(info(&archive)["playback"]["in_order"], Value::Null);
    assert!(text(&archive).contains("playback order     no playlists\n"));
}

#[test]
fn packed_playlists_are_recognized_under_any_name() {
    let (folder, out) = (tree::temp(), tree::temp());
    tree::write(folder.path(), "a.bin", &[1; 100]);
    tree::write(folder.path(), "b.bin", &[2; 100]);
    let list = b"#EXTM3U\n#EXTINF:4,\nb.bin\n#EXTINF:4,\na.bin\n";
    tree::write(folder.path(), "list.txt", list);
    let archive = out.path().join("a.zip");
    let mut pack = run::aiozfs();
    run(pack.arg("pack").arg(folder.path()).arg(&archive)).ok("pack");
    let playback = &info(archive.to_str().expect("plain"))["playback"];
    assert_eq!(playback["playlists"], 1, "{playback}");
    assert_eq!(playback["in_order"], true, "{playback}");
}

//! `aiozfs ls` compared with find(1), ls(1) and Python on the folder that was packed.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Way, on, packed, printed, written};
use crate::common::run::{self, run};
use crate::common::zips::{Item, UTF8, Zip};
use crate::common::{archives, tree};

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

/// All that is in a folder, directories with a slash behind.
fn paths(folder: &Path) -> Vec<String> {
    let path = |name: std::path::PathBuf| {
        let slash = if folder.join(&name).is_dir() { "/" } else { "" };
        format!("{}{slash}", name.to_str().expect("UTF-8"))
    };
    tree::names(folder).into_iter().map(path).collect()
}

#[test]
fn archives_of_every_writer_are_listed_from_every_source() {
    let source = tree::sample();
    let mut expected = paths(source.path());
    expected.sort();
    for (what, make) in archives::STORED {
        let (_out, archive) = packed(source.path(), make);
        let mut listed = lines(&printed(&["ls", "-R", &archive]));
        listed.sort();
        assert_eq!(listed, expected, "{what}");
    }
    let (_out, archive) = packed(source.path(), archives::info_zip);
    for way in Way::ALL {
        let reached = way.reach(Path::new(&archive));
        let mut listed = lines(&printed(&on("ls", &reached, &["-R"])));
        listed.sort();
        assert_eq!(listed, expected, "{way:?}");
    }
}

#[test]
fn a_directory_is_listed_by_number_and_a_file_is_itself() {
    let source = tree::temp();
    for name in ["d/s_10.ts", "d/s_9.ts", "d/e/x", "d/s_100.ts", "top"] {
        tree::write(source.path(), name, name.as_bytes());
    }
    let (_out, archive) = packed(source.path(), archives::zipfile);
    let ls = |args: &[&str]| lines(&printed(&[&["ls", &archive], args].concat()));
    assert_eq!(ls(&[]), ["d/", "top"]);
    for dir in ["d", "/d/", "./d", "d/e/.."] {
        assert_eq!(ls(&[dir]), ["e/", "s_9.ts", "s_10.ts", "s_100.ts"], "{dir}");
    }
    assert_eq!(ls(&["d/s_9.ts"]), ["s_9.ts"]);
    assert_eq!(ls(&["-R", "d/s_9.ts"]), ["d/s_9.ts"]);
    let below = ["d/e/", "d/e/x", "d/s_9.ts", "d/s_10.ts", "d/s_100.ts"];
    assert_eq!(ls(&["-R", "d"]), below);
}

#[test]
fn the_long_form_agrees_with_find() {
    let source = tree::sample();
    symlink("dir/seg_0001.ts", source.path().join("link")).expect("a link");
    symlink("/outside", source.path().join("absolute")).expect("a link");
    let (_out, archive) = packed(source.path(), archives::info_zip);
    let mut find = run::tool("find");
    find.arg(source.path()).args(["-mindepth", "1"]).args([
        "(",
        "-type",
        "l",
        "-printf",
        "%M %U/%G %s %TF %TT %P -> %l\\n",
        "-o",
        "-type",
        "d",
        "-printf",
        "%M %U/%G 0 %TF %TT %P/\\n",
        "-o",
        "-printf",
        "%M %U/%G %s %TF %TT %P\\n",
        ")",
    ]);
    let found = run(find.env("TZ", "UTC")).ok("find").stdout;
    // find has fractions of seconds, which Info-ZIP does not keep.
    let mut expected: Vec<String> = found
        .lines()
        .map(|line| {
            let (before, after) = line.split_once('.').expect("a fraction");
            format!("{before} {}", after.split_once(' ').expect("a name").1)
        })
        .collect();
    expected.sort();
    for way in Way::ALL {
        let reached = way.reach(Path::new(&archive));
        let listed = lines(&printed(&on("ls", &reached, &["-l", "-R"])));
        let columns: Vec<usize> = listed.iter().filter_map(|line| line.find(':')).collect();
        assert!(columns.windows(2).all(|w| w[0] == w[1]), "{listed:?}");
        let squeezed = listed.iter().map(|line| {
            // Only the columns are padded; names may have spaces.
            let mut fields = line.splitn(2, '/');
            let (mode_user, rest) = (fields.next(), fields.next());
            let mode_user = mode_user.expect("a field").split_whitespace();
            let rest = rest.expect("more").trim_start();
            let (group, rest) = rest.split_once(' ').expect("a group");
            let mode_user: Vec<_> = mode_user.collect();
            format!("{}/{group} {}", mode_user.join(" "), rest.trim_start())
        });
        let mut squeezed: Vec<String> = squeezed.collect();
        squeezed.sort();
        assert_eq!(squeezed, expected, "{way:?}");
    }
}

#[test]
fn unreadable_entries_are_marked() {
    let (source, out) = (tree::temp(), tree::temp());
    let path = out.path().join("mixed.zip");
    archives::mixed(source.path(), &path);
    let listed = lines(&printed(&["ls", "-l", path.to_str().expect("plain")]));
    let ends = |line: usize, end: &str| assert!(listed[line].ends_with(end), "{listed:?}");
    ends(0, " deflated.txt [deflated]");
    ends(1, " encrypted.txt [stored, ZipCrypto]");
    ends(2, " stored.txt");

    let beyond = Item::new("beyond", "data").with(|item| item.sizes = (1 << 30, 1 << 30));
    let (_out, archive) = written(&Zip::of([Item::new("a", "b"), beyond]).finish());
    let listed = lines(&printed(&["ls", "-l", &archive]));
    assert!(listed[0].ends_with(" a"), "{listed:?}");
    assert!(listed[1].ends_with(" beyond [damaged]"), "{listed:?}");
}

/// Python reads the archive by itself and compares what it finds with the listing.
const COMPARE: &str = r#"
import json, stat, sys, zipfile
rows = {row['path']: row for row in json.load(open(sys.argv[2], encoding='utf-8'))}
def name(info):
    # Info-ZIP writes UTF-8 and does not say so; Python then takes it for CP437.
    utf8 = info.flag_bits & 0x800 or info.filename.isascii()
    name = info.filename if utf8 else info.filename.encode('cp437').decode()
    return name.removeprefix('./').rstrip('/')
infos = {name(i): i for i in zipfile.ZipFile(sys.argv[1]).infolist()}
infos.pop('', None)
assert rows.keys() == infos.keys(), (rows.keys() ^ infos.keys())
methods = {0: 'stored', 8: 'deflated'}
for name, info in infos.items():
    row, mode = rows[name], info.external_attr >> 16
    assert int(row['mode'], 8) == mode & 0o777, (name, row)
    if info.is_dir():
        assert row['kind'] == 'dir' and 'crc32' not in row, row
        continue
    assert row['kind'] == ('symlink' if stat.S_ISLNK(mode) else 'file'), row
    assert row['size'] == info.file_size and row['compressed_size'] == info.compress_size, row
    assert row['crc32'] == '%08x' % info.CRC, row
    assert row['method'] == methods[info.compress_type], row
    assert row['encrypted'] == bool(info.flag_bits & 1), row
    assert row['header_offset'] == info.header_offset, row
    readable = True
    assert ('problem' in row) != readable, row
    if row['kind'] == 'symlink':
        assert row['target'] == 'dir/seg_0001.ts', row
print(len(rows))
"#;

#[test]
fn json_agrees_with_python() {
    let source = tree::sample();
    symlink("dir/seg_0001.ts", source.path().join("link")).expect("a link");
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    archives::info_zip(source.path(), &archive);
    let more = tree::temp();
    archives::mixed(more.path(), &archive);
    let json = out.path().join("rows.json");
    let listed = printed(&["ls", "-lR", "--json", archive.to_str().expect("plain")]);
    fs::write(&json, &listed).expect("a file");
    let compared = run::python(COMPARE, &[&archive, &json]);
    let count = tree::names(source.path()).len() + 3;
    assert_eq!(compared.stdout.trim(), count.to_string());
    // One a line.
    assert_eq!(lines(&listed).len(), count + 2);
}

/// Names with everything that a terminal or a shell might take for its own.
const ODD: [&[u8]; 16] = [
    b"plain",
    b"a b",
    b"it's",
    b"it's $5",
    b"\x1b[31mred",
    b"line\nbreak",
    b"tab\t",
    b"del\x7f",
    b"\xc2\x9b31m",
    b"\xff\xfe raw",
    "日本語".as_bytes(),
    b"~home",
    b"a\"b",
    b"back\\slash",
    b"{",
    b"*?[x]",
];

#[test]
fn names_are_quoted_like_gnu_ls_on_a_terminal_and_raw_in_a_pipe() {
    // The directory says that these are UTF-8, also where it is not so.
    let items = ODD.map(|name| Item::new(name, "x").with(|item| item.flags = UTF8));
    let (out, archive) = written(&Zip::of(items).finish());
    let piped = printed(&["ls", &archive]);
    for name in ODD {
        let line = [name, b"\n"].concat();
        assert!(piped.windows(line.len()).any(|w| w == line), "{name:?}");
    }

    let folder = out.path().join("folder");
    fs::create_dir(&folder).expect("a directory");
    for name in ODD {
        fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), "x").expect("a file");
    }
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(|l| l.trim_end().to_owned()).collect();
        lines.sort();
        lines
    };
    let mut gnu = run::tool("ls");
    gnu.args(["-1", "--quoting-style=shell-escape"])
        .arg(&folder);
    let expected = run(gnu.env("LC_ALL", "C.UTF-8")).ok("ls").stdout;
    let on_terminal = |args: &str| {
        let mut script = run::tool("script");
        script.args(["-qec", &format!("{} ls {args} {archive}", run::AIOZFS)]);
        run(script.arg("/dev/null")).ok("script").stdout
    };
    let shown = on_terminal("-1");
    assert_eq!(sorted(&shown), sorted(&expected));
    // The long form, targets and JSON go the same way.
    for shown in [
        shown,
        on_terminal("--color=never"),
        on_terminal("-l"),
        on_terminal("--json"),
    ] {
        let raw = |c: char| c.is_control() && !matches!(c, '\r' | '\n');
        assert!(!shown.contains(raw), "{shown:?}");
    }
}

#[test]
fn json_is_exact_for_names_that_are_no_utf8() {
    let items = ODD.map(|name| Item::new(name, "x").with(|item| item.flags = UTF8));
    let (_out, archive) = written(&Zip::of(items).finish());
    let rows: serde_json::Value =
        serde_json::from_slice(&printed(&["ls", "--json", &archive])).expect("JSON");
    let rows = rows.as_array().expect("an array");
    let mut names: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| match row["path_hex"].as_str() {
            None => row["path"].as_str().expect("a path").as_bytes().to_vec(),
            Some(hex) => {
                let digits = hex.as_bytes().chunks(2);
                let digits = digits.map(|d| std::str::from_utf8(d).expect("digits"));
                digits
                    .map(|d| u8::from_str_radix(d, 16).expect("digits"))
                    .collect()
            }
        })
        .collect();
    let mut expected = ODD.map(<[u8]>::to_vec);
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn an_empty_archive_lists_nothing() {
    let (_out, archive) = written(&Zip::default().finish());
    assert_eq!(printed(&["ls", "-lR", &archive]), b"");
    assert_eq!(printed(&["ls", "--json", &archive]), b"[]\n");
}

/// A folder whose names, sizes and times all have another order, and its archive.
fn various() -> (tree::TempDir, tree::TempDir, String) {
    let source = tree::temp();
    for (at, (name, size)) in [
        ("delta", 3),
        ("alpha", 70_000),
        ("echo", 1_500_000),
        ("bravo", 1025),
    ]
    .into_iter()
    .enumerate()
    {
        tree::write(source.path(), name, &vec![b'x'; size]);
        let time = format!("2024-01-{:02} 12:00:00", 10 - at);
        let mut touch = run::tool("touch");
        run(touch
            .env("TZ", "UTC")
            .args(["-d", &time])
            .arg(source.path().join(name)))
        .ok("touch");
    }
    let (out, archive) = packed(source.path(), archives::info_zip);
    (source, out, archive)
}

#[test]
fn files_are_sorted_and_sized_as_by_gnu_ls() {
    let (source, _out, archive) = various();
    let gnu = |args: &str| {
        let mut ls = run::tool("ls");
        ls.env("LC_ALL", "C").args(["-1", args]).arg(source.path());
        run(&mut ls).ok("ls").stdout
    };
    for args in ["-r", "-t", "-S", "-tr", "-Sr", "-tS", "-St"] {
        let listed = printed(&["ls", args, &archive]);
        assert_eq!(String::from_utf8_lossy(&listed), gnu(args), "{args}");
    }
    let size_and_name = |line: &str, at: usize| {
        let fields: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        (fields[at].clone(), fields.last().expect("a name").clone())
    };
    let ours = lines(&printed(&["ls", "-lh", &archive]));
    let ours: Vec<_> = ours.iter().map(|line| size_and_name(line, 2)).collect();
    let theirs = gnu("-lh");
    let theirs: Vec<_> = theirs
        .lines()
        .skip(1)
        .map(|line| size_and_name(line, 4))
        .collect();
    assert_eq!(ours, theirs);
}

/// What `aiozfs ls` prints on a terminal of 40 columns.
fn on_narrow_terminal(args: &str, env: &[(&str, &str)]) -> String {
    let mut script = run::tool("script");
    let command = format!("stty cols 40; {} ls {args}", run::AIOZFS);
    script.args(["-qec", &command, "/dev/null"]);
    script
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(env.iter().copied());
    run(&mut script).ok("script").stdout
}

#[test]
fn a_terminal_gets_the_columns_of_gnu_ls() {
    let source = tree::temp();
    for name in [
        "a",
        "bb",
        "ccc",
        "dddddddd",
        "e/f",
        "ggggggggggg",
        "h",
        "i",
        "wide-name",
    ] {
        tree::write(source.path(), name, b"x");
    }
    let (_out, archive) = packed(source.path(), archives::info_zip);
    let mut gnu = run::tool("ls");
    gnu.env("LC_ALL", "C").args(["-C", "-p", "-T0", "-w40"]);
    let expected = run(gnu.arg(source.path())).ok("ls").stdout;
    let trimmed = |text: &str| {
        let lines = text.lines().map(|line| line.trim_end().to_owned());
        lines.collect::<Vec<_>>()
    };
    let shown = on_narrow_terminal(&format!("--color=never {archive}"), &[]);
    assert_eq!(trimmed(&shown), trimmed(&expected));
    // A pipe gets a name a line.
    assert_eq!(lines(&printed(&["ls", &archive])).len(), 9);
}

#[test]
fn colours_are_those_of_ls_colors_and_only_on_a_terminal() {
    let source = tree::temp();
    for name in ["dir/x", "film.mkv", "plain"] {
        tree::write(source.path(), name, b"x");
    }
    let (_out, archive) = packed(source.path(), archives::info_zip);
    let colors = ("LS_COLORS", "di=34:*.mkv=35");
    let shown = on_narrow_terminal(&format!("-1 {archive}"), &[colors]);
    let expected = "\u{1b}[34mdir\u{1b}[0m/\n\u{1b}[35mfilm.mkv\u{1b}[0m\nplain\n";
    assert_eq!(shown.replace('\r', ""), expected);
    let without = |args: &str, env: &[(&str, &str)]| {
        let shown = on_narrow_terminal(&format!("-1 {args} {archive}"), env);
        assert!(!shown.contains('\u{1b}'), "{args} {env:?}: {shown:?}");
    };
    without("", &[colors, ("NO_COLOR", "1")]);
    without("", &[colors, ("TERM", "dumb")]);
    without("--color=never", &[colors]);
    assert!(!printed(&["ls", &archive]).contains(&0x1b));
    assert!(printed(&["ls", "--color", &archive]).contains(&0x1b));
}

#[test]
fn several_paths_are_listed_files_first_then_directories() {
    let source = tree::temp();
    for name in ["a/1.ts", "a/2.txt", "b/3.ts", "c.ts"] {
        tree::write(source.path(), name, b"x");
    }
    let (_out, archive) = packed(source.path(), archives::info_zip);
    let ls = |args: &[&str]| {
        String::from_utf8(printed(&[&["ls", &archive], args].concat())).expect("UTF-8")
    };
    assert_eq!(
        ls(&["b", "c.ts", "a"]),
        "c.ts\n\nb:\n3.ts\n\na:\n1.ts\n2.txt\n"
    );
    assert_eq!(ls(&["**/*.ts"]), "a/1.ts\nb/3.ts\nc.ts\n");
    assert_eq!(ls(&["-R", "[ab]"]), "a/1.ts\na/2.txt\nb/3.ts\n");
}

//! EXT-X-DEFINE: values from the playlist, from those that refer to it, and from its address.

use super::*;

const LIST: &str = "#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"p\"\n{$p}/0.ts\n";

/// The contexts in which the masters' texts read `v.m3u8`.
fn contexts(masters: &[&str]) -> Vec<Context> {
    let mut all = Vec::new();
    for master in masters {
        let list = Playlist::new(Format::Hls, "master.m3u8", master);
        let refers = list.refers(&|path| path == "v.m3u8");
        all.extend(refers.into_iter().map(|(_, context)| context));
    }
    all
}

fn master(define: &str, uri: &str) -> String {
    format!("#EXTM3U\n#EXT-X-DEFINE:{define}\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{uri}\n")
}

fn link_within(contexts: &[Context], text: &str) -> (String, Vec<String>) {
    let entries = entries(&["a/0.ts", "b/0.ts", "0.ts"]);
    let find = |path: &str| entries.get(path).copied();
    let files = Files {
        find: &find,
        read: &|_, _| None,
    };
    let linked = Playlist::new(Format::Hls, "v.m3u8", text)
        .within(contexts)
        .link(files);
    let told = linked
        .problems
        .iter()
        .map(|p| format!("{}: {}", p.line, p.what));
    (linked.text, told.collect())
}

/// What a media playlist imports was not looked up, so its links led nowhere.
#[test]
fn imports_come_from_the_master() {
    let master = master("NAME=\"p\",VALUE=\"a\"", "v.m3u8");
    let (text, told) = link_within(&contexts(&[&master]), LIST);
    assert_eq!(text, LIST.replace("0.ts", "0.ts?range=1000,1000"));
    assert_eq!(told, [] as [&str; 0]);
    // Every kind of rendition.
    for tag in ["MEDIA", "I-FRAME-STREAM-INF", "IMAGE-STREAM-INF"] {
        let master =
            format!("#EXTM3U\n#EXT-X-DEFINE:NAME=\"p\",VALUE=\"b\"\n#EXT-X-{tag}:URI=\"v.m3u8\"\n");
        let (text, _) = link_within(&contexts(&[&master]), LIST);
        assert_eq!(text, LIST.replace("0.ts", "0.ts?range=2000,1000"), "{tag}");
    }
}

#[test]
fn masters_that_disagree_are_reported() {
    let a = master("NAME=\"p\",VALUE=\"a\"", "v.m3u8");
    let also_a = master("NAME=\"p\",VALUE=\"./a\"", "v.m3u8");
    let without = master("NAME=\"q\",VALUE=\"b\"", "v.m3u8");
    let (text, told) = link_within(&contexts(&[&a, &also_a, &without]), LIST);
    assert_eq!(text, LIST.replace("0.ts", "0.ts?range=1000,1000"));
    assert_eq!(told, [] as [&str; 0]);
    let b = master("NAME=\"p\",VALUE=\"b\"", "v.m3u8");
    let all = contexts(&[&a, &b]);
    let (text, told) = link_within(&all, LIST);
    assert_eq!(
        text, LIST,
        "either link would give the wrong bytes to somebody"
    );
    assert!(
        told[0].starts_with("3: ") && told[0].contains("'a/0.ts' or to 'b/0.ts'"),
        "{told:?}"
    );
    // Both are needed by somebody.
    let list = Playlist::new(Format::Hls, "v.m3u8", LIST).within(&all);
    let paths: Vec<_> = list
        .references(&|_| Some(1))
        .into_iter()
        .map(|r| r.path)
        .collect();
    assert_eq!(paths, ["a/0.ts", "b/0.ts"]);
}

#[test]
fn query_parameters_come_from_the_link() {
    let list = "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"d\"\n{$d}/0.ts\n0.ts?d={$d}\n";
    let expected = "#EXTM3U\n#EXT-X-DEFINE:QUERYPARAM=\"d\"\n{$d}/0.ts?range=1000,1000\n0.ts?d={$d}&range=3000,1000\n";
    for uri in ["v.m3u8?d=a", "v.m3u8?x&d=%61&d=b", "v.m3u8?d={$v}"] {
        let master = master("NAME=\"v\",VALUE=\"a\"", uri);
        let (text, told) = link_within(&contexts(&[&master]), list);
        assert_eq!((text.as_str(), told.len()), (expected, 0), "{uri}");
    }
    // What the user's address says is not known; where it does not tell the file, that is nothing.
    let (text, told) = link_within(&[], list);
    assert_eq!(text, list.replace("d={$d}", "d={$d}&range=3000,1000"));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("3: ") && told[0].contains("variable 'd' is not known"),
        "{told:?}"
    );
}

#[test]
fn unknown_variables_are_reported_with_the_line() {
    for contexts in [
        vec![],
        contexts(&[&master("NAME=\"x\",VALUE=\"a\"", "v.m3u8")]),
    ] {
        let (text, told) = link_within(&contexts, LIST);
        assert_eq!(text, LIST);
        assert!(
            told[0].starts_with("3: '{$p}/0.ts' will not play"),
            "{told:?}"
        );
    }
    let (_, told) = link_within(&[], "#EXTM3U\n#EXT-X-DEFINE:VALUE=\"a\"\n");
    assert!(
        told[0].starts_with("2: EXT-X-DEFINE has neither"),
        "{told:?}"
    );
}

/// A link cannot be put behind a variable that brings its own query, or needs escapes.
#[test]
fn variables_with_a_query_or_escapes_are_substituted() {
    let table = [
        ("0.ts?x=1", "{$n}", "0.ts?x=1&range=3000,1000"),
        ("0.ts#t=1", "{$n}", "0.ts?range=3000,1000#t=1"),
        ("{$d}/0.ts", "{$n}", "{$n}?range=1000,1000"),
    ];
    for (value, uri, expected) in table {
        let define = format!(
            "#EXT-X-DEFINE:NAME=\"d\",VALUE=\"a\"\n#EXT-X-DEFINE:NAME=\"n\",VALUE=\"{value}\""
        );
        let (text, told) = link_within(&[], &format!("#EXTM3U\n{define}\n{uri}\n"));
        assert_eq!(text, format!("#EXTM3U\n{define}\n{expected}\n"));
        assert_eq!(told, [] as [&str; 0]);
    }
}

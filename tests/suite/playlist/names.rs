//! File names with characters that have another meaning in a link.

use super::*;

/// What a URI line is linked, and that it comes back.
fn becomes(files: &[&str], uri: &str, expected: &str) {
    let text = format!("#EXTM3U\n{uri}\n");
    let (linked, back) = there_and_back(Format::Hls, "v/list.m3u8", files, &text);
    assert_eq!(linked, format!("#EXTM3U\n{expected}\n"));
    assert_eq!(back, text, "and back");
}

/// A playlist named 'ep #9.ts' as it is, and the file was there: "there is no file 'ep #9.ts'". Local
/// players play such a folder, so the mount must show the name without escapes again.
#[test]
fn names_are_percent_encoded_in_links() {
    let table = [
        (
            "ep #9.ts",
            "ep #9.ts",
            "ep %239.ts?range=1000,1000&unescaped",
        ),
        (
            "what?.ts",
            "what?.ts",
            "what%3F.ts?range=1000,1000&unescaped",
        ),
        (
            "a?b#c?d.ts",
            "a?b#c?d.ts",
            "a%3Fb%23c%3Fd.ts?range=1000,1000&unescaped",
        ),
        (
            "ep #9.ts",
            "ep #9.ts?t=1",
            "ep %239.ts?t=1&range=1000,1000&unescaped",
        ),
        (
            "ep #9.ts",
            "ep #9.ts#t=1",
            "ep %239.ts?range=1000,1000&unescaped#t=1",
        ),
        ("#1.ts", "./#1.ts", "./%231.ts?range=1000,1000&unescaped"),
        (
            "50%41.ts",
            "50%41.ts",
            "50%2541.ts?range=1000,1000&unescaped",
        ),
        (
            "part: 1.ts",
            "part: 1.ts",
            "./part: 1.ts?range=1000,1000&unescaped",
        ),
        (r"a\b.ts", r"a\b.ts", "a%5Cb.ts?range=1000,1000&unescaped"),
        // Properly escaped, and what needs no escape.
        ("ep #9.ts", "ep%20%239.ts", "ep%20%239.ts?range=1000,1000"),
        ("50%41.ts", "50%2541.ts", "50%2541.ts?range=1000,1000"),
        ("100%.ts", "100%.ts", "100%.ts?range=1000,1000"),
        ("sub/a.ts", r"sub\a.ts", r"sub\a.ts?range=1000,1000"),
        ("%FF.ts", "%FF.ts", "%FF.ts?range=1000,1000"),
    ];
    for (file, uri, expected) in table {
        let file = format!("v/{file}");
        becomes(&[&file], uri, expected);
    }
}

/// `%41` is `A` to every player (RFC 3986, section 2.1), whatever else is there.
#[test]
fn the_standard_reading_of_a_name_comes_first() {
    becomes(
        &["v/5A.ts", "v/5%41.ts"],
        "5%41.ts",
        "5%41.ts?range=1000,1000",
    );
    becomes(&["v/a", "v/a#b.ts"], "a#b.ts", "a?range=1000,1000#b.ts");
}

#[test]
fn a_missing_name_reports_how_to_escape_it() {
    let told = |uri: &str| {
        let text = format!("#EXTM3U\n{uri}\n");
        let linked = with_links(Format::Hls, "list.m3u8", &text, &|_| None);
        linked.problems[0].what.to_string()
    };
    assert!(told("ep #9.ts").contains("'#' in a file name is written %23"));
    assert!(told("what?.ts").contains("'?' in a file name is written %3F"));
    assert_eq!(told("a\u{1b}[31m.ts"), "there is no file 'a\\u{1b}[31m.ts'");
}

/// Places of this machine, or of a server's root, are in no archive.
#[test]
fn rooted_links_are_reported() {
    for uri in ["/v/a.ts", "file:///v/a.ts", "FILE:a.ts"] {
        let text = format!("#EXTM3U\n{uri}\n");
        let linked = with_links(Format::Hls, "list.m3u8", &text, &|_| None);
        let what = What::Rooted {
            uri: uri.to_owned(),
        };
        assert_eq!(linked.problems, [Problem { line: 2, what }]);
    }
    for uri in ["//host/a.ts", "https://host/a.ts"] {
        let text = format!("#EXTM3U\n{uri}\n");
        assert_eq!(
            with_links(Format::Hls, "list.m3u8", &text, &|_| None).problems,
            []
        );
    }
}

//! Golden texts for every tag and element with a link, and properties of all texts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use aiozfs::playlist::{self, *};

mod check;
mod companion;
mod dash;
mod dash_hostile;
mod dash_segments;
mod hls;
mod hostile;
mod names;
mod variables;

/// Entries of 1000 bytes each at 1000, 2000 and so on, in this order.
fn entries(names: &[&str]) -> BTreeMap<String, Span> {
    let span = |i: usize| Span {
        offset: 1000 * (i as u64 + 1),
        size: 1000,
    };
    let of = |(i, name): (usize, &&str)| ((*name).to_owned(), span(i));
    names.iter().enumerate().map(of).collect()
}

/// A place of an entry by its path.
type Find<'a> = &'a dyn Fn(&str) -> Option<Span>;

fn references(
    format: Format,
    base: &str,
    text: &str,
    size_of: &dyn Fn(&str) -> Option<u64>,
) -> Vec<Reference> {
    Playlist::new(format, base, text).references(size_of)
}

fn link(format: Format, base: &str, text: &str, files: Files) -> Linked {
    Playlist::new(format, base, text).link(files)
}

fn range_links(format: Format, base: &str, text: &str) -> Vec<(String, Span)> {
    Playlist::new(format, base, text).range_links()
}

fn playable(format: Format, base: &str, text: &str, find: Find) -> String {
    Playlist::new(format, base, text).playable(find)
}

fn byterange(format: Format, base: &str, text: &str, archive: &str, files: Files) -> Linked {
    Playlist::new(format, base, text).byterange(archive, files)
}

/// Links a text; its files have no bytes.
fn with_links(format: Format, base: &str, text: &str, find: Find) -> Linked {
    let read = &|_: &str, _| None;
    link(format, base, text, Files { find, read })
}

fn by_range(format: Format, base: &str, text: &str, archive: &str, find: Find) -> Linked {
    let read = &|_: &str, _| None;
    byterange(format, base, text, archive, Files { find, read })
}

/// Links a text, which must not have errors, and makes it playable again.
fn there_and_back(format: Format, base: &str, names: &[&str], text: &str) -> (String, String) {
    let entries = entries(names);
    let find = |path: &str| entries.get(path).copied();
    let linked = with_links(format, base, text, &find);
    let errors = linked.problems.iter().filter(|p| !p.what.is_warning());
    assert_eq!(errors.collect::<Vec<_>>(), [] as [&Problem; 0], "{text}");
    let back = playable(format, base, &linked.text, &find);
    (linked.text, back)
}

/// Lines of a playlist, some of them links to whole entries.
fn hls_lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[a-c]\\.ts",
        "[a-c]\\.ts\\?[a-z&=%]{0,5}(#[a-z]{0,3})?",
        "(\\./|x/\\.\\./)?[a-c]\\.ts",
        "#EXTINF:[0-9.]{1,5},[a-z ]{0,5}",
        "#EXT-X-MAP:URI=\"[a-d]\\.ts\"(,X=1)?",
        "#EXT-X-MEDIA:X=\"[,=a-z]{0,4}\",URI=\"[a-c]\\.ts\"",
        "#[ -~]{0,20}",
        "[ -~]{0,20}",
        "http://h/[a-c]\\.ts",
        "",
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n")];
    proptest::collection::vec((line, end), 0..20).prop_map(|lines| {
        let lines = lines.into_iter().map(|(line, end)| line + end);
        "#EXTM3U\n".to_owned() + &lines.collect::<String>()
    })
}

proptest! {
    #[test]
    fn links_to_whole_entries_come_back(text in hls_lines()) {
        prop_assume!(!text.contains("range=") && !text.contains("BYTERANGE"));
        let entries = entries(&["a.ts", "b.ts", "c.ts"]);
        let find = |path: &str| entries.get(path).copied();
        let linked = with_links(Format::Hls, "x.m3u8", &text, &find).text;
        prop_assert_eq!(playable(Format::Hls, "x.m3u8", &linked, &find), text);
    }

    /// Byte ranges come back in other words, and mean the same bytes.
    #[test]
    fn links_to_parts_mean_the_same(
        parts in proptest::collection::vec((0usize..3, 1u64..200, proptest::option::of(0u64..200)), 0..12),
    ) {
        let entries = entries(&["a.ts", "b.ts", "c.ts"]);
        let find = |path: &str| entries.get(path).copied();
        let mut text = "#EXTM3U\n".to_owned();
        for (file, size, offset) in parts {
            let name = ["a.ts", "b.ts", "c.ts"][file];
            let offset = offset.map_or(String::new(), |offset| format!("@{offset}"));
            text.push_str(&format!("#EXT-X-BYTERANGE:{size}{offset}\n{name}\n"));
        }
        let linked = with_links(Format::Hls, "x.m3u8", &text, &find);
        prop_assume!(linked.problems.is_empty());
        let back = playable(Format::Hls, "x.m3u8", &linked.text, &find);
        prop_assert!(range_links(Format::Hls, "x.m3u8", &back).is_empty());
        prop_assert_eq!(&with_links(Format::Hls, "x.m3u8", &back, &find), &linked);
    }

    #[test]
    fn no_text_panics(
        text in "(\u{feff}?#EXTM3U)?(\n|[ -~é\r\n]|#EXT-X-(MAP|KEY|PART|PRELOAD-HINT|BYTERANGE|DEFINE):|URI=\"|BYTERANGE(-START)?=\"?|range=[0-9,]{0,5}|\\{\\$){0,60}",
    ) {
        try_all(Format::Hls, &text);
    }

    #[test]
    fn no_manifest_panics(
        parts in proptest::collection::vec(prop_oneof![
            "<(MPD|Period|AdaptationSet|Representation|SegmentTemplate|SegmentList|SegmentBase|BaseURL|SegmentURL|Initialization|SegmentTimeline|S)( (media|sourceURL|mediaRange|range|indexRange|d|r|t|duration|id|initialization|startNumber|endNumber)=\"[0-9a-z$%&;./-]{0,8}\"){0,3}/?>",
            "</(MPD|Period|AdaptationSet|Representation|SegmentTemplate|SegmentList|BaseURL)>",
            "[ -~é\n]{0,6}",
        ], 0..30),
    ) {
        let text = format!("<MPD>{}", parts.concat());
        try_all(Format::Dash, &text);
        try_all(Format::Dash, &(text + "</MPD>"));
    }
}

fn try_all(format: Format, text: &str) {
    let entries = entries(&["a", "a.ts"]);
    let find = |path: &str| entries.get(path).copied();
    is_playlist(format, text);
    references(format, "d/x", text, &|path| {
        find(path).map(|span| span.size)
    });
    range_links(format, "x", text);
    for made in [
        with_links(format, "x", text, &find).text,
        by_range(format, "x", text, "a.zip", &find).text,
        text.to_owned(),
    ] {
        playable(format, "x", &made, &find);
    }
}

//! Golden texts for every tag and element with a link, and what holds for all texts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Entries of 1000 bytes each at 1000, 2000 and so on, in this order.
fn entries(names: &[&str]) -> BTreeMap<String, Span> {
    let span = |i: usize| Span {
        offset: 1000 * (i as u64 + 1),
        size: 1000,
    };
    let of = |(i, name): (usize, &&str)| ((*name).to_owned(), span(i));
    names.iter().enumerate().map(of).collect()
}

/// Links a text, which must not have problems, and makes it playable again.
fn there_and_back(format: Format, base: &str, names: &[&str], text: &str) -> (String, String) {
    let entries = entries(names);
    let find = |path: &str| entries.get(path).copied();
    let linked = link(format, base, text, &find);
    assert_eq!(linked.problems, [], "{text}");
    let back = playable(format, base, &linked.text, &find);
    (linked.text, back)
}

/// One HLS line (or some) behind `#EXTM3U`: what it is linked, and that it comes back.
fn hls(names: &[&str], plain: &str, expected: &str) {
    let text = format!("#EXTM3U\n{plain}\n");
    let (linked, back) = there_and_back(Format::Hls, "list.m3u8", names, &text);
    assert_eq!(linked, format!("#EXTM3U\n{expected}\n"));
    assert_eq!(back, text, "and back");
}

#[test]
fn hls_links_to_whole_entries() {
    hls(
        &["a.ts"],
        "#EXTINF:2,\na.ts",
        "#EXTINF:2,\na.ts?range=1000,1000",
    );
    hls(
        &["a.ts"],
        "a.ts?token=1#t=2",
        "a.ts?token=1&range=1000,1000#t=2",
    );
    hls(&["x/a b.ts"], "x/a%20b.ts", "x/a%20b.ts?range=1000,1000");
    hls(&["a.ts"], "./y/../a.ts", "./y/../a.ts?range=1000,1000");
    hls(
        &["v.m3u8", "a.m3u8"],
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x,URI=y\",URI=\"a.m3u8\",DEFAULT=YES\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8",
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x,URI=y\",URI=\"a.m3u8?range=2000,1000\",DEFAULT=YES\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8?range=1000,1000",
    );
    for tag in [
        "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,",
        "#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,",
        "#EXT-X-RENDITION-REPORT:",
        "#EXT-X-MAP:",
        "#EXT-X-PART:DURATION=1,",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,",
        "#EXT-X-KEY:METHOD=AES-128,",
        "#EXT-X-SESSION-KEY:METHOD=AES-128,",
        "#EXT-X-SESSION-DATA:DATA-ID=\"x\",",
    ] {
        let (plain, linked) = (
            format!("{tag}URI=\"f\""),
            format!("{tag}URI=\"f?range=1000,1000\""),
        );
        hls(&["f"], &plain, &linked);
    }
    hls(
        &["a.ts"],
        "#EXT-X-DEFINE:NAME=\"dir\",VALUE=\"./\"\n{$dir}a.ts",
        "#EXT-X-DEFINE:NAME=\"dir\",VALUE=\"./\"\n{$dir}a.ts?range=1000,1000",
    );
}

#[test]
fn hls_links_to_parts_of_entries() {
    hls(
        &["a.ts"],
        "#EXT-X-BYTERANGE:100@50\na.ts",
        "a.ts?range=1050,100",
    );
    hls(
        &["a.mp4"],
        "#EXT-X-MAP:URI=\"a.mp4\",BYTERANGE=\"90@0\"",
        "#EXT-X-MAP:URI=\"a.mp4?range=1000,90\"",
    );
    hls(
        &["a.mp4"],
        "#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"90@7\",INDEPENDENT=YES",
        "#EXT-X-PART:DURATION=1,URI=\"a.mp4?range=1007,90\",INDEPENDENT=YES",
    );
    hls(
        &["a.mp4"],
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a.mp4\",BYTERANGE-START=10,BYTERANGE-LENGTH=20",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a.mp4?range=1010,20\"",
    );
    // A range without an offset goes on where the last one of the same file ended.
    let text = "#EXTM3U\r\n#EXT-X-BYTERANGE:100@0\r\na.ts\r\n#EXT-X-BYTERANGE:50\r\n#EXTINF:1,\r\na.ts\r\n#EXT-X-BYTERANGE:9\r\nb.ts\r\n";
    let (linked, back) = there_and_back(Format::Hls, "x.m3u8", &["a.ts", "b.ts"], text);
    assert_eq!(
        linked,
        "#EXTM3U\r\na.ts?range=1000,100\r\n#EXTINF:1,\r\na.ts?range=1100,50\r\nb.ts?range=2000,9\r\n"
    );
    assert_eq!(
        back,
        "#EXTM3U\r\n#EXT-X-BYTERANGE:100@0\r\na.ts\r\n#EXTINF:1,\r\n#EXT-X-BYTERANGE:50@100\r\na.ts\r\n#EXT-X-BYTERANGE:9@0\r\nb.ts\r\n"
    );
}

#[test]
fn hls_keeps_everything_else_to_the_letter() {
    let text = "\u{feff}#EXTM3U \r\n# a comment: a.ts\r\n\r\n#EXT-X-UNKNOWN:URI=\"a.ts\"\r\n  #not a tag\n#EXT-X-KEY:METHOD=NONE\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://k\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"elsewhere.key\"\nhttp://other/a.ts\n/rooted/a.ts\n#EXT-X-GAP\nabsent.ts\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"next.mp4\"\n  a.ts\t\r\nb.ts";
    let (linked, back) =
        there_and_back(Format::Hls, "x.m3u8", &["a.ts", "b.ts", "#not a tag"], text);
    let expected = text
        .replace("  a.ts\t", "  a.ts?range=1000,1000\t")
        .replace("\nb.ts", "\nb.ts?range=2000,1000");
    assert_eq!(
        linked.replace("#not a tag?range=3000,1000", "#not a tag"),
        expected
    );
    assert_eq!(back, text);
}

#[test]
fn what_is_not_there_is_told_with_its_line() {
    let entries = entries(&["a.ts"]);
    let find = |path: &str| entries.get(path).copied();
    let text =
        "#EXTM3U\n\nb.ts\n../out.ts\n#EXT-X-BYTERANGE:1000@1\na.ts\n#EXT-X-BYTERANGE:x\na.ts\n";
    let linked = link(Format::Hls, "x.m3u8", text, &find);
    let told: Vec<_> = linked
        .problems
        .iter()
        .map(|p| (p.line, p.what.to_string()))
        .collect();
    assert_eq!(
        told,
        [
            (3, "there is no file 'b.ts'".to_owned()),
            (4, "'../out.ts' leads out of the folder".to_owned()),
            (
                6,
                "the byte range is not within 'a.ts', which has 1000 bytes".to_owned()
            ),
            (7, "EXT-X-BYTERANGE is not '<length>[@<offset>]'".to_owned()),
        ]
    );
    let mpd = "<MPD><Period>\n<AdaptationSet><Representation id=\"1\">\n<SegmentList><SegmentURL media=\"b.m4s\"/></SegmentList></Representation></AdaptationSet></Period></MPD>";
    let linked = link(Format::Dash, "x.mpd", mpd, &find);
    assert_eq!(linked.problems.len(), 1);
    assert_eq!(linked.problems[0].line, 3);
    assert_eq!(linked.text, mpd);
}

#[test]
fn stale_links_give_way_and_foreign_ones_stay() {
    let entries = entries(&["a.ts"]);
    let find = |path: &str| entries.get(path).copied();
    let linked = link(Format::Hls, "x.m3u8", "#EXTM3U\na.ts?range=5,6\n", &find);
    assert_eq!(linked.text, "#EXTM3U\na.ts?range=1000,1000\n");
    // Not within the entry, an unknown entry, and a part where nothing can say so.
    let text = "#EXTM3U\na.ts?range=999,1000\nz.ts?range=1000,1000\n#EXT-X-KEY:METHOD=AES-128,URI=\"a.ts?range=1000,16\"\n";
    assert_eq!(playable(Format::Hls, "x.m3u8", text, &find), text);
}

#[test]
fn hls_by_ranges_of_the_archive() {
    let entries = entries(&["s/init.mp4", "s/1.m4s", "s/k.key", "s/v.m3u8"]);
    let find = |path: &str| entries.get(path).copied();
    let text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-KEY:METHOD=AES-128,URI=\"k.key\"\n#EXT-X-MAP:URI=\"init.mp4\"\n1.m4s\n#EXT-X-BYTERANGE:10@5\n1.m4s\n";
    let made = byterange(Format::Hls, "s/v.m3u8", text, "../a.zip", &find);
    assert_eq!(
        made.text,
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-KEY:METHOD=AES-128,URI=\"k.key\"\n#EXT-X-MAP:URI=\"../a.zip\",BYTERANGE=\"1000@1000\"\n#EXT-X-BYTERANGE:1000@2000\n../a.zip\n#EXT-X-BYTERANGE:10@2005\n../a.zip\n"
    );
    assert_eq!(made.loose, ["s/k.key"]);
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ns/v.m3u8\n";
    assert_eq!(
        byterange(Format::Hls, "m.m3u8", master, "a.zip", &find).text,
        master
    );
}

/// A manifest: what it is linked, and what it is when made playable again.
fn dash(names: &[&str], plain: &str, linked: &str, back: &str) {
    let text = |inner: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<!-- kept --><MPD mediaPresentationDuration=\"PT4S\">\n{inner}\n</MPD>"
        )
    };
    let got = there_and_back(Format::Dash, "x.mpd", names, &text(plain));
    assert_eq!(got.0, text(linked));
    assert_eq!(got.1, text(back), "and back");
}

#[test]
fn dash_templates_become_lists() {
    let names = ["v/init.m4s", "v/1.m4s", "v/2.m4s"];
    dash(
        &names,
        "  <Period><AdaptationSet>\n    <SegmentTemplate timescale=\"10\" duration=\"20\" media=\"$RepresentationID$/$Number$.m4s\" initialization='$RepresentationID$/init.m4s'/>\n    <Representation id=\"v\" bandwidth=\"1\"/>\n  </AdaptationSet></Period>",
        "  <Period><AdaptationSet>\n    <Representation id=\"v\" bandwidth=\"1\">\n      <SegmentList timescale=\"10\" duration=\"20\">\n        <Initialization sourceURL=\"v/init.m4s?range=1000,1000\"/>\n        <SegmentURL media=\"v/1.m4s?range=2000,1000\"/>\n        <SegmentURL media=\"v/2.m4s?range=3000,1000\"/>\n      </SegmentList>\n    </Representation>\n  </AdaptationSet></Period>",
        "  <Period><AdaptationSet>\n    <Representation id=\"v\" bandwidth=\"1\">\n      <SegmentList timescale=\"10\" duration=\"20\">\n        <Initialization sourceURL=\"v/init.m4s\"/>\n        <SegmentURL media=\"v/1.m4s\"/>\n        <SegmentURL media=\"v/2.m4s\"/>\n      </SegmentList>\n    </Representation>\n  </AdaptationSet></Period>",
    );
}

#[test]
fn dash_timelines_and_widths() {
    let entries = entries(&[
        "c-00003-800.m4s",
        "c-00004-802.m4s",
        "c-00005-804.m4s",
        "0.m4s",
        "2.m4s",
        "4.m4s",
    ]);
    let find = |path: &str| entries.get(path).copied();
    let mpd = |template: &str| {
        format!(
            "<MPD><Period duration=\"PT6S\"><AdaptationSet><Representation id=\"c\" bandwidth=\"800\">{template}</Representation></AdaptationSet></Period></MPD>"
        )
    };
    let timeline = "<SegmentTimeline><S t=\"800\" d=\"2\" r=\"1\"/><S d=\"9\"/></SegmentTimeline>";
    let linked = link(
        Format::Dash,
        "x.mpd",
        &mpd(&format!(
            "<SegmentTemplate media=\"$RepresentationID$-$Number%05d$-$Time$.m4s\" startNumber=\"3\">{timeline}</SegmentTemplate>"
        )),
        &find,
    );
    assert_eq!(linked.problems, []);
    assert_eq!(
        linked.text,
        mpd(&format!(
            "<SegmentList>{timeline}<SegmentURL media=\"c-00003-800.m4s?range=1000,1000\"/><SegmentURL media=\"c-00004-802.m4s?range=2000,1000\"/><SegmentURL media=\"c-00005-804.m4s?range=3000,1000\"/></SegmentList>"
        ))
    );
    // Repeated to the end of the period.
    let open = mpd(
        "<SegmentTemplate media=\"$Time$.m4s\"><SegmentTimeline><S t=\"0\" d=\"2\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>",
    );
    let found: Vec<_> = references(Format::Dash, "x.mpd", &open, &|_| None)
        .into_iter()
        .map(|r| r.path)
        .collect();
    assert_eq!(found, ["0.m4s", "2.m4s", "4.m4s"]);
}

#[test]
fn dash_lists_bases_and_single_files() {
    dash(
        &["d/f.mp4"],
        "<Period><BaseURL>d/</BaseURL><AdaptationSet><Representation><BaseURL>f.mp4</BaseURL><SegmentList><Initialization range=\"0-99\"/><SegmentURL mediaRange=\"100-199\" indexRange=\"100-109\"/></SegmentList></Representation></AdaptationSet></Period>",
        "<Period><BaseURL>d/</BaseURL><AdaptationSet><Representation><BaseURL>f.mp4</BaseURL><SegmentList><Initialization sourceURL=\"f.mp4?range=1000,100\"/><SegmentURL media=\"f.mp4?range=1100,100\" indexRange=\"0-9\"/></SegmentList></Representation></AdaptationSet></Period>",
        "<Period><BaseURL>d/</BaseURL><AdaptationSet><Representation><BaseURL>f.mp4</BaseURL><SegmentList><Initialization range=\"0-99\" sourceURL=\"f.mp4\"/><SegmentURL mediaRange=\"100-199\" media=\"f.mp4\" indexRange=\"100-109\"/></SegmentList></Representation></AdaptationSet></Period>",
    );
}

#[test]
fn dash_files_with_and_without_an_index() {
    let plain = "<Period><AdaptationSet><Representation><BaseURL>f.mp4?a=1&amp;b=2</BaseURL><SegmentBase indexRange=\"100-199\"><Initialization range=\"0-99\"/></SegmentBase></Representation><Representation><BaseURL>t.vtt</BaseURL></Representation><Representation><BaseURL>http://other/f.mp4</BaseURL></Representation></AdaptationSet></Period>";
    let linked = plain
        .replace("b=2<", "b=2&amp;range=1000,1000<")
        .replace("t.vtt<", "t.vtt?range=2000,1000<");
    dash(&["f.mp4", "t.vtt"], plain, &linked, plain);
    let entries = entries(&["f.mp4", "t.vtt"]);
    let find = |path: &str| entries.get(path).copied();
    let text = format!("<MPD><BaseURL>./</BaseURL>{plain}</MPD>");
    let made = byterange(Format::Dash, "s/x.mpd", &text, "../a.zip", &|path| {
        find(path.strip_prefix("s/")?)
    });
    let expected = plain
        .replace("f.mp4?a=1&amp;b=2", "../a.zip")
        .replace("100-199", "1100-1199")
        .replace("0-99", "1000-1099")
        .replace("t.vtt", "../s/t.vtt");
    assert_eq!(made.text, format!("<MPD>{expected}</MPD>"));
    assert_eq!(made.loose, ["s/t.vtt"]);
}

#[test]
fn dash_numbers_end_where_files_do() {
    let mpd = |attributes: &str| {
        format!(
            "<MPD mediaPresentationDuration=\"PT6S\"><Period><AdaptationSet><Representation><SegmentTemplate media=\"$Number$.m4s\" duration=\"2\" {attributes}/></Representation></AdaptationSet></Period></MPD>"
        )
    };
    let found = |there: &[&str], attributes: &str| -> Vec<String> {
        let entries = entries(there);
        let size_of = |path: &str| entries.get(path).map(|span| span.size);
        let found = references(Format::Dash, "x.mpd", &mpd(attributes), &size_of);
        found.into_iter().map(|r| r.path).collect()
    };
    let four = ["1.m4s", "2.m4s", "3.m4s", "4.m4s"];
    // Three by the duration: a short one may follow, the last may be one too many, and one in the
    // middle that is not there is missed.
    assert_eq!(found(&four, ""), four);
    assert_eq!(found(&four[..2], ""), four[..2]);
    assert_eq!(found(&["1.m4s", "3.m4s"], ""), four[..3]);
    assert_eq!(found(&four, "endNumber=\"2\""), four[..2]);
    assert_eq!(found(&four[..1], "endNumber=\"2\""), four[..2]);
}

#[test]
fn dash_lists_lose_their_first_number() {
    let text = "<MPD><Period><AdaptationSet><Representation><SegmentList startNumber=\"1\" duration=\"2\"><SegmentURL media=\"a\"/></SegmentList></Representation></AdaptationSet></Period></MPD>";
    let (linked, _) = there_and_back(Format::Dash, "x.mpd", &["a"], text);
    assert!(
        linked.contains("<SegmentList duration=\"2\"><SegmentURL media=\"a?range=1000,1000\"/>"),
        "{linked}"
    );
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
        let linked = link(Format::Hls, "x.m3u8", &text, &find).text;
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
        let linked = link(Format::Hls, "x.m3u8", &text, &find);
        prop_assume!(linked.problems.is_empty());
        let back = playable(Format::Hls, "x.m3u8", &linked.text, &find);
        prop_assert!(range_links(Format::Hls, "x.m3u8", &back).is_empty());
        prop_assert_eq!(&link(Format::Hls, "x.m3u8", &back, &find), &linked);
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
        link(format, "x", text, &find).text,
        byterange(format, "x", text, "a.zip", &find).text,
        text.to_owned(),
    ] {
        playable(format, "x", &made, &find);
    }
}

//! Golden manifests.

use super::*;

/// A linked manifest without the folder's own, which stands behind it.
fn without_original(linked: &str) -> &str {
    let end = linked.find("<!--aiozfs-original:");
    &linked[..end.unwrap_or(linked.len())]
}

/// A manifest and what it is linked; made playable again it is what it was.
fn dash(names: &[&str], plain: &str, linked: &str) {
    dash_and_back(names, plain, linked, plain);
}

/// A manifest, what it is linked, and what that is made playable again.
fn dash_and_back(names: &[&str], plain: &str, linked: &str, back: &str) {
    let text = |inner: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<!-- kept --><MPD mediaPresentationDuration=\"PT4S\">\n{inner}\n</MPD>"
        )
    };
    let got = there_and_back(Format::Dash, "x.mpd", names, &text(plain));
    assert_eq!(without_original(&got.0), text(linked));
    assert_eq!(got.1, text(back), "and back");
}

#[test]
fn dash_templates_become_lists() {
    let names = ["v/init.m4s", "v/1.m4s", "v/2.m4s"];
    dash(
        &names,
        "  <Period><AdaptationSet>\n    <SegmentTemplate timescale=\"10\" duration=\"20\" media=\"$RepresentationID$/$Number$.m4s\" initialization='$RepresentationID$/init.m4s'/>\n    <Representation id=\"v\" bandwidth=\"1\"/>\n  </AdaptationSet></Period>",
        "  <Period><AdaptationSet>\n    <Representation id=\"v\" bandwidth=\"1\">\n      <SegmentList timescale=\"10\" duration=\"20\">\n        <Initialization sourceURL=\"v/init.m4s?range=1000,1000\"/>\n        <SegmentURL media=\"v/1.m4s?range=2000,1000\"/>\n        <SegmentURL media=\"v/2.m4s?range=3000,1000\"/>\n      </SegmentList>\n    </Representation>\n  </AdaptationSet></Period>",
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
    let one_by_one =
        "<SegmentTimeline><S t=\"800\" d=\"2\"/><S d=\"2\"/><S d=\"9\"/></SegmentTimeline>";
    let linked = with_links(
        Format::Dash,
        "x.mpd",
        &mpd(&format!(
            "<SegmentTemplate media=\"$RepresentationID$-$Number%05d$-$Time$.m4s\" startNumber=\"3\">{timeline}</SegmentTemplate>"
        )),
        &find,
    );
    assert_eq!(linked.problems, []);
    assert_eq!(
        without_original(&linked.text),
        mpd(&format!(
            "<SegmentList>{one_by_one}<SegmentURL media=\"c-00003-800.m4s?range=1000,1000\"/><SegmentURL media=\"c-00004-802.m4s?range=2000,1000\"/><SegmentURL media=\"c-00005-804.m4s?range=3000,1000\"/></SegmentList>"
        ))
    );
    // Repeated to the end of the period.
    let open = mpd(
        "<SegmentTemplate media=\"$Time$.m4s\"><SegmentTimeline><S t=\"0\" d=\"2\" r=\"-1\"/></SegmentTimeline></SegmentTemplate>",
    );
    let size_of = |path: &str| entries.get(path).map(|span| span.size);
    let found: Vec<_> = references(Format::Dash, "x.mpd", &open, &size_of)
        .into_iter()
        .map(|r| r.path)
        .collect();
    assert_eq!(found, ["0.m4s", "2.m4s", "4.m4s"]);
}

#[test]
fn dash_lists_bases_and_single_files() {
    dash_and_back(
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
    dash(&["f.mp4", "t.vtt"], plain, &linked);
    let entries = entries(&["f.mp4", "t.vtt"]);
    let find = |path: &str| entries.get(path).copied();
    let text = format!("<MPD><BaseURL>./</BaseURL>{plain}</MPD>");
    let made = by_range(Format::Dash, "s/x.mpd", &text, "../a.zip", &|path| {
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

/// A segment index of version 0: sizes and durations of segments right behind it.
fn sidx(timescale: u32, time: u32, segments: &[(u32, u32)]) -> Vec<u8> {
    let size = 32 + 12 * segments.len() as u32;
    let mut bytes = [&size.to_be_bytes()[..], b"sidx", &[0; 4]].concat();
    let numbers = [1, timescale, time, 0, segments.len() as u32];
    bytes.extend(numbers.iter().flat_map(|n| n.to_be_bytes()));
    let of = |(size, duration): &(u32, u32)| [*size, *duration, 0x9000_0000];
    bytes.extend(segments.iter().flat_map(of).flat_map(u32::to_be_bytes));
    bytes
}

/// The reading of an entry that has these bytes at an offset, and zeros elsewhere.
fn holding(at: usize, bytes: Vec<u8>) -> impl Fn(&str, Span) -> Option<Vec<u8>> {
    let mut content = vec![0; 1000];
    content[at..at + bytes.len()].copy_from_slice(&bytes);
    move |_, part| {
        let at = part.offset as usize;
        Some(content.get(at..at + part.size as usize)?.to_vec())
    }
}

/// A file with an index keeps its form; only byte ranges of the archive need the list of what the
/// index says.
#[test]
fn dash_files_with_an_index() {
    let entries = entries(&["f.mp4"]);
    let files = Files {
        find: &|path| entries.get(path).copied(),
        read: &holding(100, sidx(1000, 500, &[(200, 2000), (300, 2000), (40, 700)])),
    };
    let around = |inner: &str| {
        format!(
            "<MPD>\n  <Period>\n    <AdaptationSet frameRate=\"25\">\n      <Representation id=\"v\">\n        <BaseURL>f.mp4?a=1&amp;b=2</BaseURL>\n        {inner}\n      </Representation>\n    </AdaptationSet>\n  </Period>\n</MPD>\n"
        )
    };
    let plain = around(
        "<SegmentBase indexRange=\"100-167\" indexRangeExact=\"true\" timescale=\"500\" presentationTimeOffset=\"250\">\n          <Initialization range=\"0-89\"/>\n        </SegmentBase>",
    );
    let linked = link(Format::Dash, "x.mpd", &plain, files);
    assert_eq!(linked.problems, []);
    assert_eq!(
        linked.text,
        plain.replace("b=2<", "b=2&amp;range=1000,1000<")
    );
    let shown = playable(Format::Dash, "x.mpd", &linked.text, files.find);
    assert_eq!(shown, plain);
    let made = byterange(Format::Dash, "x.mpd", &plain, "a.zip", files);
    let archive = around(
        "<SegmentList timescale=\"1000\" presentationTimeOffset=\"500\" duration=\"2000\">\n          <Initialization sourceURL=\"a.zip\" range=\"1000-1089\"/>\n          <SegmentURL media=\"a.zip\" mediaRange=\"1168-1367\"/>\n          <SegmentURL media=\"a.zip\" mediaRange=\"1368-1667\"/>\n          <SegmentURL media=\"a.zip\" mediaRange=\"1668-1707\"/>\n        </SegmentList>",
    );
    let archive = archive.replace("<Representation ", "<Representation frameRate=\"25\" ");
    let archive = archive.replace("\n        <BaseURL>f.mp4?a=1&amp;b=2</BaseURL>", "");
    assert_eq!(made.text, archive);
    assert_eq!(made.loose, Vec::<String>::new());
}

/// Without an Initialization the init segment is what stands before the index; what comes from
/// further out goes from there, unless another representation still needs it.
#[test]
fn dash_index_ranges_are_inherited() {
    let entries = entries(&["f.mp4", "i.mp4", "w.webm"]);
    let index = sidx(10, 0, &[(900, 20)]);
    let files = Files {
        find: &|path| entries.get(path).copied(),
        read: &|path, part| match path {
            "f.mp4" => holding(20, index.clone())(path, part),
            _ => Some(vec![0; part.size as usize]),
        },
    };
    let set = |outer: &str, inner: &str| {
        format!(
            "<MPD><Period><AdaptationSet>{outer}<Representation><BaseURL>f.mp4</BaseURL>{inner}</Representation></AdaptationSet></Period></MPD>"
        )
    };
    let list = |init: &str| {
        let list = format!(
            "<SegmentList timescale=\"10\" duration=\"20\">{init}<SegmentURL media=\"a.zip\" mediaRange=\"1064-1963\"/></SegmentList>"
        );
        set("", &list).replace("<BaseURL>f.mp4</BaseURL>", "")
    };
    let before = "<Initialization sourceURL=\"a.zip\" range=\"1000-1019\"/>";
    let apart = "<Initialization sourceURL=\"a.zip\" range=\"2000-2999\"/>";
    let outer = "<SegmentBase timescale=\"10\" indexRange=\"20-63\"/>";
    let table = [
        (set(outer, ""), list(before)),
        (
            set(
                "<SegmentBase timescale=\"10\"><Initialization sourceURL=\"i.mp4\"/></SegmentBase>",
                "<SegmentBase indexRange=\"20-63\"/>",
            ),
            list(apart),
        ),
        // Another box before the index.
        (
            set("", "<SegmentBase indexRange=\"20-200\"/>"),
            list(before),
        ),
    ];
    for (plain, expected) in table {
        let made = byterange(Format::Dash, "x.mpd", &plain, "a.zip", files);
        assert_eq!(made.problems, [], "{plain}");
        assert_eq!(made.text, expected, "{plain}");
    }
    // An index that is no `sidx` counts from the beginning of its own file.
    let webm = set("", "<SegmentBase indexRange=\"20-63\"/>").replace("f.mp4", "w.webm");
    let made = byterange(Format::Dash, "x.mpd", &webm, "a.zip", files);
    assert!(
        matches!(
            made.problems[..],
            [Problem {
                what: What::Unlinked(_),
                ..
            }]
        ),
        "{made:?}"
    );
    let linked = link(Format::Dash, "x.mpd", &webm, files);
    assert_eq!(linked.problems, []);
    // A transport stream needs no init segment.
    let at_its_beginning = Files {
        read: &holding(0, index.clone()),
        ..files
    };
    let plain = set("", "<SegmentBase indexRange=\"0-43\"/>");
    let made = byterange(Format::Dash, "x.mpd", &plain, "a.zip", at_its_beginning);
    assert_eq!(made.text, list("").replace("1064-1963", "1044-1943"));
}

#[test]
fn a_damaged_index_is_reported_with_the_line() {
    let entries = entries(&["f.mp4"]);
    let files = Files {
        find: &|path| entries.get(path).copied(),
        read: &holding(100, sidx(1000, 0, &[(200, 2000), (700, 2000)])),
    };
    for (range, why) in [
        (
            "100-155",
            "the segment index (sidx) of 'f.mp4' is damaged: it reaches beyond the file",
        ),
        (
            "100-150",
            "the segment index (sidx) of 'f.mp4' is damaged: it is longer than the place that is said to hold it",
        ),
        (
            "990-1000",
            "the byte range is not within 'f.mp4', which has 1000 bytes",
        ),
    ] {
        let text = format!(
            "<MPD><Period><AdaptationSet>\n<Representation><BaseURL>f.mp4</BaseURL>\n<SegmentBase indexRange=\"{range}\"/></Representation></AdaptationSet></Period></MPD>"
        );
        let linked = link(Format::Dash, "x.mpd", &text, files);
        let told: Vec<_> = linked
            .problems
            .iter()
            .map(|p| (p.line, p.what.to_string()))
            .collect();
        assert_eq!(told, [(3, why.to_owned())]);
        // Allowed to, it keeps its form.
        let kept = text.replace("f.mp4<", "f.mp4?range=1000,1000<");
        assert_eq!(linked.text, kept);
    }
}

/// BaseURLs of all four levels, a list and a template further out, a prefix, and what leads
/// elsewhere.
#[test]
fn dash_levels() {
    let names = ["a/b/c/d/1.m4s", "a/b/c/5-800.m4s", "a/b/c/i.m4s"];
    dash(
        &names,
        "<BaseURL>a/</BaseURL><Period><BaseURL>b/</BaseURL><AdaptationSet><BaseURL>c/</BaseURL><SegmentList duration=\"9\"><SegmentURL media=\"1.m4s\"/></SegmentList><Representation><BaseURL>d/</BaseURL></Representation></AdaptationSet></Period>",
        "<BaseURL>a/</BaseURL><Period><BaseURL>b/</BaseURL><AdaptationSet><BaseURL>c/</BaseURL><Representation><BaseURL>d/</BaseURL><SegmentList duration=\"9\"><SegmentURL media=\"1.m4s?range=1000,1000\"/></SegmentList></Representation></AdaptationSet></Period>",
    );
    dash(
        &names,
        "<BaseURL>a/b/c/</BaseURL><Period duration=\"PT2S\"><SegmentTemplate initialization=\"i.m4s\" timescale=\"10\"/><AdaptationSet><SegmentTemplate media=\"$Number$-$Bandwidth$.m4s\"/><Representation bandwidth=\"800\"><SegmentTemplate duration=\"20\" startNumber=\"5\"/></Representation></AdaptationSet></Period>",
        "<BaseURL>a/b/c/</BaseURL><Period duration=\"PT2S\"><AdaptationSet><Representation bandwidth=\"800\"><SegmentList timescale=\"10\" duration=\"20\"><Initialization sourceURL=\"i.m4s?range=3000,1000\"/><SegmentURL media=\"5-800.m4s?range=2000,1000\"/></SegmentList></Representation></AdaptationSet></Period>",
    );
    for elsewhere in [
        "<BaseURL>http://other/a/</BaseURL><Period><AdaptationSet><Representation><SegmentTemplate media=\"$Number$.m4s\" duration=\"2\"/></Representation></AdaptationSet></Period>",
        "<Period><AdaptationSet><Representation><SegmentList><SegmentURL media=\"/a.m4s\"/><SegmentURL media=\"https://h/a.m4s\" mediaRange=\"0-1\"/></SegmentList></Representation></AdaptationSet></Period>",
    ] {
        dash(&names, elsewhere, elsewhere);
    }
}

/// Namespace prefixes, line ends, a byte order mark, comments and what is unknown stay.
#[test]
fn dash_rewriting_changes_only_links() {
    let text = |inner: &str| {
        format!(
            "\u{feff}<?xml version='1.0'?>\r\n<d:MPD xmlns:d='urn:mpeg:dash:schema:mpd:2011' x:y=\"1\">\r\n<!-- <d:Period/> -->\r\n  <d:Period duration='PT2S'>\r\n    <d:AdaptationSet>\r\n      <Unknown media=\"1.m4s\"/><![CDATA[ <SegmentURL media=\"1.m4s\"/> ]]>\r\n      {inner}\r\n    </d:AdaptationSet>\r\n  </d:Period>\r\n</d:MPD>\r\n"
        )
    };
    let plain = text(
        "<d:Representation id='a &amp; b'>\r\n        <d:SegmentTemplate media=\"x/../$Number$.m4s?k=a%20b#f\" duration=\"2\"/>\r\n      </d:Representation>",
    );
    let expected = text(
        "<d:Representation id='a &amp; b'>\r\n        <d:SegmentList duration=\"2\">\r\n          <d:SegmentURL media=\"x/../1.m4s?k=a%20b&amp;range=1000,1000#f\"/>\r\n        </d:SegmentList>\r\n      </d:Representation>",
    );
    let (linked, back) = there_and_back(Format::Dash, "x.mpd", &["1.m4s"], &plain);
    assert_eq!(without_original(&linked), expected);
    assert_eq!(back, plain);
}

#[test]
fn malformed_xml_is_reported_with_the_line() {
    for (text, line) in [
        ("<MPD>\n<Period>\n</MPD>", 3),
        ("<MPD>\n\n<Period>", 3),
        ("<MPD>\n<Period a/></MPD>", 2),
        ("\n<SmoothStreamingMedia/>", 1),
    ] {
        assert!(!is_playlist(Format::Dash, text), "{text}");
        assert_eq!(broken_line(Format::Dash, text), line, "{text}");
    }
}

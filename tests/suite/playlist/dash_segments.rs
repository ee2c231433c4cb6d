//! The files that templates name, in all kinds of Periods.

use super::*;

/// A manifest in which each Representation is `r`, with these attributes and this content of the MPD.
pub(super) fn mpd(attributes: &str, inner: &str) -> String {
    format!("<MPD {attributes}>{inner}</MPD>")
}

pub(super) fn period(attributes: &str, inner: &str) -> String {
    format!(
        "<Period {attributes}><AdaptationSet><Representation id='r' bandwidth='1'>{inner}</Representation></AdaptationSet></Period>"
    )
}

/// A template of numbers in segments of 2 s.
pub(super) fn numbers(attributes: &str) -> String {
    format!("<SegmentTemplate media='$Number$.m4s' duration='2' {attributes}/>")
}

pub(super) fn timeline(attributes: &str, entries: &str) -> String {
    format!(
        "<SegmentTemplate media='$Number$.m4s' {attributes}><SegmentTimeline>{entries}</SegmentTimeline></SegmentTemplate>"
    )
}

/// The files that get links, in the order of the text, and what is told.
fn linked(there: &[&str], text: &str) -> (Vec<String>, Vec<String>) {
    let entries = entries(there);
    let find = |path: &str| entries.get(path).copied();
    let linked = with_links(Format::Dash, "x.mpd", text, &find);
    let links = range_links(Format::Dash, "x.mpd", &linked.text);
    let names = links.into_iter().map(|(path, _)| path);
    let names = names.map(|path| path.trim_end_matches(".m4s").to_owned());
    let told = linked.problems.iter();
    let told = told.map(|p| format!("{}: {}", p.line, p.what));
    let shown = playable(Format::Dash, "x.mpd", &linked.text, &find);
    assert_eq!(shown, text, "the mount shows another manifest");
    (names.collect(), told.collect())
}

/// `1.m4s` and so on.
fn files(count: u32) -> Vec<String> {
    (1..=count).map(|n| format!("{n}.m4s")).collect()
}

/// Checks the numbers of the files that get links, and that nothing is told.
#[track_caller]
fn links(there: u32, text: &str, expected: &str) {
    let files = files(there);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (found, told) = linked(&files, text);
    assert_eq!(found.join(" "), expected, "{text}");
    assert_eq!(told, Vec::<String>::new(), "{text}");
}

/// Two Periods with files 1-4 and 5-8 in one folder: the list of the first one went on with the
/// files of the second.
#[test]
fn numbers_continue_over_periods() {
    let all = "1 2 3 4 5 6 7 8";
    let of = |first: &str, second: &str| {
        let second = period(second, &numbers("startNumber='5'"));
        mpd(
            "mediaPresentationDuration='PT16S'",
            &(period(first, &numbers("")) + &second),
        )
    };
    for (first, second) in [
        ("duration='PT8S'", ""),
        ("duration='PT8S'", "duration='PT8S'"),
        ("start='PT0S'", "start='PT8S'"),
        // Media that ends up to one segment before its Period.
        ("duration='PT8.01S'", ""),
        ("duration='PT9.9S'", ""),
    ] {
        links(8, &of(first, second), all);
    }
    // A time line to the end of the Period.
    let open = |start: &str| timeline(&format!("startNumber='{start}'"), "<S t='0' d='2' r='-1'/>");
    let text = mpd(
        "mediaPresentationDuration='PT16.02S'",
        &(period("duration='PT8.01S'", &open("1")) + &period("", &open("5"))),
    );
    links(8, &text, all);
    // Where a segment has media of both Periods, both name it.
    let text = mpd(
        "",
        &(period("duration='PT7S'", &numbers(""))
            + &period(
                "duration='PT9S'",
                &numbers("startNumber='4' presentationTimeOffset='7'"),
            )),
    );
    links(8, &text, "1 2 3 4 4 5 6 7 8");
    // Nothing tells when the first ends: it ends before what the second one has.
    let text = mpd(
        "mediaPresentationDuration='PT16S'",
        &(period("", &numbers("")) + &period("duration='PT8S'", &numbers("startNumber='5'"))),
    );
    links(8, &text, all);
    // The same media again.
    let text = mpd("", &period("duration='PT8S'", &numbers("")).repeat(2));
    links(4, &text, "1 2 3 4 1 2 3 4");
}

/// A Period is often a little longer than the media in it; audio ends before video.
#[test]
fn media_may_end_before_its_period() {
    let of = |length: &str, template: &str| {
        mpd(
            &format!("mediaPresentationDuration='{length}'"),
            &period("", template),
        )
    };
    let open = |attributes: &str| timeline(attributes, "<S d='2000' r='-1'/>");
    let milliseconds = open("timescale='1000'");
    links(4, &of("PT8.01S", &milliseconds), "1 2 3 4");
    links(4, &of("PT8S", &milliseconds), "1 2 3 4");
    links(4, &of("PT9.99S", &milliseconds), "1 2 3 4");
    links(5, &of("PT8.01S", &milliseconds), "1 2 3 4 5");
    // By units of a second, in which 10.9 s are not told.
    let seconds = timeline("", "<S d='2' r='-1'/>");
    links(6, &of("PT10.9S", &seconds), "1 2 3 4 5 6");
    links(4, &of("PT9S", &numbers("")), "1 2 3 4");
    // A segment may begin up to half a segment earlier than the duration tells.
    links(5, &of("PT8S", &numbers("")), "1 2 3 4 5");
    links(9, &of("PT8S", &numbers("")), "1 2 3 4 5");
    // Well before: told, for the files may have been lost.
    let files = files(4);
    let there: Vec<&str> = files.iter().map(String::as_str).collect();
    for template in [numbers(""), milliseconds] {
        let (found, told) = linked(&there, &of("PT16S", &template));
        assert_eq!(found.join(" "), "1 2 3 4");
        assert_eq!(
            told,
            [
                "1: the length of the Period calls for 8 segments, and the files of 4 are there; the list ends with the last one"
            ]
        );
    }
}

/// What is missing between other segments, or was named, is missing.
#[test]
fn gaps_are_missing_files() {
    let told = |there: &[&str], template: &str| {
        let text = mpd(
            "mediaPresentationDuration='PT8S'",
            &period("", &format!("\n{template}")),
        );
        linked(there, &text).1
    };
    let missing = |numbers: &[u32]| -> Vec<String> {
        let told = numbers.iter();
        told.map(|n| format!("2: there is no file '{n}.m4s'"))
            .collect()
    };
    let some = ["1.m4s", "2.m4s", "4.m4s"];
    let open = timeline("", "<S d='2' r='-1'/>");
    let closed = timeline("", "<S d='2' r='3'/>");
    assert_eq!(told(&some, &numbers("")), missing(&[3]));
    assert_eq!(told(&some, &open), missing(&[3]));
    assert_eq!(told(&some, &closed), missing(&[3]));
    assert_eq!(told(&some[..2], &closed), missing(&[3, 4]));
    assert_eq!(told(&some, &numbers("endNumber='5'")), missing(&[3, 5]));
    assert_eq!(told(&["4.m4s"], &numbers("")), missing(&[1, 2, 3]));
    // None at all: the first one stands for all.
    assert_eq!(told(&["x"], &numbers("")), missing(&[1]));
    assert_eq!(told(&["x"], &open), missing(&[1]));
    // Nothing tells how many there are.
    let endless = mpd("", &period("", &format!("\n{}", numbers(""))));
    assert_eq!(linked(&some, &endless).1, missing(&[3]));
    assert_eq!(linked(&["x"], &endless).1, missing(&[1]));
    let (found, told) = linked(&some[..2], &endless);
    assert_eq!((found.join(" ").as_str(), told.len()), ("1 2", 0));
}

#[test]
fn numbers_begin_and_end_as_templates_say() {
    let of = |template: &str| mpd("mediaPresentationDuration='PT8S'", &period("", template));
    links(9, &of(&numbers("startNumber='3' endNumber='5'")), "3 4 5");
    links(
        9,
        &of(&timeline("endNumber='2'", "<S d='2' r='3'/>")),
        "1 2",
    );
    links(
        9,
        &of(&timeline("", "<S d='2'/><S n='7' d='2' r='1'/>")),
        "1 7 8",
    );
    links(
        9,
        &of(&numbers("presentationTimeOffset='100'")),
        "1 2 3 4 5",
    );
    // Media that begins later than its Period, and media that ends later.
    links(9, &of(&numbers("eptDelta='4'")), "1 2 3");
    links(9, &of(&numbers("pdDelta='2'")), "1 2 3 4 5 6");
    links(9, &of(&numbers("presentationDuration='4'")), "1 2 3");
    links(
        9,
        &of(&timeline(
            "presentationTimeOffset='100'",
            "<S t='100' d='2' r='-1'/>",
        )),
        "1 2 3 4",
    );
    // One segment of the Period's length.
    links(9, &of("<SegmentTemplate media='3.m4s'/>"), "3");
    links(
        9,
        &of("<SegmentTemplate media='$Number$.m4s' startNumber='2'/>"),
        "2",
    );
}

/// Numbers within segment sequences (5.3.9.6): the template stayed, and nothing was told.
#[test]
fn segment_sequences() {
    let there = ["1-1", "1-2", "1-3", "2-1", "2-2", "2-3"];
    let mut files = there.map(|name| format!("{name}.m4s"));
    let check = |files: &[String], template: &str, list: &str| {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let text = mpd("mediaPresentationDuration='PT12S'", &period("", template));
        let (found, told) = linked(&files, &text);
        assert_eq!(found, there, "{template}");
        assert_eq!(told, Vec::<String>::new());
        let entries = entries(&files);
        let text = with_links(Format::Dash, "x.mpd", &text, &|path| {
            entries.get(path).copied()
        });
        assert!(text.text.contains(list), "{}", text.text);
    };
    let of = |media: &str, rest: &str| format!("<SegmentTemplate media='{media}.m4s' {rest}");
    let by_timeline = of(
        "$Number$-$SubNumber$",
        "timescale='1'><SegmentTimeline><S t='0' d='6' k='3' r='1'/></SegmentTimeline></SegmentTemplate>",
    );
    let list = "<SegmentList timescale=\"1\" duration=\"2\">";
    check(&files, &by_timeline, list);
    check(
        &files,
        &of("$Number$-$SubNumber$", "duration='6' k='3'/>"),
        "<SegmentList duration=\"2\">",
    );
    // Counted from 0.
    let there = ["1-0", "1-1", "1-2", "2-0", "2-1", "2-2"];
    files = there.map(|name| format!("{name}.m4s"));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let text = mpd(
        "mediaPresentationDuration='PT12S'",
        &period("", &by_timeline),
    );
    assert_eq!(linked(&files, &text).0, there);
    // Without numbers of their own, parts are addressed as one.
    links(
        2,
        &mpd("", &period("", &timeline("", "<S d='6' k='3' r='1'/>"))),
        "1 2",
    );
}

/// What a list says of time: see doc/decisions/0001-dash-manifest-form.md.
#[test]
fn lists_state_segment_times() {
    let list = |entries: &str| {
        let there = files(9);
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        let template = timeline(
            "timescale='10' duration='7' presentationTimeOffset='100'",
            entries,
        );
        let text = mpd("mediaPresentationDuration='PT20S'", &period("", &template));
        let entries = super::entries(&there);
        let linked = with_links(Format::Dash, "x.mpd", &text, &|p| entries.get(p).copied());
        let (_, after) = linked.text.split_once("<SegmentList").expect("a list");
        let (before, _) = after.split_once("<SegmentURL").expect("segments");
        before.to_owned()
    };
    let common = " timescale=\"10\" presentationTimeOffset=\"100\"";
    assert_eq!(
        list("<S t='100' d='20' r='2'/><S d='7'/>"),
        format!("{common} duration=\"20\">")
    );
    assert_eq!(
        list("<S t='100' d='19'/><S d='21'/><S d='20' r='1'/>"),
        format!("{common} duration=\"20\">")
    );
    assert_eq!(
        list("<S t='100' d='20' r='1'/><S t='190' d='20' r='1'/>"),
        format!(
            "{common}><SegmentTimeline><S t=\"100\" d=\"20\"/><S d=\"20\"/><S t=\"190\" d=\"20\"/><S d=\"20\"/></SegmentTimeline>"
        )
    );
}

#[test]
fn inherited_lists_become_one_entry_per_segment() {
    let text = "<MPD><Period><AdaptationSet><SegmentList timescale=\"1\"><SegmentTimeline><S t=\"0\" d=\"2\" r=\"1\"/><S d=\"9\"/></SegmentTimeline><Initialization sourceURL=\"i\"/></SegmentList><Representation><SegmentList><SegmentURL media=\"a\"/><SegmentURL media=\"b\"/><SegmentURL media=\"c\"/></SegmentList></Representation></AdaptationSet></Period></MPD>";
    let (linked, back) = there_and_back(Format::Dash, "x.mpd", &["i", "a", "b", "c"], text);
    let list = "<AdaptationSet><Representation><SegmentList timescale=\"1\" duration=\"2\"><Initialization sourceURL=\"i?range=1000,1000\"/><SegmentURL media=\"a?range=2000,1000\"/>";
    assert!(linked.contains(list), "{linked}");
    assert_eq!(back, text);
}

/// dash.js shows thumbnails from templates alone, so one image of all tiles stays a template.
#[test]
fn thumbnails() {
    let of = |media: &str| {
        format!(
            "<MPD mediaPresentationDuration='PT40S'>\n<Period><AdaptationSet mimeType='image/jpeg'>\n<Representation id='t' bandwidth='1' width='640' height='360'><EssentialProperty schemeIdUri='http://dashif.org/guidelines/thumbnail_tile' value='4x4'/><SegmentTemplate media='{media}' duration='20' startNumber='1'/></Representation></AdaptationSet></Period></MPD>"
        )
    };
    let entries = entries(&["a$1.jpg", "t1.jpg", "t2.jpg"]);
    let find = |path: &str| entries.get(path).copied();
    let one = of("a$$$Number$.jpg").replace("'20'", "'40'");
    let linked = with_links(Format::Dash, "x.mpd", &one, &find);
    assert_eq!(linked.problems, []);
    let template = "<SegmentTemplate media=\"a$$1.jpg?range=1000,1000\" duration=\"40\"/>";
    assert!(linked.text.contains(template), "{}", linked.text);
    let linked = with_links(Format::Dash, "x.mpd", &of("t$Number$.jpg"), &find);
    let told: Vec<_> = linked.problems.iter().map(|p| (p.line, &p.what)).collect();
    assert_eq!(told, [(3, &What::Tiles)]);
    assert!(linked.text.contains("t2.jpg?range=3000,1000"));
}

#[test]
fn attribute_text_is_decoded_in_every_xml_form() {
    let texts = [
        "<BaseURL>v&#47;</BaseURL>",
        "<BaseURL>\n  v/ <!-- the folder -->\n</BaseURL>",
        "<BaseURL><![CDATA[v/]]></BaseURL>",
        "<BaseURL>http://cdn.example.com/v/</BaseURL><BaseURL>v/</BaseURL>",
        "<BaseURL></BaseURL><BaseURL serviceLocation='a'>./v/</BaseURL>",
    ];
    for base in texts {
        let text = mpd(
            "mediaPresentationDuration = \"PT4S\"",
            &format!("{base}{}", period("", &numbers(""))),
        );
        let (found, told) = linked(&["v/1.m4s", "v/2.m4s"], &text);
        assert_eq!(
            (found.join(" ").as_str(), told.len()),
            ("v/1 v/2", 0),
            "{base}"
        );
    }
    // Copies of one file.
    let copies = "<BaseURL>a.mp4</BaseURL><BaseURL><![CDATA[http://h/a.mp4]]></BaseURL><BaseURL> b.mp4 </BaseURL>";
    let text = mpd("", &period("", copies));
    assert_eq!(linked(&["a.mp4", "b.mp4"], &text).0, ["a.mp4", "b.mp4"]);
}

/// What cannot be understood stays as it is, and is told with its line.
#[test]
fn unsupported_elements_are_reported_with_the_line() {
    let of = |template: &str| {
        mpd(
            "mediaPresentationDuration='PT8S'",
            &period("", &format!("\n\n{template}")),
        )
    };
    let table = [
        (
            of(&numbers("").replace("Number", "Nonsense")),
            "3: left without range links",
        ),
        (
            of(&numbers("").replace("Number", "Number%5d")),
            "3: left without range links",
        ),
        (of(&numbers("timescale='x'")), "3: left without range links"),
        (
            of(&numbers("").replace("'2'", "'0'")),
            "3: left without range links",
        ),
        (
            of(&numbers("initialization='$Number$'")),
            "3: left without range links",
        ),
        (
            of(&numbers("").replace("$Number$", "1")),
            "3: left without range links",
        ),
        (
            of(&timeline("", "\n<S d='2'/>\n<S t='0' d='2'/>")),
            "5: left without range links",
        ),
        (
            of(&timeline("", "\n<S d='2' r='-1'/>\n<S d='2'/>")),
            "4: left without range links",
        ),
        (
            of(&timeline("", "\n<S p='1' d='2'/>")),
            "4: left without range links",
        ),
        (
            mpd("\ntype='dynamic'", &period("duration='PT8S'", &numbers(""))),
            "1: type=\"dynamic\"",
        ),
        (
            mpd(
                "",
                "\n<Period duration='PT8S'>\n<AdaptationSet xlink:href='other.xml'/></Period>",
            ),
            "3: left without range links",
        ),
        (
            "<MPD>\n<Period>\n</MPD>".to_owned(),
            "3: left without range links",
        ),
        (
            "<MPD>\n<Period id='&x;'/></MPD>".to_owned(),
            "2: left without range links",
        ),
        (
            mpd(
                "",
                &format!("\n<BaseURL>../v/</BaseURL>{}", period("", &numbers(""))),
            ),
            "2: '../v/' leads out of the folder",
        ),
    ];
    for (text, expected) in table {
        let there = ["1.m4s", "2.m4s", "3.m4s", "4.m4s"];
        let (_, told) = linked(&there, &text);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].starts_with(expected), "{text}: {told:?}");
    }
    // What is resolved to nothing has no segments.
    let nothing = mpd(
        "",
        "<Period xlink:href='urn:mpeg:dash:resolve-to-zero:2013'/>",
    );
    assert_eq!(linked(&["a"], &nothing).1, Vec::<String>::new());
}

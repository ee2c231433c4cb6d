//! Golden playlists.

use super::*;

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
fn hls_rewriting_changes_only_links() {
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
fn missing_files_are_reported_with_the_line() {
    let entries = entries(&["a.ts"]);
    let find = |path: &str| entries.get(path).copied();
    let text =
        "#EXTM3U\n\nb.ts\n../out.ts\n#EXT-X-BYTERANGE:1000@1\na.ts\n#EXT-X-BYTERANGE:x\na.ts\n";
    let linked = with_links(Format::Hls, "x.m3u8", text, &find);
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
    let linked = with_links(Format::Dash, "x.mpd", mpd, &find);
    assert_eq!(linked.problems.len(), 1);
    assert_eq!(linked.problems[0].line, 3);
    assert_eq!(linked.text, mpd);
}

#[test]
fn stale_links_are_replaced_and_foreign_links_stay() {
    let entries = entries(&["a.ts"]);
    let find = |path: &str| entries.get(path).copied();
    let linked = with_links(Format::Hls, "x.m3u8", "#EXTM3U\na.ts?range=5,6\n", &find);
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
    let made = by_range(Format::Hls, "s/v.m3u8", text, "../a.zip", &find);
    assert_eq!(
        made.text,
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-KEY:METHOD=AES-128,URI=\"k.key\"\n#EXT-X-MAP:URI=\"../a.zip\",BYTERANGE=\"1000@1000\"\n#EXT-X-BYTERANGE:1000@2000\n../a.zip\n#EXT-X-BYTERANGE:10@2005\n../a.zip\n"
    );
    assert_eq!(made.loose, ["s/k.key"]);
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ns/v.m3u8\n";
    assert_eq!(
        by_range(Format::Hls, "m.m3u8", master, "a.zip", &find).text,
        master
    );
}

/// Each way to say a part, and what it means where nothing is said.
#[test]
fn hls_byte_ranges_without_an_offset() {
    // An init segment begins at the beginning, and no part goes on behind it.
    hls_becomes(
        &["a.mp4"],
        "#EXT-X-MAP:BYTERANGE=\"90\",URI=\"a.mp4\"\n#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"20\"\n#EXT-X-PART:BYTERANGE=\"30\",DURATION=1,URI=\"a.mp4\"\n#EXT-X-BYTERANGE:50\na.mp4",
        "#EXT-X-MAP:URI=\"a.mp4?range=1000,90\"\n#EXT-X-PART:DURATION=1,URI=\"a.mp4?range=1000,20\"\n#EXT-X-PART:DURATION=1,URI=\"a.mp4?range=1020,30\"\na.mp4?range=1000,50",
        "#EXT-X-MAP:URI=\"a.mp4\",BYTERANGE=\"90@0\"\n#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"20@0\"\n#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"30@20\"\n#EXT-X-BYTERANGE:50@0\na.mp4",
    );
    // A hint without a length is for the rest of the file.
    hls_becomes(
        &["a.mp4"],
        "#EXT-X-PRELOAD-HINT:TYPE=PART,BYTERANGE-START=900,URI=\"a.mp4\"",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a.mp4?range=1900,100\"",
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a.mp4\",BYTERANGE-START=900,BYTERANGE-LENGTH=100",
    );
    // A part that is the whole is a name.
    hls_becomes(
        &["a.ts"],
        "#EXT-X-BYTERANGE:1000@0\na.ts",
        "a.ts?range=1000,1000",
        "a.ts",
    );
}

fn hls_becomes(names: &[&str], plain: &str, expected: &str, back: &str) {
    let text = |inner: &str| format!("#EXTM3U\n{inner}\n");
    let got = there_and_back(Format::Hls, "list.m3u8", names, &text(plain));
    assert_eq!(got, (text(expected), text(back)));
}

/// From a folder to its neighbours, and back.
#[test]
fn hls_links_between_folders() {
    let text =
        "#EXTM3U\n#EXT-X-MAP:URI=\"../init/i.mp4\"\n../../a%20%26b/%E5%AD%97.ts?x=%2F\nv.ts\n";
    let names = ["x/init/i.mp4", "a &b/字.ts", "x/v/v.ts"];
    let (linked, back) = there_and_back(Format::Hls, "x/v/list.m3u8", &names, text);
    assert_eq!(
        linked,
        "#EXTM3U\n#EXT-X-MAP:URI=\"../init/i.mp4?range=1000,1000\"\n../../a%20%26b/%E5%AD%97.ts?x=%2F&range=2000,1000\nv.ts?range=3000,1000\n"
    );
    assert_eq!(back, text);
}

/// A master playlist as Apple's authoring rules want it, and a playlist with parts: all the tags
/// with links at once, among many without.
#[test]
fn hls_whole_playlists() {
    let master = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-START:TIME-OFFSET=0\n#EXT-X-CONTENT-STEERING:SERVER-URI=\"/steer\",PATHWAY-ID=\"a\"\n#EXT-X-SESSION-DATA:DATA-ID=\"title\",VALUE=\"A film\"\n#EXT-X-SESSION-DATA:DATA-ID=\"chapters\",URI=\"a.json\"\n#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k.key\",IV=0x01\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"s\",NAME=\"No link\"\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"t\",NAME=\"English\",URI=\"t.m3u8\",LANGUAGE=\"en\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"s\",SUBTITLES=\"t\"\n\n# between\nv.m3u8\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI=\"i.m3u8\"\n#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,RESOLUTION=160x90,URI=\"p.m3u8\"\n";
    let names = ["a.json", "k.key", "t.m3u8", "v.m3u8", "i.m3u8", "p.m3u8"];
    let (linked, back) = there_and_back(Format::Hls, "m.m3u8", &names, master);
    let mut expected = master.to_owned();
    for (i, name) in names.iter().enumerate() {
        expected = expected.replace(name, &format!("{name}?range={},1000", 1000 * (i + 1)));
    }
    assert_eq!(linked, expected);
    assert_eq!(back, master);
    let roles = |text: &str| -> Vec<_> {
        let found = references(Format::Hls, "m.m3u8", text, &|_| None);
        found.into_iter().map(|r| (r.path, r.role)).collect()
    };
    let role = |name: &str| match name.rsplit_once('.') {
        Some((_, "key")) => Role::Key,
        Some((_, "json")) => Role::Other,
        _ => Role::Playlist,
    };
    let expected: Vec<_> = names.map(|n| (n.to_owned(), role(n))).into();
    assert_eq!(roles(master), expected);

    let images = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-IMAGES-ONLY\n#EXTINF:10,\n#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=5x4,DURATION=0.5\np/1.jpg\n#EXTINF:10,\np/2.jpg\n#EXT-X-ENDLIST\n";
    let (linked, back) = there_and_back(Format::Hls, "p.m3u8", &["p/1.jpg", "p/2.jpg"], images);
    let expected = images.replace("1.jpg", "1.jpg?range=1000,1000");
    let expected = expected.replace("2.jpg", "2.jpg?range=2000,1000");
    assert_eq!((linked, back), (expected, images.to_owned()));

    let low_latency = "#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1\n#EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DEFINE:NAME=\"d\",VALUE=\"dir\"\n#EXT-X-KEY:METHOD=AES-128,KEYFORMAT=\"identity\",URI=\"k.key\"\n#EXT-X-MAP:URI=\"i.mp4\"\n#EXT-X-DATERANGE:ID=\"ad\",CLASS=\"com.apple.hls.interstitial\",START-DATE=\"2024-01-01T00:00:00Z\",X-ASSET-URI=\"ad.m3u8\"\n#EXT-X-PROGRAM-DATE-TIME:2024-01-01T00:00:00Z\n#EXT-X-BITRATE:9\n#EXTINF:1,\n{$d}/7.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-PART:DURATION=0.5,URI=\"8.0.m4s\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.5,URI=\"8.1.m4s\",GAP=YES\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"9.0.m4s\"\n#EXT-X-RENDITION-REPORT:URI=\"../b/b.m3u8\",LAST-MSN=7,LAST-PART=1\n";
    let names = [
        "a/k.key",
        "a/i.mp4",
        "a/ad.m3u8",
        "a/dir/7.m4s",
        "a/8.0.m4s",
        "b/b.m3u8",
    ];
    let (linked, back) = there_and_back(Format::Hls, "a/a.m3u8", &names, low_latency);
    let mut expected = low_latency.to_owned();
    for (i, name) in names.iter().enumerate() {
        let file = name.rsplit('/').next().expect("a name");
        expected = expected.replace(
            &format!("{file}\""),
            &format!("{file}?range={},1000\"", 1000 * (i + 1)),
        );
    }
    expected = expected.replace("7.m4s\n", "7.m4s?range=4000,1000\n");
    assert_eq!(linked, expected);
    assert_eq!(back, low_latency);
}

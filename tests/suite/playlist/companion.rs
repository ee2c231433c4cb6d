//! Golden texts of companions of playlists: WebVTT, JSON and others that name files.

use super::*;

fn becomes(format: Format, files: &[&str], text: &str, expected: &str) {
    assert_eq!(recognise(text), Some(format), "{text}");
    let (linked, back) = there_and_back(format, "x/t.txt", files, text);
    assert_eq!(linked, expected);
    assert_eq!(back, text, "and back");
}

fn told(format: Format, files: &[&str], text: &str) -> Vec<String> {
    let entries = entries(files);
    let linked = with_links(format, "t", text, &|path| entries.get(path).copied());
    let told = linked.problems.iter();
    told.map(|p| format!("{}: {}", p.line, p.what)).collect()
}

/// Players show thumbnails from sprites that a WebVTT file names; from a node they got the whole
/// archive for a picture.
#[test]
fn thumbnails_of_webvtt_are_links() {
    let text = "\u{feff}WEBVTT - thumbs\r\n\r\nNOTE x/s.jpg\r\n\r\n1\r\n00:00.000 --> 00:02.000\r\n s.jpg#xywh=0,0,160,90\t\r\n\r\n00:02.000 --> 00:04.000\r\n../y/a%20b.webp\r\n\r\n00:04.000 --> 00:06.000\r\nHello s.jpg\r\n";
    let expected = text
        .replace(" s.jpg#xywh", " s.jpg?range=1000,1000#xywh")
        .replace("b.webp", "b.webp?range=2000,1000");
    becomes(Format::Vtt, &["x/s.jpg", "y/a b.webp"], text, &expected);
    let hash = "WEBVTT\n\n00:00.000 --> 00:02.000\nno #1.jpg#xywh=0,0,1,1\n";
    let expected = hash.replace("no #1.jpg#", "no %231.jpg?range=1000,1000&unescaped#");
    becomes(Format::Vtt, &["x/no #1.jpg"], hash, &expected);
}

#[test]
fn subtitles_are_not_links_and_missing_sprites_are_reported() {
    let cue = |line: &str| format!("WEBVTT\n\n00:00.000 --> 00:02.000\n{line}\n");
    for line in ["It is empty.", "a", "...", "See you at 9.30"] {
        assert_eq!(
            told(Format::Vtt, &["a", "s.jpg"], &cue(line)),
            [] as [&str; 0],
            "{line}"
        );
    }
    for line in ["t.jpg#xywh=0,0,1,1", "t.png", "../t.jpg"] {
        let told = told(Format::Vtt, &["s.jpg"], &cue(line));
        assert_eq!(
            told,
            [format!("4: there is no file '{line}'")].map(|t| if line.contains('#') {
                t + " (a '#' in a file name is written %23 in a link)"
            } else {
                t
            })
        );
    }
    let json = cue("{\"title\":\"One\",\"image\":\"s.jpg\"}");
    let told = told(Format::Vtt, &["s.jpg"], &json);
    assert!(
        told[0].starts_with("4: names the file 's.jpg', where no link"),
        "{told:?}"
    );
}

#[test]
fn addresses_in_json_are_links() {
    let assets = "{\"ASSETS\": [ {\"URI\":\"ad.m3u8\",\"DURATION\":15.0},\n{\"URI\":\"https:\\/\\/h\\/ad.m3u8\"}]}";
    becomes(
        Format::Json,
        &["x/ad.m3u8"],
        assets,
        &assets.replace("\"ad.m3u8", "\"ad.m3u8?range=1000,1000"),
    );
    // As PHP and Python write them.
    let escaped =
        r#"[{"chapter":1,"images":[{"image-category":"cover","url":"img\/\u5b57.jpg?v=1"}]}]"#;
    becomes(
        Format::Json,
        &["x/img/字.jpg"],
        escaped,
        &escaped.replace("?v=1", "?v=1&range=1000,1000"),
    );
    let list = "{\"sprites\":[\"a.jpg\",\"b.jpg\"]}";
    becomes(
        Format::Json,
        &["x/a.jpg", "x/b.jpg"],
        list,
        "{\"sprites\":[\"a.jpg?range=1000,1000\",\"b.jpg?range=2000,1000\"]}",
    );
}

#[test]
fn unlinked_names_are_reported_once() {
    let json = "{\"title\": \"s.jpg\",\n\"x\": [\"a.ts\", \"a.ts\", \"b.ts\"], \"url\": \"c.mp4\", \"y\": \"z\"}";
    assert_eq!(
        told(Format::Json, &["s.jpg", "a.ts", "b.ts", "z"], json),
        [
            "1: names the file 's.jpg' and 2 others, where no link is known to stand; it is packed as it is, and will not be found from a node",
            "2: there is no file 'c.mp4'",
        ]
    );
    let page = "<html>\n<video src='movie.mp4'><a href=\"cover.jpg\">";
    let found = mentions("index.html", page, &|path| {
        ["movie.mp4", "cover.jpg"].contains(&path)
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, 2);
    assert!(
        found[0]
            .what
            .to_string()
            .contains("'movie.mp4' and another one")
    );
    assert_eq!(recognise(page), None);
}

#[test]
fn texts_are_recognized_by_content() {
    let table = [
        ("#EXTM3U\n", Some(Format::Hls)),
        ("\u{feff}#EXTM3U", Some(Format::Hls)),
        ("#EXTM3U8", None),
        ("WEBVTT", Some(Format::Vtt)),
        ("WEBVTTX", None),
        ("<?xml version=\"1.0\"?><MPD/>", Some(Format::Dash)),
        ("<SmoothStreamingMedia/>", None),
        (" [1, 2]", Some(Format::Json)),
        ("[Script Info]\nTitle: x", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(recognise(text), expected, "{text}");
        assert!(expected.is_none() || may_be_text(text.as_bytes()), "{text}");
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_eq!(recognise(&deep), Some(Format::Json));
}

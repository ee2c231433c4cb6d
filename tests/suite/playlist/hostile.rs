//! Texts that are made to cost time or memory: each gives an answer in bounded time, with the line.

use super::*;

/// Links a playlist whose files are all there, but for those with an `m`.
fn link(text: &str) -> Linked {
    let find = |path: &str| {
        let span = Span {
            offset: 1 << 40,
            size: 1000,
        };
        (!path.contains('m')).then_some(span)
    };
    let linked = with_links(Format::Hls, "x.m3u8", text, &find);
    assert!(linked.problems.len() <= 1001, "{}", linked.problems.len());
    for problem in &linked.problems {
        assert!(problem.what.to_string().len() < 1000);
    }
    playable(Format::Hls, "x.m3u8", &linked.text, &find);
    linked
}

fn first(linked: &Linked) -> (u32, String) {
    let first = linked.problems.first().expect("a problem");
    (first.line, first.what.to_string())
}

/// Each value is twice the one before: 2^40 bytes, in 40 lines.
#[test]
fn doubling_variables_are_bounded() {
    let mut text = "#EXTM3U\n#EXT-X-DEFINE:NAME=\"v0\",VALUE=\"aaaaaaaaaaaaaaaa\"\n".to_owned();
    for at in 1..40 {
        let before = at - 1;
        text.push_str(&format!(
            "#EXT-X-DEFINE:NAME=\"v{at}\",VALUE=\"{{$v{before}}}{{$v{before}}}\"\n"
        ));
    }
    text.push_str("{$v39}.ts\n");
    let linked = link(&text);
    assert_eq!(linked.text, text);
    let (line, what) = first(&linked);
    assert!(line <= 42 && what.contains("variable"), "{line}: {what}");
}

/// One value of a megabyte, which one link uses 10,000 times.
#[test]
fn a_link_of_many_variables_is_bounded() {
    let value = "a".repeat(1_000_000);
    let uses = "{$v}".repeat(10_000);
    let text = format!("#EXTM3U\n#EXT-X-DEFINE:NAME=\"v\",VALUE=\"{value}\"\n{uses}\n");
    let (line, what) = first(&link(&text));
    assert_eq!(line, 3);
    assert!(what.contains("longer than 256 KiB"), "{what}");
}

#[test]
fn too_many_variables_are_an_error_with_the_line() {
    let mut text = "#EXTM3U\n".to_owned();
    for at in 0..30_000 {
        text.push_str(&format!("#EXT-X-DEFINE:NAME=\"{at}\",VALUE=\"x\"\n"));
    }
    let linked = link(&text);
    let (line, what) = first(&linked);
    assert_eq!(line, 10_002);
    assert!(what.contains("too many variables"), "{what}");
    let last = linked.problems.last().expect("a problem");
    assert!(
        last.what.to_string().contains("more problems"),
        "{}",
        last.what
    );
}

/// A value of 60 KB in each of 1,500 links: 90 MB; there is room for a gigabyte.
#[test]
fn many_links_of_long_variables_are_bounded() {
    let value = "a".repeat(60_000);
    let uses = "{$v}\n".repeat(1_500);
    let text = format!("#EXTM3U\n#EXT-X-DEFINE:NAME=\"v\",VALUE=\"{value}\"\n{uses}");
    let linked = link(&text);
    let told = linked.problems.iter().map(|p| p.what.to_string());
    assert!(
        told.into_iter()
            .any(|what| what.contains("64 MiB together"))
    );
}

#[test]
fn unterminated_variables_are_text() {
    let open = "{$".repeat(100_000);
    let text = format!("#EXTM3U\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n{open}m\n{open}}}\n");
    assert_eq!(first(&link(&text)).0, 3);
}

/// Eight million links fit into the longest playlist, and their ranges would be 200 MB.
#[test]
fn too_many_links_are_an_error_with_the_line() {
    let text = "#EXTM3U\n".to_owned() + &"a\n".repeat(270_000);
    let linked = link(&text);
    let (line, what) = first(&linked);
    assert_eq!(line, (1 << 18) + 2);
    assert!(what.contains("more than 262144 links"), "{what}");
    assert!(linked.text.len() < text.len() + (1 << 18) * 40);
    let list = Playlist::new(Format::Hls, "x.m3u8", &text);
    assert_eq!(list.references(&|_| Some(1)).len(), 1);
}

#[test]
fn thousands_of_missing_files_give_few_problems() {
    let text = "#EXTM3U\n".to_owned() + &"m.ts\n".repeat(20_000);
    let linked = link(&text);
    assert_eq!(first(&linked).0, 2);
    assert!(matches!(
        linked.problems.last(),
        Some(Problem {
            what: What::More(19_000),
            ..
        })
    ));
}

#[test]
fn lines_of_megabytes_are_one_problem() {
    let long = "m".repeat(2 << 20);
    let (line, what) = first(&link(&format!("#EXTM3U\n{long}\n")));
    assert_eq!(line, 2);
    assert!(what.starts_with("there is no file 'mmm"), "{what}");
    let attributes = "URI=\"m.ts\",".repeat(100_000);
    let linked = link(&format!(
        "#EXTM3U\n#EXT-X-PART:{attributes}BYTERANGE=\"1@0\"\n"
    ));
    assert_eq!(linked.problems.len(), 1);
    let slashes = "a/".repeat(1 << 20);
    assert_eq!(first(&link(&format!("#EXTM3U\n{slashes}m\n"))).0, 2);
}

#[test]
fn nuls_and_numbers_without_bounds() {
    let text = "#EXTM3U\nm\0.ts\n#EXT-X-BYTERANGE:18446744073709551615@18446744073709551615\na.ts\n#EXT-X-BYTERANGE:99999999999999999999\na.ts\n#EXT-X-MAP:URI=\"a\",BYTERANGE=\"4294967296@4294967296\"\n";
    let told: Vec<_> = link(text)
        .problems
        .iter()
        .map(|p| (p.line, p.what.to_string()))
        .collect();
    let lines: Vec<u32> = told.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 4, 5, 7], "{told:?}");
    assert_eq!(told[0].1, "there is no file 'm\\u{0}.ts'");
}

/// Old Mac line ends are no line ends by the standard, but to ffmpeg and hls.js. Without them a
/// playlist had no links at all, and nothing said so.
#[test]
fn carriage_returns_alone_end_lines() {
    let text = "#EXTM3U\r#EXT-X-BYTERANGE:10@5\r#EXTINF:2,\ra.ts\rb.ts\r";
    let linked = link(text);
    assert_eq!(
        linked.text,
        "#EXTM3U\r#EXTINF:2,\ra.ts?range=1099511627781,10\rb.ts?range=1099511627776,1000\r"
    );
    assert_eq!(linked.problems, []);
    let mixed = link("#EXTM3U\n#EXTINF:2,a\ra.ts\nb.ts\n");
    assert_eq!(first(&mixed).0, 2);
}

#[test]
fn companions_are_bounded() {
    let cues = "WEBVTT\n\n".to_owned() + &"0 --> 1\na.jpg\n\n".repeat(70_000);
    let json = format!("[{}0]", "{\"url\":\"a.jpg\",\"x\":\"b.c\"},".repeat(70_000));
    for (format, text) in [(Format::Vtt, cues), (Format::Json, json)] {
        let linked = with_links(format, "x", &text, &|_| Some(Span { offset: 1, size: 1 }));
        assert!(linked.problems.len() <= 1001);
        assert!(linked.text.len() < text.len() + (1 << 16) * 20);
    }
    let missing = "WEBVTT\n\n0 --> 1\n".to_owned() + &"m.jpg\n".repeat(60_000);
    assert_eq!(
        with_links(Format::Vtt, "x", &missing, &|_| None)
            .problems
            .len(),
        1001
    );
}

//! What must hold for every text. Shared with the fuzz targets.

use super::playlist::{Files, Format, Playlist, Span, recognise};

/// The files that texts may name. Offsets are large, so that links are long.
const NAMES: [&str; 6] = ["a", "a.ts", "b.mp4", "d/a.ts", "v.m3u8", "s #1.jpg"];

fn find(path: &str) -> Option<Span> {
    let at = NAMES.iter().position(|name| *name == path)?;
    let offset = 1_000_000 * (at as u64 + 1);
    Some(Span { offset, size: 1000 })
}

/// The most bytes that linking adds to one reference: a range of two numbers, a mark, and the escapes of
/// a name.
const PER_LINK: usize = 200;

/// The most bytes that linking adds to a text with variables. A range link cannot follow a variable whose
/// value has a query, so the value is written in its place.
const SUBSTITUTED: usize = 1 << 26;

/// Links a text, removes the links and checks the results.
pub fn check(format: Format, text: &str) {
    let _ = recognise(text);
    let files = Files {
        find: &find,
        read: &|_, _| None,
    };
    let playlist = Playlist::new(format, "x", text);
    let references = playlist.references(&|path| find(path).map(|span| span.size));
    let linked = playlist.link(files);
    let stored = Playlist::new(format, "x", &linked.text);
    let links = stored.range_links();
    if format != Format::Dash {
        let substituted = if text.contains("EXT-X-DEFINE") {
            SUBSTITUTED
        } else {
            0
        };
        let most = text.len() + (links.len() + 1) * PER_LINK + substituted;
        assert!(linked.text.len() <= most, "{} bytes", linked.text.len());
    }
    for (path, span) in &links {
        let Some(entry) = find(path) else { continue };
        let is_within =
            span.offset >= entry.offset && span.offset + span.size <= entry.offset + entry.size;
        // A range link of the text itself may lead anywhere.
        assert!(is_within || text.contains("range="), "{path} {span:?}");
    }
    let back = stored.playable(&find);
    // A mount must show the length that the archive states, so the result is the same each time.
    assert_eq!(back, stored.playable(&find));
    assert!(
        back.len() <= linked.text.len() * 3,
        "volume::playlists refuses a larger one"
    );
    if format != Format::Dash && is_plain(text) {
        assert_eq!(back, text);
    }
    // Linking the playable form gives the linked form again.
    let again = Playlist::new(format, "x", &back);
    if format != Format::Dash && is_plain(text) {
        assert_eq!(again.link(files).text, linked.text);
    }
    let _ = again.byterange("../a.zip", files);
    drop(references);
}

/// Whether linking and unlinking must give the same text. They need not if the text has byte ranges, which
/// come back in another form; variables, which may be substituted; values without quotes; range links of its
/// own; or names with some of their escapes, which get all of them.
fn is_plain(text: &str) -> bool {
    let other = [
        "BYTERANGE",
        "EXT-X-DEFINE",
        "range=",
        "%23",
        "%25",
        "%3F",
        "%5C",
    ];
    let has_quotes =
        !text.contains("URI=") || text.matches("URI=").count() == text.matches("URI=\"").count();
    !other.iter().any(|word| text.contains(word)) && has_quotes
}

#[cfg(test)]
mod corpus {
    use super::*;

    #[test]
    fn the_corpus_of_the_fuzz_targets_holds() {
        for (name, format) in [
            ("hls", Format::Hls),
            ("dash", Format::Dash),
            ("companion", Format::Vtt),
            ("companion", Format::Json),
        ] {
            let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fuzz/corpus")
                .join(name);
            let mut count = 0;
            for entry in std::fs::read_dir(&dir).expect("a corpus") {
                let input = std::fs::read(entry.expect("an entry").path()).expect("an input");
                check(format, &String::from_utf8_lossy(&input));
                count += 1;
            }
            assert!(count > 3, "{}", dir.display());
        }
    }
}

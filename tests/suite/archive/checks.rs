//! What must hold for the result of parsing any bytes. Shared with the fuzz targets.

use super::archive::{Error, Index, IndexParser, ParseOptions};

/// Parses a blob that is fed in pieces of at most `piece` bytes.
pub fn index(blob: &[u8], encoding: &str, piece: usize) -> Result<Index, Error> {
    let options = ParseOptions {
        encoding: encoding.parse().expect("a known encoding"),
    };
    let mut parser = IndexParser::new(blob.len() as u64, options)?;
    while let Some(wanted) = parser.wants() {
        assert!(
            wanted.end <= blob.len() as u64,
            "a range outside the blob is wanted"
        );
        let (start, end) = (wanted.start as usize, wanted.end as usize);
        parser.feed(&blob[start..end.min(start.saturating_add(piece))])?;
    }
    parser.finish()
}

/// All that an index says.
#[allow(dead_code, reason = "one of the two fuzz targets calls it")]
pub fn tell(index: &Index) -> Vec<String> {
    let entry = |id| format!("{:?} {:?}", index.path(id), index.get(id));
    let hidden = format!("{:?}", index.hidden());
    index.ids().map(entry).chain([hidden]).collect()
}

/// What holds for every index, and for every extent that a local header confirms.
pub fn check(index: &Index, blob: &[u8]) {
    let cd_start = index.cd_range().start;
    let mut confirmed = Vec::new();
    for id in index.ids() {
        let path = index.path(id);
        assert!(!path.is_empty() && path.len() <= 4095 && !path.contains(&0));
        for component in path.split(|b| *b == b'/') {
            assert!(!matches!(component, b"" | b"." | b".."));
            assert!(component.len() <= 255);
        }
        let entry = index.get(id);
        assert!(entry.mode.is_none_or(|mode| mode <= 0o777));
        assert!(entry.mtime.nanos < 1_000_000_000);
        let check = index.header_check(id);
        let _ = check.predicted();
        if index.stored(id).is_err() {
            continue;
        }
        let header = check.range();
        assert!(
            header.end <= cd_start,
            "a readable entry's header is before the directory"
        );
        let header = &blob[header.start as usize..header.end as usize];
        if let Ok(extent) = check.confirm(header) {
            assert!(extent.range().end <= cd_start && extent.len == entry.size);
            confirmed.push((entry.header_offset, extent.range().end));
        }
    }
    // Every byte is something, and nothing twice.
    let s = index.survey();
    let before_directory = s.before + s.headers + s.data + s.hidden + s.between;
    assert_eq!(before_directory, cd_start, "{s:?}");
    assert_eq!(cd_start + s.directory + s.behind, blob.len() as u64);
    // In the order of the archive; those of one header are one.
    confirmed.dedup();
    assert!(
        confirmed.windows(2).all(|two| two[0].1 <= two[1].0),
        "overlap: {confirmed:?}"
    );
}

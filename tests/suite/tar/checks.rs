//! What holds for any bytes that are walked as a tar. The fuzz target `tar` uses it, too.

use super::archive::{Index, ParseOptions, TarWalk};

/// The index of any bytes, fed in pieces of this length.
pub fn index(blob: &[u8], piece: usize) -> Index {
    let size = blob.len() as u64;
    let mut walk = TarWalk::new(size, &ParseOptions::default());
    let mut last = 0;
    while let Some(wanted) = walk.wants() {
        assert!(
            wanted.start < wanted.end && wanted.end <= size,
            "{wanted:?}"
        );
        assert!(wanted.start >= last, "a walk goes forward");
        last = wanted.start;
        let from = wanted.start as usize;
        let end = blob.len().min(from.saturating_add(piece));
        walk.feed(wanted.start, &blob[from..end])
            .expect("few members");
    }
    walk.finish()
}

/// All that an index says.
pub fn tell(index: &Index) -> Vec<String> {
    let mut told = vec![format!(
        "{:?} {:?} {:?}",
        index.hidden(),
        index.comment(),
        index.problem()
    )];
    for id in index.ids() {
        let (path, entry, pieces) = (index.path(id), index.get(id), index.pieces(id));
        told.push(format!(
            "{path:?} {entry:?} {pieces:?} {:?}",
            index.link_target(id)
        ));
    }
    told
}

/// What an index says lies within the blob, and its members do not overlap.
pub fn check(index: &Index, blob: &[u8]) {
    let size = blob.len() as u64;
    let mut reach = 0;
    for id in index.ids() {
        let entry = index.get(id);
        assert!(entry.header_offset >= reach && entry.mtime.nanos < 1_000_000_000);
        let span = index.span(id);
        assert!(span.start <= span.end && span.end <= size);
        if index.readable(id).is_err() {
            continue;
        }
        let check = index.header_check(id);
        let header = check.range();
        let extent = check.confirm(&blob[header.start as usize..header.end as usize]);
        let extent = extent.expect("the header that was walked").range();
        assert!(extent.start <= extent.end && extent.end <= size);
        reach = extent.end;
        let (mut content, mut stored) = (0, 0);
        for piece in index.pieces(id) {
            assert!(piece.len > 0 && piece.offset >= content && piece.stored >= stored);
            content = piece.offset + piece.len;
            stored = piece.stored + piece.len;
        }
        assert!(content <= entry.size && stored <= entry.compressed_size);
    }
    let survey = index.survey();
    let parts = [
        survey.before,
        survey.headers,
        survey.data,
        survey.hidden,
        survey.between,
    ];
    assert!(parts.iter().sum::<u64>() <= size, "{survey:?}");
    let mut bytes = Vec::new();
    index.store(&mut |piece| bytes.extend_from_slice(piece));
    let mut rest = &bytes[..];
    let again = Index::load(&mut |out| match rest.split_at_checked(out.len()) {
        Some((now, behind)) => {
            out.copy_from_slice(now);
            rest = behind;
            true
        }
        None => false,
    });
    assert_eq!(tell(&again.expect("as it was stored")), tell(index));
}

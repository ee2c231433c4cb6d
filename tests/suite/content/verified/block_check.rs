//! What must hold for any bytes in place of a block of a CID's tree: a node whose sizes add up, or an error; never a
//! panic, and never more children than the block has room for. Shared with the fuzz target.

use super::content::{Cid, Codec, Object, Version, parse_cid};

pub fn check(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(cid) = parse_cid(text)
    {
        assert_eq!(parse_cid(&cid.to_string()), Ok(cid));
    }
    let cid = Cid::of_block(Version::V1, Codec::DagPb, input);
    assert_eq!(cid.verify(input), Ok(()));
    let Ok(Object::File {
        size,
        data,
        children,
    }) = Object::decode(&cid, input)
    else {
        return;
    };
    // A link has a CID of four bytes at the least.
    assert!(data.len() + 4 * children.len() <= input.len());
    let below: u64 = children.iter().map(|child| child.size).sum();
    assert_eq!(size, below + data.len() as u64);
    for child in children {
        assert_eq!(Cid::from_bytes(&child.cid.to_bytes()), Ok(child.cid));
    }
}

//! Small entries that are decoded when a program opens them.

use std::time::{Duration, Instant};

use super::entries::{Opened, deflated, item, options, plain, zip};
use crate::common::fault::FaultNode;
use crate::common::tree;
use crate::common::zips::Item;

const LEN: usize = 20_000;

/// `cp -r` of small files waited for the decoder at each read, while a core was idle after each open(2).
#[test]
fn opening_a_small_file_decodes_it_if_that_takes_no_request() {
    let [near, far] = [1, 2].map(|seed| plain(seed, LEN));
    let node = FaultNode::start(zip(vec![
        item("far", &far, deflated(&far, 6)),
        Item::new("between", vec![7; 24 << 20]),
        item("near", &near, deflated(&near, 6)),
    ]));
    let cache = tree::temp();
    let opened = Opened::url(&node.url(), cache.path(), options(1 << 20));
    let (far_id, near_id) = (opened.id("far"), opened.id("near"));
    let decoder = opened.volume.decoder();
    let archive = decoder.archive();
    let stored = archive.index().get(near_id).compressed_size;
    let fetched = opened
        .runtime
        .block_on(archive.read_stored(near_id, 0..stored, stored));
    assert_eq!(fetched.expect("its stored bytes").len() as u64, stored);

    let requests = node.requests();
    for name in ["far", "near"] {
        let found = opened
            .runtime
            .block_on(opened.volume.find(name.as_bytes(), false));
        let ino = found.expect("a file");
        opened.volume.open(ino).expect("it opens");
    }
    let all = 0..LEN as u64;
    let (mut bytes, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(10));
    while !decoder.try_read(near_id, &all, &mut bytes) {
        assert!(Instant::now() < deadline, "nobody decodes it");
        std::thread::yield_now();
    }
    assert!(bytes == near);
    assert!(!decoder.try_read(far_id, &all, &mut bytes));
    assert_eq!(node.requests(), requests, "opening sends no request");
    assert!(opened.read("far", all).expect("bytes") == far);
    opened.end(None);
}

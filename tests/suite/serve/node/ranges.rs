//! Ranges, by header and by link, and the conditions under which they are given.

use std::ops::Range;

use super::{Running, SIZE, bytes, has_the_usual_headers};
use crate::common::http::request;

/// Query, Range header; status, Content-Range, bytes of the blob.
type Case = (
    &'static str,
    Option<&'static str>,
    u16,
    Option<&'static str>,
    Range<usize>,
);

const RANGES: &[Case] = &[
    ("", None, 200, None, 0..1000),
    ("?x=y", None, 200, None, 0..1000),
    ("", Some("bytes=0-0"), 206, Some("bytes 0-0/1000"), 0..1),
    (
        "",
        Some("bytes=0-999"),
        206,
        Some("bytes 0-999/1000"),
        0..1000,
    ),
    (
        "",
        Some("bytes=100-199"),
        206,
        Some("bytes 100-199/1000"),
        100..200,
    ),
    (
        "",
        Some("bytes=900-"),
        206,
        Some("bytes 900-999/1000"),
        900..1000,
    ),
    (
        "",
        Some("bytes=-10"),
        206,
        Some("bytes 990-999/1000"),
        990..1000,
    ),
    (
        "",
        Some("bytes=-5000"),
        206,
        Some("bytes 0-999/1000"),
        0..1000,
    ),
    (
        "",
        Some("bytes=990-5000"),
        206,
        Some("bytes 990-999/1000"),
        990..1000,
    ),
    ("", Some("BYTES=1-2"), 206, Some("bytes 1-2/1000"), 1..3),
    ("", Some("bytes=1000-"), 416, Some("bytes */1000"), 0..0),
    ("", Some("bytes=-0"), 416, Some("bytes */1000"), 0..0),
    ("", Some("bytes=0-1,5-6"), 200, None, 0..1000),
    (
        "",
        Some("bytes=5000-,5-6"),
        206,
        Some("bytes 5-6/1000"),
        5..7,
    ),
    ("", Some("bytes=5-1"), 200, None, 0..1000),
    ("", Some("bytes=x"), 200, None, 0..1000),
    ("", Some("lines=0-1"), 200, None, 0..1000),
    ("?range=100,50", None, 200, None, 100..150),
    ("?range=100%2C50", None, 200, None, 100..150),
    ("?range=0,1000", None, 200, None, 0..1000),
    ("?range=1000,0", None, 200, None, 0..0),
    (
        "?range=100,50",
        Some("bytes=0-9"),
        206,
        Some("bytes 0-9/50"),
        100..110,
    ),
    (
        "?range=100,50",
        Some("bytes=40-"),
        206,
        Some("bytes 40-49/50"),
        140..150,
    ),
    (
        "?range=100,50",
        Some("bytes=-5"),
        206,
        Some("bytes 45-49/50"),
        145..150,
    ),
    (
        "?range=100,50",
        Some("bytes=45-500"),
        206,
        Some("bytes 45-49/50"),
        145..150,
    ),
    (
        "?range=100,50",
        Some("bytes=50-"),
        416,
        Some("bytes */50"),
        0..0,
    ),
    (
        "?range=100,0",
        Some("bytes=0-"),
        416,
        Some("bytes */0"),
        0..0,
    ),
    ("?range=100,901", None, 400, None, 0..0),
    ("?range=1001,0", None, 400, None, 0..0),
    ("?range=-1,5", None, 400, None, 0..0),
    ("?range=5", None, 400, None, 0..0),
    ("?range=", None, 400, None, 0..0),
    ("?range=1,2&range=1,2", None, 400, None, 0..0),
    ("?range=18446744073709551615,2", None, 400, None, 0..0),
];

#[test]
fn ranges() {
    let running = Running::start();
    let blob = bytes(SIZE);
    let cid = running.publish("blob.bin", &blob);
    for (query, range, status, content_range, expected) in RANGES {
        let what = format!("{query} {range:?}");
        let headers: Vec<_> = range.iter().map(|range| ("Range", *range)).collect();
        let reply = running.get(&format!("/ipfs/{cid}{query}"), &headers);
        assert_eq!(reply.status, *status, "{what}");
        assert_eq!(reply.header("content-range"), *content_range, "{what}");
        assert_eq!(reply.header("transfer-encoding"), None, "{what}");
        let length = reply.header("content-length").and_then(|n| n.parse().ok());
        assert_eq!(length, Some(reply.body.len()), "{what}");
        if *status >= 400 {
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{what}");
            assert_eq!(reply.header("etag"), None, "{what}");
            continue;
        }
        assert_eq!(reply.body, blob[expected.clone()], "{what}");
        has_the_usual_headers(&reply, &what);
        // HEAD: as GET without the Range header, which means nothing to it (RFC 9110, 14.2).
        let head = request(
            running.addr,
            "HEAD",
            &format!("/ipfs/{cid}{query}"),
            &headers,
        );
        let whole = running.get(&format!("/ipfs/{cid}{query}"), &[]);
        assert_eq!((head.status, &head.body[..]), (200, &b""[..]), "{what}");
        has_the_usual_headers(&head, &what);
        for name in ["content-length", "content-type", "etag", "content-range"] {
            assert_eq!(head.header(name), whole.header(name), "{what}: {name}");
        }
    }
}

#[test]
fn an_empty_blob() {
    let running = Running::start();
    let cid = running.publish("empty", b"");
    for (range, status) in [("bytes=-5", 200), ("bytes=0-", 416), ("x", 200)] {
        let reply = running.get(&format!("/ipfs/{cid}"), &[("Range", range)]);
        assert_eq!(reply.status, status, "{range}");
    }
}

#[test]
fn conditions() {
    let running = Running::start();
    let blob = bytes(SIZE);
    let cid = running.publish("blob.bin", &blob);
    let (whole, window) = (format!("/ipfs/{cid}"), format!("/ipfs/{cid}?range=10,20"));
    let etag_of = |path: &str| {
        let reply = running.get(path, &[]);
        reply.header("etag").expect("an ETag").to_owned()
    };
    let (of_whole, of_window) = (etag_of(&whole), etag_of(&window));
    assert_ne!(of_whole, of_window);
    assert_ne!(of_window, etag_of(&format!("/ipfs/{cid}?range=10,21")));
    let weak = format!("W/{of_whole}");
    let part = ("Range", "bytes=0-9");
    let date = "Sat, 29 Oct 2050 19:43:31 GMT";
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let table: &[(&str, Headers<'_>, u16)] = &[
        (&whole, &[("If-None-Match", &of_whole)], 304),
        (&whole, &[("If-None-Match", &weak)], 304),
        (&whole, &[("If-None-Match", "*")], 304),
        (&whole, &[("If-None-Match", &of_whole), part], 304),
        (&whole, &[("If-None-Match", &of_window)], 200),
        (&window, &[("If-None-Match", &of_window)], 304),
        (&window, &[("If-None-Match", &of_whole)], 200),
        (&whole, &[("If-Modified-Since", date)], 200),
        (&whole, &[("If-Match", &of_whole)], 200),
        (&whole, &[("If-Match", &of_window)], 412),
        (&whole, &[("If-Range", &of_whole), part], 206),
        (&whole, &[("If-Range", &of_window), part], 200),
        (&whole, &[("If-Range", &weak), part], 200),
        (&whole, &[("If-Range", date), part], 200),
        (&window, &[("If-Range", &of_window), part], 206),
        // A mismatch makes the Range header mean nothing, not 416.
        (
            &whole,
            &[("If-Range", &weak), ("Range", "bytes=5000-")],
            200,
        ),
    ];
    for (path, headers, status) in table {
        let reply = running.get(path, headers);
        assert_eq!(reply.status, *status, "{path} {headers:?}");
        if *status == 304 {
            has_the_usual_headers(&reply, "304");
            assert_eq!(reply.body, b"");
            // One of 0 would be a lie about the 200 (RFC 9110, section 8.6).
            assert_eq!(reply.header("content-length"), None, "{reply:?}");
        }
        if *status != 412 {
            let head = request(running.addr, "HEAD", path, headers);
            let expected = if *status == 304 { 304 } else { 200 };
            assert_eq!(head.status, expected, "HEAD {path} {headers:?}");
        }
    }
}

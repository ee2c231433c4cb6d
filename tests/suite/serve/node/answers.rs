//! Methods, paths, media types and lists of the node.

use std::sync::Arc;

use aiozfs::serve::Blob;
use aiozfs::source::Memory;

use serde_json::json;

use super::{Running, SIZE, bytes, cid_of};
use crate::common::http::request;

#[test]
fn methods_and_cors() {
    let running = Running::start();
    let cid = running.publish("blob.bin", &bytes(SIZE));
    for path in ["/", "/index.json", "/nowhere", &format!("/ipfs/{cid}")] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"] {
            let reply = request(running.addr, method, path, &[("Content-Length", "0")]);
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
        }
        let preflight = [
            ("Origin", "https://player.example"),
            ("Access-Control-Request-Method", "GET"),
            (
                "Access-Control-Request-Headers",
                "authorization,range,x-of-a-player",
            ),
        ];
        let reply = request(running.addr, "OPTIONS", path, &preflight);
        assert_eq!((reply.status, &reply.body[..]), (204, &b""[..]), "{path}");
        let says = |name| reply.header(name).unwrap_or_default();
        assert_eq!(says("access-control-allow-origin"), "*");
        assert!(says("access-control-allow-methods").contains("GET"));
        assert_eq!(
            says("access-control-allow-headers"),
            "authorization,range,x-of-a-player"
        );
        assert_eq!(says("access-control-max-age"), "86400");
        assert_eq!(reply.header("access-control-allow-private-network"), None);
        assert_eq!(says("allow"), "GET, HEAD, OPTIONS");
        // A page of the internet asks a node on the player's own machine.
        let private = [("Access-Control-Request-Private-Network", "true")];
        let reply = request(running.addr, "OPTIONS", path, &private);
        assert_eq!(
            reply.header("access-control-allow-private-network"),
            Some("true")
        );
        let allowed = reply.header("access-control-allow-headers");
        assert_eq!(allowed, Some("*, Authorization, Range"));
    }
}

/// A link without its range brought the whole archive as a picture: gigabytes, 200, `image/jpeg`.
#[test]
fn a_name_below_a_cid_needs_a_range() {
    let running = Running::start();
    let cid = running.publish("films/a b.zip", &bytes(SIZE));
    running.publish("same bytes.zip", &bytes(SIZE));
    for (rest, status) in [
        ("", 200),
        ("/", 200),
        ("?filename=s.jpg", 200),
        ("/films/a%20b.zip", 200),
        ("/a%20b.zip", 200),
        ("/same%20bytes.zip", 200),
        ("/s.jpg?range=0,10", 200),
        ("/x/s.jpg?a=b&range=0,10", 200),
        ("/s.jpg", 404),
        ("/s.jpg/", 404),
        ("/s.jpg?", 404),
        ("/s.jpg?Range=0,10", 404),
        ("/s.jpg?range", 400),
        ("/s.jpg?range=0", 400),
        ("/s.jpg?range=0-10", 400),
        ("/s.jpg?range=0,1001", 400),
        ("/a%20b.zip?range=x", 400),
        ("/films/s.jpg", 404),
        ("/b.zip", 404),
        ("/A%20B.ZIP", 404),
        ("/films/a%20b.zip/s.jpg", 404),
    ] {
        let path = format!("/ipfs/{cid}{rest}");
        for headers in [&[][..], &[("Range", "bytes=0-9")]] {
            let reply = running.get(&path, headers);
            let expected = match status {
                200 if !headers.is_empty() => 206,
                status => status,
            };
            assert_eq!(reply.status, expected, "{rest} {headers:?}");
            let head = request(running.addr, "HEAD", &path, headers);
            assert_eq!((head.status, head.body.len()), (status, 0), "{rest}");
            if status < 400 {
                continue;
            }
            // What a page's player sees of it, and what a person reads.
            for reply in [&head, &reply] {
                assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
                assert_eq!(reply.header("content-range"), None);
            }
            let says = String::from_utf8_lossy(&reply.body);
            assert!(
                says.contains("range=OFFSET,SIZE") || status == 400,
                "{says}"
            );
            assert!(
                says.contains(&format!("/ipfs/{cid}")) || status == 400,
                "{says}"
            );
        }
    }
}

#[test]
fn unknown_blobs_are_not_found() {
    let running = Running::start();
    let cid = running.publish("blob.bin", &bytes(SIZE));
    let other = cid_of(b"other");
    for path in [
        "/x",
        "/ipfs",
        "/ipfs/",
        "/ipfs/no-cid",
        &format!("/ipfs/{other}"),
    ] {
        let reply = running.get(path, &[]);
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    // A client that wants a block must not take the file for one; this blob has none.
    let path = format!("/ipfs/{cid}");
    let raw = [("Accept", "application/vnd.ipld.raw")];
    assert_eq!(running.get(&path, &raw).status, 404);
    let car = [("Accept", "application/vnd.ipld.car")];
    assert_eq!(running.get(&path, &car).status, 406);
    assert_eq!(running.get(&format!("{path}?format=car"), &[]).status, 406);
    assert_eq!(running.get(&path, &[("Accept", "*/*")]).status, 200);
}

#[test]
fn media_types() {
    let running = Running::start();
    let cid = running.publish("film.zip", &bytes(SIZE));
    for (rest, expected) in [
        ("", "application/zip"),
        ("?range=0,10", "application/octet-stream"),
        (
            "/master_playlist.m3u8?range=0,10",
            "application/vnd.apple.mpegurl",
        ),
        ("/film.zip", "application/zip"),
        ("/dash/manifest.mpd?range=5,1", "application/dash+xml"),
        ("/720p_0000.ts?range=10,10", "video/mp2t"),
        ("/init.mp4?range=5,1", "video/mp4"),
        ("/a.m4s?range=5,1", "video/mp4"),
        ("/en.vtt?range=5,1", "text/vtt; charset=utf-8"),
        ("/cover%2Ejpg?range=5,1", "image/jpeg"),
        ("/read%20me.txt?range=5,1", "text/plain; charset=utf-8"),
        ("/no-extension?range=5,1", "application/octet-stream"),
    ] {
        let reply = running.get(&format!("/ipfs/{cid}{rest}"), &[]);
        assert_eq!(reply.status, 200, "{rest}");
        assert_eq!(reply.header("content-type"), Some(expected), "{rest}");
    }
}

#[test]
fn lists() {
    let running = Running::start();
    let text = |path: &str| {
        let reply = running.get(path, &[]);
        let kind = reply.header("content-type").unwrap_or_default().to_owned();
        (kind, String::from_utf8(reply.body).expect("UTF-8"))
    };
    assert_eq!(text("/index.json").1, "[]");
    let cid = running.publish("sub/a <b> & é.zip", &bytes(SIZE));
    let (kind, json) = text("/index.json");
    assert_eq!(kind, "application/json");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["cid"], cid.to_string());
    assert_eq!(json[0]["size"], SIZE);
    assert_eq!(json[0]["name"], "sub/a <b> & é.zip");
    let path = json[0]["path"].as_str().expect("a path");
    assert_eq!(running.get(path, &[]).body, bytes(SIZE));
}

#[test]
fn directories_are_listed_for_clients_that_name_json() {
    let running = Running::start();
    let cids = ["a b.zip", "sub/c.zip", "sub/deep/d.zip", "web/e.zip"]
        .map(|name| running.publish(name, name.as_bytes()).to_string());
    let list = |path: &str, accept: &str| -> serde_json::Value {
        let reply = running.get(path, &[("Accept", accept)]);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        serde_json::from_slice(&reply.body).expect("JSON")
    };
    let file = |name: &str, size: usize, cid: &str, root: &str| {
        let url = format!("{root}ipfs/{cid}");
        json!({"type": "file", "name": name, "size": size, "cid": cid, "url": url})
    };
    let directory = |name: &str| json!({"type": "directory", "name": name});
    let root = list("/", "text/html, application/json;q=0.9, */*;q=0.1");
    let expected = [
        file("a b.zip", 7, &cids[0], ""),
        directory("sub"),
        directory("web"),
    ];
    assert_eq!(root, json!(expected));
    let sub = [file("c.zip", 9, &cids[1], "../"), directory("deep")];
    assert_eq!(list("/sub/", "*/*"), json!(sub));
    assert_eq!(
        list("/sub/deep/", "*/*"),
        json!([file("d.zip", 14, &cids[2], "../../")])
    );
    assert_eq!(
        list("/web/", "*/*"),
        json!([file("e.zip", 9, &cids[3], "../")])
    );
    for path in ["/none/", "/su/", "/sub/c.zip/", "//", "/sub//deep/"] {
        assert_eq!(running.get(path, &[]).status, 404, "{path}");
    }
    // A browser gets the page, and a cache keeps the two apart.
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = running.get("/", &[("Accept", browser)]);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("vary"), Some("Accept"));
    assert_eq!(running.get("/", &[]).body, page.body);
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_is_asked_for_anew() {
    let running = Running::start();
    let reply = running.get("/", &[]);
    let says = |name| reply.header(name).unwrap_or_default();
    assert_eq!(says("content-type"), "text/html; charset=utf-8");
    assert_eq!(says("cache-control"), "no-cache");
    let policy = says("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self';",
        "worker-src 'self';",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    let page = String::from_utf8_lossy(&reply.body);
    for line in page.lines() {
        let is_inline = line.contains("<style") || line.contains(" style=");
        assert!(!is_inline && !line.contains("http"), "{line}");
        assert!(!line.contains("<script") || line.contains("src="), "{line}");
    }
    let etag = says("etag");
    let again = running.get("/", &[("If-None-Match", etag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    let worker = running.get("/web/lib/view-worker.js", &[]);
    assert_eq!(worker.header("service-worker-allowed"), Some("/"));
    assert_eq!(running.get("/web/lib/nothing.js", &[]).status, 404);
    assert_eq!(running.get("/web/../Cargo.toml", &[]).status, 404);
}

#[test]
fn a_document_of_an_archive_has_no_rights_on_the_node() {
    let running = Running::start();
    let cid = running.publish("blob.bin", &bytes(SIZE));
    for (name, policy) in [
        ("a.html", Some("sandbox")),
        ("a.svg", Some("sandbox")),
        ("a.mp4", None),
    ] {
        let reply = running.get(&format!("/ipfs/{cid}/{name}?range=0,100"), &[]);
        assert_eq!(reply.header("content-security-policy"), policy, "{name}");
    }
    let script = format!("/ipfs/{cid}/a.js?range=0,100");
    assert_eq!(running.get(&script, &[]).status, 200);
    let reply = running.get(&script, &[("Service-Worker", "script")]);
    assert_eq!(reply.status, 403);
}

#[test]
fn equal_files_are_served_until_both_are_withdrawn() {
    let running = Running::start();
    let blob = |name: &str| Blob {
        cid: cid_of(b"x"),
        name: name.into(),
        size: 1,
        source: Arc::new(Memory::new(name, "x")),
        tree: None,
    };
    let (one, two) = (
        running.node.publish(blob("1")),
        running.node.publish(blob("2")),
    );
    let path = format!("/ipfs/{}", cid_of(b"x"));
    let listed = || running.runtime.block_on(running.node.list()).len();
    assert_eq!((listed(), running.get(&path, &[]).status), (2, 200));
    assert!(running.node.withdraw(one) && !running.node.withdraw(one));
    assert_eq!((listed(), running.get(&path, &[]).status), (1, 200));
    assert!(running.node.withdraw(two));
    assert_eq!((listed(), running.get(&path, &[]).status), (0, 404));
}

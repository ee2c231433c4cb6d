//! Raw blocks of served files: root, inner nodes and leaves.

use std::sync::Arc;

use aiozfs::content::{Cid, Codec, Object, Profile, Tree, Version, parse_cid};
use aiozfs::serve::Blob;
use aiozfs::source::Memory;

use super::{Running, bytes};
use crate::common::http::{Reply, request};

/// What an answer with a block says (trustless gateway specification, "HTTP response").
fn is_block(reply: &Reply, cid: &Cid, len: usize, what: &str) {
    let says = |name| reply.header(name).unwrap_or_default();
    assert_eq!(reply.status, 200, "{what}");
    assert_eq!(says("content-type"), "application/vnd.ipld.raw", "{what}");
    assert_eq!(says("content-length"), len.to_string(), "{what}");
    assert_eq!(says("etag"), format!("\"{cid}.raw\""), "{what}");
    assert!(says("cache-control").contains("immutable"), "{what}");
    assert_eq!(says("x-content-type-options"), "nosniff", "{what}");
    assert!(
        says("content-disposition").starts_with("attachment"),
        "{what}"
    );
    assert_eq!(says("vary"), "Accept", "{what}");
    assert_eq!(says("access-control-allow-origin"), "*", "{what}");
    assert_eq!(reply.header("transfer-encoding"), None, "{what}");
}

#[test]
fn every_block_of_a_served_file_is_given() {
    let running = Running::start();
    let raw = [("Accept", "application/vnd.ipld.raw")];
    for profile in [
        Profile::new("raw", 256, 3, true, Version::V1),
        Profile::new("pb", 256, 3, false, Version::V0),
    ] {
        let blob = bytes(5000);
        let tree = running.publish_tree("blob.bin", &blob, profile);
        // From the root down, as a client goes.
        let (mut todo, mut file, mut count) = (vec![tree.cid()], Vec::new(), 0);
        while let Some(cid) = todo.pop() {
            let path = format!("/ipfs/{cid}");
            let reply = running.get(&format!("{path}?format=raw"), &[]);
            is_block(&reply, &cid, reply.body.len(), "by the query");
            assert_eq!(cid.verify(&reply.body), Ok(()));
            let by_header = running.get(&path, &raw);
            is_block(&by_header, &cid, reply.body.len(), "by the header");
            assert_eq!(by_header.body, reply.body);
            let head = request(running.addr, "HEAD", &path, &raw);
            is_block(&head, &cid, reply.body.len(), "HEAD");
            assert!(head.body.is_empty());
            let etag = format!("\"{cid}.raw\"");
            let again = running.get(&path, &[raw[0], ("If-None-Match", &etag)]);
            assert_eq!((again.status, &again.body[..]), (304, &b""[..]));
            // The same block under the other version's name.
            let v1 = cid.to_v1();
            let other = running.get(&format!("/ipfs/{v1}?format=raw"), &[]);
            is_block(&other, &v1, reply.body.len(), "version 1");
            assert_eq!(other.body, reply.body);
            let decoded = Object::decode(&cid, &reply.body);
            let Ok(Object::File { data, children, .. }) = decoded else {
                panic!("{cid}: {decoded:?}");
            };
            file.extend(data);
            todo.extend(children.iter().rev().map(|child| child.cid));
            count += 1;
        }
        assert!(file == blob, "{}", profile.name);
        // 20 leaves, 7 nodes, 3 nodes, the root.
        assert_eq!(count, 31);
        let car = running.get(&format!("/ipfs/{}?format=car", tree.cid()), &raw);
        assert_eq!(car.status, 406);
        let window = format!("/ipfs/{}?format=raw&range=0,1", tree.cid());
        assert_eq!(running.get(&window, &[]).status, 400);
    }
    let other = Cid::of_block(Version::V1, Codec::Raw, b"something else");
    assert_eq!(
        running
            .get(&format!("/ipfs/{other}?format=raw"), &[])
            .status,
        404
    );
    let small = running.publish_tree("small", b"small", Profile::UNIXFS_V0_2015);
    let reply = running.get(&format!("/ipfs/{}?format=raw", small.cid()), &[]);
    assert_eq!(small.cid().verify(&reply.body), Ok(()));
}

#[test]
fn identity_cids_are_served() {
    let running = Running::start();
    let empty = parse_cid("bafkqaaa").expect("a CID");
    for (path, accept) in [("?format=raw", "*/*"), ("", "application/vnd.ipld.raw")] {
        let path = format!("/ipfs/bafkqaaa{path}");
        let reply = running.get(&path, &[("Accept", accept)]);
        is_block(&reply, &empty, 0, accept);
        assert!(reply.body.is_empty());
    }
    // "Hello", by the multibase and multihash tables.
    let hello = running.get("/ipfs/f0155000548656c6c6f?format=raw", &[]);
    assert_eq!((hello.status, &hello.body[..]), (200, &b"Hello"[..]));
}

#[test]
fn a_block_of_a_removed_file_comes_from_another_file() {
    let running = Running::start();
    let profile = Profile::new("raw", 256, 3, true, Version::V1);
    let head = bytes(256);
    let leaf = Cid::of_block(Version::V1, Codec::Raw, &head);
    let path = format!("/ipfs/{leaf}?format=raw");
    let gone: Vec<u8> = [&head[..], b"one"].concat();
    let tree = Tree::import(&gone[..], profile, |_| true).expect("read");
    running.node.publish(Blob {
        cid: tree.cid(),
        name: "gone".into(),
        size: gone.len() as u64,
        source: Arc::new(Memory::new("gone", "")),
        tree: Some(Arc::new(tree)),
    });
    running.publish_tree("here", &[&head[..], b"two"].concat(), profile);
    let reply = running.get(&path, &[]);
    assert_eq!((reply.status, &reply.body), (200, &head));
    assert_eq!(running.runtime.block_on(running.node.list()).len(), 1);
}

#[test]
fn a_cid_in_any_encoding() {
    let running = Running::start();
    // sha256 of "foo" as the raw CID; the other forms with npm multiformats 14.0.5.
    let cid = running.publish("foo", b"foo");
    assert_eq!(
        cid.to_string(),
        "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy"
    );
    for form in [
        "BAFKREIBME22GW2H7Y2H7TG2FHQOTAQJUCNBC24DEQO72B6MKL2EGEZXHVY",
        "mAVUSICwmtGto/8aP+ZtFPB0wQTQTQi1wZIO/oPmKXohiZueu",
        "f015512202c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    ] {
        assert_eq!(parse_cid(form), Ok(cid), "{form}");
        let escaped = form.replace('/', "%2F");
        let reply = running.get(&format!("/ipfs/{escaped}/foo"), &[]);
        assert_eq!(
            (reply.status, &reply.body[..]),
            (200, &b"foo"[..]),
            "{form}"
        );
    }
}

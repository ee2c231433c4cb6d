//! The contract of `Source`, run against every kind and every decorator, and how each kind handles a server that
//! misbehaves. `source_decorators.rs` has what decorators pass on.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::gateways::{Content, bases, verified};
use crate::common::tree;
use aiozfs::cache::{Ask, Cache, Cached, Folder, Key};
use aiozfs::gateways::Gateways;
use aiozfs::http::{Http, HttpOptions};
use aiozfs::source::{
    Error, File, FileAt, Memory, Offline, Priority, Result, Retry, Source, Stamp,
};
use futures_util::StreamExt;

/// Bytes in which every place can be told from every other near it.
fn blob(len: usize) -> Vec<u8> {
    (0..len as u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(len)
        .collect()
}

fn options() -> HttpOptions {
    HttpOptions {
        idle_timeout: Duration::from_millis(300),
        ..HttpOptions::default()
    }
}

fn http(url: &str) -> Http {
    Http::new(url, options()).expect("a usable URL")
}

/// Reads a range to its end, checking that chunks are in order and without gaps.
async fn read(source: &dyn Source, range: Range<u64>) -> Result<Vec<u8>> {
    let mut stream = source.read(range.clone(), Priority::Demand);
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        assert_eq!(
            chunk.offset,
            range.start + bytes.len() as u64,
            "chunks in order"
        );
        bytes.extend_from_slice(&chunk.bytes);
        assert!(
            bytes.len() as u64 <= range.end - range.start,
            "no byte beyond the range"
        );
    }
    assert_eq!(
        bytes.len() as u64,
        range.end - range.start,
        "all of it, or an error"
    );
    Ok(bytes)
}

/// What holds for every source of `blob`.
async fn keeps_the_contract(name: &str, source: Arc<dyn Source>, blob: &[u8]) {
    let size = blob.len() as u64;
    for _ in 0..2 {
        let opened = source
            .open(1000)
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(opened.size, size, "{name}");
        if let Some(tail) = opened.tail {
            assert_eq!(tail.range().end, size, "{name}: a tail is the end");
            assert_eq!(tail.bytes, blob[tail.offset as usize..], "{name}");
        }
    }
    let ranges = [
        0..1,
        0..size,
        size - 1..size,
        1..size - 1,
        70_000..200_001,
        5..5,
    ];
    for range in ranges {
        let got = read(&*source, range.clone())
            .await
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            got == blob[range.start as usize..range.end as usize],
            "{name}: {range:?}"
        );
        let unit = source.verification_unit(range.clone());
        assert!(unit.start <= range.start && unit.end >= range.end, "{name}");
        assert!(unit.end <= size.max(range.end), "{name}");
        let end = source.hints().preferred_end(range.end);
        assert!(end >= range.end, "{name}: {end} is before {range:?} ends");
        let same = source.hints().preferred_end(end);
        assert_eq!(same, end, "{name}: a preferred end is its own");
        assert_eq!(
            source.verification_unit(unit.clone()),
            unit,
            "{name}: the unit of a unit is itself"
        );
    }
    let outside = read(&*source, size - 1..size + 1).await;
    assert!(
        matches!(outside, Err(Error::OutOfBlob { .. })),
        "{name}: {outside:?}"
    );
    let many = (0..16u64).map(|i| {
        let (source, range) = (source.clone(), i * 1000..i * 1000 + 150_000);
        async move { (range.clone(), read(&*source, range).await) }
    });
    for (range, got) in futures_util::future::join_all(many).await {
        let got = got.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            got == blob[range.start as usize..range.end as usize],
            "{name}: at once"
        );
    }
    // A reader that leaves in the middle does not disturb the others.
    let mut left = source.read(0..size, Priority::Prefetch);
    assert!(left.next().await.is_some(), "{name}");
    drop(left);
    assert!(
        read(&*source, 0..size).await.is_ok(),
        "{name}: after a cancelled read"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_source_keeps_the_contract() {
    let blob = blob(300_000);
    let node = FaultNode::start(blob.clone());
    let other = FaultNode::start(blob.clone());
    let dir = tree::temp();
    let path = dir.path().join("blob");
    std::fs::write(&path, &blob).expect("a file");

    let memory = || Arc::new(Memory::new("memory", blob.clone()));
    let kept = tree::temp();
    let disk = Folder::open(kept.path()).expect("a cache");
    let cache = Cache::new(Arc::new(disk), 1 << 30);
    let cached = |key: Key| Arc::new(Cached::new(memory(), &cache, key, Ask::Always));
    let kinds: Vec<(&str, Arc<dyn Source>)> = vec![
        ("memory", memory()),
        ("file", Arc::new(File::open_path(&path).expect("the file"))),
        ("file at a path", Arc::new(file_at(&path))),
        ("http", Arc::new(http(&node.url()))),
        (
            "retry",
            Arc::new(Retry::new(memory(), Duration::from_secs(1))),
        ),
        ("cache", cached(Key::id("blob", &[]))),
        ("cache of a URL", cached(Key::url("http://a/", "http://a/"))),
        ("gateways of one", Arc::new(Gateways::new(vec![memory()]))),
        (
            "retry over gateways over http",
            Arc::new(Retry::new(
                Arc::new(Gateways::new(vec![
                    Arc::new(http(&node.url())),
                    Arc::new(http(&other.url())),
                ])),
                Duration::from_secs(1),
            )),
        ),
    ];
    for (name, source) in kinds {
        keeps_the_contract(name, source, &blob).await;
    }
    let content = Content::of(blob.clone());
    let nodes = content.nodes();
    let verified = verified(content.cid, &bases(&nodes));
    keeps_the_contract("verification over retry over gateways", verified, &blob).await;
    cache.settle(Duration::from_secs(20));
    let from_disk = Cached::new(Arc::new(Offline), &cache, Key::id("blob", &[]), Ask::Always);
    keeps_the_contract("cache alone", Arc::new(from_disk), &blob).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_but_correct_servers_keep_the_contract() {
    let blob = blob(300_000);
    for behaviour in [
        Behaviour::SuffixGivesHead,
        Behaviour::Chunked,
        Behaviour::CloseEach,
        Behaviour::Coded("aws-chunked"),
    ] {
        let node = FaultNode::start(blob.clone());
        node.behave(behaviour.clone());
        let name = format!("{behaviour:?}");
        keeps_the_contract(&name, Arc::new(http(&node.url())), &blob).await;
    }
}

/// What a broken server does becomes an error that says so, and never a byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_answer_is_an_error() {
    let blob = blob(300_000);
    type Expected = fn(&Error) -> bool;
    let table: Vec<(Behaviour, Expected)> = vec![
        (Behaviour::Whole, |e| matches!(e, Error::NoRanges { .. })),
        (Behaviour::Status(404, None), |e| {
            matches!(e, Error::NotFound { .. })
        }),
        (Behaviour::Status(410, None), |e| {
            matches!(e, Error::NotFound { .. })
        }),
        (Behaviour::Status(501, None), |e| {
            matches!(e, Error::NoRanges { .. })
        }),
        (Behaviour::Status(304, None), |e| !e.is_transient()),
        (Behaviour::Status(451, None), |e| !e.is_transient()),
        (Behaviour::Status(503, None), |e| e.is_transient()),
        (Behaviour::Status(429, Some(3)), |e| {
            e.is_transient() && e.retry_after() == Some(Duration::from_secs(3))
        }),
        (Behaviour::WrongContentRange, |e| {
            matches!(e, Error::BadAnswer { .. })
        }),
        (Behaviour::Gzip, |e| matches!(e, Error::Encoded { .. })),
        (Behaviour::Multipart, |e| {
            matches!(e, Error::BadAnswer { .. })
        }),
        (Behaviour::Cut(1000), |e| {
            matches!(e, Error::Cut { got: 1..=1000, .. })
        }),
        (Behaviour::ShortBody, |e| matches!(e, Error::Cut { .. })),
        (Behaviour::Silent, |e| matches!(e, Error::Timeout { .. })),
        (Behaviour::SilentBody, |e| {
            matches!(e, Error::Timeout { .. })
        }),
        (Behaviour::Slam, |e| matches!(e, Error::Unreachable { .. })),
        (Behaviour::Changed, |e| matches!(e, Error::Changed { .. })),
    ];
    for (behaviour, expected) in table {
        let node = FaultNode::start(blob.clone());
        let source = http(&node.url());
        source
            .open(0)
            .await
            .expect("it opens while the server is good");
        node.behave(behaviour.clone());
        let error = read(&source, 50_000..250_000)
            .await
            .expect_err("a broken answer");
        assert!(expected(&error), "{behaviour:?}: {error:?}");
        // The server is mended: the source is as good as new.
        node.behave(Behaviour::Good);
        let got = read(&source, 50_000..250_000).await.expect("good again");
        assert!(got == blob[50_000..250_000], "{behaviour:?}");
    }
}

/// A server that sends gigabytes nobody asked for is cut short, not drained.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_body_is_not_drained() {
    let node = FaultNode::start(vec![7; 64 << 20]);
    let source = http(&node.url());
    source.open(0).await.expect("good so far");
    node.behave(Behaviour::Whole);
    assert!(read(&source, 0..1000).await.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(node.sent() < 16 << 20, "{} bytes were sent", node.sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_open_names_the_cause() {
    let blob = blob(300_000);
    let node = FaultNode::start(blob.clone());
    type Expected = fn(&Error) -> bool;
    let table: Vec<(Behaviour, Expected)> = vec![
        (Behaviour::Whole, |e| matches!(e, Error::NoRanges { .. })),
        (Behaviour::Status(404, None), |e| {
            matches!(e, Error::NotFound { .. })
        }),
        (Behaviour::Slam, |e| matches!(e, Error::Unreachable { .. })),
    ];
    for (behaviour, expected) in table {
        node.behave(behaviour.clone());
        let error = http(&node.url())
            .open(1000)
            .await
            .expect_err("no way to open");
        assert!(expected(&error), "{behaviour:?}: {error:?}");
    }
    node.die();
    let error = http(&node.url())
        .open(1000)
        .await
        .expect_err("nobody listens");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    let empty = FaultNode::start(Vec::new());
    let opened = http(&empty.url())
        .open(1000)
        .await
        .expect("an empty blob is a blob");
    assert_eq!(opened.size, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_resumes_a_cut_read_and_gives_up_in_time() {
    let blob = blob(300_000);
    let node = FaultNode::start(blob.clone());
    let inner = Arc::new(http(&node.url()));
    let patience = Duration::from_secs(2);
    let source = Retry::new(inner, patience);
    source.open(0).await.expect("open");
    node.behave(Behaviour::Cut(40_000));
    let got = read(&source, 0..300_000).await.expect("piece by piece");
    assert!(got == blob);
    assert!(
        node.sent() < 300_000 + 100_000,
        "nothing is fetched twice: {}",
        node.sent()
    );

    node.behave(Behaviour::Status(503, None));
    let before = std::time::Instant::now();
    assert!(read(&source, 0..10).await.is_err());
    assert!(before.elapsed() < 2 * patience, "{:?}", before.elapsed());

    // What will not change is not asked again.
    node.behave(Behaviour::Status(404, None));
    let before = node.requests();
    assert!(read(&source, 0..10).await.is_err());
    assert_eq!(node.requests(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_gateway_steps_in_and_keeps_serving() {
    let blob = blob(300_000);
    let (first, second) = (
        FaultNode::start(blob.clone()),
        FaultNode::start(blob.clone()),
    );
    let members: Vec<Arc<dyn Source>> =
        vec![Arc::new(http(&first.url())), Arc::new(http(&second.url()))];
    let source = Gateways::new(members);
    source.open(0).await.expect("open");
    first.behave(Behaviour::Cut(40_000));
    assert!(read(&source, 0..300_000).await.expect("the second") == blob);
    let asked = first.requests();
    assert!(read(&source, 0..300_000).await.expect("the second") == blob);
    assert_eq!(first.requests(), asked, "it stays with the one that serves");
    second.die();
    first.behave(Behaviour::Good);
    assert!(read(&source, 0..300_000).await.expect("the first again") == blob);

    // A gateway with another blob is not used, even if no other is left.
    let nodes = [blob.clone(), vec![1; 299_999], blob.clone()].map(FaultNode::start);
    let source = |nodes: &[FaultNode]| {
        let members = nodes.iter().map(|node| {
            let http: Arc<dyn Source> = Arc::new(http(&node.url()));
            http
        });
        Gateways::new(members.collect())
    };
    let three = source(&nodes);
    // Two that agree are enough. The third may not have answered by then. It was once trusted
    // later, because nothing was known of it.
    three.open(0).await.expect("two of three agree");
    nodes[0].behave(Behaviour::Slam);
    assert!(read(&three, 0..1000).await.expect("the third") == blob[..1000]);
    nodes[2].behave(Behaviour::Slam);
    assert!(read(&three, 0..1000).await.is_err());

    nodes[0].behave(Behaviour::Good);
    let error = source(&nodes[..2])
        .open(0)
        .await
        .expect_err("who is right?");
    let said = error.to_string();
    for part in ["gateway 1 says 300000", "gateway 2 says 299999"] {
        assert!(said.contains(part), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_remembered_and_secrets_are_not_forwarded() {
    let blob = blob(300_000);
    let (front, back) = (FaultNode::start(vec![0]), FaultNode::start(blob.clone()));
    front.behave(Behaviour::Redirect(302, back.url()));
    let url = format!("http://joe:s3cret@{}/archive.zip", front.addr);
    let source = http(&url);
    source.open(0).await.expect("open");
    let asked = front.requests();
    assert!(read(&source, 0..1000).await.expect("read") == blob[..1000]);
    assert_eq!(front.requests(), asked, "the redirect is paid for once");
    let has_secret = |log: Vec<String>| {
        log.iter().any(|head| {
            head.to_ascii_lowercase()
                .contains("authorization: basic am9lonmzy3jldA==")
        }) || log.iter().any(|head| head.contains("am9lOnMzY3JldA=="))
    };
    assert!(has_secret(front.log()));
    assert!(!has_secret(back.log()));
    assert!(!source.origin().to_string().contains("s3cret"));

    let looping = FaultNode::start(blob);
    looping.behave(Behaviour::Redirect(302, looping.url()));
    let error = http(&looping.url()).open(0).await.expect_err("a loop");
    assert!(error.to_string().contains("redirects"), "{error}");
    assert!(looping.requests() <= 22);
}

#[tokio::test]
async fn a_changed_file_is_an_error() {
    let dir = tree::temp();
    let path = dir.path().join("blob");
    std::fs::write(&path, blob(300_000)).expect("a file");
    let source = File::open_path(&path).expect("the file");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("the file");
    file.set_len(1000).expect("shorter");
    let error = read(&source, 0..300_000).await.expect_err("changed");
    assert!(matches!(error, Error::Changed { .. }), "{error:?}");
    assert!(matches!(
        File::open_path(dir.path()),
        Err(Error::Unsupported { .. })
    ));
    let missing = File::open_path(&dir.path().join("no"));
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}

fn file_at(path: &std::path::Path) -> FileAt {
    FileAt::new(path, Stamp::of(&path.metadata().expect("the file")))
}

#[tokio::test]
async fn a_replaced_file_is_an_error() {
    let dir = tree::temp();
    let path = dir.path().join("blob");
    std::fs::write(&path, blob(1000)).expect("a file");
    let source = file_at(&path);
    assert_eq!(source.open(0).await.expect("there").size, 1000);
    // Same size, same modification time, another inode and another change time: the kernel counts these in steps
    // of a few milliseconds.
    std::thread::sleep(Duration::from_millis(50));
    let other = dir.path().join("other");
    std::fs::write(&other, vec![0; 1000]).expect("a file");
    let mtime = path.metadata().and_then(|meta| meta.modified());
    let file = std::fs::File::options().write(true).open(&other);
    let set = file.and_then(|file| file.set_modified(mtime?));
    set.expect("the modification time");
    std::fs::rename(&other, &path).expect("replaced");
    for error in [
        source.open(0).await.map(drop).expect_err("changed"),
        read(&source, 0..10).await.map(drop).expect_err("changed"),
    ] {
        assert!(matches!(error, Error::Changed { .. }), "{error:?}");
    }
    std::fs::remove_file(&path).expect("removed");
    for error in [
        source.open(0).await.map(drop).expect_err("gone"),
        read(&source, 0..10).await.map(drop).expect_err("gone"),
    ] {
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    }
}

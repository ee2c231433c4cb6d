//! Answers of one server that are no ranges: a whole file, a page, a redirect target that has expired.

use std::sync::Arc;
use std::time::Duration;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::gateways::{SIZE, content, gateways, options, read};
use crate::common::scripted::{Reply, Scripted};
use aiozfs::http::Http;
use aiozfs::source::{Error, Priority, Retry, Source};

/// A cache that fills answers a range with 200 and the whole file, and a moment later with 206. One such
/// answer ended the mount, or a read of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_fills_is_asked_again() {
    let content = content();
    let turns: [&'static [u64]; 6] = [&[1], &[1, 2, 3], &[6], &[6, 7], &[2, 9], &[4, 5, 6, 7]];
    for turns in turns {
        let node = content.node();
        node.behave(Behaviour::WholeAt(turns));
        let gateways = gateways(&[node.base()], false);
        let source = Retry::new(Arc::new(gateways), Duration::from_secs(20));
        let opened = source.open(1000).await;
        opened.unwrap_or_else(|e| panic!("{turns:?}: {e}"));
        for start in (0..SIZE as u64).step_by(60_000) {
            let part = read(&source, start..start + 60_000, Priority::Demand).await;
            let part = part.unwrap_or_else(|e| panic!("{turns:?}, from {start}: {e}"));
            assert!(
                part == content.bytes[start as usize..][..60_000],
                "{turns:?}"
            );
        }
    }
}

/// Nor is a server asked for ever that has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_answers_show_once_that_a_server_has_no_ranges() {
    let node = content().node();
    node.behave(Behaviour::Whole);
    let source = Http::new(&node.url(), options()).expect("a usable URL");
    for requests in [3, 4] {
        let error = source.open(0).await.expect_err("no way to open");
        assert!(error.to_string().contains("serves no ranges"), "{error}");
        assert!(!error.is_transient());
        assert_eq!(node.requests(), requests);
    }
}

/// `aiozfs ls` of a web server's directory waited half a second: its index was taken for a file that a cache fetches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_at_once_that_there_is_no_file() {
    for (kind, told) in [
        ("Text/HTML; charset=utf-8", "it sends a page (Text/HTML)"),
        ("application/json", "it sends a page (application/json)"),
    ] {
        let server = Scripted::start(move |_| Reply {
            headers: vec![("content-type", kind.into())],
            ..Reply::text("<a href=a.zip>")
        });
        let source = Http::new(&server.base(), options()).expect("a usable URL");
        let error = source.open(0).await.expect_err("no file");
        assert!(error.to_string().contains(told), "{error}");
        assert!(!error.is_transient());
        assert_eq!(server.log().len(), 1);
    }
}

/// Where a redirect led to, signed for a while, answers otherwise when that is over: the origin has a new
/// one. Only after some statuses was it asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_redirect_target_is_asked_for_again() {
    const ROUND: std::ops::Range<u64> = 100_000..200_000;
    let content = content();
    let expired = [
        400, 401, 403, 404, 410, 416, 419, 451, 498, 500, 501, 503, 520,
    ];
    let expired = expired.map(|status| Behaviour::Status(status, None));
    let otherwise = [
        Behaviour::Whole,
        Behaviour::Gzip,
        Behaviour::WrongContentRange,
        Behaviour::Slam,
        Behaviour::Redirect(302, "ftp://127.0.0.1/login".into()),
    ];
    let busy = [408, 425, 429].map(|status| Behaviour::Status(status, None));
    let at_once = expired.into_iter().chain(otherwise);
    let cases = at_once.map(|then| (then, true));
    for (then, at_once) in cases.chain(busy.map(|then| (then, false))) {
        let (front, back) = (FaultNode::start(vec![0]), content.node());
        let to = |sign: &str| Behaviour::Redirect(302, format!("{}?sign={sign}", back.url()));
        front.behave(to("old"));
        let source = Http::new(&front.url(), options()).expect("a usable URL");
        source.open(0).await.expect("through the redirect");
        front.behave(to("new"));
        back.behave(Behaviour::If("sign=old", Box::new(then.clone())));
        let asked = front.requests();
        let mut got = read(&source, ROUND, Priority::Demand).await;
        if !at_once {
            // It wants fewer requests, so none follows at once.
            let error = got.expect_err("busy");
            assert!(error.is_transient(), "{then:?}: {error}");
            assert_eq!(front.requests(), asked, "{then:?}");
            got = read(&source, ROUND, Priority::Demand).await;
        }
        let got = got.unwrap_or_else(|e| panic!("{then:?}: {e}"));
        assert!(got == content.bytes[100_000..200_000], "{then:?}");
        assert_eq!(front.requests(), asked + 1, "{then:?}: once");
        // The new one is remembered like the old one.
        let got = read(&source, ROUND, Priority::Demand).await;
        assert!(got.is_ok(), "{then:?}");
        assert_eq!(front.requests(), asked + 1, "{then:?}");
    }
    // If the new one is as bad, its answer is the last word.
    let (front, back) = (FaultNode::start(vec![0]), content.node());
    front.behave(Behaviour::Redirect(302, back.url()));
    let source = Http::new(&front.url(), options()).expect("a usable URL");
    source.open(0).await.expect("through the redirect");
    let asked = front.requests();
    back.behave(Behaviour::Status(403, None));
    let error = read(&source, ROUND, Priority::Demand).await;
    let error = error.expect_err("refused");
    assert!(
        matches!(error, Error::Status { status: 403, .. }),
        "{error}"
    );
    assert_eq!(front.requests(), asked + 1);
}

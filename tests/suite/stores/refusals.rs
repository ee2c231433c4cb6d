//! What a store refuses, and how that is told.

use super::*;
use crate::common::fault::{Behaviour, FaultNode};

fn ls(store: &Scripted, args: &[&str]) -> run::Finished {
    let mut command = with_keys("AK1");
    command.arg("ls").args(args);
    run::run(command.args(["--endpoint-url", &store.base(), SOURCE]))
}

/// The store's words are repeated in one line, with what to do, and nothing of the request.
#[test]
fn a_refusal_is_told_in_one_line_with_what_to_do() {
    let skew =
        "<RequestTime>20000101T000000Z</RequestTime><ServerTime>2001-02-03T04:05:06Z</ServerTime>";
    for (status, code, message, more, parts) in [
        (
            404,
            "NoSuchKey",
            "The specified key does not exist.",
            "",
            &["NoSuchKey", "check the key"][..],
        ),
        (
            404,
            "NoSuchBucket",
            "No bucket.",
            "",
            &["NoSuchBucket", "'films'", "--endpoint-url"],
        ),
        (
            403,
            "AccessDenied",
            "Access Denied",
            "",
            &["Access Denied", "AWS_ACCESS_KEY_ID", "s3:GetObject"],
        ),
        (
            403,
            "InvalidAccessKeyId",
            "Not in our records.",
            "",
            &["Not in our records", "--profile"],
        ),
        (
            403,
            "SignatureDoesNotMatch",
            "No match.",
            "",
            &["No match", "secret key is probably wrong"],
        ),
        (
            400,
            "ExpiredToken",
            "It has expired.",
            "",
            &["ExpiredToken", "sign in again"],
        ),
        (
            403,
            "RequestTimeTooSkewed",
            "Skewed.",
            skew,
            &["2001-02-03T04:05:06Z", "set the clock"],
        ),
        (
            403,
            "Odd",
            "A &lt;b&gt;\nRequestId: 7",
            "",
            &["Odd: A <b> (HTTP status 403)"],
        ),
    ] {
        let store = Scripted::start(move |_| Reply::refusal(status, code, message, more));
        let done = ls(&store, &[]);
        assert_eq!(done.code(), Some(1), "{done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        for part in parts.iter().copied().chain([SOURCE]) {
            assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
        }
        assert!(!done.stderr.contains("AK1"), "{}", done.stderr);
        // Refusals for good are not repeated: one try, and one more if other credentials might help.
        let asked = store.log().len();
        assert!(asked <= 4, "{code}: {asked} requests");
    }
}

/// The Date of a store that says no more than 403 tells that the clock is wrong.
#[test]
fn a_wrong_clock_is_told_with_both_times() {
    let store = Scripted::start(|_| {
        let mut reply = Reply::refusal(403, "AccessDenied", "Access Denied", "");
        reply
            .headers
            .push(("date", "Sat, 03 Feb 2001 04:05:06 GMT".into()));
        reply
    });
    let error = ls(&store, &[]).stderr;
    assert!(
        error.contains("the store's 2001-02-03T04:05:06Z"),
        "{error}"
    );
}

/// The store names the region of the bucket: in a header beside a 301 without a Location, or in its text. It is
/// used, unless another was asked for.
#[test]
fn the_region_that_the_store_names_is_used() {
    let by_header = |_: &Asked, (_, region): &(String, String)| {
        (region != "eu-west-9").then(|| {
            let mut reply = Reply::refusal(301, "PermanentRedirect", "Use the right endpoint.", "");
            let named = ("x-amz-bucket-region", "eu-west-9".to_owned());
            reply.headers.push(named);
            reply
        })
    };
    let by_text = |_: &Asked, (_, region): &(String, String)| {
        (region != "eu-west-9").then(|| {
            let region = "<Region>eu-west-9</Region>";
            Reply::refusal(
                400,
                "AuthorizationHeaderMalformed",
                "The region is wrong.",
                region,
            )
        })
    };
    for store in [store_that(by_header), store_that(by_text)] {
        ls(&store, &[]).ok("another region");
        let regions = store
            .log()
            .iter()
            .map(|a| signed_by(a).expect("signed").1)
            .collect::<Vec<_>>();
        // Only the first requests, which are sent together, know no better.
        assert!(
            regions
                .iter()
                .filter(|region| *region == "us-east-1")
                .count()
                <= 2,
            "{regions:?}"
        );
        let refused = ls(&store, &["--region", "us-east-1"]);
        assert_eq!(refused.code(), Some(1));
        let error = refused.stderr;
        assert!(
            error.contains("is in region eu-west-9, not us-east-1"),
            "{error}"
        );
        assert!(error.contains("--region eu-west-9"), "{error}");
    }
}

/// A store that refuses HEAD, marks plain bytes as aws-chunked, and asks the requester to pay.
#[test]
fn odd_stores_are_read() {
    let blob = archive();
    let store = Scripted::start(move |asked| {
        if asked.method != "GET" {
            return Reply::refusal(403, "AccessDenied", "no", "");
        }
        if asked.header("x-amz-request-payer") != "requester" {
            return Reply::refusal(403, "AccessDenied", "Access Denied", "");
        }
        signed_by(asked).expect("signed, with the header");
        let mut reply = Reply::range(&blob, asked);
        reply
            .headers
            .push(("content-encoding", "aws-chunked".into()));
        reply
    });
    let refused = ls(&store, &[]).stderr;
    assert!(refused.contains("--requester-pays"), "{refused}");
    ls(&store, &["--requester-pays"]).ok("paid");
}

#[test]
fn a_public_object_is_read_without_a_signature() {
    let blob = archive();
    let store = Scripted::start(move |asked| match asked.header("authorization") {
        "" => Reply::range(&blob, asked),
        _ => Reply::refusal(403, "InvalidAccessKeyId", "No such key.", ""),
    });
    ls(&store, &["--anonymous"]).ok("public");
    assert!(ls(&store, &[]).stderr.contains("No such key."));
    let private = super::store();
    let error = ls(&private, &["--anonymous"]).stderr;
    assert!(error.contains("leave --anonymous out"), "{error}");
}

/// The object is replaced while it is mounted: its ETag is another, and no bytes of both are mixed.
#[test]
fn a_replaced_object_is_noticed() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    let is_new = Arc::new(AtomicBool::new(false));
    let (blob, changed) = (archive(), is_new.clone());
    let store = Scripted::start(move |asked| {
        let mut reply = Reply::range(&blob, asked);
        if changed.load(SeqCst) {
            reply.headers.retain(|(name, _)| *name != "etag");
            reply.headers.push(("etag", "\"e2\"".into()));
        }
        reply
    });
    let args = ["--anonymous", "--endpoint-url", &store.base()];
    let mount = crate::common::mount::Mount::with(SOURCE, &args);
    is_new.store(true, SeqCst);
    let error = std::fs::read(mount.join("b.bin")).expect_err("it changed");
    assert_eq!(error.raw_os_error(), Some(libc::ESTALE), "{error}");
    mount.end();
}

/// A signed URL that a user gave has expired: the store's words, and that a new one is needed.
#[test]
fn an_expired_url_says_so() {
    let store = Scripted::start(|_| {
        let more = "<Expires>2020-01-01T00:00:00Z</Expires>";
        Reply::refusal(403, "AccessDenied", "Request has expired", more)
    });
    let url = format!("{}/films/a.zip?X-Amz-Signature=5ecret", store.base());
    let done = run::run(run::aiozfs().args(["ls", &url]));
    let error = done.stderr;
    for part in ["Request has expired", "get a new URL"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("5ecret"), "{error}");
}

/// A remembered target of a redirect whose signature has expired is asked for anew, once, whatever the store says
/// then. A second refusal is the error.
#[test]
fn an_expired_target_is_asked_for_anew_once() {
    for status in [400, 401, 403, 404, 410] {
        let back = FaultNode::start(archive());
        let front = FaultNode::start(Vec::new());
        front.behave(Behaviour::Redirect(302, format!("{}?sig=1", back.url())));
        let mount = crate::common::mount::Mount::new(front.url());
        // The first signature expires, and the front gives another.
        let expired = Behaviour::Status(status, None);
        back.behave(Behaviour::If("sig=1", Box::new(expired.clone())));
        front.behave(Behaviour::Redirect(302, format!("{}?sig=2", back.url())));
        let read = std::fs::read(mount.join("b.bin")).expect("through the new one");
        assert!(read == tree::bytes(3, 3_000_000), "{status}: other bytes");
        mount.end();
        let refused = FaultNode::start(Vec::new());
        refused.behave(Behaviour::Redirect(302, back.url()));
        back.behave(expired);
        let done = run::run(run::aiozfs().args(["ls", &refused.url()]));
        assert_eq!(done.code(), Some(1), "{status}: {done:?}");
    }
}

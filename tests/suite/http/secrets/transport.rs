//! TLS, and servers that do not speak HTTP/1.1.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aiozfs::http::{Clients, Http, HttpOptions};
use aiozfs::source::{Error, Source};
use rustls::{ServerConnection, StreamOwned};

use super::blob;
use crate::common::fault::FaultNode;
use crate::common::tls::{Authority, Certificate};
use crate::common::{run, tree};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_believed_only_with_the_right_name_and_date() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let node = FaultNode::start(blob());
    let clients = Clients::with_roots(ours.pem().as_bytes()).expect("a root");
    assert!(Clients::with_roots(b"nonsense").is_err());
    for (authority, certificate, reason) in [
        (&ours, Certificate::Good, None),
        (&ours, Certificate::WrongName, Some("not valid for name")),
        (&ours, Certificate::Expired, Some("expired")),
        (&theirs, Certificate::Good, Some("UnknownIssuer")),
    ] {
        let addr = authority.front(certificate, &node);
        let options = HttpOptions {
            clients: clients.clone(),
            ..HttpOptions::default()
        };
        let source = Http::new(&format!("https://{addr}/blob"), options).expect("a usable URL");
        match (source.open(0).await, reason) {
            (Ok(opened), None) => assert_eq!(opened.size, 100_000),
            (Err(error @ Error::Untrusted { .. }), Some(reason)) => {
                assert!(error.to_string().contains(reason), "{error}");
                assert!(!error.is_transient(), "a retry does not help: {error}");
            }
            (got, _) => panic!("{certificate:?}: {got:?}"),
        }
    }
}

/// A bad certificate was told some thirty times: the TLS library logs each connection that it refuses, and
/// a mount tries several.
#[test]
fn a_bad_certificate_is_told_once_and_not_retried() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let dir = tree::temp();
    let ca_file = dir.path().join("ca.pem");
    fs::write(&ca_file, ours.pem()).expect("a file");
    let node = FaultNode::start(blob());
    for (authority, certificate, reason) in [
        (&ours, Certificate::WrongName, "not valid for name"),
        (&ours, Certificate::Expired, "expired"),
        (&theirs, Certificate::Good, "UnknownIssuer"),
    ] {
        for more in ["--timeout=1s", "-v"] {
            let addr = authority.front(certificate, &node);
            let mut ls = run::aiozfs();
            ls.args(["ls", "--cache-size", "0", more, "--ca-file"]);
            ls.arg(&ca_file).arg(format!("https://{addr}/a.zip"));
            let done = run::run(&mut ls);
            assert!(!done.status.success());
            let told = done
                .stderr
                .lines()
                .filter(|line| line.contains("certificate"));
            assert_eq!(told.count(), 1, "{certificate:?} {more}: {}", done.stderr);
            assert!(done.stderr.contains(reason), "{}", done.stderr);
            // This once took three seconds of retries, and asked whether the server was up.
            assert!(done.stderr.contains("--ca-file"), "{}", done.stderr);
            for wrong in ["trying again", "server up"] {
                assert!(!done.stderr.contains(wrong), "{}", done.stderr);
            }
        }
    }
    assert!(node.log().is_empty());
}

/// When a server speaks HTTP/2.
#[derive(Debug, Clone, Copy)]
enum Speaks {
    /// As soon as there is a connection, as most servers do (RFC 9113, section 3.4).
    AtOnce,
    /// When it has seen that the request is not HTTP/2.
    Afterwards,
}

/// An empty SETTINGS frame; GOAWAY with PROTOCOL_ERROR (RFC 9113, sections 6.5 and 6.8).
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";

/// A server of HTTP/2 that refuses every request.
fn http2_server(speaks: Speaks, tls: Option<Arc<rustls::ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tls = tls.clone();
            thread::spawn(move || match tls {
                None => refuse(stream, speaks),
                Some(config) => {
                    let tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
                    refuse(StreamOwned::new(tls, stream), speaks)
                }
            });
        }
    });
    addr
}

fn refuse(mut stream: impl Read + Write, speaks: Speaks) -> std::io::Result<()> {
    if let Speaks::AtOnce = speaks {
        stream.write_all(SETTINGS)?;
        stream.flush()?;
    }
    let mut request = [0; 1024];
    if stream.read(&mut request)? > 0 {
        if let Speaks::Afterwards = speaks {
            stream.write_all(SETTINGS)?;
        }
        stream.write_all(GOAWAY)?;
        stream.flush()?;
        // Until the other side has seen it.
        while stream.read(&mut request)? > 0 {}
    }
    Ok(())
}

/// Frames of HTTP/2 were "no HTTP: invalid HTTP version"; where they came before the request, connections
/// were made and dropped until the time was over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_http_2_alone_is_told_apart() {
    let ours = Authority::new("ours");
    let clients = Clients::with_roots(ours.pem().as_bytes()).expect("a root");
    let with = |protocols: &[&str]| {
        let mut config = ours.config(Certificate::Good);
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Some(Arc::new(config))
    };
    for (scheme, speaks, tls) in [
        ("http", Speaks::AtOnce, None),
        ("http", Speaks::Afterwards, None),
        ("https", Speaks::AtOnce, with(&["h2"])),
        ("https", Speaks::AtOnce, with(&[])),
        ("https", Speaks::Afterwards, with(&[])),
    ] {
        let addr = http2_server(speaks, tls);
        let options = HttpOptions {
            clients: clients.clone(),
            ..HttpOptions::default()
        };
        let url = format!("{scheme}://{addr}/blob");
        let source = Http::new(&url, options).expect("a usable URL");
        let opened = tokio::time::timeout(Duration::from_secs(5), source.open(1000)).await;
        match opened.expect("an answer in time") {
            Err(Error::NoRanges { what, .. }) => assert!(what.contains("only HTTP/2"), "{what}"),
            got => panic!("{scheme} {speaks:?}: {got:?}"),
        }
    }
}

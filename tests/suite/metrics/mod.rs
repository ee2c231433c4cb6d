//! `--metrics`: what Prometheus scrapes agrees with what happened, and with the files that use it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::gateways::import;
use crate::common::http::request;
use crate::common::mount::{Mount, MountPoint};
use crate::common::run::{self, run, tool};
use crate::common::{archives, tree};

const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mount-scripts/monitoring");

const FILM: usize = 3_000_000;

/// A gateway with an archive, and the CID of that.
fn served() -> (FaultNode, String) {
    let (source, out) = (tree::temp(), tree::temp());
    tree::write(source.path(), "film.bin", &tree::bytes(1, FILM));
    tree::write(source.path(), "other.bin", &tree::bytes(2, 2_000_000));
    let archive = out.path().join("a.zip");
    archives::zipfile(source.path(), &archive);
    let blob = fs::read(archive).expect("the archive");
    let (cid, blocks) = import(&blob);
    (FaultNode::with_blocks(blob, blocks), cid.to_string())
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

fn mounted(node: &FaultNode, cid: &str, metrics: &str) -> Mount {
    Mount::with(
        cid,
        &[
            "--gateway",
            &node.base(),
            "--timeout",
            "2s",
            "--metrics",
            metrics,
        ],
    )
}

fn scraped(addr: SocketAddr, accept: &[(&str, &str)]) -> String {
    let reply = request(addr, "GET", "/metrics", accept);
    assert_eq!(reply.status, 200);
    String::from_utf8(reply.body).expect("text")
}

/// Samples by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a sample");
        (name.to_owned(), value.parse().expect("a number"))
    });
    parsed.collect()
}

/// The names of metrics in a text, as samples have them, without the suffixes of histograms.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    let ours = words.filter(|w| w.starts_with("aiozfs_") || w.starts_with("process_"));
    let base = |name: &str| {
        let mut suffixes = ["_bucket", "_sum", "_count"].iter();
        let base = suffixes.find_map(|suffix| name.strip_suffix(suffix));
        base.unwrap_or(name).to_owned()
    };
    ours.map(base).collect()
}

/// A mount on which everything has happened that has a metric of its own, and at rest. One file is open.
fn eventful() -> (FaultNode, Mount, SocketAddr, File) {
    let (node, cid) = served();
    let addr = free_port();
    let mount = mounted(&node, &cid, &addr.to_string());
    // Later, read-ahead would already have it.
    node.behave(Behaviour::Status(404, None));
    let other = File::open(mount.join("other.bin")).expect("it opens");
    other
        .read_at(&mut [0; 100], 1_900_000)
        .expect_err("it is gone");
    node.behave(Behaviour::Good);
    fs::read(mount.join("film.bin")).expect("bytes");
    // Programs do not wait for the end of read-ahead, and of close(2) in the mount.
    let is_at_rest = || {
        let samples = samples(&scraped(addr, &[]));
        samples["aiozfs_requests_in_flight"] == 0.0 && samples["aiozfs_open_files"] == 1.0
    };
    assert!(run::wait_until(Duration::from_secs(10), is_at_rest));
    (node, mount, addr, other)
}

#[test]
fn metrics_agree_with_the_status_and_with_what_was_read() {
    let (node, mount, addr, _open) = eventful();
    let open_metrics = [("Accept", "application/openmetrics-text;version=1.0.0")];
    let text = scraped(addr, &open_metrics);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = samples(&text);
    let value = |name: &str| {
        *samples
            .get(name)
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    let status = run(run::aiozfs().args(["status", "--json"]).arg(mount.path())).ok("status");
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    for (name, field) in [
        ("aiozfs_read_bytes_total", "bytes_read"),
        ("aiozfs_fetched_bytes_total", "bytes_fetched"),
        ("aiozfs_unread_bytes_total", "bytes_unread"),
        ("aiozfs_memory_limit_bytes", "memory_limit"),
        ("aiozfs_open_files", "open_files"),
    ] {
        assert_eq!(Some(value(name)), status[field].as_f64(), "{name}");
    }
    assert!(value("aiozfs_read_bytes_total") >= FILM as f64);
    assert!(value("aiozfs_fetched_bytes_total") <= node.sent() as f64);
    assert!(value("aiozfs_read_errors_total{kind=\"not_found\"}") >= 1.0);
    let gateway = format!("gateway=\"{}\"", node.addr);
    let of_gateway = |name: &str, rest: &str| value(&format!("{name}{{{gateway}{rest}}}"));
    for (state, holds) in [("available", 1.0), ("backing_off", 0.0), ("excluded", 0.0)] {
        let state = format!(",state=\"{state}\"");
        assert_eq!(of_gateway("aiozfs_gateway_state", &state), holds, "{state}");
    }
    assert!(
        of_gateway(
            "aiozfs_gateway_requests_total",
            ",kind=\"range\",result=\"ok\""
        ) >= 1.0
    );
    assert!(
        of_gateway(
            "aiozfs_gateway_requests_total",
            ",kind=\"block\",result=\"ok\""
        ) >= 1.0
    );
    assert!(of_gateway("aiozfs_gateway_errors_total", ",kind=\"not_found\"") >= 1.0);
    assert!(of_gateway("aiozfs_gateway_received_bytes_total", "") >= FILM as f64);
    assert!(value("aiozfs_cache_miss_bytes_total") >= FILM as f64);
    // A histogram's last bucket has all of it.
    for name in [
        "aiozfs_read_duration_seconds",
        "aiozfs_request_first_byte_seconds",
    ] {
        let count = value(&format!("{name}_count"));
        assert!(count >= 1.0, "{name}");
        assert_eq!(value(&format!("{name}_bucket{{le=\"+Inf\"}}")), count);
        assert!(value(&format!("{name}_sum")) > 0.0, "{name}");
    }
    let ended: f64 = ["ok", "failed", "cancelled", "disk"]
        .iter()
        .flat_map(|result| ["demand", "readahead"].map(|kind| (kind, result)))
        .map(|(kind, result)| {
            value(&format!(
                "aiozfs_requests_total{{kind=\"{kind}\",result=\"{result}\"}}"
            ))
        })
        .sum();
    assert!(ended >= 2.0);
    // Names of files are no labels: there may be a million.
    assert!(
        !text.contains("film.bin") && !text.contains("other.bin"),
        "{text}"
    );
}

/// A name in a dashboard that no metric has is an empty panel, and nobody notices.
#[test]
fn dashboard_and_alerts_use_metrics_that_exist_and_the_page_has_all() {
    let (_node, _mount, addr, _open) = eventful();
    let text = scraped(addr, &[]);
    let exported: BTreeSet<String> = samples(&text).keys().flat_map(|name| names(name)).collect();
    for file in ["grafana.json", "alerts.yml"] {
        let content = fs::read_to_string(Path::new(MONITORING).join(file)).expect("a file");
        let used = names(&content);
        assert!(used.len() > 5, "{file}: {used:?}");
        let missing: Vec<_> = used.difference(&exported).collect();
        assert!(
            missing.is_empty(),
            "{file} uses {missing:?}, which no mount has"
        );
    }
    let dashboard = fs::read_to_string(Path::new(MONITORING).join("grafana.json")).expect("a file");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|p| p.len() > 10));
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/doc/MONITORING.md");
    let page = fs::read_to_string(page).expect("the page");
    assert_eq!(names(&page), exported, "the table in doc/MONITORING.md");

    let mut promtool = tool("promtool");
    promtool
        .args(["check", "rules"])
        .arg(Path::new(MONITORING).join("alerts.yml"));
    run(&mut promtool).ok("promtool check rules");
    let (said, status) = fed(tool("promtool").args(["check", "metrics"]), &text);
    assert!(status && said.is_empty(), "promtool check metrics: {said}");
}

/// Runs a command that reads a text; what it wrote, and whether it succeeded.
fn fed(command: &mut Command, text: &str) -> (String, bool) {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the command");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(text.as_bytes()).expect("written");
    drop(stdin);
    let done = child.wait_with_output().expect("it ends");
    let said = [done.stdout, done.stderr].concat();
    (
        String::from_utf8_lossy(&said).into_owned(),
        done.status.success(),
    )
}

#[test]
fn only_metrics_are_served_and_nothing_else() {
    let (node, cid) = served();
    let addr = free_port();
    let _mount = mounted(&node, &cid, &addr.to_string());
    let get = |method: &str, path: &str| request(addr, method, path, &[]);
    assert_eq!(get("GET", "/film.bin").status, 404);
    assert_eq!(get("POST", "/metrics").status, 405);
    let head = get("HEAD", "/metrics");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let kind = get("GET", "/metrics");
    assert_eq!(
        kind.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(String::from_utf8_lossy(&get("GET", "/").body).contains("/metrics"));
}

/// A killed mount leaves its socket behind.
#[test]
fn metrics_on_a_unix_socket_that_a_killed_process_left() {
    let (node, cid) = served();
    let dir = tree::temp();
    let path = dir.path().join("metrics.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(path.exists(), "it is left");
    let mount = mounted(&node, &cid, &format!("unix:{}", path.display()));
    let mut stream = UnixStream::connect(&path).expect("it listens");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("an answer");
    assert!(reply.contains("\naiozfs_archive_entries 2\n"), "{reply}");
    mount.end();
    assert!(!path.exists(), "it is removed in the end");
}

#[test]
fn addresses_that_cannot_be_used_are_errors_before_anything_is_mounted() {
    let (node, cid) = served();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken
        .local_addr()
        .map(|addr| (taken, addr.to_string()))
        .expect("an address");
    for (address, code, words) in [
        ("0.0.0.0:0", 2, "--metrics-remote"),
        ("nowhere", 2, "127.0.0.1:9184"),
        (&*taken.1, 1, "in use"),
        ("unix:/no/such/directory/s", 1, "No such file"),
    ] {
        let point = MountPoint::new();
        let mut mount = run::aiozfs();
        mount.args(["mount", "--gateway", &node.base(), "--metrics", address]);
        let done = run(mount.arg(&cid).arg(point.path()));
        assert_eq!(done.code(), Some(code), "{address}: {}", done.stderr);
        assert!(done.stderr.contains(words), "{}", done.stderr);
        assert!(!point.is_mounted());
    }
    // Stated explicitly, and by the options of fstab.
    let point = MountPoint::new();
    let mut mount = run::aiozfs();
    mount.args([
        "mount",
        "--gateway",
        &node.base(),
        "-o",
        "metrics=0.0.0.0:0,metrics_remote",
    ]);
    run(mount.arg(&cid).arg(point.path())).ok("mount");
    run(run::aiozfs().arg("umount").arg(point.path())).ok("umount");
}

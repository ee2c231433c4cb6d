//! Servers behind proxies, as a user has them: by variables of the environment.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::blob;
use crate::common::fault::FaultNode;
use crate::common::proxy::{NAME, Proxy};
use crate::common::run::{self, Finished};
use crate::common::tls::{Authority, Certificate};
use crate::common::{archives, tree};

/// An archive on a server with TLS and on one without.
struct Servers {
    dir: tree::TempDir,
    authority: Authority,
    plain: FaultNode,
    tls: std::net::SocketAddr,
}

impl Servers {
    fn start() -> Self {
        let (source, dir) = (tree::temp(), tree::temp());
        tree::write(source.path(), "a.bin", &blob());
        let path = dir.path().join("archive.zip");
        archives::zipfile(source.path(), &path);
        let plain = FaultNode::start(fs::read(path).expect("the archive"));
        let authority = Authority::new("ours");
        let tls = authority.front(Certificate::Good, &plain);
        fs::write(dir.path().join("ca.pem"), authority.pem()).expect("a file");
        Self {
            dir,
            authority,
            plain,
            tls,
        }
    }

    fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Lists the archive by a name that no resolver knows.
    fn list(&self, scheme: &str, variables: &[(&str, String)]) -> Finished {
        let mut ls = run::aiozfs();
        ls.args(["ls", "--cache-size", "0", "--timeout", "1s", "--ca-file"]);
        ls.arg(self.ca_file());
        ls.arg(format!("{scheme}://{NAME}/archive.zip"));
        ls.envs(variables.iter().cloned());
        run::run(&mut ls)
    }

    fn lists(&self, scheme: &str, proxy: String) {
        let what = format!("{scheme} by {proxy}");
        let done = self.list(scheme, &[("ALL_PROXY", proxy)]).ok(&what);
        assert!(done.stdout.contains("a.bin"), "{what}: {}", done.stdout);
    }

    /// The error by this proxy, which is one line without the password.
    fn fails(&self, scheme: &str, proxy: String) -> String {
        let done = self.list(scheme, &[("ALL_PROXY", proxy.clone())]);
        let error = done.stderr;
        assert!(!done.status.success(), "{scheme} by {proxy}");
        assert_eq!(error.lines().count(), 1, "{scheme} by {proxy}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
        assert!(done.took < Duration::from_secs(20), "{:?}", done.took);
        error
    }
}

/// SOCKS proxies were an error or, as `socks://`, left out without a word: the server and the resolver
/// saw who asked.
#[test]
fn proxies_of_all_kinds_resolve_the_server_name() {
    let servers = Servers::start();
    for (scheme, server) in [("http", servers.plain.addr), ("https", servers.tls)] {
        for (kind, protocol) in [
            ("", if scheme == "http" { "GET" } else { "CONNECT" }),
            ("http://", if scheme == "http" { "GET" } else { "CONNECT" }),
            ("socks4://", "SOCKS4"),
            ("socks4a://", "SOCKS4"),
            ("socks5://", "SOCKS5"),
            ("socks5h://", "SOCKS5"),
            ("socks://", "SOCKS5"),
        ] {
            let proxy = Proxy::start(server);
            servers.lists(scheme, format!("{kind}{}/", proxy.addr));
            let log = proxy.log();
            assert!(!log.is_empty());
            let expected = format!("{protocol} {NAME}");
            assert!(log.iter().all(|line| *line == expected), "{log:?}");
        }
    }
}

#[test]
fn a_proxy_may_speak_tls_itself() {
    let servers = Servers::start();
    for (scheme, server) in [("http", servers.plain.addr), ("https", servers.tls)] {
        let proxy = Proxy::with_tls(server, servers.authority.config(Certificate::Good));
        servers.lists(scheme, format!("https://{}", proxy.addr));
        let proxy = Proxy::with_tls(server, servers.authority.config(Certificate::Expired));
        let error = servers.fails(scheme, format!("https://{}", proxy.addr));
        let named = format!(
            "cannot reach the proxy https://{} (from ALL_PROXY)",
            proxy.addr
        );
        assert!(
            error.contains(&named) && error.contains("expired"),
            "{error}"
        );
        assert!(proxy.log().is_empty());
    }
}

#[test]
fn a_login_in_the_proxy_url_is_given_to_the_proxy() {
    let servers = Servers::start();
    for (scheme, server) in [("http", servers.plain.addr), ("https", servers.tls)] {
        let wants = Proxy::with_login(server, "joe", "s3cret");
        let open = Proxy::start(server);
        for kind in ["http", "socks5h", "socks4a"] {
            let at = |login: &str| format!("{kind}://{login}{}", wants.addr);
            servers.lists(scheme, at("joe:s3cret@"));
            let name = format!("{kind}://{} (from ALL_PROXY)", wants.addr);
            for (login, expected) in [
                ("", "wants a login"),
                ("joe:s3crets@", "refuses the login"),
                ("jim:s3cret@", "refuses the login"),
            ] {
                let is_password_wrong = login.starts_with("joe");
                let is_seen_before = scheme == "https" && kind != "http";
                // SOCKS4 has no passwords.
                if is_seen_before || kind == "socks4a" && is_password_wrong {
                    continue;
                }
                let error = servers.fails(scheme, at(login));
                // SOCKS4 does not tell why it refuses.
                let expected = match kind {
                    "socks4a" => "did not connect to the server",
                    _ => expected,
                };
                assert!(error.contains(&format!("the proxy {name}")), "{error}");
                assert!(error.contains(expected), "{error}");
            }
            // One that wants no login takes no offence.
            servers.lists(scheme, format!("{kind}://joe:s3cret@{}", open.addr));
        }
        assert!(
            wants
                .log()
                .iter()
                .any(|line| line == "SOCKS4 files.test joe")
        );
        assert!(
            wants
                .log()
                .iter()
                .any(|line| line == "SOCKS5 files.test joe:s3cret")
        );
    }
}

#[test]
fn an_error_names_the_proxy() {
    let servers = Servers::start();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("an address")
    };
    // One that waits for a request of HTTP.
    let silent = FaultNode::start(blob());
    // One that knows another server.
    let elsewhere = Proxy::start(servers.plain.addr);
    for kind in ["http", "https", "socks4a", "socks5h"] {
        for scheme in ["http", "https"] {
            let error = servers.fails(scheme, format!("{kind}://joe:s3cret@{closed}"));
            let named = format!("cannot reach the proxy {kind}://{closed} (from ALL_PROXY)");
            assert!(error.contains(&named), "{error}");
            assert!(error.contains("refused"), "{error}");
        }
    }
    for kind in ["socks4a", "socks5h"] {
        let error = servers.fails("http", format!("{kind}://{}", silent.addr));
        let named = format!("no connection through the proxy {kind}://{}", silent.addr);
        assert!(error.contains(&named), "{error}");
    }
    for (kind, reason) in [
        ("http", "HTTP status 403"),
        ("socks4a", "failure"),
        ("socks5h", "Host unreachable"),
    ] {
        let mut ls = run::aiozfs();
        ls.args(["ls", "--cache-size", "0", "--timeout", "1s"]);
        ls.arg("https://other.test/archive.zip");
        ls.env("ALL_PROXY", format!("{kind}://{}", elsewhere.addr));
        let error = run::run(&mut ls).stderr;
        let named = format!("the proxy {kind}://{}", elsewhere.addr);
        assert!(error.contains(&named) && error.contains(reason), "{error}");
    }
    for unusable in [
        "socks6://joe:s3cret@127.0.0.1:1",
        "quic://127.0.0.1:1",
        "http://",
    ] {
        let error = servers.fails("http", unusable.into());
        assert!(
            error.contains("the proxy in ALL_PROXY cannot be used"),
            "{error}"
        );
    }
    assert!(servers.plain.log().is_empty(), "{:?}", servers.plain.log());
}

#[test]
fn no_proxy_and_this_machine_are_asked_directly() {
    let servers = Servers::start();
    let proxy = Proxy::start(servers.plain.addr);
    let all = ("ALL_PROXY", format!("socks5h://{}", proxy.addr));
    servers
        .list("http", std::slice::from_ref(&all))
        .ok("by the proxy");
    let asked = proxy.log().len();
    let done = servers.list("http", &[all.clone(), ("no_proxy", "test".into())]);
    assert!(!done.status.success(), "nobody else knows the name");
    let mut ls = run::aiozfs();
    ls.args(["ls", "--cache-size", "0", &servers.plain.url()]);
    ls.envs([all]);
    run::run(&mut ls).ok("this machine");
    assert_eq!(proxy.log().len(), asked);
}

//! Secrets: the servers that get them, and everything that must not show them. Also proxies and TLS.

mod proxies;
mod transport;

use std::fs;
use std::process::Command;

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::tls::{Authority, Certificate};
use crate::common::{mount::Mount, run, tree};
use aiozfs::http::{Clients, Http, HttpOptions, Netrc, Secrets};
use aiozfs::source::Source;

fn blob() -> Vec<u8> {
    tree::bytes(9, 100_000)
}

fn sees(node: &FaultNode, part: &str) -> bool {
    let log = node.log();
    assert!(!log.is_empty(), "it was asked");
    log.iter().any(|head| head.contains(part))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_go_to_their_server_and_no_further() {
    let netrc = |node: &FaultNode| {
        let host = node.addr.ip();
        Netrc::parse(&format!("machine {host} login joe password s3cret"))
    };
    let (front, back) = (FaultNode::start(vec![0]), FaultNode::start(blob()));
    front.behave(Behaviour::Redirect(302, back.url()));
    // The port is another, and so is the server: netrc knows hosts alone, but a redirect is not a
    // URL that anybody gave.
    for (secrets, netrc, shown) in [
        (
            Secrets::headers(["X-Key: s3cret"]),
            Netrc::default(),
            "x-key: s3cret",
        ),
        (
            Secrets::default().with_token("s3cret"),
            Netrc::default(),
            "authorization: Bearer s3cret",
        ),
        (
            Ok(Secrets::default()),
            netrc(&front),
            "authorization: Basic am9lOnMzY3JldA==",
        ),
    ] {
        let options = HttpOptions {
            secrets: secrets.expect("usable"),
            netrc,
            ..HttpOptions::default()
        };
        let source = Http::new(&front.url(), options).expect("a usable URL");
        source.open(0).await.expect("through the redirect");
        assert!(sees(&front, shown), "{shown}: {:?}", front.log());
        assert!(
            !sees(&back, "s3cret") && !sees(&back, "authorization"),
            "{:?}",
            back.log()
        );
    }
}

/// A Location with bytes beyond ASCII, as servers send them, was none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_followed_as_browsers_follow_them() {
    for (status, location, asked_for) in [
        (
            301,
            "/Мой фильм.zip?n=é",
            "GET /%D0%9C%D0%BE%D0%B9%20%D1%84%D0%B8%D0%BB%D1%8C%D0%BC.zip?n=%C3%A9 ",
        ),
        (302, "moved.zip", "GET /moved.zip "),
        (303, "./a/../moved.zip", "GET /moved.zip "),
        (307, "?moved=1", "GET /a.zip?moved=1 "),
        (308, "//{host}/moved.zip#part", "GET /moved.zip "),
    ] {
        let node = FaultNode::start(blob());
        let location = location.replace("{host}", &node.addr.to_string());
        let redirect = Behaviour::Redirect(status, location.clone());
        node.behave(Behaviour::If("/a.zip?first", Box::new(redirect)));
        let url = format!("{}/a.zip?first", node.base());
        let source = Http::new(&url, HttpOptions::default()).expect("a usable URL");
        let opened = source.open(0).await;
        let opened = opened.unwrap_or_else(|e| panic!("{status} to {location}: {e}"));
        assert_eq!(opened.size, 100_000, "{location}");
        assert!(sees(&node, asked_for), "{location}: {:?}", node.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_redirects_in_a_row_are_followed_and_eleven_are_not() {
    for hops in [10, 11] {
        let mut nodes = vec![FaultNode::start(blob())];
        for _ in 0..hops {
            let node = FaultNode::start(vec![0]);
            let next = nodes.last().expect("one").url();
            node.behave(Behaviour::Redirect(302, next));
            nodes.push(node);
        }
        let first = nodes.last().expect("one").url();
        let source = Http::new(&first, HttpOptions::default()).expect("a usable URL");
        match source.open(0).await {
            Ok(opened) => assert_eq!((hops, opened.size), (10, 100_000)),
            Err(error) => {
                assert_eq!(hops, 11, "{error}");
                assert!(
                    error.to_string().contains("redirects more than 10"),
                    "{error}"
                );
            }
        }
    }
}

/// From https to http only what is verified is fetched, and no secret goes along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_out_of_tls_is_followed_only_if_verified() {
    let authority = Authority::new("ours");
    let (front, back) = (FaultNode::start(vec![0]), FaultNode::start(blob()));
    front.behave(Behaviour::Redirect(
        302,
        format!("{}?sign=s3cret", back.url()),
    ));
    let addr = authority.front(Certificate::Good, &front);
    for verified in [false, true] {
        let options = HttpOptions {
            clients: Clients::with_roots(authority.pem().as_bytes()).expect("a root"),
            secrets: Secrets::default()
                .with_token("s3cret-token")
                .expect("a token"),
            verified,
            ..HttpOptions::default()
        };
        let source = Http::new(&format!("https://{addr}/blob"), options).expect("a usable URL");
        match source.open(0).await {
            Ok(opened) => {
                assert!(verified);
                assert_eq!(opened.size, 100_000);
                assert!(!sees(&back, "s3cret-token"), "{:?}", back.log());
            }
            Err(error) => {
                assert!(!verified, "{error}");
                let said = error.to_string();
                for part in ["from https to http", &back.url(), "--verify trustless"] {
                    assert!(said.contains(part), "{part}: {said}");
                }
                assert!(!said.contains("s3cret"), "{said}");
                assert!(back.log().is_empty(), "{:?}", back.log());
            }
        }
    }
}

/// The whole way, as a user has it: a token in the environment, a header, the mount's table line,
/// its log, its attributes.
#[test]
fn no_secret_shows_in_a_mount() {
    let (source, dir) = (tree::temp(), tree::temp());
    tree::write(source.path(), "a.bin", &blob());
    let path = dir.path().join("archive.zip");
    crate::common::archives::zipfile(source.path(), &path);
    let node = FaultNode::start(fs::read(path).expect("the archive"));
    let url = format!("http://joe:s3cret@{}/archive.zip?sig=s3cret", node.addr);
    let env = [("AIOZFS_TOKEN", "s3cret-token")];
    let args = ["-vv", "--timeout", "1s", "--header", "X-Key: s3cret-header"];
    let mount = Mount::with_env(&url, &args, &env);
    assert!(fs::read(mount.join("a.bin")).expect("its bytes") == blob());
    for shown in ["Bearer s3cret-token", "x-key: s3cret-header", "?sig=s3cret"] {
        assert!(sees(&node, shown), "{shown}: {:?}", node.log());
    }
    node.behave(Behaviour::Status(403, None));
    assert!(!mount.proc_mounts().contains("s3cret"));
    for name in ["status", "url"] {
        let value = crate::common::mount::xattr(mount.path(), name).expect("an attribute");
        assert!(!value.contains("s3cret"), "{value}");
    }
    drop(node);
    let _ = fs::read(mount.join("a.bin"));
    assert!(!mount.log().contains("s3cret"), "{}", mount.log());
}

/// All users see the arguments of a process. Those of a mount had the whole URL in them for as long
/// as it was mounted.
#[test]
fn no_secret_shows_in_the_list_of_processes() {
    let (source, dir) = (tree::temp(), tree::temp());
    tree::write(source.path(), "a.bin", &blob());
    let path = dir.path().join("archive.zip");
    crate::common::archives::zipfile(source.path(), &path);
    let node = FaultNode::start(fs::read(path).expect("the archive"));
    let host = node.addr;
    let url = format!("http://joe:s3cret@{host}/archive.zip?sig=s3cret#s3cret");
    let gateways = format!("http://a.invalid,http://joe:s3cret@{host}");
    let by_header = ["--header", "X-Key: s3cret", "--header=X-Other: s3cret"];
    let by_gateway = ["--verify", "none", "--gateway", &gateways];
    let cases: [(&[&str], &str); 3] = [
        (&[], &url),
        (&by_header, &url),
        (&by_gateway, "id:whatever"),
    ];
    let seen = |pid: u32| {
        let read = |what| fs::read(format!("/proc/{pid}/{what}")).expect("a process");
        let arguments = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let environment = String::from_utf8_lossy(&read("environ")).into_owned();
        assert!(!environment.contains("s3cret"), "{environment}");
        arguments
    };
    for (args, source) in cases {
        let mount = Mount::with(source, args);
        let point = crate::common::mount::MountPoint::new();
        let mut background = run::aiozfs();
        background
            .arg("mount")
            .args(args)
            .arg(source)
            .arg(point.path());
        run::run(&mut background).ok("aiozfs mount");
        let own = crate::common::mount::serving(point.path()).expect("it goes on");
        let own = own.as_raw_nonzero().get().unsigned_abs();
        for (pid, path) in [(mount.pid(), mount.path()), (own, point.path())] {
            assert!(fs::read(path.join("a.bin")).expect("its bytes") == blob());
            let shown = seen(pid);
            assert!(!shown.contains("s3cret"), "{shown}");
            for part in [&host.to_string(), path.to_str().expect("plain")] {
                assert!(shown.contains(part), "no {part} in: {shown}");
            }
        }
        run::run(run::aiozfs().arg("umount").arg(point.path())).ok("aiozfs umount");
    }
    assert!(sees(&node, "x-other: s3cret") && sees(&node, "sig=s3cret"));
}

/// The story that this guards against: with HTTP_PROXY set and NO_PROXY not, a node on this very
/// machine was asked through the proxy, which looked for it on its own.
#[test]
fn this_machine_is_not_asked_through_a_proxy() {
    crate::common::needs::fuse();
    let mut demo = run::aiozfs();
    demo.args(["demo", "--check"])
        .envs(proxy_variables("127.0.0.1:9"));
    run::run(&mut demo).ok("the demo in spite of a dead proxy");

    // Others are.
    let proxy = FaultNode::start(blob());
    let mut check = run::aiozfs();
    check.args(["gateways", "--gateway", "http://gateway.invalid"]);
    check.envs(proxy_variables(&proxy.addr.to_string()));
    run::run(&mut check);
    assert!(
        sees(&proxy, "GET http://gateway.invalid/ipfs/bafkqaaa"),
        "{:?}",
        proxy.log()
    );
}

fn proxy_variables(addr: &str) -> Vec<(&'static str, String)> {
    let names = [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "ALL_PROXY",
    ];
    names.map(|name| (name, format!("http://{addr}"))).into()
}

/// Runs with a configuration of these words.
fn configured(text: &str, args: &[&str]) -> run::Finished {
    let home = tree::temp();
    tree::write(home.path(), "aiozfs/config.toml", text.as_bytes());
    let mut command: Command = run::aiozfs();
    command.env("XDG_CONFIG_HOME", home.path()).args(args);
    run::run(&mut command)
}

#[test]
fn a_configuration_names_gateways_and_archives() {
    let node = FaultNode::start(blob());
    let config = format!(
        "[gateway.near]\nurl = \"{}/x/{{cid}}\"\nheaders = [\"X-Key: s3cret\"]\n",
        node.base()
    );
    let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    for args in [
        &["gateways", "--check", cid][..],
        &["gateways", "--check", cid, "--gateway", "near"],
    ] {
        let done = configured(&config, args);
        assert_eq!(done.code(), Some(0), "{}", done.stderr);
        assert!(done.stdout.contains("ranges"), "{}", done.stdout);
        let row = done.stdout.lines().nth(1).expect("a row");
        let words: Vec<&str> = row.split_whitespace().collect();
        // A node without blocks, which has ranges.
        assert_eq!(words[1..4], ["yes", "yes", "no"], "{row}");
        assert!(sees(&node, &format!("GET /x/{cid}")) && sees(&node, "x-key: s3cret"));
        assert!(!done.stdout.contains("s3cret") && !done.stderr.contains("s3cret"));
    }
    let dead = configured("", &["gateways", "--gateway", "http://127.0.0.1:9"]);
    assert_eq!(dead.code(), Some(1), "{}", dead.stdout);

    // A named archive stands for its source, here one that is not there.
    let mountpoint = tree::temp();
    let point = mountpoint.path().to_str().expect("a plain path");
    let config = "[archive.holiday]\nsource = \"/no/such/archive.zip\"\n";
    let done = configured(config, &["mount", "--foreground", "holiday", point]);
    assert!(
        done.stderr.contains("/no/such/archive.zip"),
        "{}",
        done.stderr
    );
    let done = configured("\n[mount]\nmemroy = \"1G\"\n", &["mount", "holiday", point]);
    assert_eq!(done.code(), Some(2));
    assert!(
        done.stderr.contains("config.toml, line 3"),
        "{}",
        done.stderr
    );
}

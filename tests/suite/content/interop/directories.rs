//! Paths below CIDs, in directories that the JavaScript importer made, and below IPNS names, with records
//! that the JavaScript implementation signed. The gateway gives raw blocks and records, and nothing else.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::LazyLock;

use crate::common::tree::TempDir;
use serde_json::Value;

use super::importer;
use crate::common::mount::Mount;
use crate::common::run::Finished;
use crate::common::{archives, http, needs, run, tree};

/// The gateway. It ends when its standard input does, at the latest with this process.
struct Gateway {
    _process: Child,
    told: Value,
    /// The folder that the archive was made of.
    source: TempDir,
    size: u64,
}

/// Of several leaves, so that it has a tree.
static MEDIA: LazyLock<Vec<u8>> = LazyLock::new(|| tree::bytes(6, 3_000_000));

impl Gateway {
    fn new() -> Self {
        let dir = importer();
        let source = tree::temp();
        tree::write(source.path(), "media.bin", &MEDIA);
        tree::write(source.path(), "notes.txt", b"notes");
        let out = tree::temp();
        let archive = out.path().join("archive.zip");
        archives::zipfile(source.path(), &archive);
        let size = fs::metadata(&archive).expect("the archive").len();
        let mut command = run::tool("node");
        command.current_dir(dir).arg("directories.js").arg(&archive);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("node, which was there");
        let mut line = String::new();
        let mut said = BufReader::new(process.stdout.take().expect("piped"));
        said.read_line(&mut line).expect("a line");
        let mut gateway = Self {
            _process: process,
            told: Value::Null,
            source,
            size,
        };
        gateway.told = serde_json::from_str(&line).expect("JSON");
        gateway
    }

    fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.told["port"])
    }

    fn root(&self, name: &str) -> &str {
        self.told["roots"][name].as_str().expect("a root")
    }

    fn name(&self, name: &str) -> &str {
        self.told["keys"][name].as_str().expect("a name")
    }

    /// What was asked for since the last call.
    fn requests(&self) -> Vec<String> {
        let port = self.told["port"].as_u64().expect("a port") as u16;
        let reply = http::request(
            SocketAddr::from(([127, 0, 0, 1], port)),
            "GET",
            "/requests",
            &[],
        );
        let text = String::from_utf8(reply.body).expect("text");
        text.lines()
            .filter(|line| line.starts_with('/'))
            .map(str::to_owned)
            .collect()
    }

    fn aiozfs(&self, args: &[&str]) -> Finished {
        let mut command = run::aiozfs();
        command.args(args).args(["--gateway", &self.base()]);
        run::run(&mut command)
    }

    fn fails(&self, args: &[&str]) -> String {
        let done = self.aiozfs(args);
        assert!(!done.status.success(), "{args:?}: {}", done.stdout);
        done.stderr
    }
}

/// One gateway for all tests that do not count its requests.
static SHARED: LazyLock<Gateway> = LazyLock::new(Gateway::new);

#[test]
fn the_archives_of_a_directory_are_listed_as_cids() {
    use aiozfs::volume::{self, Location, Options, Server, Servers};
    let gateway = &*SHARED;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let list = |source: &str, servers: Vec<Server>| {
        let location = Location::parse(source).expect("a location");
        let servers = Servers {
            servers,
            ..Servers::default()
        };
        let options = Options {
            servers,
            ..Options::default()
        };
        let listing = runtime.block_on(volume::listing(&location, &options));
        let listing = listing.expect("a listing");
        let opened = volume::open(&listing.archives[0].location, &options);
        runtime.block_on(opened).expect("an archive");
        listing
    };
    let root = gateway.root("v1");
    let by_cid = list(root, vec![Server::new(gateway.base())]);
    assert_eq!(by_cid.archives.len(), 8, "{by_cid:?}");
    assert!(by_cid.directories.iter().any(|listed| listed.name == "one"));
    // The address of the gateway stays with what it lists.
    let by_url = list(
        &format!("{}/ipfs/{root}/one/two/three", gateway.base()),
        Vec::new(),
    );
    let shown = by_url.archives[0].location.shown().1;
    assert_eq!(by_url.archives[0].name, "deep.zip");
    assert!(shown.starts_with(&gateway.base()), "{shown}");
}

#[test]
fn paths_below_cids_lead_to_archives() {
    let gateway = &*SHARED;
    let base = gateway.base();
    for (root, path) in [
        ("v1", "CID/a.zip"),
        ("v1", "/ipfs/CID/a.zip/"),
        ("v1", "ipfs://CID/a.zip?filename=x.zip#top"),
        ("v1", "CID//one/./two///three/deep.zip"),
        ("v1", "CID/A.ZIP"),
        ("v1", "CID/50%.zip"),
        ("v1", "ipfs://CID/50%25.zip"),
        ("v1", "CID/50%25.zip"),
        ("v1", "ipfs://CID/50%2525.zip"),
        ("v1", "CID/a b.zip"),
        ("v1", "ipfs://CID/a%20b.zip"),
        ("v1", "CID/what?.zip"),
        ("v1", "ipfs://CID/what%3F.zip"),
        ("v1", "CID/a#b.zip"),
        ("v1", "ipfs://CID/a%23b.zip"),
        ("v1", "CID/it's.zip"),
        ("v1", "CID/ü/ß 文.zip"),
        ("v1", "ipfs://CID/%C3%BC/%C3%9F%20%E6%96%87.zip"),
        ("v1", "CID/many/in the middle.zip"),
        ("v0", "CID/a.zip"),
        ("v0", "CID/one/two/three/deep.zip"),
        ("narrow", "CID/many/in the middle.zip"),
        ("narrow", "CID/ü/ß 文.zip"),
        ("narrow", "ipfs://CID/50%2525.zip"),
    ] {
        let source = path.replace("CID", gateway.root(root));
        let notes = gateway.aiozfs(&["cat", &source, "notes.txt"]).ok(&source);
        assert_eq!(notes.stdout, "notes", "{source}");
    }
    // As the URL of a gateway, in whose place no other is asked.
    let by_url = format!("{base}/ipfs/{}/one/two/three/deep.zip", gateway.root("v1"));
    let mut ls = run::aiozfs();
    let listed = run::run(ls.args(["ls", &by_url])).ok("ls");
    assert_eq!(listed.stdout, "media.bin\nnotes.txt\n");
    for command in ["info", "verify"] {
        let source = format!("{}/a.zip", gateway.root("v1"));
        gateway.aiozfs(&[command, &source]).ok(command);
    }
    // The CID of a path is that of the file itself.
    let leads = |path: &str| gateway.aiozfs(&["cid", path]).ok(path).stdout;
    let cid = leads(&format!("{}/a.zip", gateway.root("v1")));
    assert_eq!(
        leads(&format!(
            "ipfs://{}/many/in%20the%20middle.zip",
            gateway.root("narrow")
        )),
        cid
    );
    let listed = gateway.aiozfs(&["ls", cid.trim()]).ok("ls");
    assert_eq!(listed.stdout, "media.bin\nnotes.txt\n");
}

#[test]
fn a_path_costs_one_request_for_each_block_on_the_way() {
    let gateway = Gateway::new();
    let cost = |source: &str| {
        gateway.requests();
        gateway.aiozfs(&["ls", source]).ok(source);
        gateway.requests().len()
    };
    let cid = gateway
        .aiozfs(&["cid", &format!("{}/a.zip", gateway.root("v1"))])
        .ok("cid");
    let alone = cost(cid.stdout.trim());
    for (path, levels) in [
        ("v1/a.zip", 1),
        ("v1/one/two/three/deep.zip", 4),
        // The root, and three levels of the large directory.
        ("v1/many/in the middle.zip", 4),
    ] {
        let (root, path) = path.split_once('/').expect("a root");
        let source = format!("{}/{path}", gateway.root(root));
        let cost = cost(&source);
        assert!(
            cost <= alone + levels,
            "{source}: {cost} requests, the CID alone {alone}"
        );
    }
}

#[test]
fn directories_are_listed_and_say_which_archives_they_have() {
    let gateway = &*SHARED;
    let root = gateway.root("v1");
    let listed = gateway.aiozfs(&["ls", root]).ok("ls").stdout;
    let expected = "50%.zip\n50%25.zip\nA.ZIP\na b.zip\na#b.zip\na.zip\nit's.zip\nmany/\none/\nwhat?.zip\nü/\n";
    assert_eq!(listed, expected);
    assert_eq!(
        gateway.aiozfs(&["ls", gateway.root("v0")]).ok("ls").stdout,
        expected.replace("many/\n", "")
    );
    let long = gateway.aiozfs(&["ls", "-l", root]).ok("ls -l").stdout;
    let line = long
        .lines()
        .find(|line| line.ends_with(" a.zip"))
        .expect("a line");
    let size = gateway.size.to_string();
    assert!(line.starts_with("file ") && line.contains(&size), "{line}");
    for root in [root, gateway.root("narrow")] {
        let json = gateway
            .aiozfs(&["ls", "--json", root, "many"])
            .ok("ls --json")
            .stdout;
        let rows: Vec<Value> = serde_json::from_str(&json).expect("JSON");
        assert_eq!(rows.len(), 10_001);
        let row = rows
            .iter()
            .find(|row| row["path"] == "entry 77.txt")
            .expect("a row");
        assert_eq!((&row["kind"], &row["size"]), (&"file".into(), &5.into()));
    }
    // The path of an archive behind a directory's CID is that archive.
    let inside = gateway
        .aiozfs(&["ls", root, "one/two/three/deep.zip"])
        .ok("ls");
    assert_eq!(inside.stdout, "media.bin\nnotes.txt\n");
    let all = gateway
        .aiozfs(&["ls", "-R", &format!("{root}/one")])
        .ok("ls -R")
        .stdout;
    assert_eq!(all, "notes.txt\ntwo/\ntwo/three/\ntwo/three/deep.zip\n");

    // What is an archive is said with the command that mounts it.
    let told = gateway.fails(&["info", root]);
    assert!(told.contains("8 archives"), "{told}");
    assert!(
        told.contains(&format!("aiozfs mount ipfs://{root}/50%25.zip DIR")),
        "{told}"
    );
    let told = gateway.fails(&["cat", &format!("{root}/many"), "x"]);
    let command = format!("aiozfs mount ipfs://{root}/many/in%20the%20middle.zip DIR");
    assert!(told.contains(&command), "{told}");
    let by_url = format!("{}/ipfs/{root}/ü", gateway.base());
    let mut info = run::aiozfs();
    let told = run::run(info.args(["info", &by_url])).stderr;
    assert!(
        told.contains(&format!("aiozfs mount {by_url}/ß%20文.zip DIR")),
        "{told}"
    );
    let point = tree::temp();
    let told = gateway.fails(&["mount", root, &point.path().to_string_lossy()]);
    assert!(told.contains("aiozfs mount ipfs://"), "{told}");
}

#[test]
fn paths_that_lead_nowhere_say_where_they_end() {
    let gateway = &*SHARED;
    let root = gateway.root("v1");
    for (path, parts) in [
        (
            "nothing.zip",
            &["has no 'nothing.zip'", "aiozfs ls ipfs://"][..],
        ),
        ("a%20b.zip", &["has no 'a%20b.zip'", "percent-decoded"]),
        ("one/two/x.zip", &["has no 'x.zip'"]),
        ("many/entry 10000.txt", &["has no 'entry 10000.txt'"]),
        ("a.zip/notes.txt", &["'a.zip' is a file"]),
        ("one/../a.zip", &["'..'"]),
        ("A.zip", &["has no 'A.zip'"]),
    ] {
        let told = gateway.fails(&["ls", &format!("{root}/{path}")]);
        for part in parts {
            assert!(told.contains(part), "{path}: {told}");
        }
    }
    for encoded in ["ipfs://CID/a%2Fb.zip", "ipfs://CID/%ff.zip"] {
        let told = gateway.fails(&["ls", &encoded.replace("CID", root)]);
        assert!(told.contains("no directory of IPFS has an entry"), "{told}");
    }
}

#[test]
fn ipns_names_are_resolved_by_signed_records() {
    let gateway = &*SHARED;
    for (name, path) in [
        ("good", "/a.zip"),
        ("path", "/two/three/deep.zip"),
        ("twice", "/three/deep.zip"),
    ] {
        for form in ["/ipns/NAME", "ipns://NAME"] {
            let source = format!("{}{path}", form.replace("NAME", gateway.name(name)));
            let notes = gateway.aiozfs(&["cat", &source, "notes.txt"]).ok(&source);
            assert_eq!(notes.stdout, "notes", "{source}");
        }
    }
    let by_url = format!("{}/ipns/{}/a.zip", gateway.base(), gateway.name("good"));
    let mut cat = run::aiozfs();
    let notes = run::run(cat.args(["cat", &by_url, "notes.txt"])).ok("by URL");
    assert_eq!(notes.stdout, "notes");
    for (name, part) in [
        ("expired", "expired"),
        ("forged", "not signed by the name's key"),
        ("swapped", "not signed by the name's key"),
        ("elsewhere", "not a path of IPFS"),
    ] {
        let told = gateway.fails(&["ls", &format!("/ipns/{}/a.zip", gateway.name(name))]);
        assert!(told.contains(part), "{name}: {told}");
    }
    for (name, part) in [
        ("docs.example", "ipfs resolve -r '/ipns/docs.example'"),
        (
            "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
            "not an Ed25519 key",
        ),
        ("nonsense", "not an IPNS name"),
    ] {
        let told = gateway.fails(&["ls", &format!("ipns://{name}/a.zip")]);
        assert!(told.contains(part), "{name}: {told}");
    }
}

/// Of two gateways, one has a record of an earlier state, or a forged one with a higher number.
#[test]
fn the_newest_record_that_is_signed_counts() {
    let gateway = &*SHARED;
    let other = format!("http://127.0.0.1:{}", gateway.told["other"]);
    let cid = |name: &str, gateways: &[&str]| {
        let mut command = run::aiozfs();
        command.args(["cid", &format!("/ipns/{}", gateway.name(name))]);
        command.args(gateways.iter().flat_map(|gateway| ["--gateway", gateway]));
        run::run(&mut command)
    };
    let base = &*gateway.base();
    for name in ["behind", "lied"] {
        for gateways in [[base, &other], [&other, base]] {
            let found = cid(name, &gateways).ok(name).stdout;
            assert_eq!(found.trim(), gateway.root("v1"), "{name}: {gateways:?}");
        }
    }
    // Alone, the first has a valid record, and the second none.
    let behind = cid("behind", &[&other]).ok("behind").stdout;
    assert_ne!(behind.trim(), gateway.root("v1"));
    let lied = cid("lied", &[&other]).stderr;
    assert!(lied.contains("not signed by the name's key"), "{lied}");
}

/// What leads to a cached archive is cached with it.
#[test]
fn a_path_is_resolved_offline_from_the_cache() {
    let (gateway, cache) = (&*SHARED, tree::temp());
    let path = format!("{}/one/two/three/deep.zip", gateway.root("v1"));
    let cached = |args: &[&str]| {
        let mut command = run::aiozfs();
        command.env_remove(run::CACHE_SIZE);
        command.env("AIOZFS_CACHE_DIR", cache.path());
        run::run(command.args(args))
    };
    let before = cached(&["ls", "--offline", &path]);
    assert!(before.stderr.contains("leave --offline out"), "{before:?}");
    cached(&["fetch", "--gateway", &gateway.base(), &path]).ok("fetch");
    let notes = cached(&["cat", "--offline", &path, "notes.txt"]).ok("offline");
    assert_eq!(notes.stdout, "notes");
    let beside = format!("{}/a.zip.not", gateway.root("v1"));
    let absent = cached(&["ls", "--offline", &beside]).stderr;
    assert!(absent.contains("a.zip.not"), "{absent}");
    let name = format!("/ipns/{}/two/three/deep.zip", gateway.name("path"));
    let named = cached(&["ls", "--offline", &name]);
    assert_eq!(named.code(), Some(1), "{named:?}");
}

#[test]
fn blocks_alone_are_enough_to_mount() {
    needs::fuse();
    let gateway = &*SHARED;
    let source = format!("{}/one/two/three/deep.zip", gateway.root("v1"));
    let base = gateway.base();
    let mount = Mount::with(&source, &["--gateway", &base]);
    tree::assert_same("blocks only", gateway.source.path(), mount.path());
    mount.assert_no_complaint();
    let cid = gateway.aiozfs(&["cid", &source]).ok("cid").stdout;
    let mut gateways = run::aiozfs();
    gateways.args(["gateways", "--check", cid.trim(), "--gateway", &base]);
    let table = run::run(&mut gateways).ok("gateways").stdout;
    assert!(table.contains("blocks only"), "{table}");
}

/// `mount --any` shows archives below directories of IPFS, which no list names.
#[test]
fn any_archive_is_found_by_its_cid_and_path() {
    let gateway = Gateway::new();
    let base = gateway.base();
    let mount = Mount::library(&["--any", "--gateway", &base]);
    assert_eq!(fs::read_dir(mount.path()).expect("the root").count(), 0);
    assert!(fs::metadata(mount.join("nonsense")).is_err());
    let root = mount.join(gateway.root("v1"));
    for path in ["a.zip", "one/two/three/deep.zip", "many/in the middle.zip"] {
        let shown = root.join(path);
        tree::assert_same(path, gateway.source.path(), &shown);
    }
    assert!(fs::metadata(root.join("one/none.zip")).is_err());
    // What is open is listed, as directories of archives.
    let names = tree::names(&mount.join(gateway.root("v1")).join("one/two"));
    assert!(
        names
            .iter()
            .any(|name| name.ends_with("deep.zip/media.bin")),
        "{names:?}"
    );
    mount.end();
}

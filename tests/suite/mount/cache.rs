//! Mounts with a cache: a second mount needs no request, a crash or a full disk costs a miss, and cached content is
//! readable without a network.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::fault::FaultNode;
use crate::common::mount::{Mount, MountPoint};
use crate::common::node::Node;
use crate::common::{archives, run, tree};
use rustix::fs::Advice;

/// How many seconds the long tests below run. `mount-scripts/soak` sets more.
fn seconds() -> u64 {
    let told = std::env::var("AIOZFS_SOAK_SECONDS").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(6)
}

/// A folder of some files, and the archive of it.
struct Sample {
    folder: tree::TempDir,
    archive: PathBuf,
}

impl Sample {
    fn new(files: usize, len: usize) -> Self {
        let folder = tree::temp();
        let root = folder.path().join("root");
        for at in 0..files {
            tree::write(
                &root,
                &format!("dir/{at}.bin"),
                &tree::bytes(at as u64, len),
            );
        }
        let archive = folder.path().join("archive.zip");
        archives::zipfile(&root, &archive);
        Self { folder, archive }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn blob(&self) -> Vec<u8> {
        fs::read(&self.archive).expect("the archive")
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}

/// What the disk has of a directory, in bytes.
fn taken(dir: &Path) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        sum += if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            taken(&entry.path())
        } else {
            entry.metadata().map_or(0, |meta| meta.blocks() * 512)
        };
    }
    sum
}

#[test]
fn a_cached_cid_is_mounted_and_read_without_a_request() {
    let (sample, cache) = (Sample::new(5, 2_000_000), tree::temp());
    let node = Node::of(&sample.archive);
    let front = FaultNode::start(sample.blob());
    let dir = text(cache.path());
    let gateway = front.base();
    let args = [
        "--gateway",
        &gateway,
        "--verify",
        "crc",
        "--cache-dir",
        &dir,
    ];
    let first = Mount::with(&node.cid, &args);
    tree::assert_same("first", &sample.root(), first.path());
    first.end();
    let before = front.requests();
    let second = Mount::with(&node.cid, &args);
    tree::assert_same("second", &sample.root(), second.path());
    second.assert_no_complaint();
    assert_eq!(front.requests(), before, "{:?}", front.log());
}

/// Verified content is verified again when it comes from disk, with nodes that were kept as well.
#[test]
fn verified_content_is_mounted_without_a_request_and_damage_is_found() {
    let (sample, cache) = (Sample::new(3, 2_000_000), tree::temp());
    let (cid, blocks) = crate::common::gateways::import(&sample.blob());
    let front = FaultNode::with_blocks(sample.blob(), blocks);
    let (dir, gateway) = (text(cache.path()), front.base());
    let args = [
        "--gateway",
        &gateway,
        "--verify",
        "trustless",
        "--cache-dir",
        &dir,
    ];
    let cid = cid.to_string();
    let first = Mount::with(&cid, &args);
    tree::assert_same("first", &sample.root(), first.path());
    first.end();
    let before = front.requests();
    let second = Mount::with(&cid, &args);
    tree::assert_same("second", &sample.root(), second.path());
    second.end();
    assert_eq!(front.requests(), before, "{:?}", front.log());
    for file in blocks_in(cache.path()) {
        let file = File::options().write(true).open(file).expect("a block");
        file.write_all_at(b"rotten", 500_000).expect("damaged");
    }
    let third = Mount::with(&cid, &args);
    tree::assert_same("damaged", &sample.root(), third.path());
    assert!(front.requests() > before, "what was damaged came anew");
}

/// The status of a mount counted what came from disk as fetched, at a median latency of a disk.
#[test]
fn status_counts_bytes_from_disk() {
    let (sample, cache) = (Sample::new(3, 2_000_000), tree::temp());
    let (node, dir) = (FaultNode::start(sample.blob()), text(cache.path()));
    let mount = || Mount::with(node.url(), &["--cache-dir", &dir]);
    let status = |mount: &Mount| -> serde_json::Value {
        let text = crate::common::mount::xattr(mount.path(), "status").expect("the status");
        serde_json::from_str(&text).expect("JSON")
    };
    let first = mount();
    tree::assert_same("first", &sample.root(), first.path());
    let told = status(&first);
    assert_eq!(told["bytes_from_disk"], 0, "{told}");
    assert!(told["bytes_fetched"].as_u64() >= Some(6_000_000), "{told}");
    assert!(told["requests"].as_u64() >= Some(1), "{told}");
    first.end();

    let second = mount();
    tree::assert_same("second", &sample.root(), second.path());
    let told = status(&second);
    assert!(
        told["bytes_from_disk"].as_u64() >= Some(6_000_000),
        "{told}"
    );
    for nothing in ["bytes_fetched", "requests", "median_latency_ms"] {
        assert_eq!(told[nothing].as_f64(), Some(0.0), "{nothing}: {told}");
    }
}

fn blocks_in(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(blocks_in(&path));
        } else if path.components().any(|part| part.as_os_str() == "data") {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_url_is_revalidated_once() {
    let (sample, cache) = (Sample::new(3, 2_000_000), tree::temp());
    let dir = text(cache.path());
    let args = ["--cache-dir", &dir];
    let node = FaultNode::start(sample.blob());
    let first = Mount::with(node.url(), &args);
    tree::assert_same("first", &sample.root(), first.path());
    first.end();
    let before = node.requests();
    let second = Mount::with(node.url(), &args);
    tree::assert_same("second", &sample.root(), second.path());
    second.end();
    assert_eq!(node.requests(), before + 1, "{:?}", node.log());

    // Another blob behind the same URL is another blob.
    let addr = node.addr;
    drop(node);
    let other = Sample::new(3, 1_000_000);
    let listener = listen_again(addr);
    let node = FaultNode::start_on(listener, other.blob());
    let third = Mount::with(node.url(), &args);
    tree::assert_same("another", &other.root(), third.path());
}

fn listen_again(addr: std::net::SocketAddr) -> std::net::TcpListener {
    let mut listener = None;
    run::wait_until(Duration::from_secs(10), || {
        listener = std::net::TcpListener::bind(addr).ok();
        listener.is_some()
    });
    listener.expect("the port is free again")
}

/// Reads a file by the mount, not by the kernel's memory.
fn read_anew(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Killed at any moment, in the middle of writing and evicting: the next mount takes what is there
/// and gives right bytes.
#[test]
fn fifty_kills_leave_a_usable_cache() {
    const FILES: usize = 8;
    const LEN: usize = 2_000_000;
    let (sample, cache) = (Sample::new(FILES, LEN), tree::temp());
    let node = FaultNode::start(sample.blob());
    let dir = text(cache.path());
    // Smaller than the archive, so that something is written all the time.
    let args = ["--cache-dir", &dir, "--cache-size", "9M"];
    let moments = tree::numbers(1, 120, 50);
    let files = tree::numbers(2, FILES as u64, 50);
    let check = |mount: &Mount, at: usize| {
        let got = read_anew(&mount.join(format!("dir/{at}.bin"))).expect("it reads");
        let want = tree::bytes(at as u64, LEN);
        assert_eq!(tree::differs(&want, &got), None, "file {at}");
    };
    for (round, moment) in moments.into_iter().enumerate() {
        let mount = Mount::with(node.url(), &args);
        check(&mount, files[round] as usize);
        thread::scope(|scope| {
            let root = mount.path().to_owned();
            let reading = scope.spawn(move || {
                // Until it is killed.
                (0..1000).all(|at| read_anew(&root.join(format!("dir/{}.bin", at % FILES))).is_ok())
            });
            thread::sleep(Duration::from_millis(moment));
            drop(mount.crash());
            assert!(!reading.join().expect("no panic"), "it was killed too late");
        });
    }
    let last = Mount::with(node.url(), &args);
    (0..FILES).for_each(|at| check(&last, at));
    last.assert_no_complaint();
}

/// Two mounts of one archive, in two processes, share a cache that holds half of it: what one
/// writes the other reads or evicts, and together they keep to the bound.
#[test]
fn two_processes_share_a_cache_that_is_too_small() {
    const FILES: usize = 12;
    const LEN: usize = 4 << 20;
    const SIZE: u64 = 24 << 20;
    let (sample, cache) = (Sample::new(FILES, LEN), tree::temp());
    let node = FaultNode::start(sample.blob());
    let dir = text(cache.path());
    let args = [
        "--cache-dir",
        &dir,
        "--cache-size",
        "24M",
        "--memory",
        "16M",
    ];
    let mounts = [(); 2].map(|()| Mount::with(node.url(), &args));
    let end = Instant::now() + Duration::from_secs(seconds());
    let wanted: Vec<Vec<u8>> = (0..FILES).map(|at| tree::bytes(at as u64, LEN)).collect();
    let reader = |mount: &Mount, seed: u64| {
        let mut turns = tree::numbers(seed, FILES as u64, 100_000).into_iter();
        let mut read = 0;
        while Instant::now() < end {
            let at = turns.next().expect("enough turns") as usize;
            let got = read_anew(&mount.join(format!("dir/{at}.bin"))).expect("it reads");
            assert_eq!(tree::differs(&wanted[at], &got), None, "file {at}");
            read += LEN as u64;
        }
        read
    };
    let read: u64 = thread::scope(|scope| {
        let (reader, mounts) = (&reader, &mounts);
        let readers: Vec<_> = (0..4u64)
            .map(|at| scope.spawn(move || reader(&mounts[at as usize % 2], at)))
            .collect();
        while Instant::now() < end {
            // What is renamed while one looks is seen twice.
            let taken = taken(cache.path()).min(taken(cache.path()));
            assert!(taken <= SIZE + SIZE / 20, "{taken} of {SIZE}");
            thread::sleep(Duration::from_millis(20));
        }
        readers.into_iter().map(|r| r.join().expect("right")).sum()
    });
    let sent = node.sent();
    eprintln!("{} MB were read, {} MB sent", read >> 20, sent >> 20);
    assert!(sent < read, "the cache was of no use");
    assert!(taken(cache.path()) > SIZE / 2);
    mounts.iter().for_each(Mount::assert_no_complaint);
}

/// Runs a script as root of namespaces of its own: its network has no link, its mounts are nobody
/// else's.
fn apart(script: &str, variables: &[(&str, &str)]) -> run::Finished {
    crate::common::needs::fuse();
    let mut unshare = run::tool("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "--net", "sh", "-euc", script]);
    unshare
        .env("AIOZFS", run::AIOZFS)
        .env("XDG_CONFIG_HOME", "/no/such/directory")
        .env_remove("AIOZFS_CACHE_DIR")
        .envs(variables.iter().copied());
    run::run(&mut unshare)
}

/// Without a network a known CID is mounted at once, what was read is there, and the rest fails at
/// once.
#[test]
fn cached_bytes_are_readable_without_a_network() {
    let (sample, cache) = (Sample::new(6, 1_500_000), tree::temp());
    let (cid, blocks) = crate::common::gateways::import(&sample.blob());
    let node = FaultNode::with_blocks(sample.blob(), blocks);
    let (dir, gateway, cid) = (text(cache.path()), node.base(), cid.to_string());
    let args = |verify| {
        [
            "--gateway",
            &gateway,
            "--verify",
            verify,
            "--cache-dir",
            &dir,
        ]
    };
    for verify in ["crc", "trustless"] {
        let mount = Mount::with(&cid, &args(verify));
        // One alone: behind two in a row, the next ones would be read ahead.
        read_anew(&mount.join("dir/0.bin")).expect("it reads");
        mount.end();
    }
    let url = node.url();
    let mount = Mount::with(&url, &["--cache-dir", &dir]);
    read_anew(&mount.join("dir/0.bin")).expect("it reads");
    mount.end();
    let requests = node.requests();
    let point = MountPoint::new();
    let (at, root) = (text(point.path()), text(&sample.root()));
    let said = |source: &str, options: &str| {
        apart(
            r#"
            trap '"$AIOZFS" umount "$AT" || true' EXIT
            "$AIOZFS" mount --timeout 30s --cache-dir "$DIR" $OPTIONS "$SOURCE" "$AT"
            cmp "$AT/dir/0.bin" "$ROOT/dir/0.bin"
            test "$(ls "$AT/dir" | wc -l)" = 6
            for at in 3 4 5; do ! LC_ALL=C cat "$AT/dir/$at.bin" > /dev/null; done
            "#,
            &[
                ("AT", &at),
                ("DIR", &dir),
                ("ROOT", &root),
                ("SOURCE", source),
                ("OPTIONS", options),
            ],
        )
    };
    let by = |verify: &str| format!("--gateway {gateway} --verify {verify}");
    for (source, options) in [
        (&cid, by("crc")),
        (&cid, by("trustless")),
        (&cid, by("crc") + " --offline"),
        (&url, "--offline".to_owned()),
    ] {
        let done = said(source, &options);
        let errors = done.stderr.matches("Network is unreachable").count();
        assert!(
            done.status.success() && errors == 3,
            "{options}: {}",
            done.stderr
        );
        assert!(done.took < Duration::from_secs(8), "{:?}", done.took);
    }
    let done = said(&url, "");
    assert!(
        !done.status.success() && done.stderr.contains("--offline"),
        "{}",
        done.stderr
    );
    assert_eq!(node.requests(), requests);
}

/// A cache that believes that it has more room than there is: the disk is full, it is said once,
/// and all goes on.
#[test]
fn a_full_disk_is_one_warning() {
    let sample = Sample::new(5, 20 << 20);
    let (point, cache) = (MountPoint::new(), tree::temp());
    let (at, dir) = (text(point.path()), text(cache.path()));
    let done = apart(
        r#"
        trap '"$AIOZFS" umount "$AT" || true; kill $NODE' EXIT
        ip link set lo up
        mount -t tmpfs -o size=64m none "$DIR"
        "$AIOZFS" serve --listen 127.0.0.1:8080 --cache-dir "$DIR/cids" "$ARCHIVE" > "$DIR/served" & NODE=$!
        until grep -q http "$DIR/served"; do sleep 0.1; done
        read -r CID rest < "$DIR/served"
        "$AIOZFS" mount --cache-dir "$DIR/cache" --cache-size 1G --log-file "$DIR/log"             --memory 16M --verify none --gateway http://127.0.0.1:8080 "$CID" "$AT"
        diff -r "$AT" "$ROOT"
        diff -r "$AT" "$ROOT"
        "$AIOZFS" umount "$AT"
        # Room again.
        rm -r "$DIR/cache/v1/blobs"
        "$AIOZFS" mount --cache-dir "$DIR/cache" --cache-size 20M --log-file "$DIR/log"             --memory 16M --verify none --gateway http://127.0.0.1:8080 "$CID" "$AT"
        diff -r "$AT" "$ROOT"
        cat "$DIR/log" >&2
        "#,
        &[
            ("AT", &at),
            ("DIR", &dir),
            ("ROOT", &text(&sample.root())),
            ("ARCHIVE", &text(&sample.archive)),
        ],
    );
    assert!(done.status.success(), "{}\n{}", done.stdout, done.stderr);
    let warnings = done.stderr.matches("cache: ").count();
    assert_eq!(warnings, 1, "{}", done.stderr);
    assert!(done.stderr.contains("No space left"), "{}", done.stderr);
}

/// What cannot be used is said, and the mount is there all the same.
#[test]
fn a_cache_that_cannot_be_used_is_one_warning() {
    let (sample, dir) = (Sample::new(2, 100_000), tree::temp());
    let node = FaultNode::start(sample.blob());
    fs::write(dir.path().join("file"), "no directory").expect("a file");
    for path in ["/proc/no/cache", &text(&dir.path().join("file"))] {
        let mount = Mount::with(node.url(), &["--cache-dir", path]);
        tree::assert_same(path, &sample.root(), mount.path());
        assert_eq!(mount.log_lines("cache: ").len(), 1, "{}", mount.log());
    }
    // It goes away while it is used.
    let gone = dir.path().join("gone");
    let mount = Mount::with(node.url(), &["--cache-dir", &text(&gone)]);
    fs::remove_dir_all(&gone).expect("it was there");
    tree::assert_same("gone", &sample.root(), mount.path());
    mount.end();
}

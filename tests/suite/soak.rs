//! A mount for a long time, while its gateways die, stall and lie.
//!
//! Some seconds of it by default; `mount-scripts/soak` runs it for minutes, with what takes long or
//! needs a network of its own. `AIOZFS_SOAK_SECONDS` says how long.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::fault::{Behaviour, FaultNode};
use crate::common::gateways::import;
use crate::common::mount::Mount;
use crate::common::node::Node;
use crate::common::{archives, run, tree};
use rustix::fs::Advice;
use rustix::process::Signal;

const FILES: usize = 6;
const FILE: usize = 8 << 20;

/// More open descriptors than this are not those of some connections to three gateways.
const MOST_DESCRIPTORS: usize = 150;

/// What the mount may take with `--memory 32M`: 64 MB more, and the index.
const MOST_MEMORY: u64 = (32 + 64 + 8) << 20;

fn seconds() -> u64 {
    let told = std::env::var("AIOZFS_SOAK_SECONDS").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(8)
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(()) % below
}

fn content(at: usize) -> Vec<u8> {
    tree::bytes(100 + at as u64, FILE)
}

fn packed(dir: &Path) -> PathBuf {
    let source = tree::temp();
    for at in 0..FILES {
        tree::write(source.path(), &format!("{at}.bin"), &content(at));
    }
    let path = dir.join("archive.zip");
    archives::zipfile(source.path(), &path);
    path
}

/// What the readers of a mount have in common.
struct Readers {
    root: PathBuf,
    files: Vec<Vec<u8>>,
    over: AtomicBool,
    read: AtomicU64,
    slowest: AtomicU64,
}

impl Readers {
    fn new(root: &Path) -> Arc<Self> {
        Arc::new(Self {
            root: root.to_owned(),
            files: (0..FILES).map(content).collect(),
            over: AtomicBool::new(false),
            read: AtomicU64::new(0),
            slowest: AtomicU64::new(0),
        })
    }

    fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    fn open(&self, at: usize) -> File {
        let file = File::open(self.root.join(format!("{at}.bin"))).expect("it opens");
        // Not from the kernel's memory: the mount is what is on trial.
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).expect("advice");
        file
    }

    fn compare(&self, file: &File, at: usize, offset: usize, len: usize) {
        let len = len.min(FILE - offset);
        let mut got = vec![0; len];
        let asked = Instant::now();
        let read = file.read_exact_at(&mut got, offset as u64);
        read.unwrap_or_else(|e| panic!("{at}.bin at {offset}: {e}"));
        let differs = tree::differs(&self.files[at][offset..offset + len], &got);
        assert_eq!(differs, None, "{at}.bin at {offset}");
        self.read.fetch_add(len as u64, Relaxed);
        let took = asked.elapsed().as_millis() as u64;
        self.slowest.fetch_max(took, Relaxed);
    }

    /// Steadily from the beginning to the end, as a player does.
    fn play(&self) {
        while !self.is_over() {
            for at in 0..FILES {
                let file = self.open(at);
                for offset in (0..FILE).step_by(256 << 10) {
                    if self.is_over() {
                        return;
                    }
                    self.compare(&file, at, offset, 256 << 10);
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    /// As fast as it goes, as cp does.
    fn copy(&self) {
        while !self.is_over() {
            let at = random(FILES as u64) as usize;
            let file = self.open(at);
            for offset in (0..FILE).step_by(1 << 20) {
                self.compare(&file, at, offset, 1 << 20);
            }
        }
    }

    /// Here and there.
    fn jump(&self) {
        while !self.is_over() {
            let at = random(FILES as u64) as usize;
            let file = self.open(at);
            let offset = random(FILE as u64 - 1) as usize;
            self.compare(&file, at, offset, 1 + random(100_000) as usize);
            thread::sleep(Duration::from_millis(random(20)));
        }
    }

    /// Reads in all these ways while `meanwhile` goes on.
    fn while_going_on(self: &Arc<Self>, meanwhile: impl FnOnce()) {
        let ways: [fn(&Self); 4] = [Self::play, Self::copy, Self::jump, Self::jump];
        let readers = ways.map(|way| {
            let this = self.clone();
            thread::spawn(move || way(&this))
        });
        meanwhile();
        self.over.store(true, Relaxed);
        for reader in readers {
            reader.join().expect("no wrong byte and no error");
        }
        eprintln!(
            "{} MB read, the slowest read took {} ms",
            self.read.load(Relaxed) >> 20,
            self.slowest.load(Relaxed)
        );
    }
}

fn misbehaviour() -> Behaviour {
    let all = [
        Behaviour::Whole,
        Behaviour::Status(404, None),
        Behaviour::Status(429, Some(1)),
        Behaviour::Status(500, None),
        Behaviour::Status(504, None),
        Behaviour::Burst(503, 3),
        Behaviour::AtMost(2),
        Behaviour::Shifted,
        Behaviour::Flipped,
        Behaviour::WrongContentRange,
        Behaviour::WrongLength,
        Behaviour::Gzip,
        Behaviour::Cut(100_000),
        Behaviour::ShortBody,
        Behaviour::TrailingGarbage,
        Behaviour::Silent,
        Behaviour::SilentBody,
        Behaviour::StallAfter(300_000),
        Behaviour::Drip,
        Behaviour::Slam,
        Behaviour::Reset,
        Behaviour::RedirectLoop,
        Behaviour::Multipart,
        Behaviour::Changed,
        Behaviour::Longer,
        Behaviour::DiesIdle,
    ];
    all[random(all.len() as u64) as usize].clone()
}

#[test]
fn gateways_die_stall_and_lie_and_every_read_is_right() {
    let dir = tree::temp();
    let archive = fs::read(packed(dir.path())).expect("the archive");
    let (cid, blocks) = import(&archive);
    let nodes = [(); 3].map(|()| FaultNode::with_blocks(archive.clone(), blocks.clone()));
    let gateways: Vec<String> = nodes.iter().map(FaultNode::base).collect();
    let mut args = vec![
        "--verify",
        "trustless",
        "--memory",
        "32M",
        "--timeout",
        "20s",
        // It is the network that is on trial.
        "--cache-size",
        "0",
    ];
    for gateway in &gateways {
        args.extend(["--gateway", gateway]);
    }
    let mount = Mount::with(cid.to_string(), &args);
    let readers = Readers::new(mount.path());
    let proc = PathBuf::from(format!("/proc/{}", mount.pid()));
    let mut seen: Vec<(u64, usize)> = Vec::new();
    let end = Instant::now() + Duration::from_secs(seconds());
    readers.while_going_on(|| {
        let mut good = 0;
        while Instant::now() < end {
            // The next good one is good before the last one stops being it.
            let next = random(3) as usize;
            nodes[next].behave(Behaviour::Good);
            thread::sleep(Duration::from_millis(100));
            for (at, node) in nodes.iter().enumerate() {
                if at != next && random(3) > 0 {
                    node.behave(misbehaviour());
                    if random(2) > 0 {
                        node.break_connections();
                    }
                }
            }
            good = next;
            thread::sleep(Duration::from_millis(200 + random(1500)));
            seen.push((memory(&proc), descriptors(&proc)));
        }
        nodes[good].behave(Behaviour::Good);
    });
    let sent: Vec<u64> = nodes.iter().map(|node| node.sent() >> 20).collect();
    eprintln!("MB sent by each gateway: {sent:?}");
    // Else it was the kernel's memory, or ours, that was on trial.
    assert!(sent.iter().sum::<u64>() > 10 * seconds(), "{sent:?}");
    let most = |seen: &[(u64, usize)]| {
        let memory = seen.iter().map(|(memory, _)| *memory).max().unwrap_or(0);
        let descriptors = seen.iter().map(|(_, descriptors)| *descriptors).max();
        (memory >> 20, descriptors.unwrap_or(0))
    };
    let (early, late) = seen.split_at(seen.len() / 2);
    eprintln!(
        "MB and descriptors: {:?}, then {:?}",
        most(early),
        most(late)
    );
    for (memory, descriptors) in &seen {
        assert!(*memory < MOST_MEMORY, "{} MB", memory >> 20);
        assert!(*descriptors < MOST_DESCRIPTORS, "{descriptors} descriptors");
    }
    assert!(most(late).0 < most(early).0 + 24, "memory grows");
}

/// Resident, in bytes.
fn memory(proc: &Path) -> u64 {
    let status = fs::read_to_string(proc.join("status")).expect("a process of ours");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number")
        << 10
}

fn descriptors(proc: &Path) -> usize {
    fs::read_dir(proc.join("fd"))
        .expect("a process of ours")
        .count()
}

/// A stopped node keeps its connections, and accepts new ones by the kernel.
#[test]
fn a_node_that_is_stopped_causes_no_error() {
    let dir = tree::temp();
    let archive = packed(dir.path());
    let nodes = [Node::of(&archive), Node::of(&archive)];
    let args = [
        "--gateway",
        &nodes[0].base,
        "--gateway",
        &nodes[1].base,
        "--memory",
        "16M",
        "--timeout",
        "20s",
        "--cache-size",
        "0",
    ];
    let mount = Mount::with(&nodes[0].cid, &args);
    let readers = Readers::new(mount.path());
    let pause = Duration::from_secs((seconds() / 6).clamp(2, 30));
    readers.while_going_on(|| {
        for node in &nodes {
            thread::sleep(Duration::from_millis(500));
            node.signal(Signal::STOP);
            thread::sleep(pause);
            node.signal(Signal::CONT);
        }
        thread::sleep(Duration::from_millis(500));
    });
    let slowest = readers.slowest.load(Relaxed);
    assert!(slowest < 6000, "a read took {slowest} ms");
}

/// A network of its own, taken away in the end.
struct Namespace {
    name: String,
    link: String,
}

impl Namespace {
    fn new() -> Self {
        let id = std::process::id();
        let made = Self {
            name: format!("aiozfs-soak-{id}"),
            link: format!("azs{id}"),
        };
        let Self { name, link } = &made;
        made.ip(&format!("netns add {name}"));
        made.ip(&format!(
            "link add {link} type veth peer name eth0 netns {name}"
        ));
        made.ip(&format!("addr add 10.199.77.1/30 dev {link}"));
        made.ip(&format!("link set {link} up"));
        made.ip(&format!("-n {name} addr add 10.199.77.2/30 dev eth0"));
        made.ip(&format!("-n {name} link set eth0 up"));
        made.ip(&format!("-n {name} link set lo up"));
        made
    }

    fn ip(&self, words: &str) {
        run::run(run::tool("ip").args(words.split(' '))).ok(words);
    }

    fn set_link(&self, state: &str) {
        self.ip(&format!("-n {} link set eth0 {state}", self.name));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for words in [
            format!("link del {}", self.link),
            format!("netns del {}", self.name),
        ] {
            let _ = run::run(run::tool("ip").args(words.split(' ')));
        }
    }
}

/// Alone, it is an error in time and works again when the link does; with another, nobody notices.
#[test]
#[ignore = "it makes a network namespace, as root; mount-scripts/test and soak run it"]
fn reads_resume_when_the_link_is_back() {
    let dir = tree::temp();
    let archive = packed(dir.path());
    let space = Namespace::new();
    let far = Node::within(&space.name, "10.199.77.2:18080", &archive);
    let near = Node::of(&archive);

    let alone = Mount::with(&far.cid, &["--gateway", &far.base, "--timeout", "3s"]);
    let path = alone.join("0.bin");
    let read = |offset: u64| {
        let asked = Instant::now();
        let got = File::open(&path).and_then(|file| {
            let mut got = vec![0; 4096];
            file.read_exact_at(&mut got, offset).map(|()| got)
        });
        (got, asked.elapsed())
    };
    assert!(read(0).0.expect("the link is up") == content(0)[..4096]);
    space.set_link("down");
    let (got, took) = read(6 << 20);
    got.expect_err("the link is down");
    assert!(took < Duration::from_secs(5), "{took:?}");
    space.set_link("up");
    let again = run::wait_until(Duration::from_secs(20), || {
        let (got, _) = read(6 << 20);
        got.is_ok_and(|got| got == content(0)[6 << 20..][..4096])
    });
    assert!(again, "the link is up again");

    let args = [
        "--gateway",
        &far.base,
        "--gateway",
        &near.base,
        "--memory",
        "16M",
        "--timeout",
        "20s",
    ];
    let both = Mount::with(&far.cid, &args);
    let readers = Readers::new(both.path());
    readers.while_going_on(|| {
        for _ in 0..2 {
            thread::sleep(Duration::from_secs(1));
            space.set_link("down");
            thread::sleep(Duration::from_secs((seconds() / 20).clamp(2, 15)));
            space.set_link("up");
        }
        thread::sleep(Duration::from_secs(1));
    });
}

//! A bit is flipped in every region of an archive on its way to a mount. If one of two servers lies, reads are right. If
//! the only server lies, reads fail and never return a wrong byte; they are right again once it is honest.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use crate::common::forger::{Forge, Forger};
use crate::common::gateways::Content;
use crate::common::mount::{Mount, xattr};
use crate::common::{archives, needs, run, tree};
use aiozfs::content::{Cid, Codec, Version};
use rustix::io::Errno;

/// Longer than a range that failed is remembered, and than a server that lied is at rest.
const MENDED: Duration = Duration::from_secs(20);

/// Leaves of `Content`.
const LEAF: usize = 16 << 10;

struct Packed {
    content: Content,
    files: [(&'static str, Vec<u8>); 2],
}

/// Large enough that most of its inner nodes are not yet known when it is mounted.
static PACKED: LazyLock<Packed> = LazyLock::new(|| {
    let (source, out) = (tree::temp(), tree::temp());
    let files = [
        ("large.bin", tree::bytes(1, 5_000_011)),
        ("small.bin", tree::bytes(2, 300_007)),
    ];
    for (name, bytes) in &files {
        tree::write(source.path(), name, bytes);
    }
    tree::write(source.path(), "zzz.bin", &tree::bytes(3, 2 << 20));
    let path = out.path().join("archive.zip");
    archives::zipfile(source.path(), &path);
    Packed {
        content: Content::of(fs::read(path).expect("the archive")),
        files,
    }
});

/// A region of the archive, and a byte in it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Region {
    /// The end record.
    Tail,
    CentralDirectory,
    /// Of the large file.
    LocalHeader,
    /// In the middle of the large file.
    Data,
}

impl Region {
    const ALL: [Region; 4] = [
        Region::Tail,
        Region::CentralDirectory,
        Region::LocalHeader,
        Region::Data,
    ];

    fn place(self) -> usize {
        let bytes = &PACKED.content.bytes;
        let find = |what: &[u8]| {
            let mut windows = bytes.windows(what.len());
            windows.position(|window| window == what)
        };
        let place = match self {
            Region::Tail => find(b"PK\x05\x06").map(|at| at + 12),
            Region::CentralDirectory => find(b"PK\x01\x02").map(|at| at + 42),
            Region::LocalHeader => {
                find(&PACKED.files[0].1[..64]).map(|data| data - "large.bin".len())
            }
            Region::Data => find(&PACKED.files[0].1[..64]).map(|data| data + 2_000_000),
        };
        place.expect("an archive has them all")
    }

    fn lie(self) -> Forge {
        lie_at(self.place())
    }
}

/// What makes a server lie about a byte, be it asked by range or by block.
fn lie_at(at: usize) -> Forge {
    let bytes = &PACKED.content.bytes;
    let start = at / LEAF * LEAF;
    let leaf = &bytes[start..(start + LEAF).min(bytes.len())];
    let cid = Cid::of_block(Version::V1, Codec::Raw, leaf);
    Forge::Leaf(at as u64, cid.to_string())
}

fn mount(relays: &[&Forger]) -> Mount {
    let bases: Vec<String> = relays.iter().map(|relay| relay.base()).collect();
    let mut args = vec!["--timeout", "10s"];
    args.extend(bases.iter().flat_map(|base| ["--gateway", base.as_str()]));
    Mount::with(PACKED.content.cid.to_string(), &args)
}

/// Reads a file in pieces; those that come are right. How many did not, for which reasons.
fn failed_pieces(path: &Path, content: &[u8]) -> Vec<io::Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return vec![error],
    };
    let mut failed = Vec::new();
    for at in (0..content.len()).step_by(64 << 10) {
        let mut got = vec![0; content.len().min(at + (64 << 10)) - at];
        match file.read_exact_at(&mut got, at as u64) {
            Ok(()) => {
                let differs = tree::differs(&content[at..at + got.len()], &got);
                assert_eq!(differs, None, "{}, from byte {at}", path.display());
            }
            Err(error) => failed.push(error),
        }
    }
    failed
}

fn assert_all_right(mount: &Mount, what: &str) {
    for (name, content) in &PACKED.files {
        let mut failed = Vec::new();
        let right = run::wait_until(MENDED, || {
            failed = failed_pieces(&mount.join(name), content);
            failed.is_empty() || {
                thread::sleep(Duration::from_millis(100));
                false
            }
        });
        assert!(right, "{what}: {name}: {failed:?}");
    }
}

#[test]
fn one_of_two_servers_lies_and_every_byte_is_right() {
    needs::fuse();
    let lies = Region::ALL.map(|region| (format!("{region:?}"), region.lie()));
    let lies = lies
        .into_iter()
        .chain([("inner nodes".into(), Forge::Blocks)]);
    run::each(lies.collect(), 2, |(what, lie)| {
        let content = &PACKED.content;
        let ((_one, first), (_two, second)) = (content.relayed(), content.relayed());
        first.forge(lie);
        // The other gateway lies about other bytes, so each of them lies somewhere.
        second.forge(lie_at(Region::Data.place() + 1_000_000));
        let mount = mount(&[&first, &second]);
        for (name, content) in &PACKED.files {
            let failed = failed_pieces(&mount.join(name), content);
            assert!(failed.is_empty(), "{what}: {name}: {failed:?}");
        }
        // It was asked, and found out.
        let told = mount.log_lines("match the CID");
        assert!(!told.is_empty(), "{what}: {}", mount.log());
    });
}

#[test]
fn the_only_server_lies_and_reads_fail() {
    needs::fuse();
    let lies = [
        ("header", Region::LocalHeader.lie()),
        ("data", Region::Data.lie()),
        ("inner nodes", Forge::Blocks),
    ];
    run::each(lies.into(), 3, |(what, lie)| {
        let (_node, relay) = PACKED.content.relayed();
        let mount = mount(&[&relay]);
        relay.forge(lie);
        let (name, content) = &PACKED.files[0];
        let failed = failed_pieces(&mount.join(name), content);
        assert!(!failed.is_empty(), "{what}: nothing was found out");
        for error in &failed {
            let code = error.raw_os_error().map(Errno::from_raw_os_error);
            assert_eq!(code, Some(Errno::IO), "{what}: {error}");
        }
        if what == "data" {
            // One leaf lies within one of these pieces, or two, and the kernel reads by 128 KiB.
            assert!(failed.len() <= 4, "{what}: {} pieces", failed.len());
            // Each try of each request of the kernel was two lines: who lied, and that it is put
            // aside. And each request was one. Now they are one each.
            mount.log_lines("large.bin: ");
            let lines = mount.log_lines(" warning: ");
            for part in ["gave wrong bytes ", "is suspended", "large.bin: "] {
                let told = lines.iter().filter(|line| line.contains(part)).count();
                assert_eq!(told, 1, "{part}: {lines:#?}");
            }
            assert_eq!(lines.len(), 3, "{lines:#?}");
        }
        relay.forge(Forge::Nothing);
        assert_all_right(&mount, what);
    });
}

#[test]
fn the_only_server_lies_about_the_index_and_nothing_is_mounted() {
    needs::fuse();
    let lies = [
        ("tail", Region::Tail.lie()),
        ("directory", Region::CentralDirectory.lie()),
        ("root", Forge::Blocks),
    ];
    for (what, lie) in lies {
        let (_node, relay) = PACKED.content.relayed();
        relay.forge(lie);
        let point = tree::temp();
        let mut command = run::aiozfs();
        command.args(["mount", "--foreground", "--timeout", "5s", "--gateway"]);
        command
            .arg(relay.base())
            .arg(PACKED.content.cid.to_string());
        let done = run::run(command.arg(point.path()));
        assert_eq!(done.code(), Some(1), "{what}");
        assert!(
            done.stderr.contains("match the CID"),
            "{what}: {}",
            done.stderr
        );
        relay.forge(Forge::Nothing);
        assert_all_right(&mount(&[&relay]), what);
    }
}

#[test]
fn without_raw_blocks_the_error_names_the_option_that_mounts() {
    needs::fuse();
    let (_node, relay) = PACKED.content.relayed();
    relay.forge(Forge::NoBlocks);
    let cid = PACKED.content.cid.to_string();
    let point = tree::temp();
    let mut command = run::aiozfs();
    command.args(["mount", "--foreground", "--gateway"]);
    let done = run::run(command.arg(relay.base()).arg(&cid).arg(point.path()));
    assert_eq!(done.code(), Some(1));
    for says in ["no raw blocks", "--gateway", "--verify crc"] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
    for given in [["--verify", "crc"], ["-o", "verify=crc"]] {
        let args = ["--gateway", &relay.base(), given[0], given[1]];
        assert_all_right(&Mount::with(&cid, &args), given[1]);
    }
}

#[test]
fn gateway_urls_of_cids_are_verified() {
    needs::fuse();
    let (_node, relay) = PACKED.content.relayed();
    let url = format!("{}/ipfs/{}", relay.base(), PACKED.content.cid);
    let mount = Mount::new(&url);
    assert_all_right(&mount, &url);
    assert!(relay.blocks() > 0, "nothing was verified");
    drop(mount);
    // A sub-domain: *.localhost is this machine, by RFC 6761, whatever the system resolves.
    let port = relay.addr.port();
    let url = format!("http://{}.ipfs.localhost:{port}/", PACKED.content.cid);
    let (before, ranges) = (relay.blocks(), relay.ranges().len());
    let point = tree::temp();
    let mut command = run::aiozfs();
    command.args(["mount", "--foreground", "--timeout", "2s"]);
    let done = run::run(command.arg(&url).arg(point.path().join("missing")));
    assert!(done.stderr.contains("does not exist"), "{}", done.stderr);
    assert_eq!(relay.blocks(), before, "the mountpoint comes first");
    let mount = Mount::new(&url);
    assert_all_right(&mount, &url);
    let inner = PACKED.content.blocks.len() as u64;
    assert!(relay.blocks() >= before + inner, "not all was verified");
    assert!(relay.ranges().len() > ranges);
    let shown = xattr(mount.path(), "cid").expect("it tells its CID");
    assert_eq!(shown, PACKED.content.cid.to_string());
    // And a lie is found out.
    drop(mount);
    relay.forge(Region::Data.lie());
    let (name, content) = &PACKED.files[0];
    let failed = failed_pieces(&Mount::new(&url).join(name), content);
    assert!(!failed.is_empty(), "nothing was found out");
}

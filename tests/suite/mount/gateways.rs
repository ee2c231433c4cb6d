//! The table of faults through a kernel mount. A fault of the only gateway is a clear error in time, after which the
//! mount works again. A fault of one of three gateways is not noticed.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::fault::table::{Alone, faults};
use crate::common::fault::{Behaviour, FaultNode};
use crate::common::forger::Forge;
use crate::common::gateways::{Content, bases};
use crate::common::mount::Mount;
use crate::common::tls::{Authority, Certificate};
use crate::common::{archives, run, tree};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// The deadline of a read that is to fail, as the option has it.
const TIMEOUT: &str = "2s";

/// A read that fails may take its deadline and, on a machine with other things to do, some more;
/// but not the default deadline of a minute, nor an idle timeout of 15 s.
const LONGEST: Duration = Duration::from_secs(6);

/// No more bytes than the kernel asks for in one request, which has a deadline of its own.
const ONE_REQUEST: usize = 100_000;

/// The deadline of a read that is to be served.
const FAR_OFF: &str = "30s";

/// Longer than a range that failed is remembered as such, and than what `AtMost` orders.
const FORGOTTEN: Duration = Duration::from_secs(8);

/// With a good gateway left, no read of a few bytes takes longer, whatever the others do, also on a
/// machine with other things to do. Less than an idle timeout: silence is not waited out.
const UNNOTICED: Duration = Duration::from_secs(10);

/// So many mounts at once: they mostly wait.
const AT_ONCE: usize = 10;

const LARGE: usize = 4 << 20;

/// An archive of `large.bin` and `other.bin`; the end of it, which comes with the index, is neither.
struct Packed {
    content: Content,
    large: Vec<u8>,
    other: Vec<u8>,
}

static PACKED: LazyLock<Packed> = LazyLock::new(|| {
    let (large, other) = (tree::bytes(1, LARGE), tree::bytes(2, 300_000));
    let (source, dir) = (tree::temp(), tree::temp());
    tree::write(source.path(), "large.bin", &large);
    tree::write(source.path(), "other.bin", &other);
    tree::write(source.path(), "the end.bin", &tree::bytes(3, 1 << 20));
    let path = dir.path().join("archive.zip");
    archives::zipfile(source.path(), &path);
    Packed {
        content: Content::of(fs::read(path).expect("the archive")),
        large,
        other,
    }
});

fn code(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// Whether the kernel keeps what is read, and reads ahead of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cached {
    Yes,
    /// A read is one request (open(2), O_DIRECT).
    No,
}

/// Reads some bytes, which are right or an error.
fn read(path: &Path, content: &[u8], at: usize, len: usize) -> io::Result<()> {
    read_of(Cached::Yes, path, content, at, len)
}

fn read_of(cached: Cached, path: &Path, content: &[u8], at: usize, len: usize) -> io::Result<()> {
    let flags = match cached {
        Cached::Yes => OFlags::empty(),
        Cached::No => OFlags::DIRECT,
    };
    let mut options = File::options();
    let file = options.read(true).custom_flags(flags.bits() as i32);
    let mut got = vec![0; len];
    file.open(path)?.read_exact_at(&mut got, at as u64)?;
    let differs = tree::differs(&content[at..at + len], &got);
    assert_eq!(differs, None, "wrong bytes at {at} of {}", path.display());
    Ok(())
}

/// Reads steps of one request each, up to the first that fails, and says how long the longest took.
fn read_in_steps(
    path: &Path,
    content: &[u8],
    range: Range<usize>,
    cached: Cached,
) -> (Duration, io::Result<()>) {
    let mut longest = Duration::ZERO;
    for at in range.clone().step_by(ONE_REQUEST) {
        let asked = Instant::now();
        let len = ONE_REQUEST.min(range.end - at);
        let got = read_of(cached, path, content, at, len);
        longest = longest.max(asked.elapsed());
        if got.is_err() {
            return (longest, got);
        }
    }
    (longest, Ok(()))
}

/// All files, as soon as they can be had.
fn assert_all_readable(mount: &Mount, what: &str) {
    for (name, content) in [("large.bin", &PACKED.large), ("other.bin", &PACKED.other)] {
        let path = mount.join(name);
        let mut last = None;
        let readable = run::wait_until(FORGOTTEN, || {
            last = read(&path, content, 0, content.len()).err();
            last.is_none() || {
                thread::sleep(Duration::from_millis(50));
                false
            }
        });
        assert!(readable, "{what}, then good: {name}: {last:?}");
    }
}

/// How the bytes are named.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    Cid,
    Url,
}

fn alone(by: By, fault: &Behaviour, alone: Alone) {
    let what = format!("{fault:?}, by {by:?}");
    let packed = &*PACKED;
    let node = packed.content.node();
    let base = node.base();
    // One that is merely odd has all the time that a busy machine may need.
    let is_odd = alone == Alone::Works;
    let timeout = ["--timeout", if is_odd { FAR_OFF } else { TIMEOUT }];
    let mount = match by {
        By::Cid => {
            let cid = packed.content.cid.to_string();
            let args = ["--gateway", &base, "--verify", "trustless"];
            Mount::with(cid, &[&args[..], &timeout].concat())
        }
        By::Url => Mount::with(node.url(), &timeout),
    };
    let large = mount.join("large.bin");
    // Where its data begins is known from here on.
    read(&large, &packed.large, 0, 1).expect("while all is well");
    node.behave(fault.clone());
    let reads = [
        (large.clone(), &packed.large, 2 << 20..(2 << 20) + 100_000),
        (large.clone(), &packed.large, 3 << 20..(3 << 20) + 1),
        (mount.join("other.bin"), &packed.other, 0..300_000),
    ];
    // The kernel asks page by page for what failed as read-ahead. Of a server that answers some
    // requests, each of them may come late, but in time: a read took 6.3 s of a deadline of 2 s.
    let cached = match fault {
        Behaviour::Burst(..) | Behaviour::AtMost(_) => Cached::No,
        _ => Cached::Yes,
    };
    let failed: Vec<Option<Errno>> = thread::scope(|scope| {
        let what = &what;
        let reads = reads.map(|(path, content, range)| {
            scope.spawn(move || {
                let (took, got) = read_in_steps(&path, content, range, cached);
                assert!(is_odd || took < LONGEST, "{what}: it took {took:?}");
                got.err().map(|error| code(&error).expect("an errno"))
            })
        });
        reads.map(|read| read.join().expect("right bytes or an error in time"))
    })
    .into();
    // What is pinned by its strong ETag and size is stale when these are other ones.
    let changes = [
        Behaviour::Changed,
        Behaviour::Longer,
        Behaviour::OtherETags,
        Behaviour::WeakETags,
    ];
    let is_stale = by == By::Url && changes.contains(fault);
    match alone {
        _ if is_stale => assert_eq!(failed, [Some(Errno::STALE); 3], "{what}"),
        Alone::Works => assert_eq!(failed, [None; 3], "{what} is merely odd"),
        Alone::Fails => assert_eq!(failed, [Some(Errno::IO); 3], "{what}"),
        Alone::Either => assert!(
            failed.iter().all(|e| matches!(e, None | Some(Errno::IO))),
            "{what}: {failed:?}"
        ),
    }
    if failed[0].is_some() {
        let address = node.addr.to_string();
        let said = mount.log_lines(&address);
        assert!(!said.is_empty(), "{what}: nobody is blamed");
    }
    node.behave(Behaviour::Good);
    // The mount is alive; its bytes come when the server has said that they may be asked for.
    assert_eq!(tree::names(mount.path()).len(), 3, "{what}");
    if !matches!(fault, Behaviour::Status(_, Some(5..))) {
        assert_all_readable(&mount, &what);
    }
}

#[test]
fn every_fault_alone_is_an_error_in_time_and_the_mount_lives_on() {
    let by_url = faults();
    // Without a CID only the CRC-32 finds these, see crc.rs.
    let by_url = by_url
        .into_iter()
        .filter(|(fault, _)| !matches!(fault, Behaviour::Shifted | Behaviour::Flipped))
        .map(|(fault, expected)| (By::Url, fault, expected));
    let by_cid = faults()
        .into_iter()
        .map(|(f, expected)| (By::Cid, f, expected));
    let cases = by_cid.chain(by_url).collect();
    run::each(cases, AT_ONCE, |(by, fault, expected)| {
        alone(by, &fault, expected)
    });
}

/// A mount through these gateways.
fn mount_through(gateways: &[String], more: &[&str]) -> Mount {
    let mut args = vec!["--timeout", FAR_OFF];
    args.extend(gateways.iter().flat_map(|base| ["--gateway", base]));
    args.extend(more);
    Mount::with(PACKED.content.cid.to_string(), &args)
}

/// Reads steadily from `from` to `to`.
fn assert_unnoticed(mount: &Mount, from: usize, to: usize, what: &str) {
    let path = mount.join("large.bin");
    for at in (from..to).step_by(128 << 10) {
        let asked = Instant::now();
        let got = read(&path, &PACKED.large, at, (128 << 10).min(to - at));
        got.unwrap_or_else(|e| panic!("{what}: {e}"));
        let took = asked.elapsed();
        assert!(took < UNNOTICED, "{what}: a read took {took:?}");
    }
}

/// One of three, from before the mount; then another one, in the middle: whichever serves.
fn one_of_three(verify: &str, fault: &Behaviour) {
    let what = format!("{fault:?} of one, --verify {verify}");
    let nodes = PACKED.content.nodes();
    nodes[0].behave(fault.clone());
    let mount = mount_through(&bases(&nodes), &["--verify", verify]);
    assert_unnoticed(&mount, 0, LARGE / 2, &what);
    nodes[0].behave(Behaviour::Good);
    let before = nodes.each_ref().map(FaultNode::sent);
    assert_unnoticed(&mount, LARGE / 2, LARGE * 5 / 8, &what);
    let serving = (0..3).max_by_key(|at| nodes[*at].sent() - before[*at]);
    nodes[serving.expect("three")].behave(fault.clone());
    assert_unnoticed(&mount, LARGE * 5 / 8, LARGE, &what);
    let other = read(
        &mount.join("other.bin"),
        &PACKED.other,
        0,
        PACKED.other.len(),
    );
    other.unwrap_or_else(|e| panic!("{what}: other.bin: {e}"));
    let log = mount.log();
    assert!(!log.contains("error:"), "{what}: {log}");
}

#[test]
fn every_fault_as_one_of_three_is_not_noticed() {
    // Without verification, some lies are believed; all other faults are found as well.
    let only_verification_tells = |fault: &Behaviour| {
        matches!(
            fault,
            Behaviour::Shifted | Behaviour::Flipped | Behaviour::Changed
        )
    };
    let faults = faults().into_iter().map(|(fault, _)| fault);
    let cases = faults.flat_map(|fault| {
        let verify = ["trustless", "crc"].into_iter();
        let verify = verify.filter(|how| *how == "trustless" || !only_verification_tells(&fault));
        verify.map(|how| (how, fault.clone())).collect::<Vec<_>>()
    });
    run::each(cases.collect(), AT_ONCE, |(verify, fault)| {
        one_of_three(verify, &fault);
    });
}

/// Gone altogether, in the middle of a read and after: connections are broken, and then refused.
#[test]
fn reads_succeed_until_the_last_gateway_dies() {
    let nodes = PACKED.content.nodes();
    let mount = mount_through(&bases(&nodes), &["--verify", "trustless"]);
    let mut alive = vec![0, 1, 2];
    let step = LARGE / 4;
    for part in 0..3 {
        let before = nodes.each_ref().map(FaultNode::sent);
        let from = part * step;
        assert_unnoticed(&mount, from, from + step / 2, "all is well");
        let serving = alive
            .iter()
            .max_by_key(|at| nodes[**at].sent() - before[**at]);
        let serving = *serving.expect("one at least");
        if part < 2 {
            nodes[serving].die();
            alive.retain(|at| *at != serving);
        }
        assert_unnoticed(&mount, from + step / 2, from + step, "one has died");
    }
    assert_eq!(alive.len(), 1);
    read(&mount.join("other.bin"), &PACKED.other, 0, 300_000).expect("from the last one");
}

/// Nobody listens there, no such name, and only IPv6.
#[test]
fn unreachable_gateways_cause_no_error() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("its address"))
    };
    let node = PACKED.content.node();
    let nobody = [refused, "http://no-such-host.invalid".into()];
    let mount = mount_through(&[&nobody[..], &[node.base()]].concat(), &[]);
    assert_unnoticed(&mount, 0, LARGE, "two of three are not there");

    for wrong in &nobody {
        let point = tree::temp();
        let mut command = run::aiozfs();
        command.args(["mount", "--foreground", "--timeout", "3s"]);
        command.args(["--gateway", wrong]);
        command
            .arg(PACKED.content.cid.to_string())
            .arg(point.path());
        let done = run::run(&mut command);
        assert_eq!(done.code(), Some(1));
        assert!(done.stderr.contains("cannot reach"), "{}", done.stderr);
    }

    match TcpListener::bind("[::1]:0") {
        Ok(listener) => {
            let six = FaultNode::start_on(listener, PACKED.content.bytes.clone());
            let mount = mount_through(&[six.base()], &["--verify", "crc"]);
            assert_unnoticed(&mount, 0, LARGE, "IPv6");
        }
        Err(e) => eprintln!("this machine has no IPv6, which was not tried: {e}"),
    }
}

/// Certificates that do not hold are gateways that cannot be reached.
#[test]
fn a_gateway_with_an_invalid_certificate_causes_no_error() {
    let authority = Authority::new("ours");
    let dir = tree::temp();
    tree::write(dir.path(), "ca.pem", authority.pem().as_bytes());
    let ca = dir.path().join("ca.pem");
    let trusting = ["--ca-file", ca.to_str().expect("a plain path")];
    let nodes = PACKED.content.nodes();
    let certificates = [
        Certificate::WrongName,
        Certificate::Expired,
        Certificate::Good,
    ];
    let bases: Vec<String> = certificates
        .iter()
        .zip(&nodes)
        .map(|(certificate, node)| format!("https://{}", authority.front(*certificate, node)))
        .collect();
    let mount = mount_through(&bases, &trusting);
    assert_unnoticed(&mount, 0, LARGE, "two of three certificates do not hold");
    assert_eq!(nodes[0].requests() + nodes[1].requests(), 0);

    for (base, trusting, why) in [
        (&bases[0], &trusting[..], "not valid for name"),
        (&bases[1], &trusting[..], "expired"),
        (&bases[2], &[], "UnknownIssuer"),
    ] {
        let point = tree::temp();
        let mut command = run::aiozfs();
        command.args(["mount", "--foreground", "--timeout", "3s"]);
        command.args(["--gateway", base]);
        command.args(trusting);
        command
            .arg(PACKED.content.cid.to_string())
            .arg(point.path());
        let done = run::run(&mut command);
        assert_eq!(done.code(), Some(1));
        assert!(done.stderr.contains(why), "{}", done.stderr);
        assert!(done.stderr.contains(base.as_str()), "{}", done.stderr);
    }
}

/// Parts of one walk come from all of them; one that dies or lies leaves its parts to the others.
#[test]
fn stripes_come_from_all_and_outlive_each() {
    let nodes = PACKED.content.nodes();
    let options = ["--stripe", "--verify", "trustless"];
    let mount = mount_through(&bases(&nodes), &options);
    assert_unnoticed(&mount, 0, LARGE / 2, "all is well");
    let gave = |node: &FaultNode| node.sent() > 100_000;
    let gave = nodes.iter().filter(|node| gave(node)).count();
    assert!(gave >= 2, "{:?}", nodes.each_ref().map(FaultNode::sent));
    nodes[0].die();
    nodes[1].behave(Behaviour::Flipped);
    assert_unnoticed(&mount, LARGE / 2, LARGE, "one has died, one lies");
    let other = mount.join("other.bin");
    read(&other, &PACKED.other, 0, 300_000).expect("from the last one");
}

/// The table of `gateways --check` says what a command that reads through the gateway finds. A gateway of
/// blocks alone was shown with both, or with none.
#[test]
fn gateway_check_agrees_with_the_mount() {
    let packed = &*PACKED;
    let cid = packed.content.cid.to_string();
    let forges = [
        (Forge::Nothing, "yes", "yes"),
        (Forge::RefusedRanges(406, None), "no", "yes"),
        (Forge::RefusedRanges(503, None), "no", "yes"),
        (Forge::RefusedRanges(429, Some(60)), "no", "yes"),
        (Forge::NoRanges, "no", "yes"),
        (Forge::RefusedBlocks(403), "yes", "no"),
        (Forge::RefusedBlocks(404), "yes", "no"),
        (Forge::RefusedBlocks(503), "yes", "no"),
    ];
    run::each(forges.into(), AT_ONCE, |(forge, ranges, blocks)| {
        let (_runtime, relay) = packed.content.relayed();
        relay.forge(forge.clone());
        let base = relay.base();
        let mut check = run::aiozfs();
        check.args(["gateways", "--gateway", &base, "--check", &cid]);
        let checked = run::run(&mut check).ok("there is a gateway");
        let row = checked.stdout.lines().nth(1).expect("a row");
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[1..4], ["yes", ranges, blocks], "{forge:?}: {row}");
        for (verify, needs) in [("trustless", blocks), ("crc", ranges)] {
            let mut ls = run::aiozfs();
            ls.args(["ls", "--gateway", &base, "--cache-size", "0"]);
            ls.args(["--timeout", "4s", "--verify", verify, &cid]);
            let listed = run::run(&mut ls);
            let works = listed.code() == Some(0) && listed.stdout.contains("large.bin");
            assert_eq!(
                works,
                needs == "yes",
                "{forge:?}, {verify}: {}",
                listed.stderr
            );
        }
    });
}

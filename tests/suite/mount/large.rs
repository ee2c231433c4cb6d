//! Archives larger than any disk of a test: bytes are generated when they are read, and sent over real HTTP.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::mount::Mount;
use crate::common::run::{self, run};
use crate::common::vast::Vast;
use crate::common::zips::{Item, eocd};

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A blob, served.
#[derive(Default)]
struct Served {
    blob: Vast,
    /// How long each answer is waited for.
    latency: Duration,
    asked: Mutex<Asked>,
}

/// What was asked of it.
#[derive(Default)]
struct Asked {
    ranges: Vec<Range<u64>>,
    under_way: usize,
    most_under_way: usize,
}

impl Served {
    /// Serves it until the process ends; returns its URL.
    fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/vast.zip", listener.local_addr().expect("it"));
        let served = self.clone();
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let served = served.clone();
                thread::spawn(move || drop(served.answer(&connection)));
            }
        });
        url
    }

    fn answer(&self, connection: &TcpStream) -> std::io::Result<()> {
        connection.set_nodelay(true)?;
        let mut lines = BufReader::new(connection.try_clone()?).lines();
        let mut range = None;
        while let Some(line) = lines.next().transpose()? {
            let line = line.to_ascii_lowercase();
            if let Some(asked) = line.strip_prefix("range: bytes=") {
                let (from, to) = asked.split_once('-').expect("a range");
                let to: u64 = to.parse().expect("an absolute range");
                range = Some(match from.parse() {
                    Ok(from) => from..to + 1,
                    Err(_) => self.blob.size - to..self.blob.size,
                });
            }
            if line.is_empty() {
                self.send(range.take().expect("only ranges are asked for"), connection)?;
            }
        }
        Ok(())
    }

    fn send(&self, range: Range<u64>, mut out: &TcpStream) -> std::io::Result<()> {
        {
            let mut asked = self.asked.lock().expect("a list");
            asked.ranges.push(range.clone());
            asked.under_way += 1;
            asked.most_under_way = asked.most_under_way.max(asked.under_way);
        }
        thread::sleep(self.latency);
        let (size, len) = (self.blob.size, range.end - range.start);
        let last = range.end - 1;
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Length: {len}\r\nContent-Range: bytes {}-{last}/{size}\r\n\r\n",
            range.start
        );
        let mut sent = out.write_all(head.as_bytes());
        let mut at = range.start;
        while sent.is_ok() && at < range.end {
            let end = range.end.min(at + (64 << 10));
            sent = out.write_all(&self.blob.read(at..end));
            at = end;
        }
        self.asked.lock().expect("a list").under_way -= 1;
        sent
    }
}

#[test]
fn five_terabytes_are_read_at_every_place() {
    let places: [(&str, u64, u64); 4] = [
        ("first", 0, 4 * GIB + 5),
        ("past 4 GiB", 5 * GIB, 100),
        ("past 4 TiB", 4 * TIB + 7, 600 * GIB),
        ("last", 5 * TIB - 1000, 10),
    ];
    let (mut blob, mut directory) = (Vast::default(), Vec::new());
    for (name, at, size) in places {
        let data = blob.add(&mut directory, name, at, size);
        // Each says where it begins and ends.
        blob.put(data, format!("<{}>", &name[..3]));
        blob.put(data + size - 5, format!("[{}]", &name[..3]));
    }
    blob.end(directory, 5 * TIB, 4);
    let size = format!("size               {} bytes (5.00 TiB)\n", blob.size);
    let served = Arc::new(Served {
        blob,
        ..Served::default()
    });
    let url = served.serve();
    let mount = Mount::with(&url, &["--verify", "none"]);
    for (name, _, size) in places {
        let file = File::open(mount.join(name)).expect(name);
        assert_eq!(file.metadata().expect(name).len(), size, "{name}");
        let at = |offset: u64| {
            let mut bytes = [1; 5];
            file.read_exact_at(&mut bytes, offset)
                .unwrap_or_else(|e| panic!("{name} at {offset}: {e}"));
            bytes
        };
        assert_eq!(&at(0), format!("<{}>", &name[..3]).as_bytes(), "{name}");
        assert_eq!(&at(size - 5), format!("[{}]", &name[..3]).as_bytes());
        if size > 100 {
            assert_eq!(at(size / 2), [0; 5], "{name}");
        }
    }
    let stat = rustix::fs::statvfs(mount.path()).expect("statfs");
    let total: u64 = places.iter().map(|(_, _, size)| size).sum();
    assert_eq!(stat.f_blocks * stat.f_frsize, total.next_multiple_of(512));
    mount.assert_no_complaint();

    let aiozfs = |args: &[&str]| run(run::aiozfs().args(args)).ok("aiozfs").stdout;
    assert!(aiozfs(&["ls", "-l", &url]).contains(" 644245094400 2024-01-01 00:00:00 past 4 TiB\n"));
    let last = aiozfs(&["cat", "--verify", "none", &url, "last"]);
    assert_eq!(last, "<las>[las]");
    assert!(aiozfs(&["info", &url]).contains(&size));
    // A few megabytes of five terabytes.
    let asked = served.asked.lock().expect("a list");
    let sent: u64 = asked.ranges.iter().map(|r| r.end - r.start).sum();
    assert!(sent < 200 << 20, "{sent} bytes were asked for");
}

/// The records of this many segments in one directory, and the end of the last one.
fn segments(entries: u64) -> (Vec<u8>, u64) {
    let (mut directory, mut at) = (Vec::new(), 0);
    for number in 0..entries {
        let item = Item::new(format!("some/directory/of/segments/{number:06}.ts"), "");
        directory.extend(item.central(at as u32));
        at += item.local().len() as u64;
    }
    (directory, at)
}

fn assert_all_are_there(mount: &Mount, entries: u64) {
    let listed = fs::read_dir(mount.join("some/directory/of/segments"));
    assert_eq!(listed.expect("a directory").count() as u64, entries);
}

/// A directory of many megabytes over a slow link: one range after the other would take one round
/// trip for each range.
#[test]
fn a_large_directory_comes_in_several_ranges_at_once_and_each_byte_once() {
    const ENTRIES: u64 = 100_000;
    let (directory, at) = segments(ENTRIES);
    let len = directory.len() as u64;
    assert!(len > 7 << 20);
    let mut served = Served {
        latency: Duration::from_millis(30),
        ..Served::default()
    };
    served.blob.end(directory, at, ENTRIES);
    let served = Arc::new(served);
    let mount = Mount::new(served.serve());
    let asked = served.asked.lock().expect("a list");
    let sent: u64 = asked.ranges.iter().map(|r| r.end - r.start).sum();
    assert!(asked.most_under_way >= 2, "{:?}", asked.ranges);
    assert!(sent < len + (1 << 20), "{sent} bytes for {len}");
    drop(asked);
    assert_all_are_there(&mount, ENTRIES);
}

/// A gap behind a directory looks like bytes prepended to the archive, until the first record is not
/// where it then should be, and the directory is begun anew elsewhere. What was asked for meanwhile
/// is of the wrong place.
#[test]
fn a_large_directory_before_a_gap_is_read_again() {
    const ENTRIES: u64 = 30_000;
    let (directory, at) = segments(ENTRIES);
    let len = directory.len() as u64;
    assert!(len > 2 << 20);
    let mut served = Served::default();
    served.blob.put(at, directory);
    let end = eocd((ENTRIES as u16, len as u32, at as u32), 0, b"");
    served.blob.size = at + len + 1000 + end.len() as u64;
    served.blob.put(at + len + 1000, end);
    let mount = Mount::new(Arc::new(served).serve());
    assert_all_are_there(&mount, ENTRIES);
}

//! Zstandard in the seekable format: frames, and a table of them in a frame that decoders skip. Nothing in an archive
//! proves what the table says, so reads must be right whatever it says.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use aiozfs::decode::Error;
use zstd::zstd_safe::get_frame_content_size;

use super::entries::{Opened, item, options, plain, zip};
use crate::common::mount::Mount;
use crate::common::run::{run, tool};
use crate::common::tree;

const FRAME: usize = 512 << 10;
const FRAMES: usize = 6;

/// Length of a hidden frame's content.
const HIDDEN: usize = 700;

/// What a table says of a frame: its compressed size, and that of its content.
type Row = (usize, usize);

/// Stored bytes, their content, and the rows of a table that follows them.
#[derive(Clone)]
struct Data {
    stored: Vec<u8>,
    content: Vec<u8>,
    rows: Vec<Row>,
}

impl Data {
    fn new() -> Self {
        Self {
            stored: Vec::new(),
            content: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Appends a frame without a row.
    fn push(&mut self, frame: &[u8], content: &[u8]) {
        self.stored.extend_from_slice(frame);
        self.content.extend_from_slice(content);
    }

    /// Appends a frame that has a row.
    fn add(&mut self, frame: &[u8], content: &[u8]) {
        self.push(frame, content);
        self.rows.push((frame.len(), content.len()));
    }

    /// An archive of it, with this behind the frames.
    fn archive(&self, behind: &[u8]) -> Vec<u8> {
        let stored = [&self.stored, behind].concat();
        let entry = item("f", &self.content, stored).with(|item| item.method = 93);
        zip(vec![entry])
    }

    /// Where frames begin according to the rows: in the stored bytes and in the content.
    fn places(&self) -> Vec<Row> {
        let step = |at: &mut Row, row: &Row| {
            let here = *at;
            (at.0, at.1) = (at.0 + row.0, at.1 + row.1);
            Some(here)
        };
        self.rows.iter().scan((0, 0), step).collect()
    }
}

/// One frame by the program `zstd`, with the length of its content in its header or, as streams have it, without.
fn frame(content: &[u8], has_size: bool) -> Vec<u8> {
    let dir = tree::temp();
    let [file, out] = ["content", "zst"].map(|name| dir.path().join(name));
    fs::write(&file, content).expect("a file");
    let size = if has_size {
        "--content-size"
    } else {
        "--no-content-size"
    };
    let mut program = tool("zstd");
    program.args(["-q", size]).arg(&file).arg("-o").arg(&out);
    run(&mut program).ok("zstd");
    fs::read(&out).expect("its output")
}

/// One frame of one raw block, with the length of its content in its header (RFC 8878, section 3.1.1).
fn raw_frame(content: &[u8]) -> Vec<u8> {
    let len = content.len() as u32;
    let block = (len << 3 | 1).to_le_bytes();
    let magic = b"\x28\xb5\x2f\xfd\xa0";
    [magic, &len.to_le_bytes()[..], &block[..3], content].concat()
}

/// The frame with the table, as the format's description in Zstandard's repository has it.
fn table(rows: &[Row]) -> Vec<u8> {
    framed(rows, rows.len() as u32)
}

fn framed(rows: &[Row], count: u32) -> Vec<u8> {
    let numbers = rows
        .iter()
        .flat_map(|(stored, plain)| [*stored as u32, *plain as u32]);
    let mut body: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    body.extend(count.to_le_bytes());
    body.push(0);
    body.extend(0x8f92_eab1_u32.to_le_bytes());
    let mut frame = 0x184d_2a5e_u32.to_le_bytes().to_vec();
    frame.extend((body.len() as u32).to_le_bytes());
    frame.extend(body);
    frame
}

fn seekable(has_sizes: bool) -> Data {
    let mut data = Data::new();
    for seed in 0..FRAMES {
        let content = plain(seed as u64, FRAME + seed * 1000);
        data.add(&frame(&content, has_sizes), &content);
    }
    data
}

/// Reads in front of, at and behind these places, the last ones first, each in an archive that was opened just now for the
/// first; then everything in order.
fn assert_reads(archive: &[u8], content: &[u8], places: &[usize], what: &str) {
    let dir = tree::temp();
    let path = dir.path().join("a.zip");
    fs::write(&path, archive).expect("a file");
    let len = content.len();
    let opened = Opened::file(&path, options(64 << 10));
    for place in places.iter().rev() {
        let range = place.saturating_sub(5000).min(len)..(place + 5000).min(len);
        let read = opened.read("f", range.start as u64..range.end as u64);
        let read = read.unwrap_or_else(|e| panic!("{what}, {range:?}: {e}"));
        assert!(read == content[range.clone()], "{what}: wrong at {range:?}");
    }
    let read = opened.read_through("f", len as u64).expect(what);
    assert!(read == content, "{what}: wrong bytes in sequence");
}

#[test]
fn seekable_zstd_is_read_right_whatever_its_table_says() {
    let data = seekable(true);
    let places: Vec<usize> = data.places().iter().map(|(_, plain)| *plain).collect();
    let rows = &data.rows;
    let changed = |change: &dyn Fn(&mut Vec<Row>)| {
        let mut rows = rows.clone();
        change(&mut rows);
        table(&rows)
    };
    let sizes = |rows: &mut Vec<Row>| (rows[1].1, rows[4].1) = (rows[4].1, rows[1].1);
    let tables = [
        ("none", Vec::new()),
        ("a right one", table(rows)),
        ("two sizes interchanged", changed(&sizes)),
        ("two rows interchanged", changed(&|rows| rows.swap(1, 4))),
        ("a wrong sum", changed(&|rows| rows[2].1 += 7)),
        ("a row less", table(&rows[..FRAMES - 1])),
        ("no rows", table(&[])),
        ("a huge count", framed(rows, u32::MAX)),
        (
            "huge sizes",
            table(&[(u32::MAX as usize, u32::MAX as usize); 9]),
        ),
    ];
    for (what, table) in tables {
        assert_reads(&data.archive(&table), &data.content, &places, what);
    }
    let streamed = seekable(false);
    assert_eq!(get_frame_content_size(&streamed.stored).ok(), Some(None));
    let archive = streamed.archive(&table(&streamed.rows));
    assert_reads(&archive, &streamed.content, &places, "frames of streams");
}

/// A frame's header tells the length of its content, and not where the frame ends. So frames that no row tells of can
/// follow a frame, and what a row points to can lie within another frame.
fn forged() -> Data {
    let [first, second, third] = [10, 11, 12].map(|seed| plain(seed, FRAME));
    let (hidden, unused) = (plain(13, HIDDEN), plain(14, HIDDEN));
    let within = raw_frame(&unused);
    let around = raw_frame(&within);
    let mut data = Data::new();
    data.add(&frame(&first, true), &first);
    let behind = raw_frame(&hidden);
    data.push(&behind, &hidden);
    data.rows[0].0 += behind.len();
    data.add(&frame(&second, true), &second);
    data.push(&around, &within);
    data.rows.push((around.len() - within.len(), within.len()));
    data.rows.push((within.len(), unused.len()));
    data.add(&frame(&third, true), &third);
    data
}

/// Each row of the table agrees with the header of a frame at the place that the table gives, the sums of both sizes are
/// exact, and the content has the CRC-32 of the directory. Nevertheless the table's places are wrong.
#[test]
fn a_forged_table_that_agrees_with_all_headers_does_not_give_wrong_bytes() {
    let data = forged();
    for (row, place) in data.rows.iter().zip(data.places()) {
        let header = &data.stored[place.0..][..18];
        let told = get_frame_content_size(header).expect("a frame");
        assert_eq!(told, Some(row.1 as u64), "at {place:?}");
    }
    let sums = data.rows.iter().fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    assert_eq!(sums, (data.stored.len(), data.content.len()));
    let (stored, place) = data.places()[1];
    let believed = &data.stored[stored..stored + data.rows[1].0];
    let believed = zstd::bulk::decompress(believed, FRAME).expect("a whole frame");
    assert!(
        believed != data.content[place..place + FRAME],
        "it is right"
    );
    assert!(believed == data.content[place + HIDDEN..][..FRAME]);

    let places: Vec<usize> = data.places().iter().map(|(_, plain)| *plain).collect();
    let archive = data.archive(&table(&data.rows));
    assert_reads(&archive, &data.content, &places, "forged");
    let dir = tree::temp();
    let path = dir.path().join("a.zip");
    fs::write(&path, archive).expect("a file");
    let mount = Mount::new(&path);
    let file = fs::File::open(mount.join("f")).expect("it opens");
    let mut read = vec![0; 10_000];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut read, place as u64).expect("bytes");
    assert!(read == data.content[place..place + 10_000], "in a mount");
}

/// The library compares it only where the frame ends. What comes before is given out meanwhile.
#[test]
fn a_frame_whose_header_lies_about_its_content_is_an_error() {
    let data = seekable(true);
    for by in [-1, 1, -100_000] {
        let (at, _) = data.places()[2];
        let mut lying = data.clone();
        // The size in the header of a frame of one segment (RFC 8878, section 3.1.1.1), in four bytes.
        assert_eq!(lying.stored[at + 4] & 0b1110_0000, 0b1010_0000);
        let size = (data.rows[2].1 as i32 + by).to_le_bytes();
        lying.stored[at + 5..at + 9].copy_from_slice(&size);
        lying.rows[2].1 = (data.rows[2].1 as i32 + by) as usize;
        let dir = tree::temp();
        let path = dir.path().join("a.zip");
        fs::write(&path, lying.archive(&table(&lying.rows))).expect("a file");
        let opened = Opened::file(&path, options(64 << 10));
        let end = data.places()[3].1 as u64;
        // First the frame behind it.
        assert!(opened.read("f", end + 1000..end + 2000).is_err(), "{by}");
        let read = opened.read_through("f", data.content.len() as u64);
        assert!(matches!(read, Err(Error::Damaged { .. })), "{by}: {read:?}");
    }
}

/// After one pass, which `fetch --index` makes, a read decodes the frame that it lies in.
#[test]
fn after_a_pass_a_read_decodes_only_its_frame() {
    let data = seekable(true);
    let dir = tree::temp();
    let path = dir.path().join("a.zip");
    fs::write(&path, data.archive(&table(&data.rows))).expect("a file");
    let opened = Opened::file(&path, options(64 << 10));
    let (decoder, id) = (opened.volume.decoder(), opened.id("f"));
    let passed = opened.runtime.block_on(decoder.pass(id, Arc::new(|_| ())));
    passed.expect("a pass");
    for (_, place) in data.places().into_iter().rev() {
        let before = decoder.work().plain.load(SeqCst);
        // Far enough in it that no block of the decoder lies in the frame before, too.
        let range = place + 200_000..place + 201_000;
        let read = opened.read("f", range.start as u64..range.end as u64);
        assert!(read.expect("bytes") == data.content[range.clone()]);
        let decoded = decoder.work().plain.load(SeqCst) - before;
        assert!(decoded <= FRAME as u64, "{range:?}: {decoded} bytes");
    }
}

//! One request, answered correctly or with the fault that the test asked for.

use std::io::{Result, Write};
use std::ops::Range;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use super::behaviour::Behaviour;
use super::{Shared, wait_for_end};

/// An answer before it is spoilt.
struct Draft {
    status: &'static str,
    told: Range<u64>,
    size: u64,
    body: Vec<u8>,
    etag: String,
    /// `None`: chunked.
    length: Option<usize>,
    extra: String,
    /// How much of the body is sent.
    sent: usize,
    /// Whether the connection is good for another request.
    goes_on: bool,
}

/// The range that a request asks for: whether it is a suffix, and which bytes.
fn range_of(head: &str, size: u64) -> Option<(bool, Range<u64>)> {
    let line = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("range:"))?;
    let spec = line.split_once("bytes=")?.1.trim();
    if let Some(suffix) = spec.strip_prefix('-') {
        let n: u64 = suffix.parse().ok()?;
        return Some((true, size.saturating_sub(n)..size));
    }
    let (first, last) = spec.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    Some((false, first..last + 1))
}

/// `/ipfs/CID?format=raw`: the CID.
fn block_of(head: &str) -> Option<&str> {
    let target = head.split(' ').nth(1)?;
    let (path, query) = target.split_once('?')?;
    let is_raw = query.split('&').any(|pair| pair == "format=raw");
    is_raw.then(|| path.rsplit('/').next().unwrap_or_default())
}

/// Answers one request; false ends the connection.
pub(super) fn answer(
    shared: &Shared,
    behaviour: &Behaviour,
    head: &str,
    out: &mut dyn Write,
) -> Result<bool> {
    if let Behaviour::If(part, then) = behaviour {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let then = if target.contains(part) {
            then
        } else {
            &Behaviour::Good
        };
        return answer(shared, then, head, out);
    }
    if let Some(done) = answer_without_bytes(shared, behaviour, head, out)? {
        return Ok(done);
    }
    if let Some(cid) = block_of(head) {
        return answer_block(shared, behaviour, cid, out);
    }
    let size = shared.blob.len() as u64;
    let asked = range_of(head, size);
    let (is_suffix, range) = asked.clone().unwrap_or((false, 0..size));
    if let Some(done) = answer_by_range(shared, behaviour, is_suffix, &range, out)? {
        return Ok(done);
    }
    let range = range.start..range.end.min(size);
    if range.is_empty() {
        write!(
            out,
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n"
        )?;
        return Ok(true);
    }
    let body = shared.blob[range.start as usize..range.end as usize].to_vec();
    let mut draft = Draft {
        status: match asked {
            None => "200 OK",
            Some(_) => "206 Partial Content",
        },
        told: range,
        size,
        etag: "\"one\"".into(),
        length: Some(body.len()),
        extra: String::new(),
        sent: usize::MAX,
        goes_on: true,
        body,
    };
    if *behaviour == Behaviour::Multipart {
        return answer_multipart(&draft, out);
    }
    spoil(shared, behaviour, is_suffix, &mut draft);
    send(shared, behaviour, &draft, out)?;
    match behaviour {
        Behaviour::Drip => drip(shared, &draft, out)?,
        behaviour if behaviour.hangs() => wait_for_end(shared),
        _ => {}
    }
    Ok(draft.goes_on)
}

/// Answers that are the same whatever was asked for; `None` if this is not one.
fn answer_without_bytes(
    shared: &Shared,
    behaviour: &Behaviour,
    head: &str,
    out: &mut dyn Write,
) -> Result<Option<bool>> {
    let status = |out: &mut dyn Write, code: u16, more: &str| {
        write!(
            out,
            "HTTP/1.1 {code} Whatever\r\n{more}Content-Length: 0\r\n\r\n"
        )
    };
    if !head.starts_with("GET ") {
        status(out, 405, "Allow: GET\r\n")?;
        return Ok(Some(true));
    }
    match behaviour {
        Behaviour::Whole if block_of(head).is_none() => send_whole(shared, out)?,
        Behaviour::WholeAt(turns) => {
            let turn = shared.turn.fetch_add(1, SeqCst) + 1;
            if !turns.contains(&turn) {
                return Ok(None);
            }
            send_whole(shared, out)?;
        }
        Behaviour::Status(code, retry_after) => {
            let retry = retry_after.map_or(String::new(), |s| format!("Retry-After: {s}\r\n"));
            status(out, *code, &retry)?;
        }
        Behaviour::Late(after, code) => {
            let end = Instant::now() + Duration::from_millis(*after);
            while Instant::now() < end && shared.still_is(behaviour) {
                thread::sleep(Duration::from_millis(5));
            }
            status(out, *code, "")?;
        }
        Behaviour::Burst(code, bad) => {
            if shared.turn.fetch_add(1, SeqCst) % (bad + 1) == *bad {
                return Ok(None);
            }
            status(out, *code, "")?;
        }
        Behaviour::AtMost(most) if shared.under_way.load(SeqCst) > *most => {
            status(out, 429, "Retry-After: 1\r\n")?;
        }
        Behaviour::Silent => {
            wait_for_end(shared);
            return Ok(Some(false));
        }
        Behaviour::Slam => return Ok(Some(false)),
        Behaviour::Redirect(code, to) => status(out, *code, &format!("Location: {to}\r\n"))?,
        Behaviour::RedirectLoop => {
            let target = head.split(' ').nth(1).unwrap_or("/");
            status(out, 302, &format!("Location: {target}\r\n"))?;
        }
        _ => return Ok(None),
    }
    Ok(Some(true))
}

/// Answers that depend on nothing but the range; `None` if this is not one.
fn answer_by_range(
    shared: &Shared,
    behaviour: &Behaviour,
    is_suffix: bool,
    range: &Range<u64>,
    out: &mut dyn Write,
) -> Result<Option<bool>> {
    let whole = 0..shared.blob.len() as u64;
    match behaviour {
        Behaviour::WholeFrom(from) if range.start >= *from => send_whole(shared, out)?,
        Behaviour::WholeWhenAll if *range == whole => send_whole(shared, out)?,
        Behaviour::NoClamp if range.end > whole.end => write!(
            out,
            "HTTP/1.1 416 No\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\n\r\n",
            whole.end
        )?,
        Behaviour::Suffix(200) if is_suffix => send_whole(shared, out)?,
        Behaviour::Suffix(code) if is_suffix => {
            write!(out, "HTTP/1.1 {code} No\r\nContent-Length: 0\r\n\r\n")?;
        }
        _ => return Ok(None),
    }
    Ok(Some(true))
}

fn send_whole(shared: &Shared, out: &mut dyn Write) -> Result<()> {
    let whole = &shared.blob;
    let length = whole.len();
    write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
    for piece in whole.chunks(16 * 1024) {
        out.write_all(piece)?;
        shared.sent.fetch_add(piece.len() as u64, SeqCst);
    }
    Ok(())
}

fn answer_block(
    shared: &Shared,
    behaviour: &Behaviour,
    cid: &str,
    out: &mut dyn Write,
) -> Result<bool> {
    let Some(block) = shared.blocks.get(cid) else {
        write!(out, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(true);
    };
    let mut block = block.clone();
    if matches!(behaviour, Behaviour::Shifted | Behaviour::Flipped) {
        block[0] ^= 1;
    }
    let coding = match behaviour {
        Behaviour::Coded(coding) => format!("Content-Encoding: {coding}\r\n"),
        _ => String::new(),
    };
    write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ipld.raw\r\n{coding}Content-Length: {}\r\n\r\n",
        block.len()
    )?;
    if behaviour.hangs() {
        wait_for_end(shared);
        return Ok(false);
    }
    out.write_all(&block)?;
    Ok(true)
}

fn answer_multipart(draft: &Draft, out: &mut dyn Write) -> Result<bool> {
    let part = format!(
        "--x\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
        draft.told.start,
        draft.told.end - 1,
        draft.size
    );
    let body = [part.as_bytes(), &draft.body, b"\r\n--x--\r\n"].concat();
    write!(
        out,
        "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    out.write_all(&body)?;
    Ok(true)
}

fn spoil(shared: &Shared, behaviour: &Behaviour, is_suffix: bool, draft: &mut Draft) {
    let bytes = |range: &Range<u64>| {
        let end = range.end.min(draft.size);
        let mut bytes = shared.blob[range.start.min(end) as usize..end as usize].to_vec();
        bytes.resize((range.end - range.start) as usize, 0);
        bytes
    };
    match behaviour {
        Behaviour::SuffixGivesHead if is_suffix => {
            draft.told = 0..draft.told.end - draft.told.start;
            draft.body = bytes(&draft.told);
        }
        Behaviour::StatusOk => draft.status = "200 OK",
        Behaviour::OtherETags => draft.etag = format!("\"{}\"", shared.turn.fetch_add(1, SeqCst)),
        Behaviour::WeakETags => draft.etag = format!("W/\"{}\"", shared.turn.fetch_add(1, SeqCst)),
        Behaviour::Shifted => draft.body = bytes(&(draft.told.start + 4..draft.told.end + 4)),
        Behaviour::Flipped => {
            let middle = draft.body.len() / 2;
            draft.body[middle] ^= 1;
        }
        Behaviour::Flip(at) if draft.told.contains(at) => {
            draft.body[(at - draft.told.start) as usize] ^= 0xff;
        }
        Behaviour::WrongContentRange => draft.told = draft.told.start + 1..draft.told.end + 1,
        Behaviour::WrongLength => {
            draft.length = Some(draft.body.len() + 1);
            draft.goes_on = false;
        }
        Behaviour::Gzip => draft.extra = "Content-Encoding: gzip\r\n".into(),
        Behaviour::Coded(coding) => draft.extra = format!("Content-Encoding: {coding}\r\n"),
        Behaviour::Cut(after) => (draft.sent, draft.goes_on) = (*after, false),
        Behaviour::ShortBody => (draft.sent, draft.goes_on) = (draft.body.len() / 2, false),
        Behaviour::TrailingGarbage => {
            draft.body.extend_from_slice(b"garbage");
            draft.goes_on = false;
        }
        Behaviour::SilentBody | Behaviour::Drip => (draft.sent, draft.goes_on) = (0, false),
        Behaviour::StallAfter(after) => (draft.sent, draft.goes_on) = (*after, false),
        Behaviour::Chunked => {
            draft.length = None;
            draft.extra = "Transfer-Encoding: chunked\r\n".into();
        }
        Behaviour::Changed => {
            draft.etag = "\"two\"".into();
            draft.body.iter_mut().for_each(|b| *b = !*b);
        }
        Behaviour::Longer => draft.size += 1,
        Behaviour::CloseEach => {
            draft.extra = "Connection: close\r\n".into();
            draft.goes_on = false;
        }
        Behaviour::DiesIdle => draft.goes_on = false,
        _ => {}
    }
}

fn send(shared: &Shared, behaviour: &Behaviour, draft: &Draft, out: &mut dyn Write) -> Result<()> {
    let length = draft
        .length
        .map_or(String::new(), |n| format!("Content-Length: {n}\r\n"));
    write!(
        out,
        "HTTP/1.1 {}\r\nContent-Range: bytes {}-{}/{}\r\nETag: {}\r\n{length}{}\r\n",
        draft.status,
        draft.told.start,
        draft.told.end - 1,
        draft.size,
        draft.etag,
        draft.extra
    )?;
    let body = &draft.body[..draft.body.len().min(draft.sent)];
    if let Behaviour::AtMost(_) = behaviour {
        // Otherwise no two requests would ever meet.
        thread::sleep(Duration::from_millis(20));
    }
    if draft.length.is_none() {
        write!(out, "{:x}\r\n", body.len())?;
        out.write_all(body)?;
        write!(out, "\r\n0\r\n\r\n")?;
    } else {
        out.write_all(body)?;
    }
    shared.sent.fetch_add(body.len() as u64, SeqCst);
    Ok(())
}

fn drip(shared: &Shared, draft: &Draft, out: &mut dyn Write) -> Result<()> {
    for byte in &draft.body {
        out.write_all(&[*byte])?;
        let next = Instant::now() + Duration::from_secs(1);
        while Instant::now() < next {
            if !shared.still_hangs() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

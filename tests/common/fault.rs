//! A node that misbehaves on command: real sockets, real HTTP/1.1, any lie.
//!
//! Faults were seen in real servers; each variant names where. Blocking threads, one a connection,
//! so that nothing here shares machinery with what is tested.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How the node answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// As RFC 9110 says.
    Good,
    /// 200 with the whole blob to any range (boxo#856).
    Whole,
    /// This status and nothing else; with a Retry-After of so many seconds.
    Status(u16, Option<u64>),
    /// A suffix range is answered with the head of the blob (kubo#10808).
    SuffixGivesHead,
    /// Right headers, bytes from 4 further on (jsdelivr#18679). Only a CID can tell.
    Shifted,
    /// All bits of one byte of the blob are turned over, as bad memory or a bad disk does.
    Flip(u64),
    /// Content-Range of another range (bandit#677).
    WrongContentRange,
    /// A compressed body (express#5293).
    Gzip,
    /// The connection is cut after so many bytes of body.
    Cut(usize),
    /// Headers that announce more than comes, then a clean end.
    ShortBody,
    /// More bytes than announced, then the end.
    TrailingGarbage,
    /// The request is read and nothing ever answered.
    Silent,
    /// Headers, then nothing.
    SilentBody,
    /// The connection is closed before anything is answered.
    Slam,
    /// 302 to this place.
    Redirect(String),
    /// multipart/byteranges with one part (gateway-conformance#154).
    Multipart,
    /// Chunked, without a length.
    Chunked,
    /// Another blob of the same size, with another ETag.
    Changed,
    /// HTTP/1.1 with `Connection: close` after each answer.
    CloseEach,
}

struct Shared {
    blob: Vec<u8>,
    behaviour: Mutex<Behaviour>,
    stop: AtomicBool,
    requests: AtomicU64,
    sent: AtomicU64,
    /// The head of every request.
    log: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
}

pub struct FaultNode {
    shared: Arc<Shared>,
    pub addr: SocketAddr,
}

impl FaultNode {
    /// A node that serves `blob` at any path.
    pub fn start(blob: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::start_on(listener, blob)
    }

    pub fn start_on(listener: TcpListener, blob: Vec<u8>) -> Self {
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            blob,
            behaviour: Mutex::new(Behaviour::Good),
            stop: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            log: Mutex::new(Vec::new()),
            open: Mutex::new(Vec::new()),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                if accepting.stop.load(SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                if let Ok(copy) = connection.try_clone() {
                    accepting.open.lock().expect("open").push(copy);
                }
                let shared = accepting.clone();
                thread::spawn(move || drop(serve(&shared, connection)));
            }
        });
        Self { shared, addr }
    }

    pub fn url(&self) -> String {
        format!("http://{}/archive.zip", self.addr)
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().expect("behaviour") = behaviour;
    }

    /// Breaks all connections, and listens no more.
    pub fn die(&self) {
        self.shared.stop.store(true, SeqCst);
        let _ = TcpStream::connect(self.addr); // wakes the thread that accepts, which then ends
        for connection in self.shared.open.lock().expect("open").drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }

    /// Bytes of bodies sent.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(SeqCst)
    }

    pub fn log(&self) -> Vec<String> {
        self.shared.log.lock().expect("log").clone()
    }
}

impl Drop for FaultNode {
    fn drop(&mut self) {
        self.die();
    }
}

fn serve(shared: &Shared, connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut out = connection;
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        shared.requests.fetch_add(1, SeqCst);
        shared.log.lock().expect("log").push(head.clone());
        let behaviour = shared.behaviour.lock().expect("behaviour").clone();
        if !answer(shared, &behaviour, &head, &mut out)? {
            let _ = out.shutdown(Shutdown::Both);
            return Ok(());
        }
    }
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
    Some((false, first..(last + 1).min(size)))
}

/// Answers one request; false ends the connection.
fn answer(
    shared: &Shared,
    behaviour: &Behaviour,
    head: &str,
    out: &mut TcpStream,
) -> std::io::Result<bool> {
    let size = shared.blob.len() as u64;
    let (is_suffix, range) = range_of(head, size).unwrap_or((false, 0..size));
    let bytes = |range: &Range<u64>| {
        shared.blob[range.start.min(size) as usize..range.end.min(size) as usize].to_vec()
    };
    let mut status = "206 Partial Content".to_owned();
    let mut told = range.clone();
    let mut body = bytes(&range);
    let mut extra = String::new();
    let mut etag = "\"one\"";
    let mut length = Some(body.len());
    let mut sent_part = usize::MAX;
    let mut goes_on = true;
    if range.is_empty() {
        write!(
            out,
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n"
        )?;
        return Ok(true);
    }
    match behaviour {
        Behaviour::Good => {}
        Behaviour::Whole => {
            let whole = shared.blob.clone();
            write!(
                out,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                whole.len()
            )?;
            for piece in whole.chunks(16 * 1024) {
                out.write_all(piece)?;
                shared.sent.fetch_add(piece.len() as u64, SeqCst);
            }
            return Ok(true);
        }
        Behaviour::Status(code, retry_after) => {
            let retry = retry_after.map_or(String::new(), |s| format!("Retry-After: {s}\r\n"));
            write!(
                out,
                "HTTP/1.1 {code} Whatever\r\n{retry}Content-Length: 0\r\n\r\n"
            )?;
            return Ok(true);
        }
        Behaviour::SuffixGivesHead if is_suffix => {
            told = 0..range.end - range.start;
            body = bytes(&told);
        }
        Behaviour::SuffixGivesHead => {}
        Behaviour::Shifted => {
            body = bytes(&(range.start + 4..range.end + 4));
            body.resize((range.end - range.start) as usize, 0);
        }
        Behaviour::Flip(at) if told.contains(at) => {
            body[(at - told.start) as usize] ^= 0xff;
        }
        Behaviour::Flip(_) => {}
        Behaviour::WrongContentRange => told = range.start + 1..range.end + 1,
        Behaviour::Gzip => extra = "Content-Encoding: gzip\r\n".into(),
        Behaviour::Cut(after) => {
            sent_part = *after;
            goes_on = false;
        }
        Behaviour::ShortBody => {
            sent_part = body.len() / 2;
            goes_on = false;
        }
        Behaviour::TrailingGarbage => {
            body.extend_from_slice(b"garbage");
            goes_on = false;
        }
        Behaviour::Silent => {
            wait_for_end(shared);
            return Ok(false);
        }
        Behaviour::SilentBody => sent_part = 0,
        Behaviour::Slam => return Ok(false),
        Behaviour::Redirect(to) => {
            write!(
                out,
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
            )?;
            return Ok(true);
        }
        Behaviour::Multipart => {
            let part = format!(
                "--x\r\nContent-Range: bytes {}-{}/{size}\r\n\r\n",
                told.start,
                told.end - 1
            );
            let body = [part.as_bytes(), &body, b"\r\n--x--\r\n"].concat();
            write!(
                out,
                "HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            out.write_all(&body)?;
            return Ok(true);
        }
        Behaviour::Chunked => {
            length = None;
            extra = "Transfer-Encoding: chunked\r\n".into();
        }
        Behaviour::Changed => {
            etag = "\"two\"";
            body.iter_mut().for_each(|b| *b = !*b);
        }
        Behaviour::CloseEach => {
            extra = "Connection: close\r\n".into();
            goes_on = false;
        }
    }
    if range.start == 0 && range.end == size && !head.to_ascii_lowercase().contains("range:") {
        status = "200 OK".into();
    }
    let length_line = length.map_or(String::new(), |n| format!("Content-Length: {n}\r\n"));
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Range: bytes {}-{}/{size}\r\nETag: {etag}\r\n{length_line}{extra}\r\n",
        told.start,
        told.end - 1
    )?;
    let body = &body[..body.len().min(sent_part)];
    if length.is_none() {
        write!(out, "{:x}\r\n", body.len())?;
        out.write_all(body)?;
        write!(out, "\r\n0\r\n\r\n")?;
    } else {
        out.write_all(body)?;
    }
    shared.sent.fetch_add(body.len() as u64, SeqCst);
    if *behaviour == Behaviour::SilentBody {
        wait_for_end(shared);
        return Ok(false);
    }
    Ok(goes_on)
}

/// Keeps silent until the node ends or behaves otherwise.
fn wait_for_end(shared: &Shared) {
    let silent = |b: &Behaviour| matches!(b, Behaviour::Silent | Behaviour::SilentBody);
    while !shared.stop.load(SeqCst) && silent(&shared.behaviour.lock().expect("behaviour")) {
        thread::sleep(Duration::from_millis(5));
    }
}

//! A server of archives that counts what it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::mount::Mount;
use crate::common::scripted::{Asked, Reply, Scripted};
use crate::common::zips::{Item, Zip};

/// What a path is answered with.
#[derive(Clone)]
pub enum Answer {
    Blob(Vec<u8>),
    /// The same, but an answer of 416 does not tell the size.
    Silent416(Vec<u8>),
    /// All of it, whatever range is asked for.
    Whole(Vec<u8>),
    Status(u16),
    /// Nothing comes for this long.
    Silence(Duration),
}

/// A server with paths that a test changes.
pub struct ArchiveServer {
    server: Scripted,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    /// Headers of all answers.
    headers: Headers,
}

type Headers = Arc<Mutex<Vec<(&'static str, String)>>>;

impl ArchiveServer {
    /// Answers every path below `/any/` with `blob`, and others as they are [set](Self::set).
    pub fn new(blob: Vec<u8>) -> Self {
        Self::slow(blob, Duration::ZERO)
    }

    /// One that takes this long for each answer.
    pub fn slow(blob: Vec<u8>, pause: Duration) -> Self {
        let answers: Arc<Mutex<BTreeMap<String, Answer>>> = Arc::default();
        let headers = Headers::default();
        let (known, told) = (answers.clone(), headers.clone());
        let server = Scripted::start(move |asked| {
            std::thread::sleep(pause);
            let answer = known.lock().expect("answers").get(&asked.target).cloned();
            let mut reply = match answer {
                Some(Answer::Blob(blob)) => ranged(&blob, asked),
                Some(Answer::Silent416(blob)) => {
                    let mut reply = ranged(&blob, asked);
                    let is_silent = reply.status == 416;
                    let is_told = |name: &str| !is_silent || name != "content-range";
                    reply.headers.retain(|(name, _)| is_told(name));
                    reply
                }
                Some(Answer::Whole(blob)) => Reply {
                    body: blob,
                    ..status_of(200)
                },
                Some(Answer::Status(status)) => status_of(status),
                Some(Answer::Silence(time)) => {
                    std::thread::sleep(time);
                    status_of(503)
                }
                None if asked.target.starts_with("/any/") => ranged(&blob, asked),
                None => status_of(404),
            };
            reply.headers.extend(told.lock().expect("headers").clone());
            reply
        });
        Self {
            server,
            answers,
            headers,
        }
    }

    /// Answers with this header from now on, and with no other.
    pub fn say(&self, name: &'static str, value: &str) {
        *self.headers.lock().expect("headers") = vec![(name, value.to_owned())];
    }

    pub fn set(&self, path: &str, answer: Answer) {
        let mut answers = self.answers.lock().expect("answers");
        answers.insert(path.to_owned(), answer);
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.base())
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.server.log().len()
    }

    /// The paths of all requests, in the order in which they came.
    pub fn targets(&self) -> Vec<String> {
        let log = self.server.log();
        log.into_iter().map(|asked| asked.target).collect()
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> BTreeSet<String> {
        self.targets().into_iter().collect()
    }

    pub fn clear(&self) {
        self.server.clear();
    }
}

fn status_of(status: u16) -> Reply {
    Reply {
        status,
        ..Reply::text("")
    }
}

/// The ETag is that of the content, of which some bytes stand for all.
fn ranged(blob: &[u8], asked: &Asked) -> Reply {
    let first = asked.header("range").strip_prefix("bytes=");
    let first = first.and_then(|range| range.split('-').next()?.parse::<usize>().ok());
    if first.is_some_and(|first| first >= blob.len()) {
        let mut reply = status_of(416);
        reply
            .headers
            .push(("content-range", format!("bytes */{}", blob.len())));
        return reply;
    }
    let mut reply = Reply::range(blob, asked);
    let some = blob.iter().step_by(1 + blob.len() / 10_000);
    let sum = some.fold(blob.len() as u64, |sum, b| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*b))
    });
    reply.headers.retain(|(name, _)| *name != "etag");
    reply.headers.push(("etag", format!("\"{sum:x}\"")));
    reply
}

/// An archive with a file `a.txt` of this text, `sub/b.txt` and some more.
pub fn archive(text: &str) -> Vec<u8> {
    let items = [
        Item::new("a.txt", text),
        Item::new("sub/b.txt", format!("b of {text}")),
        Item::new("sub/deep/c.txt", "c"),
    ];
    Zip::of(items).finish()
}

/// What a library tells about itself.
pub fn control(mount: &Mount, name: &str) -> String {
    std::fs::read_to_string(mount.join(format!(".aiozfs.{name}"))).expect(name)
}

/// Writes a list of archives.
pub fn write_list(path: &Path, entries: &[(&str, String)]) {
    let lines = entries
        .iter()
        .map(|(name, source)| format!("{name}\t{source}\n"));
    std::fs::write(path, lines.collect::<String>()).expect("a list");
}

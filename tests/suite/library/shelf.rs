//! A server of archives that counts what it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::scripted::{Asked, Reply, Scripted};
use crate::common::zips::{Item, Zip};

/// What a path is answered with.
#[derive(Clone)]
pub enum Answer {
    Blob(Vec<u8>),
    Status(u16),
    /// Nothing comes for this long.
    Silence(Duration),
}

/// A server with paths that a test changes.
pub struct Shelf {
    server: Scripted,
    answers: Arc<Mutex<BTreeMap<String, Answer>>>,
}

impl Shelf {
    /// Answers every path below `/any/` with `blob`, and others as they are [set](Self::set).
    pub fn new(blob: Vec<u8>) -> Self {
        let answers: Arc<Mutex<BTreeMap<String, Answer>>> = Arc::default();
        let known = answers.clone();
        let server = Scripted::start(move |asked| {
            let answer = known.lock().expect("answers").get(&asked.target).cloned();
            match answer {
                Some(Answer::Blob(blob)) => ranged(&blob, asked),
                Some(Answer::Status(status)) => status_of(status),
                Some(Answer::Silence(time)) => {
                    std::thread::sleep(time);
                    status_of(503)
                }
                None if asked.target.starts_with("/any/") => ranged(&blob, asked),
                None => status_of(404),
            }
        });
        Self { server, answers }
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

    /// The paths that were asked for.
    pub fn asked(&self) -> BTreeSet<String> {
        let log = self.server.log();
        log.into_iter().map(|asked| asked.target).collect()
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

/// The ETag is that of the content.
fn ranged(blob: &[u8], asked: &Asked) -> Reply {
    let mut reply = Reply::range(blob, asked);
    let sum = blob.iter().fold(7u64, |sum, b| {
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

/// Writes a list of archives.
pub fn write_list(path: &Path, entries: &[(&str, String)]) {
    let lines = entries
        .iter()
        .map(|(name, source)| format!("{name}\t{source}\n"));
    std::fs::write(path, lines.collect::<String>()).expect("a list");
}

//! Archives of all kinds, and what each must show: one table for everything that reads archives.

mod ends;
mod entries;
mod names;
mod places;
mod zip64;

use super::zips::{Item, Zip};

/// An archive, and what is to come of it.
pub struct Case {
    pub name: &'static str,
    pub blob: Vec<u8>,
    /// For `--encoding`; empty for none.
    pub encoding: &'static str,
    pub expected: Expected,
}

pub enum Expected {
    /// The entries in the order of the archive, and names that are hidden.
    Tree(Vec<(String, Content)>, Vec<&'static str>),
    /// The error contains this.
    Refused(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Dir,
    Bytes(Vec<u8>),
    /// The entry is there, and the error of reading it contains this.
    Bad(&'static str),
}

fn tree(entries: &[(&str, Content)]) -> Expected {
    let named = entries
        .iter()
        .map(|(name, c)| ((*name).to_owned(), c.clone()));
    Expected::Tree(named.collect(), Vec::new())
}

fn bytes(data: impl AsRef<[u8]>) -> Content {
    Content::Bytes(data.as_ref().to_vec())
}

/// What [`two`] shows.
fn two_shown() -> Expected {
    tree(&[("a/b.ts", bytes("hello")), ("c", bytes("world!"))])
}

/// A plain archive of two files.
fn two() -> Zip {
    Zip::of([Item::new("a/b.ts", "hello"), Item::new("c", "world!")])
}

/// All cases.
pub fn all() -> Vec<Case> {
    let groups = [
        ends::ends(),
        zip64::zip64_forms(),
        places::places(),
        names::names(),
        names::encodings(),
        entries::entries(),
        entries::unknowing(),
        entries::damage(),
        places::overlaps(),
    ];
    groups.into_iter().flatten().collect()
}

fn case(name: &'static str, blob: Vec<u8>, expected: Expected) -> Case {
    Case {
        name,
        blob,
        encoding: "",
        expected,
    }
}

//! stub
#![allow(missing_docs, unused)]
use crate::archive::*;
use std::sync::Arc;
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);
impl Ino {
    pub const ROOT: Ino = Ino(1);
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    pub ino: Ino,
    pub kind: Kind,
    pub perm: u16,
    pub nlink: u32,
    pub size: u64,
    pub blocks512: u64,
    pub mtime: Timestamp,
    pub uid: u32,
    pub gid: u32,
}
#[derive(Debug, Clone, Copy)]
pub enum Symlinks {
    All,
    Inside,
    None,
}
pub struct TreeOptions {
    pub uid: u32,
    pub gid: u32,
    pub use_archive_owner: bool,
    pub fmask: u16,
    pub dmask: u16,
    pub symlinks: Symlinks,
}
#[derive(Debug)]
pub enum LinkRefused {
    X,
    TooLong,
}
pub struct DirEntry<'a> {
    pub name: &'a [u8],
    pub ino: Ino,
    pub kind: Kind,
    pub cookie: u64,
}
pub struct Totals {
    pub bytes: u64,
    pub files: u64,
}
pub struct Tree;
impl Tree {
    pub fn build(_: Arc<Index>, _: TreeOptions) -> Self {
        todo!()
    }
    pub fn lookup(&self, _: Ino, _: &[u8]) -> Option<Ino> {
        todo!()
    }
    pub fn attr(&self, _: Ino) -> Option<Attr> {
        todo!()
    }
    pub fn entry(&self, _: Ino) -> Option<EntryId> {
        todo!()
    }
    pub fn path(&self, _: Ino) -> Vec<u8> {
        todo!()
    }
    pub fn read_dir(&self, _: Ino, _: u64) -> Option<std::vec::IntoIter<DirEntry<'_>>> {
        todo!()
    }
    pub fn len(&self) -> usize {
        0
    }
    pub fn totals(&self) -> Totals {
        todo!()
    }
    pub fn check_symlink(&self, _: Ino, _: &[u8]) -> Result<(), LinkRefused> {
        todo!()
    }
}
pub fn range_link(_: &[u8]) -> Option<(&[u8], Extent)> {
    todo!()
}

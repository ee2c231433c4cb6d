//! The files that the arguments of a command name: paths, and patterns of paths.
//!
//! All commands that take files of an archive use this module, so that the same argument names the same files
//! everywhere.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::Failure;
use super::glob::Glob;
use super::show::quoted;
use crate::archive::{EntryId, Index};
use crate::fs::{DirEntry, Ino, Tree, natural};
use crate::ranges::arrange;

/// Patterns, and which of them have selected something.
pub(super) struct Patterns<'a> {
    arguments: &'a [OsString],
    globs: Vec<Glob>,
    is_used: Vec<bool>,
}

impl<'a> Patterns<'a> {
    /// `exists` tells whether the archive has a path. Such an argument is that path, even if it has characters
    /// of a pattern.
    fn new(arguments: &'a [OsString], exists: impl Fn(&[u8]) -> bool) -> Result<Self, Failure> {
        let glob = |argument: &OsString| {
            let text = argument.as_bytes();
            if !Glob::is_pattern(text) || exists(text) {
                return Ok(Glob::literal(text));
            }
            parse(argument)
        };
        let globs: Result<Vec<_>, _> = arguments.iter().map(glob).collect();
        Ok(Self {
            arguments,
            globs: globs?,
            is_used: vec![false; arguments.len()],
        })
    }

    /// For the files of a tree.
    pub(super) fn of_tree(arguments: &'a [OsString], tree: &Tree) -> Result<Self, Failure> {
        Self::new(arguments, |path| lookup(tree, path).is_some())
    }

    /// Whether a path, or a directory above it, is selected. Without arguments every path is.
    pub(super) fn select(&mut self, path: &[u8]) -> bool {
        let path = trimmed(path);
        let mut is_selected = self.globs.is_empty();
        for (glob, is_used) in self.globs.iter().zip(&mut self.is_used) {
            let matches = glob.matches(path, true);
            is_selected |= matches;
            *is_used |= matches;
        }
        is_selected
    }

    /// Fails if an argument has selected nothing.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.is_used.iter().position(|is_used| !is_used) {
            None => Ok(()),
            Some(at) => Err(nothing(&self.arguments[at])),
        }
    }
}

/// The entries of an index that arguments select. An argument that selects nothing is an error.
pub(super) fn selected(arguments: &[OsString], index: &Index) -> Result<Vec<EntryId>, Failure> {
    let mut patterns = Patterns::new(arguments, |path| {
        let literal = Glob::literal(path);
        let mut paths = index.ids().map(|id| trimmed(index.path(id)));
        paths.any(|path| literal.matches(path, true))
    })?;
    let entries = index.ids().filter(|id| patterns.select(index.path(*id)));
    let entries = entries.collect();
    patterns.finish()?;
    Ok(entries)
}

/// What matches a pattern in a tree, the files of a directory in natural order. With `or_below` also what is below a
/// directory that matches.
pub(super) fn matching(tree: &Tree, pattern: &OsStr, or_below: bool) -> Result<Vec<Ino>, Failure> {
    let glob = parse(pattern)?;
    let mut found = Vec::new();
    let mut ahead = vec![Ino::ROOT];
    while let Some(ino) = ahead.pop() {
        let path = tree.path(ino);
        if glob.matches(&path, or_below) && ino != Ino::ROOT {
            found.push(ino);
        }
        ahead.extend(last_first(tree, ino).into_iter().map(|line| line.ino));
    }
    if found.is_empty() {
        return Err(nothing(pattern));
    }
    Ok(found)
}

/// What is in a directory in natural order, the last file first: a walk takes the next one from the end.
pub(super) fn last_first(tree: &Tree, directory: Ino) -> Vec<DirEntry<'_>> {
    // After `.` and `..`.
    let lines = tree.read_dir(directory, 2).into_iter().flatten();
    let mut lines: Vec<_> = lines.collect();
    arrange(&mut lines, |a, b| natural(b.name, a.name));
    lines
}

/// The file at a path. Links are not followed.
pub(super) fn lookup(tree: &Tree, path: &[u8]) -> Option<Ino> {
    let mut names = path.split(|byte| *byte == b'/');
    names.try_fold(Ino::ROOT, |here, name| match name {
        b"" | b"." => Some(here),
        name => tree.lookup(here, name),
    })
}

fn parse(pattern: &OsStr) -> Result<Glob, Failure> {
    Glob::new(pattern.as_bytes()).map_err(|_| {
        let shown = quoted(pattern.as_bytes());
        Failure::usage(format!(
            "the braces of {shown} stand for too many patterns; give fewer"
        ))
    })
}

/// The archive has nothing that this argument names.
fn nothing(argument: &OsStr) -> Failure {
    let shown = quoted(argument.as_bytes());
    let shown = if shown.starts_with(['\'', '"']) {
        shown
    } else {
        format!("'{shown}'")
    };
    Failure::new(format!(
        "the archive has no {shown}; 'aiozfs ls -R' lists what it has"
    ))
}

fn trimmed(mut path: &[u8]) -> &[u8] {
    while let Some(rest) = path.strip_prefix(b"/") {
        path = rest;
    }
    while let Some(rest) = path.strip_suffix(b"/") {
        path = rest;
    }
    path
}

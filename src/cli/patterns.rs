//! The files that the arguments of a command name: paths, and patterns of paths.
//!
//! All commands that take files of an archive use this module, so that the same argument names the same files
//! everywhere.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::Failure;
use super::glob::Glob;
use super::show::quoted;
use crate::archive::Index;
use crate::fs::{Ino, Tree, natural};
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
    pub(super) fn new(
        arguments: &'a [OsString],
        exists: impl Fn(&[u8]) -> bool,
    ) -> Result<Self, Failure> {
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

    /// For the files of an index.
    pub(super) fn of_index(arguments: &'a [OsString], index: &Index) -> Result<Self, Failure> {
        Self::new(arguments, |path| {
            let literal = Glob::literal(path);
            index.ids().any(|id| literal.names(trimmed(index.path(id))))
        })
    }

    /// For the files of a tree.
    pub(super) fn of_tree(arguments: &'a [OsString], tree: &Tree) -> Result<Self, Failure> {
        Self::new(arguments, |path| {
            let mut names = path.split(|byte| *byte == b'/');
            let found = names.try_fold(Ino::ROOT, |here, name| match name {
                b"" | b"." => Some(here),
                name => tree.lookup(here, name),
            });
            found.is_some()
        })
    }

    /// Whether a path, or a directory above it, is selected. Without arguments every path is.
    pub(super) fn select(&mut self, path: &[u8]) -> bool {
        let path = trimmed(path);
        let mut is_selected = self.globs.is_empty();
        for (glob, is_used) in self.globs.iter().zip(&mut self.is_used) {
            let names = glob.names(path);
            is_selected |= names;
            *is_used |= names;
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

/// What matches a pattern in a tree, the files of a directory in natural order. With `or_below` also what is below a
/// directory that matches.
pub(super) fn matching(tree: &Tree, pattern: &OsStr, or_below: bool) -> Result<Vec<Ino>, Failure> {
    let glob = parse(pattern)?;
    let mut found = Vec::new();
    let mut ahead = vec![Ino::ROOT];
    while let Some(ino) = ahead.pop() {
        let path = tree.path(ino);
        let is_named = if or_below {
            glob.names(&path)
        } else {
            glob.is(&path)
        };
        if is_named && ino != Ino::ROOT {
            found.push(ino);
        }
        // After `.` and `..`.
        let mut below: Vec<_> = tree.read_dir(ino, 2).into_iter().flatten().collect();
        arrange(&mut below, |a, b| natural(b.name, a.name));
        ahead.extend(below.into_iter().map(|line| line.ino));
    }
    if found.is_empty() {
        return Err(nothing(pattern));
    }
    Ok(found)
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

//! Finds files of one room that use each other's items in a circle.
//!
//! A `mod.rs` that only declares and re-exports is looked through: a use of `super::Item` counts as a use
//! of the file that defines `Item`.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{self, Path};

/// A module path such as `http::pool`.
type Module = String;

/// The modules of a source tree.
#[derive(Default)]
pub struct Modules {
    /// Code by module path.
    code: BTreeMap<Module, String>,
}

impl Modules {
    /// Adds a file by its path below `src`, such as `http/pool.rs`.
    pub fn add(&mut self, file: &str, text: &str) {
        let module = file
            .trim_end_matches(".rs")
            .trim_end_matches("/mod")
            .replace('/', "::");
        if !module.ends_with("tests") {
            self.code.insert(module, paths::code_of(text));
        }
    }

    /// The groups of files of one room that reach each other, each sorted; empty if there are none.
    pub fn circles(&self) -> Vec<Vec<Module>> {
        let edges: BTreeMap<&Module, BTreeSet<Module>> = self
            .code
            .keys()
            .map(|module| (module, self.uses(module)))
            .collect();
        let reaches = |from: &Module| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(next) = open.pop() {
                for to in edges.get(&next).into_iter().flatten() {
                    if seen.insert(to.clone()) {
                        open.push(to.clone());
                    }
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<Module>> = edges
            .keys()
            .map(|module| (*module, reaches(module)))
            .collect();
        let mut circles = BTreeSet::new();
        for (module, to) in &reached {
            let back = |other: &&Module| reached[other].contains(*module);
            let circle: Vec<Module> = to.iter().filter(back).cloned().collect();
            if !circle.is_empty() {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// The other modules of the same room whose items `module` uses.
    fn uses(&self, module: &Module) -> BTreeSet<Module> {
        let code = &self.code[module];
        let mut roots = vec!["crate".to_owned(), "super".to_owned(), "self".to_owned()];
        roots.extend(paths::declared(code));
        let re_exported = paths::used(code, true);
        let mut named = paths::used(code, false);
        named.retain(|path| !re_exported.contains(path));
        named.extend(paths::inline(code, &roots));
        let resolved = named.iter().filter_map(|path| self.absolute(module, path));
        let mut uses: BTreeSet<Module> =
            resolved.filter_map(|path| self.definer(&path, 8)).collect();
        let room = room_of(module);
        uses.retain(|other| other != module && room_of(other) == room);
        uses
    }

    /// The path from the crate's root; `None` for a path into another crate.
    fn absolute(&self, module: &Module, path: &Path) -> Option<Path> {
        let mut here: Path = module.split("::").map(str::to_owned).collect();
        let mut rest = &path[..];
        match path[0].as_str() {
            "crate" => {
                here.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {}
            child if self.code.contains_key(&format!("{module}::{child}")) => {}
            _ => return None,
        }
        while rest.first().is_some_and(|segment| segment == "super") {
            here.pop()?;
            rest = &rest[1..];
        }
        here.extend(rest.iter().cloned());
        Some(here)
    }

    /// The module that defines what an absolute path names, through at most `depth` re-exports.
    fn definer(&self, path: &Path, depth: usize) -> Option<Module> {
        let known = (1..=path.len())
            .rev()
            .find(|n| self.code.contains_key(&path[..*n].join("::")))?;
        let module = path[..known].join("::");
        let Some(item) = path.get(known).filter(|_| depth > 0) else {
            return Some(module);
        };
        let code = &self.code[&module];
        let exported = paths::used(code, true);
        let through = exported.iter().find(|path| path.last() == Some(item));
        let through = through.and_then(|path| self.absolute(&module, path));
        match through {
            Some(path) => self.definer(&path, depth - 1),
            None => Some(module),
        }
    }
}

fn room_of(module: &str) -> &str {
    module.split("::").next().unwrap_or_default()
}

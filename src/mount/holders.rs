//! The processes that keep a mount busy.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::Path;

/// A process that has files of a mount open, or works in one of its directories.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name, at most 15 bytes.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.replace(|c: char| c.is_control(), "\u{fffd}");
        write!(f, "{name} (process {})", self.pid)
    }
}

/// The processes that use the mount on `root`, as far as this user may see them (proc(5)). Reads the links in /proc
/// without following them: a mount that hangs must not be asked.
pub(super) fn holders(root: &Path) -> Vec<Holder> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let found = processes.flatten().filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        holds(&process.path(), root).then(|| Holder {
            pid,
            name: name_of(&process.path()),
        })
    });
    found.collect()
}

fn holds(process: &Path, root: &Path) -> bool {
    let leads_there = |link: &Path| fs::read_link(link).is_ok_and(|to| to.starts_with(root));
    let links = ["cwd", "root", "exe"].map(OsStr::new);
    if links.iter().any(|link| leads_there(&process.join(link))) {
        return true;
    }
    // Files that are mapped into memory stay in use after they are closed.
    ["fd", "map_files"].iter().any(|directory| {
        let links = fs::read_dir(process.join(directory));
        links.is_ok_and(|mut links| links.any(|link| link.is_ok_and(|l| leads_there(&l.path()))))
    })
}

fn name_of(process: &Path) -> String {
    let name = fs::read(process.join("comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

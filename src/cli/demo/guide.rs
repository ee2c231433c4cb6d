//! The text of the demo: the tree as the kernel shows it, and commands to try.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use super::node::Served;
use crate::cli::show::quoted;

/// A file to try things on: its moov box lies at the end, so players must seek.
const TRAILER: &str = "extras/trailer.mp4";

/// The whole text.
pub(super) fn text(mountpoint: &Path, served: &Served) -> io::Result<String> {
    let Served { cid, node } = served;
    let blob = format!("{node}/ipfs/{cid}");
    let shown = |path: &Path| quoted(path.as_os_str().as_encoded_bytes());
    let at = |name: &str| shown(&mountpoint.join(name));
    let root = shown(mountpoint);
    let range = range_of(&mountpoint.join(TRAILER))?;
    let mut tree = String::new();
    list(mountpoint, 1, &mut tree)?;
    Ok(format!(
        "\
A node in this process serves an archive:
  {blob}
It is mounted, by its CID and through that node, on
  {root}

{tree}
Try, in another terminal:
  ls -lR {root}
  ffprobe {master}
  mpv {master}
  getfattr -d {trailer}
  curl -o trailer.mp4 {link}
Or look into the archive in a browser:
  {node}/

Ctrl-C unmounts and ends.
",
        master = at("master_playlist.m3u8"),
        trailer = at(TRAILER),
        link = quoted(format!("{blob}/{TRAILER}?range={range}").as_bytes()),
    ))
}

/// Where the data of a file lies in the archive, as in a range link.
pub(super) fn range_of(path: &Path) -> rustix::io::Result<String> {
    // Two numbers of 64 bits.
    let mut value = [0; 48];
    let len = rustix::fs::getxattr(path, "user.aiozfs.range", &mut value[..])?;
    Ok(String::from_utf8_lossy(&value[..len]).into_owned())
}

/// Lines of names and lengths, in the order in which the mount lists them: that of the archive.
fn list(dir: &Path, depth: usize, out: &mut String) -> io::Result<()> {
    let indent = "  ".repeat(depth);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let meta = entry.metadata()?;
        if meta.is_dir() {
            // Writing into a String does not fail.
            let _ = writeln!(out, "{indent}{name}/");
            list(&entry.path(), depth + 1, out)?;
        } else {
            let width = 36 - indent.len();
            let _ = writeln!(out, "{indent}{name:<width$}{:>8}", meta.len());
        }
    }
    Ok(())
}

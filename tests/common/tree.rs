//! Trees of files: made, and compared as `diff -r` would.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A directory of its own, which is removed when this is dropped.
///
/// The thread of a cache may write its last files while the directory is being removed. `tempfile::TempDir` tries once,
/// and left hundreds of directories behind.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for TempDir {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(2);
        while self.0.exists() && fs::remove_dir_all(&self.0).is_err() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A directory of its own.
pub fn temp() -> TempDir {
    TempDir(tempfile::tempdir().expect("a directory").keep())
}

/// Bytes that look random and are the same each time. Every place differs from those near it.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Numbers below `bound` that look random.
pub fn numbers(seed: u64, bound: u64, count: usize) -> Vec<u64> {
    let words = bytes(seed, count * 8);
    let words = words.as_chunks::<8>().0.iter();
    words
        .map(|word| u64::from_le_bytes(*word) % bound)
        .collect()
}

/// A folder as one may be packed: names of all sorts, sizes around all boundaries.
pub fn sample() -> TempDir {
    let dir = temp();
    let files: [(&str, usize); 12] = [
        ("hello.txt", 14),
        ("empty", 0),
        ("one byte", 1),
        ("dir/seg_0000.ts", 3_000_017),
        ("dir/seg_0001.ts", 262_144),
        ("dir/seg_0002.ts", 4096),
        ("dir/deep/er/still.bin", 70_001),
        ("dir/.hidden", 188),
        ("with space & ünïcode ✓.txt", 4097),
        ("日本語/字幕.vtt", 1000),
        ("?range=1,2", 100),
        ("exec.sh", 10),
    ];
    for (seed, (name, len)) in files.into_iter().enumerate() {
        write(dir.path(), name, &bytes(seed as u64, len));
    }
    fs::create_dir_all(dir.path().join("empty dir/inner")).expect("a directory");
    let run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path().join("exec.sh"), run).expect("a mode");
    dir
}

/// Writes a file and the directories above it.
pub fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    let parent = path.parent().expect("within the root");
    fs::create_dir_all(parent).expect("a directory");
    fs::write(path, content).expect("a file");
}

#[derive(Debug, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
    Link(PathBuf),
    Other,
}

/// Fails the test, naming the first differences, unless the trees have the same names, types,
/// sizes and bytes.
pub fn assert_same(what: &str, expected: &Path, got: &Path) {
    let differences = differences(expected, got);
    assert!(
        differences.is_empty(),
        "{what}: {} differences\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

/// All names below a directory.
pub fn names(root: &Path) -> Vec<PathBuf> {
    nodes(root).into_keys().collect()
}

fn differences(expected: &Path, got: &Path) -> Vec<String> {
    let (want, have) = (nodes(expected), nodes(got));
    let mut found = Vec::new();
    for (name, node) in &want {
        match have.get(name) {
            None => found.push(format!("- {} ({node:?}) is missing", name.display())),
            Some(other) if other != node => {
                found.push(format!("! {}: {node:?}, got {other:?}", name.display()));
            }
            Some(Node::File(_)) => {
                if let Some(why) = content_differs(&expected.join(name), &got.join(name)) {
                    found.push(format!("! {}: {why}", name.display()));
                }
            }
            Some(_) => {}
        }
    }
    let more = have.keys().filter(|name| !want.contains_key(*name));
    found.extend(more.map(|name| format!("+ {} is too many", name.display())));
    found
}

fn content_differs(expected: &Path, got: &Path) -> Option<String> {
    let want = fs::read(expected).expect("the source");
    let mut have = Vec::new();
    let read = File::open(got).and_then(|mut file| file.read_to_end(&mut have));
    if let Err(e) = read {
        return Some(e.to_string());
    }
    differs(&want, &have)
}

/// Where two runs of bytes begin to differ.
pub fn differs(want: &[u8], have: &[u8]) -> Option<String> {
    if want == have {
        return None;
    }
    let same = want.iter().zip(have).take_while(|(a, b)| a == b).count();
    Some(format!(
        "differs from byte {same} on ({} bytes, got {})",
        want.len(),
        have.len()
    ))
}

fn nodes(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut nodes = BTreeMap::new();
    collect(root, Path::new(""), &mut nodes);
    nodes
}

fn collect(root: &Path, under: &Path, nodes: &mut BTreeMap<PathBuf, Node>) {
    let dir = root.join(under);
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let name = under.join(entry.file_name());
        let path = entry.path();
        let meta =
            fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let listed = entry.file_type().expect("a type");
        assert_eq!(listed, meta.file_type(), "{}: listed as", path.display());
        let node = if meta.is_dir() {
            collect(root, &name, nodes);
            Node::Dir
        } else if meta.is_file() {
            Node::File(meta.len())
        } else if meta.is_symlink() {
            Node::Link(fs::read_link(&path).expect("a target"))
        } else {
            Node::Other
        };
        let before = nodes.insert(name, node);
        assert!(before.is_none(), "{}: listed twice", path.display());
    }
}

/// Eight readers at once, each at places of its own in the file, all of whom get the right bytes.
pub fn assert_random_reads(path: &Path, content: &[u8], reads: usize) {
    use std::os::unix::fs::FileExt;
    thread::scope(|scope| {
        for reader in 0..8u64 {
            scope.spawn(move || {
                let file = File::open(path).expect("a file of the mount");
                let places = numbers(100 + reader, content.len() as u64, reads);
                let sizes = numbers(200 + reader, 200_000, reads);
                for (at, len) in places.into_iter().zip(sizes) {
                    let at = at as usize;
                    let end = (at + len as usize + 1).min(content.len());
                    let mut got = vec![0; end - at];
                    file.read_exact_at(&mut got, at as u64)
                        .unwrap_or_else(|e| panic!("{at}..{end}: {e}"));
                    assert_eq!(differs(&content[at..end], &got), None, "{at}..{end}");
                }
            });
        }
    });
}

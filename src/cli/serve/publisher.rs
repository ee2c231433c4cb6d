//! Publishes files on a node: new files when their CID is known; withdraws files that changed.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::files::{Found, scan};
use crate::cli::known_cids::KnownCids;
use crate::cli::progress::Progress;
use crate::cli::show;
use crate::content::{Cid, Profile, Tree};
use crate::serve::{Blob, BlobId, Node, blob_path};
use crate::source::{FileAt, Stamp};

/// How often files are checked for changes when no client asks for them.
const POLL: Duration = Duration::from_secs(5);

/// A file that changed must stay unchanged for this long before it is hashed, since it may still be
/// written.
const SETTLE: Duration = Duration::from_secs(1);

/// A file that is served, in JSON.
#[derive(Serialize)]
struct Row<'a> {
    cid: String,
    size: u64,
    name: &'a str,
    url: String,
}

/// The files that a node serves.
pub(super) struct Publisher {
    node: Node,
    args: Vec<PathBuf>,
    /// The beginning of the files' URLs.
    base: String,
    /// Whether the files are printed as JSON objects.
    json: bool,
    served: HashMap<PathBuf, (Stamp, BlobId)>,
    /// States that were found at the last check, and are not served yet.
    waiting: HashMap<PathBuf, Stamp>,
    /// States of files that could not be read.
    failed: HashMap<PathBuf, Stamp>,
    hasher: Arc<Hasher>,
}

impl Publisher {
    /// Publishes the files of `args` on a node, whose URL is `base`.
    pub(super) fn new(
        node: Node,
        args: Vec<PathBuf>,
        base: String,
        json: bool,
        hasher: Hasher,
    ) -> Self {
        Self {
            node,
            args,
            base,
            json,
            served: HashMap::new(),
            waiting: HashMap::new(),
            failed: HashMap::new(),
            hasher: Arc::new(hasher),
        }
    }

    /// Never ends.
    pub(super) async fn run(mut self) {
        // Files that exist at the start are hashed at once.
        self.look(true).await;
        loop {
            let pause = if self.waiting.is_empty() {
                POLL
            } else {
                SETTLE
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // At most one check a second, even if clients keep asking for changed files.
                () = self.node.withdrew() => tokio::time::sleep(SETTLE).await,
            }
            self.look(false).await;
        }
    }

    async fn look(&mut self, at_once: bool) {
        let args = self.args.clone();
        let Ok(found) = tokio::task::spawn_blocking(move || scan(&args)).await else {
            return;
        };
        let now: HashMap<_, _> = found.iter().map(|f| (f.path.clone(), f.stamp)).collect();
        let is_in = |states: &HashMap<PathBuf, Stamp>, path: &PathBuf, stamp: &Stamp| {
            states.get(path).is_some_and(|state| state.is_same(stamp))
        };
        let node = &self.node;
        self.served.retain(|path, (stamp, id)| {
            let stays = is_in(&now, path, stamp) && node.serves(*id);
            if !stays && node.withdraw(*id) {
                log::info!("{} changed and is withdrawn", path.display());
            }
            stays
        });
        self.failed.retain(|path, stamp| is_in(&now, path, stamp));
        let waited = std::mem::take(&mut self.waiting);
        let mut ready = Vec::new();
        for file in found {
            if self.served.contains_key(&file.path) || self.failed.contains_key(&file.path) {
                continue;
            }
            if at_once || is_in(&waited, &file.path, &file.stamp) {
                ready.push(file);
            } else {
                self.waiting.insert(file.path, file.stamp);
            }
        }
        self.serve_all(ready).await;
    }

    /// Publishes files, first those whose CID is known.
    async fn serve_all(&mut self, files: Vec<Found>) {
        let mut unknown = Vec::new();
        for file in files {
            let (hasher, asked) = (self.hasher.clone(), file.clone());
            let known = move || hasher.cids.get(&asked.path, &asked.stamp, hasher.profile);
            match tokio::task::spawn_blocking(known).await {
                Ok(Some(tree)) => {
                    log::info!("{}: CID from the cache", file.path.display());
                    self.publish(file, tree, None);
                }
                _ => unknown.push(file),
            }
        }
        if unknown.is_empty() {
            return;
        }
        let total = unknown.iter().map(|file| file.stamp.size()).sum();
        let progress = Arc::new(Progress::bytes("", Some(total)));
        for file in unknown {
            progress.what(&file.name);
            let (hasher, asked, shown) = (self.hasher.clone(), file.clone(), progress.clone());
            let hashed = tokio::task::spawn_blocking(move || hasher.hash(&asked, &shown)).await;
            match hashed {
                Ok(Ok(tree)) => self.publish(file, tree, Some(&progress)),
                Ok(Err(Unhashed::Stopped)) => return,
                Ok(Err(Unhashed::Changed)) => {
                    log::info!("{} is being written to", file.path.display());
                    self.waiting.insert(file.path, file.stamp);
                }
                Ok(Err(Unhashed::Io(e))) => {
                    log::warn!("not served: {}: {e}", file.path.display());
                    self.failed.insert(file.path, file.stamp);
                }
                Err(e) => log::error!("{}: {e}", file.path.display()),
            }
        }
    }

    fn publish(&mut self, file: Found, tree: Tree, progress: Option<&Progress>) {
        let cid = tree.cid();
        let line = self.line(&file, &cid);
        let id = self.node.publish(Blob {
            cid,
            name: file.name,
            size: file.stamp.size(),
            source: Arc::new(FileAt::new(&file.path, file.stamp)),
            tree: Some(Arc::new(tree)),
        });
        self.served.insert(file.path, (file.stamp, id));
        let print = || show::print(|out| writeln!(out, "{line}"));
        let printed = match progress {
            Some(progress) => progress.aside(print),
            None => print(),
        };
        if let Err(failure) = printed {
            log::warn!("{cid} is served, but {failure}");
        }
    }

    /// CID, size, name and URL: as JSON, or with control characters in the name replaced.
    fn line(&self, file: &Found, cid: &Cid) -> String {
        let url = format!("{}{}", self.base, blob_path(cid, &file.name));
        let size = file.stamp.size();
        if self.json {
            return show::json(&Row {
                cid: cid.to_string(),
                size,
                name: &file.name,
                url,
            });
        }
        let name = show::printable(&file.name);
        format!("{cid}\t{size}\t{name}\t{url}")
    }
}

/// Finds the CIDs of files.
pub(super) struct Hasher {
    pub(super) cids: KnownCids,
    /// Ends hashing.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) profile: Profile,
}

/// Why a file has no tree and no CID.
enum Unhashed {
    /// The program ends.
    Stopped,
    /// It changed while it was hashed.
    Changed,
    /// It cannot be read.
    Io(io::Error),
}

impl Hasher {
    /// The tree of the file, if it is still in the state in which it was found.
    fn hash(&self, file: &Found, progress: &Progress) -> Result<Tree, Unhashed> {
        let since = SystemTime::now();
        let reader = File::open(&file.path).map_err(Unhashed::Io)?;
        let is_same = |meta: io::Result<fs::Metadata>| match meta {
            Ok(meta) if file.stamp.is_same(&Stamp::of(&meta)) => Ok(()),
            Ok(_) => Err(Unhashed::Changed),
            Err(e) => Err(Unhashed::Io(e)),
        };
        is_same(reader.metadata())?;
        let hashed = Tree::import(&reader, self.profile, |bytes| {
            progress.add(bytes);
            !self.stop.load(Ordering::Relaxed)
        });
        let tree = hashed.map_err(|e| {
            if self.stop.load(Ordering::Relaxed) {
                Unhashed::Stopped
            } else {
                Unhashed::Io(e)
            }
        })?;
        is_same(reader.metadata())?;
        if tree.size() != file.stamp.size() {
            return Err(Unhashed::Changed);
        }
        self.cids
            .put(&file.path, &file.stamp, self.profile, &tree, since);
        Ok(tree)
    }
}

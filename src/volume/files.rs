//! The files of an archive: their attributes, bytes and links.
//!
//! What needs no bytes is answered at once. What needs bytes can be tried from memory
//! ([`Volume::try_read`]) and is otherwise a future, so that a thread which serves a kernel never waits
//! for a network.

use std::ops::Range;
use std::sync::Arc;

use super::error::FileError;
use super::playlists::{self, Playlists};
use crate::archive::{EntryId, Kind};
use crate::cache::{CacheStatus, Cached};
use crate::decode::Decoder;
use crate::fs::{Attr, Ino, LinkRefused, Tree};
use crate::gateways::{GatewaySet, MemberStatus};
use crate::reader::Archive;

/// The longest target of a symbolic link, in bytes (PATH_MAX without its NUL).
const MAX_LINK: u64 = 4095;

/// A tree of names and the archive that has the bytes of its files.
pub struct Volume {
    tree: Arc<Tree>,
    decoder: Arc<Decoder>,
    origin: (&'static str, String),
    /// `None`: playlists are shown as they are stored.
    playlists: Option<Playlists>,
    servers: Option<Arc<GatewaySet>>,
    cached: Option<Cached>,
}

impl Volume {
    /// The files of `tree`, which was built from the index of the archive that `decoder` reads. `origin` is as
    /// [`Location::shown`](super::Location::shown) has it, `servers` and `cached` are behind the archive. With
    /// `are_playable`, playlists are shown without range links, which lead nowhere in a directory.
    pub(super) fn new(
        tree: Tree,
        decoder: Decoder,
        origin: (&'static str, String),
        servers: Option<Arc<GatewaySet>>,
        cached: Option<Cached>,
        are_playable: bool,
    ) -> Self {
        let (tree, decoder) = (Arc::new(tree), Arc::new(decoder));
        let names = tree.clone();
        decoder.archive().follow_names(Box::new(move |file| {
            let next = names.after(names.ino_of(file)?)?;
            names.entry(next)
        }));
        let playlists = are_playable.then(|| {
            tree.override_sizes(playlists::sizes(&tree));
            Playlists::new(tree.clone(), decoder.clone())
        });
        Self {
            tree,
            decoder,
            origin,
            playlists,
            servers,
            cached,
        }
    }

    /// The names, and what can be told of files without their bytes.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// The archive as it is stored.
    pub fn archive(&self) -> &Arc<Archive> {
        self.decoder.archive()
    }

    /// The content of its entries.
    pub fn decoder(&self) -> &Arc<Decoder> {
        &self.decoder
    }

    /// Sets what is called with a file whose content turned out to be wrong after some of it was given
    /// out. Only the first call counts.
    pub fn on_wrong(&self, report: impl Fn(Ino) + Send + Sync + 'static) {
        let tree = self.tree.clone();
        self.decoder.on_wrong(Arc::new(move |id| {
            if let Some(ino) = tree.ino_of(id) {
                report(ino);
            }
        }));
    }

    /// Where the archive is: the kind (`cid`, `url`, `file` or `id`), and the text without secrets.
    pub fn origin(&self) -> &(&'static str, String) {
        &self.origin
    }

    /// What is known of the servers. Empty for a file, and offline.
    pub fn servers(&self) -> Vec<MemberStatus> {
        let servers = self.servers.as_ref();
        servers.map_or_else(Vec::new, |servers| servers.status())
    }

    /// What this process did with the cache; `None` without one.
    pub fn cache(&self) -> Option<CacheStatus> {
        self.cached.as_ref().map(Cached::status)
    }

    /// Where a read that had to wait got its bytes from: words for statistics, separated by `+`.
    pub fn came_from(&self, ino: Ino, span: &Range<u64>) -> String {
        let Some(id) = self.tree.entry(ino) else {
            return String::new();
        };
        if self.playlist(ino).is_some() {
            return "playlist".into();
        }
        if self.archive().index().stored(id).is_err() {
            return "decoder".into();
        }
        let mut words = Vec::new();
        for origin in self.archive().origins(id, span) {
            let word = match self.origin.0 {
                _ if origin.is_kept() => "cache",
                "file" => "file",
                _ => "network",
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join("+")
    }

    /// Fails all reads that wait, and all later ones.
    pub fn close(&self) {
        self.decoder.close();
    }

    /// The attributes of a file. Its size is final once [`settle`](Self::settle) has returned.
    pub fn attr(&self, ino: Ino) -> Result<Attr, FileError> {
        self.tree.attr(ino).ok_or(FileError::NotFound)
    }

    /// Opens a file. Fails if it can never be read, for example because its compression method is not
    /// supported. The password of an [encrypted](Self::is_locked) file is compared by
    /// [`unlock`](Self::unlock). Returns the [moment](Archive::moment), which reads of this open file must give.
    /// A small compressed file whose stored bytes are in memory is decoded meanwhile.
    pub fn open(&self, ino: Ino) -> Result<u64, FileError> {
        let id = self.readable(ino)?;
        self.decoder.opened(id);
        Ok(self.archive().moment())
    }

    /// Whether a file is encrypted, and its password was not compared yet.
    pub fn is_locked(&self, ino: Ino) -> bool {
        let id = self.tree.entry(ino);
        id.is_some_and(|id| self.decoder.is_locked(id))
    }

    /// Compares the password of a file that is encrypted.
    pub async fn unlock(&self, ino: Ino) -> Result<(), FileError> {
        let id = self.tree.entry(ino).ok_or(FileError::IsDirectory)?;
        Ok(self.decoder.unlock(id).await?)
    }

    /// The entry of a file that can be read.
    fn readable(&self, ino: Ino) -> Result<EntryId, FileError> {
        self.attr(ino)?;
        let id = self.tree.entry(ino).ok_or(FileError::IsDirectory)?;
        self.decoder.readable(id)?;
        Ok(id)
    }

    /// The part of a file that a read of `size` bytes at `offset` covers. It is shorter than `size` only
    /// at the end of the file: the kernel takes a short answer for the end.
    pub fn span(&self, ino: Ino, offset: u64, size: u32) -> Result<Range<u64>, FileError> {
        let len = self.attr(ino)?.size;
        let start = offset.min(len);
        Ok(start..offset.saturating_add(u64::from(size)).min(len).max(start))
    }

    /// Finds out the size of a file, for which a playlist may have to be read.
    pub async fn settle(&self, ino: Ino) -> Result<(), FileError> {
        if self.tree.is_pending(ino)
            && let Some((id, playlists)) = self.playlist(ino)
        {
            playlists.get(id).await?;
        }
        Ok(())
    }

    /// Appends the bytes of a file's span to `out` if they are in memory, and returns whether they are.
    /// Never waits. `moment` is what [`open`](Self::open) returned.
    pub fn try_read(&self, ino: Ino, moment: u64, span: &Range<u64>, out: &mut Vec<u8>) -> bool {
        if let Some((id, playlists)) = self.playlist(ino) {
            let size = self.attr(ino).map(|attr| attr.size).ok();
            let text = playlists
                .in_memory(id)
                .filter(|text| size == Some(text.len() as u64));
            let part = text.as_deref().and_then(|text| part(text, span));
            out.extend_from_slice(part.unwrap_or_default());
            if let Some(text) = &text {
                self.passes(id, span, text);
            }
            return part.is_some();
        }
        let Some(id) = self.tree.entry(ino) else {
            return false;
        };
        if self.archive().outdated(id, moment).is_some() {
            return false;
        }
        span.is_empty() || self.decoder.try_read(id, span, out)
    }

    /// Reads `size` bytes at `offset`, or fewer at the end of the file. `moment` is what
    /// [`open`](Self::open) returned: a file that was open when its bytes were found to be wrong can no
    /// longer be read, even if right bytes have come since.
    pub async fn read(
        &self,
        ino: Ino,
        moment: u64,
        offset: u64,
        size: u32,
    ) -> Result<Vec<u8>, FileError> {
        self.settle(ino).await?;
        let span = self.span(ino, offset, size)?;
        let id = self.readable(ino)?;
        if let Some((id, playlists)) = self.playlist(ino) {
            let text = playlists.get(id).await?;
            let actual = text.len() as u64;
            let declared = self.attr(ino)?.size;
            let part = part(&text, &span).map(<[u8]>::to_vec);
            self.passes(id, &span, &text);
            return part.ok_or(FileError::Playlist { declared, actual });
        }
        let outdated = || self.archive().outdated(id, moment).map_or(Ok(()), Err);
        outdated()?;
        let bytes = self.decoder.read(id, span).await?;
        outdated()?;
        Ok(bytes)
    }

    /// Records the step of a reader that goes from file to file. The archive does not see it if the text of the
    /// playlist is in memory.
    fn passes(&self, id: EntryId, span: &Range<u64>, text: &[u8]) {
        let is_end = span.end == text.len() as u64;
        self.archive().passes(id, span.start == 0, is_end);
    }

    /// The entry of a file that is shown in another form than it is stored.
    fn playlist(&self, ino: Ino) -> Option<(EntryId, &Playlists)> {
        let playlists = self.playlists.as_ref()?;
        let id = self.tree.entry(ino)?;
        self.tree.is_overridden(id).then_some((id, playlists))
    }

    /// The target of a symbolic link, wherever it leads.
    pub async fn link_target(&self, ino: Ino) -> Result<Vec<u8>, FileError> {
        let attr = self.attr(ino)?;
        let id = self.tree.entry(ino).ok_or(FileError::NotALink)?;
        if attr.kind != Kind::Symlink {
            return Err(FileError::NotALink);
        }
        if attr.size > MAX_LINK {
            return Err(FileError::Link(LinkRefused::TooLong));
        }
        if let Some(target) = self.archive().index().link_target(id) {
            return Ok(target.to_vec());
        }
        Ok(self.decoder.read(id, 0..attr.size).await?)
    }

    /// The target of a symbolic link that may be followed (`Options::tree`).
    pub async fn read_link(&self, ino: Ino) -> Result<Vec<u8>, FileError> {
        let target = self.link_target(ino).await?;
        let checked = self.tree.check_symlink(ino, &target);
        checked.map_err(FileError::Link)?;
        Ok(target)
    }

    /// Finds a file by a range link, `name?range=<offset>,<size>`, in directory `parent`. It is the file
    /// of that name, if its data lies exactly there.
    pub async fn lookup_range_link(&self, parent: Ino, name: &[u8]) -> Result<Ino, FileError> {
        let (plain, range) = crate::fs::range_link(name).ok_or(FileError::NotFound)?;
        let ino = self.tree.lookup(parent, plain).ok_or(FileError::NotFound)?;
        let id = self.tree.entry(ino).ok_or(FileError::NotFound)?;
        if self.archive().index().get(id).size != range.len {
            return Err(FileError::NotFound);
        }
        // Only what is stored is a range.
        if self.archive().index().stored(id).is_err() {
            return Err(FileError::NotFound);
        }
        let extent = self.archive().extent(id).await?;
        (extent == range).then_some(ino).ok_or(FileError::NotFound)
    }
}

/// A span of a text; `None` if it reaches beyond.
fn part<'t>(text: &'t [u8], span: &Range<u64>) -> Option<&'t [u8]> {
    text.get(usize::try_from(span.start).ok()?..usize::try_from(span.end).ok()?)
}

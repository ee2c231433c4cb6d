//! What is mounted: a tree of names over a readable archive. No kernel, no fuser.
//!
//! Everything that needs no bytes is answered at once; what needs them is tried from memory first
//! and is otherwise a future, so that the threads which serve the kernel never wait for a network.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::playlists::{self, Playlists};
use super::told::Told;
use super::xattr;
use crate::archive::EntryId;
use crate::fs::{Attr, Ino, LinkRefused, Tree};
use crate::reader::{self, Archive};

/// The longest symlink target that is read, in bytes (PATH_MAX, with its NUL).
const MAX_LINK: u64 = 4095;

/// A tree of names and the archive that holds its bytes.
pub struct Volume {
    pub(super) tree: Arc<Tree>,
    pub(super) archive: Arc<Archive>,
    /// What the root tells about where all this comes from: attribute name (`cid`, `url` or
    /// `file`) and value, without secrets.
    pub(super) origin: (&'static str, String),
    /// When it was made.
    pub(super) since: Instant,
    /// Which failures the log has told.
    pub(super) told: Told,
    /// `None`: playlists are shown as they are stored.
    playlists: Option<Playlists>,
    identity: Option<String>,
}

/// Why a file cannot be opened, read or followed.
#[derive(Debug)]
pub(super) enum Refusal {
    NotFound,
    IsDirectory,
    NotALink,
    Link(LinkRefused),
    /// A playlist is not as long as the archive says.
    Playlist {
        told: u64,
        made: u64,
    },
    Read(reader::Error),
}

impl From<reader::Error> for Refusal {
    fn from(error: reader::Error) -> Self {
        Refusal::Read(error)
    }
}

impl Volume {
    /// A volume of this tree, whose index is that of `archive`.
    pub fn new(tree: Tree, archive: Arc<Archive>, origin: (&'static str, String)) -> Self {
        let tree = Arc::new(tree);
        let names = tree.clone();
        archive.follow_names(Box::new(move |file| {
            let next = names.after(names.ino_of(file)?)?;
            names.entry(next)
        }));
        Self {
            tree,
            archive,
            origin,
            since: Instant::now(),
            told: Told::default(),
            playlists: None,
            identity: None,
        }
    }

    /// Answers [`is_source`](super::is_source) for this hash.
    pub fn with_identity(mut self, hash: String) -> Self {
        self.identity = Some(hash);
        self
    }

    pub(super) fn identity(&self) -> Option<&[u8]> {
        self.identity.as_deref().map(str::as_bytes)
    }

    /// Shows playlists playable: without range links, which lead nowhere in a folder.
    pub fn with_playable_playlists(mut self) -> Self {
        self.tree.override_sizes(playlists::sizes(&self.tree));
        self.playlists = Some(Playlists::new(self.tree.index().clone()));
        self
    }

    /// The names.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Fails all reads that wait, and all that come.
    pub(super) fn close(&self) {
        self.archive.close();
    }

    pub(super) fn attr(&self, ino: Ino) -> Result<Attr, Refusal> {
        self.tree.attr(ino).ok_or(Refusal::NotFound)
    }

    /// The entry behind a file, if it can be read at all.
    pub(super) fn open(&self, ino: Ino) -> Result<EntryId, Refusal> {
        self.attr(ino)?;
        let id = self.tree.entry(ino).ok_or(Refusal::IsDirectory)?;
        self.archive
            .index()
            .readable(id)
            .map_err(reader::Error::from)?;
        Ok(id)
    }

    /// The part of a file that a read of `size` bytes at `offset` means. Never short but at the
    /// end of the file: the kernel takes a short answer for the end.
    pub(super) fn span(&self, ino: Ino, offset: u64, size: u32) -> Result<Range<u64>, Refusal> {
        let len = self.attr(ino)?.size;
        let start = offset.min(len);
        Ok(start..offset.saturating_add(u64::from(size)).min(len).max(start))
    }

    /// Makes sure that a file's size is known.
    pub(super) async fn settle(&self, ino: Ino) -> Result<(), Refusal> {
        if self.tree.is_pending(ino)
            && let Some((id, playlists)) = self.playlist(ino)
        {
            playlists.get(self, id).await?;
        }
        Ok(())
    }

    /// The bytes of a file's span if they are in memory. `moment` is when the file was opened, as
    /// [`Archive::moment`] counts.
    pub(super) fn try_read(
        &self,
        ino: Ino,
        moment: u64,
        span: &Range<u64>,
        out: &mut Vec<u8>,
    ) -> bool {
        if let Some((id, playlists)) = self.playlist(ino) {
            let told = self.attr(ino).map(|attr| attr.size).ok();
            let text = playlists
                .at_hand(id)
                .filter(|text| told == Some(text.len() as u64));
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
        if self.archive.outdated(id, moment).is_some() {
            return false;
        }
        span.is_empty() || self.archive.try_read(id, span, out)
    }

    /// What a read of `size` bytes at `offset` gives, however long it takes. `moment` as in
    /// [`try_read`](Self::try_read): whoever had the file open when it was found wrong is told so,
    /// even if right bytes have come by now.
    pub(super) async fn read(
        &self,
        ino: Ino,
        moment: u64,
        offset: u64,
        size: u32,
    ) -> Result<Vec<u8>, Refusal> {
        self.settle(ino).await?;
        let span = self.span(ino, offset, size)?;
        let id = self.open(ino)?;
        if let Some((id, playlists)) = self.playlist(ino) {
            let text = playlists.get(self, id).await?;
            let made = text.len() as u64;
            let told = self.attr(ino)?.size;
            let part = part(&text, &span).map(<[u8]>::to_vec);
            self.passes(id, &span, &text);
            return part.ok_or(Refusal::Playlist { told, made });
        }
        let outdated = || self.archive.outdated(id, moment).map_or(Ok(()), Err);
        outdated()?;
        let bytes = self.archive.read(id, span).await?;
        outdated()?;
        Ok(bytes)
    }

    /// A reader that goes from file to file does not step over a playlist because its text was
    /// made before.
    fn passes(&self, id: EntryId, span: &Range<u64>, text: &[u8]) {
        let is_end = span.end == text.len() as u64;
        self.archive.passes(id, span.start == 0, is_end);
    }

    /// The entry of a file that is shown in another form than it is stored.
    fn playlist(&self, ino: Ino) -> Option<(EntryId, &Playlists)> {
        let playlists = self.playlists.as_ref()?;
        let id = self.tree.entry(ino)?;
        self.tree.is_overridden(id).then_some((id, playlists))
    }

    /// A symlink's target, if the mount lets it be followed.
    pub(super) async fn read_link(&self, ino: Ino) -> Result<Vec<u8>, Refusal> {
        let attr = self.attr(ino)?;
        let id = self.tree.entry(ino).ok_or(Refusal::NotALink)?;
        if attr.kind != crate::archive::Kind::Symlink {
            return Err(Refusal::NotALink);
        }
        if attr.size > MAX_LINK {
            return Err(Refusal::Link(LinkRefused::TooLong));
        }
        let target = self.archive.read(id, 0..attr.size).await?;
        self.tree
            .check_symlink(ino, &target)
            .map_err(Refusal::Link)?;
        Ok(target)
    }

    /// Finds a name that carries a range link, `name?range=<offset>,<size>`: it is the file of
    /// that name, if the range is exactly where its data lies.
    pub(super) async fn lookup_range_link(&self, parent: Ino, name: &[u8]) -> Result<Ino, Refusal> {
        let (plain, range) = crate::fs::range_link(name).ok_or(Refusal::NotFound)?;
        let ino = self.tree.lookup(parent, plain).ok_or(Refusal::NotFound)?;
        let id = self.tree.entry(ino).ok_or(Refusal::NotFound)?;
        if self.archive.index().get(id).size != range.len {
            return Err(Refusal::NotFound);
        }
        let extent = self.archive.extent(id).await?;
        (extent == range).then_some(ino).ok_or(Refusal::NotFound)
    }

    /// The value of an extended attribute; `None` if there is no such attribute on this file.
    pub(super) async fn xattr(&self, ino: Ino, name: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        self.attr(ino)?;
        xattr::get(self, ino, name).await
    }

    /// The names of a file's extended attributes, each ended by a NUL.
    pub(super) fn xattr_names(&self, ino: Ino) -> Result<Vec<u8>, Refusal> {
        self.attr(ino)?;
        Ok(xattr::names(self, ino))
    }
}

/// A span of a text; `None` if it reaches beyond.
fn part<'t>(text: &'t [u8], span: &Range<u64>) -> Option<&'t [u8]> {
    text.get(usize::try_from(span.start).ok()?..usize::try_from(span.end).ok()?)
}

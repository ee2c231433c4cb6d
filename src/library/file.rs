//! A file of an archive that is open.

use std::sync::Arc;

use super::slot::Slot;
use crate::fs::{Attr, Ino};
use crate::volume::{FileError, Volume};

/// A file or directory of an open archive. The archive stays open as long as this lives.
#[derive(Clone)]
pub struct File {
    volume: Arc<Volume>,
    /// `None` for the only archive of a mount.
    slot: Option<Arc<Slot>>,
    ino: Ino,
}

impl File {
    pub(super) fn new(volume: Arc<Volume>, slot: Option<Arc<Slot>>, ino: Ino) -> Self {
        Self { volume, slot, ino }
    }

    /// The archive.
    pub fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    /// Its inode number within the archive.
    pub fn ino(&self) -> Ino {
        self.ino
    }

    /// Another file of the same archive.
    pub fn at(&self, ino: Ino) -> Self {
        Self {
            ino,
            ..self.clone()
        }
    }

    /// Its attributes, with its inode number in the mount.
    pub fn attr(&self) -> Result<Attr, FileError> {
        let mut attr = self.volume.attr(self.ino)?;
        attr.ino = self.outer(attr.ino);
        Ok(attr)
    }

    /// Whether its size is known.
    pub fn is_settled(&self) -> bool {
        !self.volume.tree().is_pending(self.ino)
    }

    /// Its attributes, once its size is known.
    pub async fn settled_attr(&self) -> Result<Attr, FileError> {
        self.volume.settle(self.ino).await?;
        self.attr()
    }

    /// The inode number in the mount of another file of this archive.
    pub fn outer(&self, ino: Ino) -> Ino {
        self.slot.as_ref().map_or(ino, |slot| slot.part.ino(ino))
    }

    /// The inode number in the mount of the directory that has the archive's root; `None` for the only archive
    /// of a mount.
    pub fn above(&self) -> Option<Ino> {
        let slot = self.slot.as_ref()?;
        Some(slot.directory.ino(Ino::ROOT))
    }

    /// The path in the mount of a file of this archive.
    pub fn path(&self, ino: Ino) -> Vec<u8> {
        let inside = self.volume.tree().path(ino);
        match &self.slot {
            None => inside,
            Some(slot) if inside.is_empty() => slot.item.name().into(),
            Some(slot) => [slot.item.name().as_bytes(), &inside].join(&b'/'),
        }
    }

    /// A program opens it. Each call must be followed by one of
    /// [`Library::released`](super::Library::released).
    pub fn opened(&self) {
        if let Some(slot) = &self.slot {
            slot.file_opened();
        }
    }
}

//! Opens an archive: sources, reader, index, tree.

use std::sync::Arc;

use super::error::OpenError;
use super::files::Volume;
use super::listing::listing;
use super::location::Location;
use super::options::{Options, Verify};
use super::recall::{CachedPoints, Recall};
use super::resolve::{resolve, servers_of};
use super::sources::{Built, PROBE, Stack};
use crate::archive::TAIL;
use crate::cache::Cached;
use crate::decode::{Decoder, Shelf};
use crate::fs::Tree;
use crate::reader::{self, Archive};
use crate::source;

/// An open archive without a tree of names.
pub struct Opened {
    /// Where it is: a CID if that was given as the URL of a gateway.
    pub location: Location,
    /// Its index, and its entries by id.
    pub archive: Archive,
    /// What the cache has of it; `None` without a cache.
    pub cached: Option<Cached>,
}

/// Opens the archive at `location` and builds the tree of its files. Must be called within a tokio
/// runtime, which then also runs what reads start in the background.
pub async fn open(location: &Location, options: &Options) -> Result<Volume, OpenError> {
    let Opened {
        location,
        archive,
        cached,
    } = open_archive(location, options).await?;
    let recall = Recall::new(cached.as_ref(), &options.parse);
    let index = archive.index();
    let known = recall.tree(index, options.tree).await;
    let is_new = known.is_none();
    let tree = known.unwrap_or_else(|| Tree::build(index.clone(), options.tree));
    let shelf = cached.clone().map(|cached| {
        let shelf = CachedPoints::new(cached, archive.index().clone());
        Box::new(shelf) as Box<dyn Shelf>
    });
    let decoder = Decoder::new(
        Arc::new(archive),
        shelf,
        options.checkpoint_spacing,
        options.password.clone(),
    );
    let mut volume = Volume::new(tree, decoder, location.shown());
    if !options.stored_playlists {
        volume = volume.with_playable_playlists();
    }
    if is_new {
        recall.keep_tree(volume.tree());
    }
    Ok(volume)
}

/// Opens the archive at `location` to read its entries, or all of its bytes
/// ([`Archive::source`]). Must be called within a tokio runtime.
pub async fn open_archive(location: &Location, options: &Options) -> Result<Opened, OpenError> {
    let (mut location, servers) = servers_of(location, options);
    if let Location::Path(path) = &location {
        location = Location::Cid(resolve(path, &servers, options).await?);
    }
    if location.is_directory() {
        return Err(OpenError::Directory(location));
    }
    let verify = match options.verify {
        None => Verify::default_of(&location),
        Some(verify) => verify.check(&location)?,
    };
    let stack = Stack {
        location: &location,
        servers: &servers,
        verify,
        options,
    };
    let built = stack.build()?;
    let (mut archive, cached) = match read_archive(built, options).await {
        Ok(opened) => opened,
        Err(error) => {
            if is_index(&location, &error, options).await {
                return Err(OpenError::Directory(location));
            }
            let better = stack.better_reason(&error).await;
            return Err(better.unwrap_or(OpenError::Read(error)));
        }
    };
    // Verified bytes need no comparison with a checksum.
    if verify == Verify::Crc {
        archive = archive.checking_crcs();
    }
    Ok(Opened {
        location,
        archive,
        cached,
    })
}

/// Whether a URL that could not be opened because of `error` is that of a server's index with something in it.
async fn is_index(location: &Location, error: &reader::Error, options: &Options) -> bool {
    use source::Error::{BadAnswer, NoRanges};
    let may_be_page = matches!(
        error,
        reader::Error::Source(NoRanges { .. } | BadAnswer { .. }) | reader::Error::Archive(_)
    );
    if !may_be_page || !matches!(location, Location::Url(_)) {
        return false;
    }
    let listed = tokio::time::timeout(PROBE, listing(location, options)).await;
    let Ok(Ok(listed)) = listed else {
        return false;
    };
    !listed.archives.is_empty() || !listed.directories.is_empty()
}

async fn read_archive(
    (source, cached): Built,
    options: &Options,
) -> Result<(Archive, Option<Cached>), reader::Error> {
    if let Some(cached) = &cached {
        cached.get_ready(TAIL).await?;
    }
    let recall = Recall::new(cached.as_ref(), &options.parse);
    let known = recall.index().await;
    let is_new = known.is_none();
    let (parse, reader) = (options.parse.clone(), options.reader.clone());
    let archive = Archive::open_with(source, known, parse, reader).await?;
    if is_new {
        recall.keep_index(archive.index());
    }
    Ok((archive, cached))
}

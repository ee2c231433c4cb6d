//! Opens an archive: sources, reader, index, tree.

use std::sync::Arc;

use super::error::{IndexFileError, OpenError};
use super::files::Volume;
use super::index_file::IndexFile;
use super::listing::listing;
use super::location::Location;
use super::options::{Options, Verify};
use super::recall::{CachedPoints, Recall};
use super::resolve::{resolve, servers_of};
use super::sources::{Built, PROBE, Stack};
use crate::archive::TAIL;
use crate::cache::Cached;
use crate::decode::{CheckpointStore, Decoder};
use crate::fs::Tree;
use crate::gateways::GatewaySet;
use crate::reader::{self, Archive, BlobReader};
use crate::source;

/// An open archive without a tree of names.
pub struct Opened {
    /// Where it is: a CID if that was given as the URL of a gateway.
    pub location: Location,
    /// Its index, and its entries by id.
    pub archive: Archive,
    /// What the cache has of it; `None` without a cache.
    pub cached: Option<Cached>,
    /// The servers that it is read from; `None` for a file, and offline.
    pub servers: Option<Arc<GatewaySet>>,
}

/// Opens the archive at `location` and builds the tree of its files. Must be called within a tokio
/// runtime, which then also runs what reads start in the background.
pub async fn open(location: &Location, options: &Options) -> Result<Volume, OpenError> {
    let Opened {
        location,
        archive,
        cached,
        servers,
    } = open_archive(location, options).await?;
    // An index that the user gave has another tree than the archive's own.
    let own = cached.as_ref().filter(|_| options.index.is_none());
    let recall = Recall::new(own, &options.parse);
    let index = archive.index();
    let known = recall.tree(index, options.tree).await;
    let is_new = known.is_none();
    let tree = known.unwrap_or_else(|| Tree::build(index.clone(), options.tree));
    let store = cached.clone().map(|cached| {
        let store = CachedPoints::new(cached, archive.index().clone());
        Box::new(store) as Box<dyn CheckpointStore>
    });
    let decoder = Decoder::new(
        Arc::new(archive),
        store,
        options.checkpoint_spacing,
        options.password.clone(),
        &options.decoding.clone().unwrap_or_default(),
    );
    let are_playable = !options.stored_playlists;
    let volume = Volume::new(
        tree,
        decoder,
        location.shown(),
        servers,
        cached.clone(),
        are_playable,
    );
    if is_new {
        recall.keep_tree(volume.tree());
    }
    Ok(volume)
}

/// Opens the archive at `asked` to read its entries, or all of its bytes
/// ([`Archive::source`]). Must be called within a tokio runtime.
pub async fn open_archive(asked: &Location, options: &Options) -> Result<Opened, OpenError> {
    let (mut location, servers) = servers_of(asked, options);
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
    let given = given_index(verify, options).await?;
    let opened = match given {
        Some((place, given)) => {
            open_with_index(&built, &location, verify, place, given, options).await
        }
        None => read_archive(&built, options).await.map_err(OpenError::Read),
    };
    let Built {
        cached,
        servers,
        source,
        ..
    } = built;
    drop(source);
    let mut archive = match opened {
        Ok(archive) => archive,
        // A part of its index was not in the cache, and the URL may have another archive now.
        Err(OpenError::Read(error))
            if options.fresh.is_some()
                && cached.is_some_and(|cached| cached.is_assumed())
                && was_answered(&error) =>
        {
            let options = Options {
                fresh: None,
                ..options.clone()
            };
            return Box::pin(open_archive(asked, &options)).await;
        }
        Err(OpenError::Read(error)) => {
            if is_index(&location, &error, options).await {
                return Err(OpenError::Directory(location));
            }
            let better = stack.better_reason(&error).await;
            return Err(better.unwrap_or(OpenError::Read(error)));
        }
        Err(error) => return Err(error),
    };
    // Verified bytes need no comparison with a checksum.
    if verify == Verify::Crc {
        archive = archive.checking_crcs();
    }
    if let Some(problem) = archive.index().problem() {
        log::warn!("{}: {problem}", location.shown().1);
    }
    Ok(Opened {
        location,
        archive,
        cached,
        servers,
    })
}

/// The index that was given with `options`, and where it is.
async fn given_index(
    verify: Verify,
    options: &Options,
) -> Result<Option<(&Location, IndexFile)>, OpenError> {
    let Some(place) = &options.index else {
        return Ok(None);
    };
    let is_local = matches!(place, Location::File(_));
    if verify == Verify::Trustless && !is_local && !place.is_verifiable() {
        return Err(OpenError::index(place, IndexFileError::Unverified));
    }
    let file = IndexFile::load(place, options).await?;
    Ok(Some((place, file)))
}

/// Opens the archive with an index that was given, and reads none of it.
async fn open_with_index(
    built: &Built,
    location: &Location,
    verify: Verify,
    place: &Location,
    given: IndexFile,
    options: &Options,
) -> Result<Archive, OpenError> {
    let Built { source, cached, .. } = built;
    if let Some(cached) = cached {
        cached.get_ready(0).await?;
    }
    let IndexFile { index, made_of } = given;
    let blob = BlobReader::open(source.clone(), 0, options.reader.clone()).await;
    let blob = blob.map_err(reader::Error::from)?;
    // Size and version are known once the blob is open.
    let checked = made_of.check(location, verify, blob.size(), &**source);
    checked.map_err(|why| OpenError::index(place, why))?;
    Ok(Archive::with_index(blob, index))
}

/// Whether an archive cannot be opened although its server answered.
fn was_answered(error: &reader::Error) -> bool {
    use source::Error::{NoNetwork, NoRanges, Offline};
    match error {
        reader::Error::Source(NoRanges { .. }) => true,
        reader::Error::Source(NoNetwork { .. } | Offline) => false,
        reader::Error::Source(error) => !error.is_transient(),
        reader::Error::Archive(_) => true,
        _ => false,
    }
}

/// Whether a URL that could not be opened because of `error` is a server's index of a directory, and not empty.
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

async fn read_archive(built: &Built, options: &Options) -> Result<Archive, reader::Error> {
    let Built { source, cached, .. } = built;
    if let Some(cached) = cached {
        cached.get_ready(TAIL).await?;
    }
    let recall = Recall::new(cached.as_ref(), &options.parse);
    let known = recall.index().await;
    let is_new = known.is_none();
    let (parse, reader) = (options.parse.clone(), options.reader.clone());
    let archive = Archive::open_with(source.clone(), known, parse, reader).await?;
    if is_new {
        recall.keep_index(archive.index());
    }
    Ok(archive)
}

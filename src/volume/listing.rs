//! The archives in a directory: in a store, on a web server, in a directory of IPFS or of this machine.
//!
//! A listing has one level: each directory in it can be listed in turn. Servers are not trusted with names: a name that
//! is not plain, or that leads to another server, is left out.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::archive_name::is_archive;
use super::error::OpenError;
use super::location::Location;
use super::options::Options;
use super::resolve::{list, servers_of};
use super::servers::Servers;
use super::sources::http_options;
use super::unsigned::unsigned;
use super::web_index;
use crate::content::ListedKind;
use crate::http::{HttpOptions, Page, Url, page};
use crate::source::{Backoff, Error, OPEN_PATIENCE, Origin};
use crate::stores::{self, ObjectAddress, Requests, Store};

/// The most archives and directories of a listing.
const MAX_LISTED: usize = 100_000;

/// The most memory for their names, in bytes.
const MAX_NAMES: usize = 32 << 20;

/// The longest index of a web server, in bytes.
const MAX_INDEX: usize = 32 << 20;

/// How long an index of a web server may take to arrive.
const INDEX_TIMEOUT: Duration = Duration::from_secs(120);

/// The longest name in bytes, as in file systems.
const MAX_NAME: usize = 255;

/// What a directory has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its archives, sorted by name.
    pub archives: Vec<Listed>,
    /// The directories in it, sorted by name. In a directory of IPFS, every entry that may be one.
    pub directories: Vec<Listed>,
}

/// An archive or a directory in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name: not empty, at most 255 bytes, without slashes and control characters, and neither `.` nor `..`.
    pub name: String,
    /// Where it is. It is opened with the options that the directory was listed with.
    pub location: Location,
    /// The size of an archive in bytes, if the listing tells it.
    pub size: Option<u64>,
    /// Differs if the archive is replaced by another of the same name; `None` if the listing does not tell.
    pub version: Option<String>,
}

/// Lists the archives (`*.zip` and `*.tar`) directly in the directory at `location`: a prefix of keys in a store, the
/// index of a web server, a CID or a path below one, or a directory of this machine. Must be called within a
/// tokio runtime.
///
/// # Errors
/// If no server can be asked, or if `location` is no directory or has too many archives.
pub async fn listing(location: &Location, options: &Options) -> Result<Listing, OpenError> {
    let (found, servers) = servers_of(location, options);
    let mut names = Names::default();
    match &found {
        Location::File(path) => {
            let path = path.clone();
            let names = tokio::task::spawn_blocking(move || list_folder(&path));
            return names
                .await
                .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
        }
        Location::Id(_) => {
            let what = format!("{} is no directory", location.shown().1);
            return Err(Error::Unsupported { what }.into());
        }
        Location::Cid(_) | Location::Path(_) => {
            // Only the URL tells its gateway.
            let gateway = matches!(location, Location::Url(_)).then(|| &servers.servers[0]);
            for entry in list(location, options).await?.entries {
                let location = match gateway {
                    Some(gateway) => Location::Url(gateway.content_url(&entry.cid.to_string())),
                    None => Location::Cid(entry.cid),
                };
                let listed = Listed {
                    version: Some(entry.cid.to_string()),
                    name: entry.name,
                    location,
                    size: entry.size,
                };
                let may_be = |kind| [kind, ListedKind::Unknown].contains(&entry.kind);
                let is_archive = may_be(ListedKind::File) && is_archive(&listed.name);
                if is_archive || may_be(ListedKind::Directory) {
                    names.add(listed, !is_archive)?;
                }
            }
        }
        _ if options.offline => return Err(Error::Offline.into()),
        Location::Object(address) => list_store(address, &servers, &mut names).await?,
        Location::Url(url) => list_index(url, &servers, options, &mut names).await?,
    }
    Ok(names.finish())
}

async fn list_store(
    address: &ObjectAddress,
    servers: &Servers,
    names: &mut Names,
) -> Result<(), OpenError> {
    let unusable = |what| OpenError::Unusable(Error::Unsupported { what });
    let (bucket, settings) = (address.with_key(""), servers.store.clone());
    let store = Store::new(bucket, settings, &servers.clients).map_err(unusable)?;
    let requests = Requests::new(Arc::new(store), servers.clients.clone(), OPEN_PATIENCE);
    let mut prefix = address.key.clone();
    if !address.is_prefix() {
        prefix.push('/');
    }
    let listed = |name: &str, end: &str| Listed {
        name: name.to_owned(),
        location: Location::Object(address.with_key(format!("{prefix}{name}{end}"))),
        size: None,
        version: None,
    };
    let mut take = |page: stores::Folder| {
        for object in page
            .objects
            .iter()
            .filter(|object| is_archive(&object.name))
        {
            let archive = Listed {
                size: object.size,
                version: object.etag.clone(),
                ..listed(&object.name, "")
            };
            names.add(archive, false)?;
        }
        page.folders
            .iter()
            .try_for_each(|name| names.add(listed(name, "/"), true))
    };
    Ok(stores::list(&requests, &prefix, &mut take).await?)
}

async fn list_index(
    url: &str,
    servers: &Servers,
    options: &Options,
    names: &mut Names,
) -> Result<(), OpenError> {
    let http = HttpOptions {
        verified: false,
        ..http_options(servers, options)
    };
    let http = servers
        .servers
        .first()
        .map_or_else(|| http.clone(), |server| server.options(&http));
    let index = fetch_index(url, &http, OPEN_PATIENCE).await?;
    // The URL of the page has no login. What the page lists is on the same server, so it needs the login.
    let given = Url::parse(url).ok();
    let mut take = |mut link: web_index::Link| {
        if let Some(given) = &given {
            // Both fail only for URLs without a host, and this one has the host of the page.
            let _ = link.url.set_username(given.username());
            let _ = link.url.set_password(given.password());
        }
        if link.is_directory || is_archive(&link.name) {
            let listed = Listed {
                name: link.name,
                location: Location::Url(link.url.into()),
                size: link.size,
                version: link.version,
            };
            names.add(listed, link.is_directory)?;
        }
        Ok(())
    };
    let shown = crate::http::display_url(url).to_string();
    Ok(web_index::links(
        &index.url,
        &index.kind,
        &index.body,
        &shown,
        &mut take,
    )?)
}

/// Fetches the page at `url`, again after errors that may pass.
async fn fetch_index(url: &str, http: &HttpOptions, patience: Duration) -> Result<Page, Error> {
    let mut backoff = Backoff::opening(patience);
    loop {
        let page = page(url, http, MAX_INDEX, web_index::is_index);
        let page = tokio::time::timeout(INDEX_TIMEOUT, page).await;
        let timeout = || Error::Timeout {
            origin: Origin::new(unsigned(url)),
            after: INDEX_TIMEOUT,
        };
        match page.unwrap_or_else(|_| Err(timeout())) {
            Ok(page) => return Ok(page),
            Err(error) => backoff.wait(error).await?,
        }
    }
}

/// Lists a directory of this machine. Blocks.
fn list_folder(folder: &Path) -> Result<Listing, OpenError> {
    let unreadable = |e: std::io::Error| {
        OpenError::Unusable(Error::Io {
            origin: Origin::new(folder.display().to_string()),
            kind: e.kind(),
            cause: e.to_string(),
        })
    };
    let mut names = Names::default();
    for entry in folder.read_dir().map_err(unreadable)? {
        let path: PathBuf = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        // An entry that vanishes meanwhile, or is a link to nowhere, is not listed.
        let (Some(name), Ok(meta)) = (name, path.metadata()) else {
            continue;
        };
        if meta.is_dir() || meta.is_file() && is_archive(name) {
            let (seconds, nanos) = (meta.mtime(), meta.mtime_nsec());
            let listed = Listed {
                name: name.to_owned(),
                size: meta.is_file().then_some(meta.len()),
                version: meta
                    .is_file()
                    .then(|| format!("{seconds}.{nanos:09}, {} bytes", meta.len())),
                location: Location::File(path),
            };
            names.add(listed, meta.is_dir())?;
        }
    }
    Ok(names.finish())
}

/// The names of a listing, checked and bounded. A name that comes twice is listed once.
#[derive(Default)]
struct Names {
    archives: BTreeMap<String, Listed>,
    directories: BTreeMap<String, Listed>,
    /// Bytes of all names.
    bytes: usize,
    /// How many names were left out.
    refused: usize,
}

impl Names {
    fn add(&mut self, listed: Listed, is_directory: bool) -> Result<(), Error> {
        if !is_plain(&listed.name) {
            self.refused += 1;
            log::debug!("{:?} is no name of a file", listed.name);
            return Ok(());
        }
        self.bytes += listed.name.len();
        let names = if is_directory {
            &mut self.directories
        } else {
            &mut self.archives
        };
        names.entry(listed.name.clone()).or_insert(listed);
        let count = self.archives.len() + self.directories.len();
        if count > MAX_LISTED || self.bytes > MAX_NAMES {
            let what = format!("the directory has more than {MAX_LISTED} archives and directories");
            return Err(Error::Unsupported { what });
        }
        Ok(())
    }

    fn finish(mut self) -> Listing {
        // A store may have an archive and a directory of one name.
        let archives = &self.archives;
        self.directories
            .retain(|name, _| !archives.contains_key(name));
        if self.refused > 0 {
            log::warn!("{} names that no file can have are left out", self.refused);
        }
        Listing {
            archives: self.archives.into_values().collect(),
            directories: self.directories.into_values().collect(),
        }
    }
}

/// Whether a name can be that of a file in a directory.
fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_NAME
        && !name.contains(|c: char| c == '/' || c.is_control())
}

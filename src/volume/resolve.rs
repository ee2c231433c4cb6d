//! Finds out what a location stands for: the gateway in a URL, the CID of a path below a CID or an IPNS name, and
//! the entries of a directory.
//!
//! Gateways give blocks and signed records, which are verified. So the result depends on the path alone.

use std::sync::Arc;
use std::time::SystemTime;

use super::archive_name::is_archive;
use super::content_path::{ContentPath, Root};
use super::error::OpenError;
use super::location::Location;
use super::options::{Options, Verify};
use super::servers::{Server, Servers};
use super::sources::{blocks, http_options};
use crate::content::{self, Cid, IpnsName, IpnsRecord, Listed, MAX_RECORD, PathError};
use crate::gateways::ipns_records;
use crate::source::{BlockCheck, Blocks, Error};

/// The most names that lead to one another, as the specification of IPNS advises.
const MAX_NAMES: usize = 32;

/// The location, as a CID or path where a URL names one, and the servers that have it.
pub(super) fn servers_of(location: &Location, options: &Options) -> (Location, Servers) {
    let mut servers = options.servers.clone();
    let (location, gateway) = location
        .clone()
        .by_cid(Verify::is_trustless(options.verify));
    if let Some(template) = gateway {
        if servers.servers.is_empty() {
            servers.servers.push(Server::new(String::new()));
        }
        servers.servers[0].template = template;
    }
    if servers.servers.is_empty() {
        servers.servers = match &location {
            Location::File(_) => Vec::new(),
            Location::Url(url) => vec![Server::new(url.clone())],
            Location::Object(address) => vec![Server::new(address.to_string())],
            Location::Cid(_) | Location::Path(_) | Location::Id(_) => Server::public(),
        };
    }
    (location, servers)
}

/// The CID at the end of `path`, by blocks from `servers`.
pub(super) async fn resolve(
    path: &ContentPath,
    servers: &Servers,
    options: &Options,
) -> Result<Cid, OpenError> {
    let mut path = path.clone();
    for _ in 0..MAX_NAMES {
        let name = match path.root {
            Root::Cid(root) => {
                let blocks = blocks(root, servers, options)?;
                let found = content::resolve(&*blocks, root, &path.names).await;
                return match (found, &path.names[..]) {
                    // A node of ours serves a file under its CID and its name, and prints such URLs.
                    (
                        Err(PathError::NotADirectory {
                            path,
                            is_file: true,
                        }),
                        [.., name],
                    ) if path.is_empty() && is_archive(name) => Ok(root),
                    (found, _) => found.map_err(OpenError::Path),
                };
            }
            Root::Name(name) => name,
        };
        let record = record(&name, servers, options).await?;
        log::info!("/ipns/{name} is {}", record.value);
        let unusable = |why: String| OpenError::Name { name, why };
        let location = Location::parse_content(&record.value).transpose();
        path = match location.map(|location| location?.content()) {
            Ok(Some(to)) => to.join(&path.names),
            Ok(None) => {
                let value = &record.value;
                return Err(unusable(format!(
                    "it stands for {value}, which is not a path of IPFS"
                )));
            }
            Err(error) => return Err(unusable(format!("it stands for {}: {error}", record.value))),
        };
    }
    Err(OpenError::Read(
        Error::Unsupported {
            what: format!("more than {MAX_NAMES} IPNS names lead to one another"),
        }
        .into(),
    ))
}

/// The newest valid record of a name.
async fn record(
    name: &IpnsName,
    servers: &Servers,
    options: &Options,
) -> Result<IpnsRecord, OpenError> {
    if options.offline {
        return Err(Error::Offline.into());
    }
    let http = http_options(servers, options);
    let urls = servers.servers.iter().filter_map(|server| {
        let url = server.ipns_url(&name.to_string())?;
        Some((url, server.options(&http)))
    });
    let urls: Vec<_> = urls.collect();
    let now = SystemTime::now();
    let key = *name;
    let is_valid: BlockCheck = Arc::new(move |record| key.verify(record, now).is_ok());
    let answers = ipns_records(urls, MAX_RECORD, is_valid).await;
    let valid = answers.iter().flatten();
    let valid = valid.filter_map(|record| name.verify(&record.bytes, now).ok());
    let newest = valid.max_by_key(|record| (record.sequence, record.validity));
    newest.ok_or_else(|| {
        let mut errors = answers.into_iter().map(|answer| match answer {
            Ok(record) => {
                let why = name.verify(&record.bytes, now).err();
                let why = why.map_or_else(String::new, |why| why.to_string());
                format!("{}: {why}", record.origin)
            }
            Err(error) => error.to_string(),
        });
        OpenError::Name {
            name: *name,
            why: errors
                .next()
                .unwrap_or_else(|| "there is no gateway to ask".into()),
        }
    })
}

/// The directory at `location`: its CID and its entries. Kind and size are known only of files of one block;
/// [`Directory::kinds`] finds out the others.
pub async fn list(location: &Location, options: &Options) -> Result<Directory, OpenError> {
    let (cid, servers) = cid_and_servers(location, options).await?;
    let blocks = blocks(cid, &servers, options)?;
    let entries = content::list(&*blocks, cid).await?;
    let entries = entries.ok_or_else(|| Error::Unsupported {
        what: format!("{cid} is not the CID of a directory"),
    })?;
    Ok(Directory {
        cid,
        entries,
        blocks,
    })
}

/// The CID of a path. Other locations have none.
pub async fn cid_of(location: &Location, options: &Options) -> Result<Cid, OpenError> {
    Ok(cid_and_servers(location, options).await?.0)
}

/// The CID of a path, and the servers that have it.
async fn cid_and_servers(
    location: &Location,
    options: &Options,
) -> Result<(Cid, Servers), OpenError> {
    let (location, servers) = servers_of(location, options);
    let cid = match &location {
        Location::Cid(cid) => *cid,
        Location::Path(path) => resolve(path, &servers, options).await?,
        _ => return Err(OpenError::NotVerifiable(location)),
    };
    Ok((cid, servers))
}

/// A directory of IPFS, as far as it was fetched.
pub struct Directory {
    /// Its CID.
    pub cid: Cid,
    /// Its entries, sorted by name.
    pub entries: Vec<Listed>,
    blocks: Arc<dyn Blocks>,
}

impl Directory {
    /// Fetches a block of each entry of unknown kind, to find out its kind and size.
    pub async fn kinds(&mut self) {
        content::kinds(&*self.blocks, &mut self.entries).await;
    }
}

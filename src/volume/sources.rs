//! The stack of sources of a location.
//!
//! From the bottom: HTTP sources, gateways (many servers as one), retry, cache, verification. A file is
//! a source by itself.

use std::sync::Arc;
use std::time::Duration;

use super::error::OpenError;
use super::location::Location;
use super::options::{Options, Verify};
use super::servers::Servers;
use super::unsigned::unsigned;
use crate::cache::{Cached, CachedNodes, Key};
use crate::content::{self, Cid, Verified};
use crate::gateways::{GatewaySet, Gateways};
use crate::http::{Authorizer, HttpOptions, display_url};
use crate::reader;
use crate::source::{self, Blocks, File, Memory, Offline, Retry, Source};
use crate::stores::{ObjectAddress, Store};

/// How long it may take to find out why a location cannot be opened.
pub(super) const PROBE: Duration = Duration::from_secs(5);

/// How to get at the bytes of one archive.
pub(super) struct Stack<'a> {
    pub(super) location: &'a Location,
    pub(super) servers: &'a Servers,
    pub(super) verify: Verify,
    pub(super) options: &'a Options,
}

/// A stack of sources.
pub(super) struct Built {
    /// The top of it.
    pub(super) source: Arc<dyn Source>,
    /// The cache in it.
    pub(super) cached: Option<Cached>,
    /// The servers at its bottom, if they may be asked.
    pub(super) servers: Option<Arc<GatewaySet>>,
}

impl Stack<'_> {
    /// Stacks the sources. Reads are retried until their time-out.
    pub(super) fn build(&self) -> Result<Built, OpenError> {
        if let Location::File(path) = self.location {
            let file = File::open_path(path).map_err(OpenError::Unusable)?;
            return Ok(Built {
                source: Arc::new(file),
                cached: None,
                servers: None,
            });
        }
        let http = self.http_options();
        let (key, gateways) = self.remote(&http)?;
        let set = gateways.set().clone();
        let (timeout, offline) = (self.options.reader.timeout, self.options.offline);
        let mut data: Arc<dyn Source> = if offline {
            Arc::new(Offline)
        } else {
            Arc::new(Retry::new(Arc::new(gateways), timeout))
        };
        let cache = self.options.cache.as_ref();
        let ask = self.options.ask();
        let cached = cache.map(|cache| Cached::new(data.clone(), cache, key.clone(), ask));
        if let Some(cached) = &cached {
            data = Arc::new(cached.clone());
        }
        let servers = (!offline).then(|| set.clone());
        let cid = match self.location {
            Location::Cid(cid) if self.verify == Verify::Trustless => cid,
            _ => {
                return Ok(Built {
                    source: data,
                    cached,
                    servers,
                });
            }
        };
        let blocks = cached_blocks(self.servers, &http, set, key, self.options);
        Ok(Built {
            source: Arc::new(Verified::new(*cid, data, blocks)),
            cached,
            servers,
        })
    }

    /// The servers of a blob, and its name in the cache.
    fn remote(&self, http: &HttpOptions) -> Result<(Key, Gateways), OpenError> {
        match self.location {
            Location::Url(url) => {
                let server = self.servers.data(http, |_| url.clone());
                let key = Key::url(&unsigned(url), &display_url(url));
                Ok((key, server.map_err(OpenError::Unusable)?))
            }
            Location::Object(address) => self.object(http, address),
            Location::Id(id) => {
                let servers = self.servers.servers.iter();
                let servers: Vec<String> = servers.map(|s| s.template.clone()).collect();
                Ok((Key::id(id, &servers), self.gateways(http, id)?))
            }
            Location::Cid(cid) => {
                let key = match self.verify {
                    Verify::Trustless => Key::verified(cid),
                    Verify::Crc | Verify::None => Key::believed(cid),
                };
                Ok((key, self.gateways(http, &cid.to_string())?))
            }
            // Files have no servers, and paths were resolved before.
            Location::File(_) | Location::Path(_) => {
                Err(OpenError::NotVerifiable(self.location.clone()))
            }
        }
    }

    /// A better reason why a CID cannot be opened. A gateway answers the CID of a directory with a page
    /// or a redirect, which says little. The root block, if there is one, says what the CID is.
    pub(super) async fn better_reason(&self, error: &reader::Error) -> Option<OpenError> {
        let Location::Cid(cid) = self.location else {
            return None;
        };
        if matches!(error, reader::Error::Source(e) if e.is_transient()) {
            return None; // No server could be asked.
        }
        let blocks = blocks(*cid, self.servers, self.options).ok()?;
        let reason = async {
            if content::is_directory(&*blocks, *cid).await? {
                return Ok(Some(OpenError::Directory(Location::Cid(*cid))));
            }
            let no_data = Arc::new(Memory::new("nobody", ""));
            let content = Verified::new(*cid, no_data, blocks.clone());
            content.open(0).await.map(|_| None)
        };
        match tokio::time::timeout(PROBE, reason).await.ok()? {
            Ok(found) => found,
            Err(error @ source::Error::Unsupported { .. }) => Some(error.into()),
            Err(_) => None,
        }
    }

    fn http_options(&self) -> HttpOptions {
        HttpOptions {
            pinned: matches!(self.location, Location::Url(_) | Location::Object(_)),
            verified: self.verify == Verify::Trustless,
            ..http_options(self.servers, self.options)
        }
    }

    /// An object in a store. The key contains no signature, and no region: the name of an Amazon bucket is the same in
    /// all regions.
    fn object(
        &self,
        http: &HttpOptions,
        address: &ObjectAddress,
    ) -> Result<(Key, Gateways), OpenError> {
        let unusable = |what| OpenError::Unusable(source::Error::Misconfigured { what });
        let settings = self.servers.store.clone();
        let store = Store::new(address.clone(), settings, &self.servers.clients);
        let store = Arc::new(store.map_err(unusable)?);
        let endpoint = store.endpoint().map_or("", |url| url.as_str());
        let key = Key::url(&format!("{address} {endpoint}"), &address.to_string());
        let http = HttpOptions {
            authorization: Some(store.clone()),
            ..http.clone()
        };
        let gateways = self.servers.data(&http, |_| store.url().into());
        Ok((key, gateways.map_err(OpenError::Unusable)?))
    }

    fn gateways(&self, http: &HttpOptions, id: &str) -> Result<Gateways, OpenError> {
        let gateways = self.servers.data(http, |server| server.content_url(id));
        gateways.map_err(OpenError::Unusable)
    }
}

/// The options of requests to `servers` for content that is verified.
pub(super) fn http_options(servers: &Servers, options: &Options) -> HttpOptions {
    let (default, reader) = (HttpOptions::default(), &options.reader);
    servers.http(HttpOptions {
        connections: reader.connections,
        idle_timeout: default.idle_timeout.min(reader.timeout),
        pinned: false,
        verified: true,
        opening: options.opening.clone(),
        ..default
    })
}

/// Blocks of the tree or directory `root`, from the cache and from `servers`.
pub(super) fn blocks(
    root: Cid,
    servers: &Servers,
    options: &Options,
) -> Result<Arc<dyn Blocks>, OpenError> {
    let http = http_options(servers, options);
    let data = servers.data(&http, |server| server.content_url(&root.to_string()));
    let set = data.map_err(OpenError::Unusable)?.set().clone();
    let key = Key::verified(&root);
    Ok(cached_blocks(servers, &http, set, key, options))
}

/// Blocks from the cache, which stores them with the blob `key`, and from `servers`, whose gateway set is `set`.
fn cached_blocks(
    servers: &Servers,
    http: &HttpOptions,
    set: Arc<GatewaySet>,
    key: Key,
    options: &Options,
) -> Arc<dyn Blocks> {
    let blocks: Arc<dyn Blocks> = if options.offline {
        Arc::new(Offline)
    } else {
        servers.blocks(http, set, options.reader.timeout)
    };
    match &options.cache {
        Some(cache) => Arc::new(CachedNodes::new(blocks, cache, key)),
        None => blocks,
    }
}

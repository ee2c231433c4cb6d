//! How an archive is reached: the options of every command that reads one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::caching::{KeepArgs, Kept};
use super::config::Config;
use super::location::Location;
use super::servers::{ServerArgs, Servers};
use super::{Failure, explain_open, units};
use crate::archive::{Encoding, Index, ParseOptions, TAIL};
use crate::cache::{Cache, Cached, CachedBlocks, Key};
use crate::content::{Cid, Proven};
use crate::reader::{self, Archive, LineOptions};
use crate::source::{self, Blocks, Gateways, HttpOptions, Memory, Offline, Retry, Source};

/// How long it may take to find out what a CID is that could not be opened.
const PROBE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Args)]
pub(super) struct AccessArgs {
    #[command(flatten)]
    servers: ServerArgs,
    /// What is proven of the bytes that servers give
    #[arg(long, value_name = "HOW", default_value = "crc")]
    verify: Verify,
    /// How to read names that are not UTF-8 and do not say what they are: CP437, as ZIP has it,
    /// unless this says otherwise. cp866, Shift_JIS...; auto guesses; an unknown name gets a list
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// The most memory for file content; at least 16M [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    memory: Option<u64>,
    /// A read that has no bytes by then fails [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    keep: KeepArgs,
}

/// How much to trust those who give the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Verify {
    /// Every byte is proven against the CID before it is used: any server will do, but one of
    /// the gateways must give raw blocks (a trustless gateway)
    Trustless,
    /// A file that is read from start to end is compared with its CRC-32: finds accidents, and
    /// keeps no forger out
    Crc,
    /// Nothing: the server is believed
    None,
}

/// An archive's place and the way to it, resolved.
#[derive(Debug, Clone)]
pub(super) struct Access {
    location: Location,
    servers: Servers,
    verify: Verify,
    parse: ParseOptions,
    line: LineOptions,
    cache: Option<Cache>,
    offline: bool,
}

impl AccessArgs {
    /// Mount options may have said otherwise of the cache.
    pub(super) fn keeping(self, dir: Option<PathBuf>, size: Option<u64>, offline: bool) -> Self {
        let keep = self.keep.with(dir, size, offline);
        Self { keep, ..self }
    }

    /// The way to `location`. Mount options may have said other numbers than these arguments.
    pub(super) fn to(
        &self,
        location: Location,
        memory: Option<u64>,
        timeout: Option<Duration>,
    ) -> Result<Access, Failure> {
        if self.verify == Verify::Trustless && !matches!(location, Location::Cid(_)) {
            return Err(Failure::usage(format!(
                "only a CID can be verified, and {} is none; leave '--verify trustless' out",
                location.shown().1
            )));
        }
        let config = Config::load()?;
        let usual = LineOptions::default();
        let memory = memory.or(self.memory).or(config.memory());
        let timeout = timeout.or(self.timeout).or(config.timeout());
        let cache = match location {
            Location::File(_) => None,
            _ => self.keep.open(&config),
        };
        Ok(Access {
            cache,
            offline: self.keep.is_offline(),
            servers: self.servers.resolve(&config, &location)?,
            location,
            verify: self.verify,
            parse: ParseOptions {
                encoding: self.encoding.or(config.encoding()).unwrap_or_default(),
            },
            line: LineOptions {
                memory: memory.unwrap_or(usual.memory),
                timeout: timeout.unwrap_or(usual.timeout),
                ..usual
            },
        })
    }
}

impl Access {
    /// A CID's content through one gateway, which is believed.
    pub(super) fn through(gateway: &str, cid: Cid) -> Self {
        Self {
            location: Location::Cid(cid),
            servers: Servers::one(gateway),
            verify: Verify::None,
            parse: ParseOptions::default(),
            line: LineOptions::default(),
            cache: None,
            offline: false,
        }
    }

    /// Reads names in this encoding, if a mount option says so.
    pub(super) fn with_encoding(mut self, encoding: Option<Encoding>) -> Self {
        self.parse.encoding = encoding.unwrap_or(self.parse.encoding);
        self
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Opens the archive. Must be called within the runtime that is to do the fetching.
    pub(super) async fn open(&self) -> Result<Archive, Failure> {
        Ok(self.open_kept().await?.0)
    }

    /// Opens the archive to have bytes of it kept: what is in it, what gives the bytes, and what
    /// keeps them.
    pub(super) async fn open_to_fetch(
        &self,
    ) -> Result<(Arc<Index>, Arc<dyn Source>, Option<Cached>), Failure> {
        let (source, cached) = self.source()?;
        let opened = self.open_source(source.clone(), cached.clone()).await;
        let (archive, _) = opened.map_err(|e| explain_open(&self.location, &e))?;
        Ok((archive.index().clone(), source, cached))
    }

    /// The cache, if there is one.
    pub(super) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// Opens the archive, and says where what is made of it may be kept.
    pub(super) async fn open_kept(&self) -> Result<(Archive, Kept), Failure> {
        let (source, cached) = self.source()?;
        match self.open_source(source, cached).await {
            Ok((archive, kept)) => Ok(match self.verify {
                // What is proven needs no other proof.
                Verify::Trustless | Verify::None => (archive, kept),
                Verify::Crc => (archive.checking_crcs(), kept),
            }),
            Err(error) => {
                let error = self.better_reason(&error).await.unwrap_or(error);
                Err(explain_open(&self.location, &error))
            }
        }
    }

    async fn open_source(
        &self,
        source: Arc<dyn Source>,
        cached: Option<Cached>,
    ) -> Result<(Archive, Kept), reader::Error> {
        if let Some(cached) = &cached {
            cached.get_ready(TAIL).await?;
        }
        let kept = Kept::new(cached, &self.parse);
        let known = kept.index().await;
        let is_new = known.is_none();
        let (parse, line) = (self.parse.clone(), self.line.clone());
        let archive = Archive::open_with(source, known, parse, line).await?;
        if is_new {
            kept.keep_index(archive.index());
        }
        Ok((archive, kept))
    }

    /// Why a CID cannot be opened by anybody, if that is so: a gateway answers the CID of a
    /// directory with a page or a redirect, which tells little. Its root block tells all, where it
    /// can be had.
    async fn better_reason(&self, error: &reader::Error) -> Option<reader::Error> {
        let Location::Cid(cid) = self.location else {
            return None;
        };
        if matches!(error, reader::Error::Source(e) if e.is_transient()) {
            return None; // nobody was there to ask
        }
        let nobody = Arc::new(Memory::new("nobody", ""));
        let options = self.http_options();
        let gateways = self.gateways(&options, &cid.to_string()).ok()?;
        let roster = gateways.roster().clone();
        let blocks = self.servers.blocks(&options, roster, Duration::ZERO);
        let content = Proven::new(cid, nobody, blocks);
        match tokio::time::timeout(PROBE, content.open(0)).await {
            Ok(Err(error @ source::Error::Unsupported { .. })) => Some(error.into()),
            _ => None,
        }
    }

    fn http_options(&self) -> HttpOptions {
        let usual = HttpOptions::default();
        self.servers.http(HttpOptions {
            connections: self.line.connections,
            idle_timeout: usual.idle_timeout.min(self.line.timeout),
            pinned: matches!(self.location, Location::Url(_)),
            ..usual
        })
    }

    fn gateways(&self, options: &HttpOptions, id: &str) -> Result<Gateways, Failure> {
        self.servers.data(options, |server| server.content_url(id))
    }

    /// The blob, retrying what is worth it for as long as a read may take; and what of it is cached.
    fn source(&self) -> Result<(Arc<dyn Source>, Option<Cached>), Failure> {
        let (timeout, options) = (self.line.timeout, self.http_options());
        let retrying = |gateways: Gateways| -> Arc<dyn Source> {
            match self.offline {
                true => Arc::new(Offline),
                false => Arc::new(Retry::new(Arc::new(gateways), timeout)),
            }
        };
        let (key, data, roster) = match &self.location {
            Location::File(path) => {
                let file = source::File::open_path(path).map_err(Failure::new)?;
                return Ok((Arc::new(file), None));
            }
            Location::Url(url) => {
                let server = self.servers.data(&options, |_| url.clone())?;
                let key = Key::url(&without_login(url), &source::display_url(url));
                (key, retrying(server), None)
            }
            Location::Id(id) => {
                let servers: Vec<String> =
                    self.servers.iter().map(|s| s.template.clone()).collect();
                (
                    Key::id(id, &servers),
                    retrying(self.gateways(&options, id)?),
                    None,
                )
            }
            Location::Cid(cid) => {
                let gateways = self.gateways(&options, &cid.to_string())?;
                let roster = gateways.roster().clone();
                match self.verify {
                    Verify::Trustless => {
                        (Key::proven(cid), retrying(gateways), Some((*cid, roster)))
                    }
                    _ => (Key::believed(cid), retrying(gateways), None),
                }
            }
        };
        let cached = self
            .cache
            .as_ref()
            .map(|cache| Cached::new(data.clone(), cache, key.clone(), self.offline));
        let data = cached
            .clone()
            .map_or(data, |cached| Arc::new(cached) as Arc<dyn Source>);
        let Some((cid, roster)) = roster else {
            return Ok((data, cached));
        };
        let mut blocks: Arc<dyn Blocks> = match self.offline {
            true => Arc::new(Offline),
            false => self.servers.blocks(&options, roster, timeout),
        };
        if let Some(cache) = &self.cache {
            blocks = Arc::new(CachedBlocks::new(blocks, cache, key));
        }
        Ok((Arc::new(Proven::new(cid, data, blocks)), cached))
    }
}

/// A URL without `user:password@`: who asks does not make another blob of it.
fn without_login(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let host = rest[..end].rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", &rest[end..])
        }
        None => url.to_owned(),
    }
}

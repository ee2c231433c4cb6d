//! How an archive is reached: the options of every command that reads one.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::caching::{KeepArgs, Kept};
use super::config::Config;
use super::location::Location;
use super::mount_options::MountOptions;
use super::servers::{ServerArgs, Servers};
use super::{Failure, explain_open, units};
use crate::archive::{Encoding, Index, ParseOptions, TAIL};
use crate::cache::{Cache, Cached, CachedBlocks, Key};
use crate::content::{Cid, Proven};
use crate::reader::{self, Archive, ReaderOptions};
use crate::source::{self, Blocks, Gateways, HttpOptions, Memory, Offline, Retry, Source};

/// How long it may take to find out what a CID is that could not be opened.
const PROBE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Args)]
pub(super) struct AccessArgs {
    #[command(flatten)]
    servers: ServerArgs,
    /// What is proven of the bytes that servers give [default: trustless for a CID, else crc]
    #[arg(long, value_name = "HOW")]
    verify: Option<Verify>,
    /// How to read names that are not UTF-8 and do not say what they are: CP437, as ZIP has it,
    /// unless this says otherwise. cp866, Shift_JIS...; auto guesses; an unknown name gets a list
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// The most memory for file content; at least 16M [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    memory: Option<u64>,
    /// The most connections to a server, and so answers that come at once; 1 to 64 [default: 16]
    #[arg(long, value_name = "N", value_parser = units::connections)]
    connections: Option<usize>,
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
    reader: ReaderOptions,
    cache: Option<Cache>,
    offline: bool,
}

impl AccessArgs {
    /// The way to `location`. What `-o` says goes before these arguments.
    pub(super) fn to(&self, location: Location, options: &MountOptions) -> Result<Access, Failure> {
        let config = Config::load()?;
        let (location, gateway) = location.by_cid();
        let is_cid = matches!(location, Location::Cid(_));
        let usual = if is_cid {
            Verify::Trustless
        } else {
            Verify::Crc
        };
        let verify = match options.verify.or(self.verify) {
            Some(Verify::Trustless) if !is_cid => {
                return Err(Failure::usage(format!(
                    "only a CID can be verified, and {} is none; leave '--verify trustless' out",
                    location.shown().1
                )));
            }
            Some(verify) => verify,
            // That all that can be is to be verified may well be configured.
            None => {
                let configured = config.verify();
                let configured = configured.filter(|v| is_cid || *v != Verify::Trustless);
                configured.unwrap_or(usual)
            }
        };
        let keep = self.keep.clone().with(
            options.cache_dir.clone(),
            options.cache_size,
            options.offline,
        );
        let cache = match location {
            Location::File(_) => None,
            _ => keep.open(&config),
        };
        let encoding = options.encoding.or(self.encoding).or(config.encoding());
        let memory = options.memory.or(self.memory).or(config.memory());
        let timeout = options.timeout.or(self.timeout).or(config.timeout());
        let connections = options.connections.or(self.connections);
        let connections = connections.or(config.connections());
        let usual = ReaderOptions::default();
        Ok(Access {
            servers: self.servers.resolve(&config, &location, gateway)?,
            location,
            verify,
            parse: ParseOptions {
                encoding: encoding.unwrap_or_default(),
            },
            reader: ReaderOptions {
                memory: memory.unwrap_or(usual.memory),
                timeout: timeout.unwrap_or(usual.timeout),
                connections: connections.unwrap_or(usual.connections),
            },
            cache,
            offline: keep.is_offline(),
        })
    }
}

impl Access {
    /// A CID's content through one gateway.
    pub(super) fn through(gateway: &str, cid: Cid) -> Self {
        Self {
            location: Location::Cid(cid),
            servers: Servers::one(gateway),
            verify: Verify::Trustless,
            parse: ParseOptions::default(),
            reader: ReaderOptions::default(),
            cache: None,
            offline: false,
        }
    }

    /// Without the cache, unless there is nothing else: what servers have is meant.
    pub(super) fn asking_servers(self) -> Self {
        let cache = self.cache.filter(|_| self.offline);
        Self { cache, ..self }
    }

    /// Whether every byte is proven before it is used.
    pub(super) fn proves(&self) -> bool {
        self.verify == Verify::Trustless
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
        let (parse, reader) = (self.parse.clone(), self.reader.clone());
        let archive = Archive::open_with(source, known, parse, reader).await?;
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
            connections: self.reader.connections,
            idle_timeout: usual.idle_timeout.min(self.reader.timeout),
            pinned: matches!(self.location, Location::Url(_)),
            ..usual
        })
    }

    fn gateways(&self, options: &HttpOptions, id: &str) -> Result<Gateways, Failure> {
        self.servers.data(options, |server| server.content_url(id))
    }

    /// The blob, retrying what is worth it for as long as a read may take; and what of it is cached.
    fn source(&self) -> Result<(Arc<dyn Source>, Option<Cached>), Failure> {
        let (timeout, options) = (self.reader.timeout, self.http_options());
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

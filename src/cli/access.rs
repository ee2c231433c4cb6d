//! How an archive is reached: the options of every command that reads one.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::config::Config;
use super::location::Location;
use super::servers::{ServerArgs, Servers};
use super::{Failure, explain_open, units};
use crate::archive::{Encoding, ParseOptions};
use crate::content::{Cid, Proven};
use crate::reader::{self, Archive, LineOptions};
use crate::source::{self, Gateways, HttpOptions, Memory, Retry, Source};

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
    /// The most connections to a server, and so requests under way at once; 1 to 64 [default: 16]
    #[arg(long, value_name = "N", value_parser = units::connections)]
    connections: Option<usize>,
    /// A read that has no bytes by then fails [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
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
}

impl AccessArgs {
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
        let connections = self.connections.or(config.connections());
        Ok(Access {
            servers: self.servers.resolve(&config, &location)?,
            location,
            verify: self.verify,
            parse: ParseOptions {
                encoding: self.encoding.or(config.encoding()).unwrap_or_default(),
            },
            line: LineOptions {
                memory: memory.unwrap_or(usual.memory),
                timeout: timeout.unwrap_or(usual.timeout),
                connections: connections.unwrap_or(usual.connections),
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
        }
    }

    /// Makes so many connections to a server at most, if a mount option says so.
    pub(super) fn with_connections(mut self, connections: Option<usize>) -> Self {
        self.line.connections = connections.unwrap_or(self.line.connections);
        self
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
        let source = self.source()?;
        match Archive::open(source, self.parse.clone(), self.line.clone()).await {
            Ok(archive) => Ok(match self.verify {
                // What is proven needs no other proof.
                Verify::Trustless | Verify::None => archive,
                Verify::Crc => archive.checking_crcs(),
            }),
            Err(error) => {
                let error = self.better_reason(&error).await.unwrap_or(error);
                Err(explain_open(&self.location, &error))
            }
        }
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

    /// The blob, retrying what is worth it for as long as a read may take.
    fn source(&self) -> Result<Arc<dyn Source>, Failure> {
        let (timeout, options) = (self.line.timeout, self.http_options());
        let retrying = |gateways: Gateways| -> Arc<dyn Source> {
            Arc::new(Retry::new(Arc::new(gateways), timeout))
        };
        match &self.location {
            Location::File(path) => match source::File::open_path(path) {
                Ok(file) => Ok(Arc::new(file)),
                Err(e) => Err(Failure::new(e)),
            },
            Location::Url(url) => {
                let server = self.servers.data(&options, |_| url.clone())?;
                Ok(retrying(server))
            }
            Location::Id(id) => Ok(retrying(self.gateways(&options, id)?)),
            Location::Cid(cid) => {
                let gateways = self.gateways(&options, &cid.to_string())?;
                let roster = gateways.roster().clone();
                let data = retrying(gateways);
                if self.verify != Verify::Trustless {
                    return Ok(data);
                }
                let blocks = self.servers.blocks(&options, roster, timeout);
                Ok(Arc::new(Proven::new(*cid, data, blocks)))
            }
        }
    }
}

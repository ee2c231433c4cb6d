//! How an archive is reached: the options of every command that reads one.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::location::Location;
use super::{Failure, explain_open, units};
use crate::archive::ParseOptions;
use crate::content::{Cid, Proven};
use crate::reader::{self, Archive, LineOptions};
use crate::source::{
    self, Blocks, Clients, Gateways, Http, HttpBlocks, HttpOptions, Memory, Retry, Source, UrlOf,
};

/// Public gateways, asked in this order when none is given for a CID.
pub(super) const DEFAULT_GATEWAYS: [&str; 3] = [
    "https://premium.aiozpin.network",
    "https://ipfs.io",
    "https://dweb.link",
];

/// How long it may take to find out what a CID is that could not be opened.
const PROBE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Args)]
pub(super) struct AccessArgs {
    /// Where to ask for a CID: {cid} in the URL is replaced, else /ipfs/CID is appended.
    /// May be given more than once; asked in this order
    #[arg(
        long = "gateway",
        value_name = "URL",
        env = "AIOZFS_GATEWAYS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    gateways: Vec<String>,
    /// What is proven of the bytes that servers give
    #[arg(long, value_name = "HOW", default_value = "none")]
    verify: Verify,
    /// The most memory for file content; at least 16M
    #[arg(long, value_name = "SIZE", default_value = "128M", value_parser = units::size)]
    memory: u64,
    /// A read that has no bytes by then fails
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::duration)]
    timeout: Duration,
}

/// How much to trust those who give the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Verify {
    /// Every byte is proven against the CID before it is used: any server will do, but one of
    /// the gateways must give raw blocks (a trustless gateway)
    Trustless,
    /// Nothing: the server is believed
    None,
}

/// An archive's place and the way to it, resolved.
#[derive(Debug, Clone)]
pub(super) struct Access {
    location: Location,
    gateways: Vec<String>,
    verify: Verify,
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
        Ok(Access {
            location,
            gateways: self.gateways.clone(),
            verify: self.verify,
            line: LineOptions {
                memory: memory.unwrap_or(self.memory),
                timeout: timeout.unwrap_or(self.timeout),
                ..LineOptions::default()
            },
        })
    }
}

impl Access {
    /// A CID's content through one gateway, which is believed.
    pub(super) fn through(gateway: &str, cid: Cid) -> Self {
        Self {
            location: Location::Cid(cid),
            gateways: vec![gateway.to_owned()],
            verify: Verify::None,
            line: LineOptions::default(),
        }
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Opens the archive. Must be called within the runtime that is to do the fetching.
    pub(super) async fn open(&self) -> Result<Archive, Failure> {
        let source = self.source()?;
        match Archive::open(source, ParseOptions::default(), self.line.clone()).await {
            Ok(archive) => Ok(archive),
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
        let content = Proven::new(cid, nobody, self.blocks(Clients::default(), Duration::ZERO));
        match tokio::time::timeout(PROBE, content.open(0)).await {
            Ok(Err(error @ source::Error::Unsupported { .. })) => Some(error.into()),
            _ => None,
        }
    }

    /// Raw blocks from all gateways.
    fn blocks(&self, clients: Clients, patience: Duration) -> Arc<dyn Blocks> {
        let gateways = self.gateways().into_iter();
        let urls =
            gateways.map(|gateway| Box::new(move |cid: &str| content_url(&gateway, cid)) as UrlOf);
        let options = self.http_options(clients);
        Arc::new(HttpBlocks::new(urls.collect(), options, patience))
    }

    fn http_options(&self, clients: Clients) -> HttpOptions {
        let usual = HttpOptions::default();
        HttpOptions {
            connections: self.line.connections,
            idle_timeout: usual.idle_timeout.min(self.line.timeout),
            pinned: matches!(self.location, Location::Url(_)),
            clients,
        }
    }

    /// The blob, retrying what is worth it for as long as a read may take.
    fn source(&self) -> Result<Arc<dyn Source>, Failure> {
        let timeout = self.line.timeout;
        let options = self.http_options(Clients::default());
        let http = |url: &str| Http::new(url, options.clone()).map_err(Failure::new);
        let gateways = |id: &str| -> Result<Arc<dyn Source>, Failure> {
            let mut members: Vec<Arc<dyn Source>> = Vec::new();
            for gateway in self.gateways() {
                members.push(Arc::new(http(&content_url(&gateway, id))?));
            }
            let members = Arc::new(Gateways::new(members));
            Ok(Arc::new(Retry::new(members, timeout)))
        };
        match &self.location {
            Location::File(path) => match source::File::open_path(path) {
                Ok(file) => Ok(Arc::new(file)),
                Err(e) => Err(Failure::new(e)),
            },
            Location::Url(url) => Ok(Arc::new(Retry::new(Arc::new(http(url)?), timeout))),
            Location::Id(id) => gateways(id),
            Location::Cid(cid) => {
                let data = gateways(&cid.to_string())?;
                if self.verify != Verify::Trustless {
                    return Ok(data);
                }
                let blocks = self.blocks(options.clients.clone(), timeout);
                Ok(Arc::new(Proven::new(*cid, data, blocks)))
            }
        }
    }

    fn gateways(&self) -> Vec<String> {
        match self.gateways.is_empty() {
            true => DEFAULT_GATEWAYS.map(str::to_owned).into(),
            false => self.gateways.clone(),
        }
    }
}

/// Where a gateway has a blob: `{cid}` in it is replaced, else `/ipfs/<cid>` is appended.
fn content_url(gateway: &str, id: &str) -> String {
    match gateway.contains("{cid}") {
        true => gateway.replace("{cid}", id),
        false => format!("{}/ipfs/{id}", gateway.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_templates_or_prefixes() {
        assert_eq!(content_url("http://a/", "C"), "http://a/ipfs/C");
        assert_eq!(content_url("https://{cid}.b/x", "C"), "https://C.b/x");
    }
}

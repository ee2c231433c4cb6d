//! The options of every command that reads an archive, and how they open it.

use std::time::Duration;

use clap::Args;

use super::config::Config;
use super::explain::{explain_open, explain_path_below_cid};
use super::mount_options::MountOptions;
use super::servers::ServerArgs;
use super::storage::ReuseArgs;
use super::stores::StoreArgs;
use super::verification::VerifyArg;
use super::{Failure, units};
use crate::archive::{Encoding, ParseOptions};
use crate::reader::ReaderOptions;
use crate::volume::{self, Location, Opened, Options, Server, Servers, Verify, Volume};

#[derive(Debug, Clone, Args)]
pub(super) struct AccessArgs {
    #[command(flatten)]
    servers: ServerArgs,
    #[command(flatten)]
    store: StoreArgs,
    /// How the bytes from servers are verified [default: trustless for a CID, else crc]
    #[arg(long, value_name = "HOW")]
    verify: Option<VerifyArg>,
    /// The encoding of names that are not marked as UTF-8, for example cp866 or Shift_JIS; auto guesses;
    /// an unknown name prints a list [default: CP437, as in the ZIP specification]
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// The maximum memory for file content, at least 16M [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    memory: Option<u64>,
    /// The maximum number of connections to a server, 1 to 64 [default: 16]
    #[arg(long, value_name = "N", value_parser = units::connections)]
    connections: Option<usize>,
    /// How long a read waits for its bytes before it fails [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    storage: ReuseArgs,
}

/// A location and how to open it, resolved from arguments and configuration.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) location: Location,
    pub(super) options: Options,
}

impl AccessArgs {
    /// How to open `location`. Mount options take precedence over these arguments, and these over the
    /// configuration.
    pub(super) fn resolve(
        &self,
        location: Location,
        options: &MountOptions,
    ) -> Result<Access, Failure> {
        let config = Config::load()?;
        let (location, gateway) = location.by_cid();
        let verify = match options.verify.or(self.verify) {
            Some(verify) => Verify::from(verify)
                .check(&location)
                .map_err(|_| not_verifiable(&location))?,
            // Configured, `trustless` applies only to what can be verified.
            None => {
                let configured = config.verify().map(Verify::from);
                let possible = configured.filter(|verify| verify.check(&location).is_ok());
                possible.unwrap_or_else(|| Verify::default_of(&location))
            }
        };
        let storage = self.storage.clone().with(
            options.cache_dir.clone(),
            options.cache_size,
            options.offline,
        );
        let cache = match location {
            Location::File(_) => None,
            _ => storage.open(&config),
        };
        let encoding = options.encoding.or(self.encoding).or(config.encoding());
        let memory = options.memory.or(self.memory).or(config.memory());
        let timeout = options.timeout.or(self.timeout).or(config.timeout());
        let connections = options.connections.or(self.connections);
        let connections = connections.or(config.connections());
        let default = ReaderOptions::default();
        let store = self.store.resolve(&config, &location, options)?;
        let servers = Servers {
            store,
            ..self.servers.resolve(&config, &location, gateway)?
        };
        Ok(Access {
            options: Options {
                servers,
                verify: Some(verify),
                parse: ParseOptions {
                    encoding: encoding.unwrap_or_default(),
                },
                reader: ReaderOptions {
                    memory: memory.unwrap_or(default.memory),
                    timeout: timeout.unwrap_or(default.timeout),
                    connections: connections.unwrap_or(default.connections),
                },
                cache,
                offline: storage.is_offline(),
                ..Options::default()
            },
            location,
        })
    }
}

impl Access {
    /// A CID's content through one gateway.
    pub(super) fn through(gateway: &str, location: Location) -> Self {
        let servers = Servers {
            servers: vec![Server::new(gateway)],
            ..Servers::default()
        };
        let options = Options {
            servers,
            ..Options::default()
        };
        Self { location, options }
    }

    /// Without the cache, so that servers are asked for all bytes. Offline, only the cache can be asked.
    pub(super) fn without_cache(mut self) -> Self {
        if !self.options.offline {
            self.options.cache = None;
        }
        self
    }

    /// Whether every byte is verified before it is used.
    pub(super) fn is_verified(&self) -> bool {
        self.options.verify == Some(Verify::Trustless)
    }

    /// Opens the archive with the tree of its files. Must be called within a runtime.
    pub(super) async fn open(&self) -> Result<Volume, Failure> {
        let opened = volume::open(&self.location, &self.options).await;
        opened.map_err(|e| explain_open(&self.location, &e))
    }

    /// Opens the archive without a tree. Must be called within a runtime.
    pub(super) async fn open_archive(&self) -> Result<Opened, Failure> {
        let opened = volume::open_archive(&self.location, &self.options).await;
        opened.map_err(|e| explain_open(&self.location, &e))
    }
}

fn not_verifiable(location: &Location) -> Failure {
    Failure::usage(match location.path_below_cid() {
        Some((cid, path)) => explain_path_below_cid(&cid, &path),
        None => format!(
            "only a CID can be verified, and {} is none; leave '--verify trustless' out",
            location.shown().1
        ),
    })
}

//! The options of every command that reads an archive, and how they open it.

use std::io;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::archives::explain_directory;
use super::config::{self, Config};
use super::explain::explain_open;
use super::mount_options::MountOptions;
use super::named_file::NamedFile;
use super::password::{self, PasswordArgs};
use super::progress::Waiting;
use super::servers::ServerArgs;
use super::settings::Settings;
use super::storage::{self, StorageArgs};
use super::stores::StoreArgs;
use super::verification::VerifyArg;
use super::{Failure, completions, units, walk_progress};
use crate::archive::{Encoding, Index, ParseOptions};
use crate::decode::Password;
use crate::reader::ReaderOptions;
use crate::volume::{
    self, IndexFileError, Location, OpenError, Opened, Options, Server, Servers, Verify, Volume,
};

/// Shown while servers are asked for the index.
pub(super) const OPENING: &str = "opening the archive";

#[derive(Debug, Clone, Args)]
pub(super) struct AccessArgs {
    #[command(flatten)]
    pub(super) servers: ServerArgs,
    #[command(flatten)]
    store: StoreArgs,
    /// How the bytes from servers are verified [default: trustless for a CID, else crc]
    #[arg(long, value_name = "HOW")]
    verify: Option<VerifyArg>,
    /// The encoding of names that are not marked as UTF-8, for example cp866 or Shift_JIS; auto guesses;
    /// an unknown name prints a list [default: CP437, as in the ZIP specification]
    #[arg(long, value_name = "NAME", add = completions::encodings())]
    encoding: Option<Encoding>,
    /// The maximum memory for file content, at least 16M [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = units::memory)]
    memory: Option<u64>,
    /// The maximum number of connections to a server, 1 to 64 [default: 16]
    #[arg(long, value_name = "N", value_parser = units::connections)]
    connections: Option<usize>,
    /// How long a read waits for its bytes before it fails [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    storage: StorageArgs,
    /// Ask no server: only bytes in the cache can be read
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    password: PasswordArgs,
}

/// A location and how to open it, resolved from arguments and configuration.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) location: Location,
    pub(super) options: Options,
    /// Whether the location was given as the URL of a gateway.
    pub(super) is_by_gateway: bool,
    /// What named the index, if one was given: for example `--index `.
    index_option: &'static str,
}

impl AccessArgs {
    /// The same arguments for one archive of many: headers and tokens go to the gateways that were given, and to
    /// no other server, and the options of a store are for objects.
    pub(super) fn for_one_of_many(&self, location: &Location) -> Self {
        let mut args = self.clone();
        args.servers.is_for_many = true;
        if !matches!(location, Location::Object(_)) {
            args.store = StoreArgs::default();
        }
        args
    }

    /// How to open `location`. Mount options take precedence over these arguments, and these over the
    /// configuration.
    pub(super) fn resolve(
        &self,
        location: Location,
        options: &MountOptions,
    ) -> Result<Access, Failure> {
        let config = Config::load()?;
        let mut access = self.resolve_with(&config, location, options)?;
        if !matches!(access.location, Location::File(_)) {
            let given = options.settings.clone().or(self.settings());
            access.options.cache =
                storage::open(&given.or(config.settings()), self.is_offline(options));
        }
        Ok(access)
    }

    /// Whether the secrets in these arguments can be used, for archives that are opened later.
    pub(super) fn check(&self, options: &MountOptions) -> Result<(), Failure> {
        self.servers.check()?;
        self.password
            .resolve(options.password_file.as_deref(), None)?;
        Ok(())
    }

    /// Those of these arguments that mount options and the configuration have, too.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            verify: self.verify,
            encoding: self.encoding,
            memory: self.memory,
            connections: self.connections,
            timeout: self.timeout,
            cache_dir: self.storage.dir.given().map(Path::to_owned),
            cache_size: self.storage.cache_size,
            ..Settings::default()
        }
    }

    /// Whether no server may be asked.
    pub(super) fn is_offline(&self, options: &MountOptions) -> bool {
        self.offline || options.offline
    }

    /// As [`resolve`](Self::resolve), with this configuration and without a cache.
    pub(super) fn resolve_with(
        &self,
        config: &Config,
        location: Location,
        options: &MountOptions,
    ) -> Result<Access, Failure> {
        let password = self.password.resolve(
            options.password_file.as_deref(),
            config.password_file(&location),
        )?;
        let given = options.settings.clone().or(self.settings());
        let verify = given.verify;
        let settings = given.or(config.settings());
        let chosen = settings.verify.map(Verify::from);
        let (location, gateway) = location.by_cid(Verify::is_trustless(chosen));
        let is_by_gateway = gateway.is_some();
        let verify = match verify {
            Some(verify) => Verify::from(verify)
                .check(&location)
                .map_err(|_| not_verifiable(&location))?,
            // Configured, `trustless` applies only to what can be verified.
            None => {
                let possible = chosen.filter(|verify| verify.check(&location).is_ok());
                possible.unwrap_or_else(|| Verify::default_of(&location))
            }
        };
        let default = ReaderOptions::default();
        let store = self.store.resolve(config, &location, options)?;
        let servers = Servers {
            store,
            ..self.servers.resolve(config, &location, gateway)?
        };
        Ok(Access {
            options: Options {
                servers,
                verify: Some(verify),
                parse: ParseOptions {
                    encoding: settings.encoding.unwrap_or_default(),
                },
                reader: ReaderOptions {
                    memory: settings.memory.unwrap_or(default.memory),
                    timeout: settings.timeout.unwrap_or(default.timeout),
                    connections: settings.connections.unwrap_or(default.connections),
                    watch: walk_progress::watch(),
                    ..default
                },
                offline: self.is_offline(options),
                password,
                ..Options::default()
            },
            location,
            is_by_gateway,
            index_option: "",
        })
    }

    /// Gives the cache the size that is configured now. It keeps its size if none is, or if an option says one.
    pub(super) fn resize_cache(&self, config: &Config, options: &MountOptions) {
        let given = options.settings.cache_size.or(self.storage.cache_size);
        let configured = config.settings().cache_size.filter(|size| *size > 0);
        if let (None, Some(size)) = (given, configured) {
            storage::resize(size);
        }
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
        Self {
            location,
            options,
            is_by_gateway: false,
            index_option: "",
        }
    }

    /// A path, components separated by `/`, below a directory of IPFS. Other directories are named by addresses.
    pub(super) fn below(&self, path: &str) -> Result<Self, Failure> {
        let here = self.location.content().ok_or_else(|| {
            let shown = self.location.shown().1;
            Failure::usage(format!(
                "'{path}' cannot follow {shown}; write it as a part of that address"
            ))
        })?;
        let below = here.descend(path).map_err(Failure::usage)?;
        Ok(Self {
            location: Location::Path(below),
            ..self.clone()
        })
    }

    /// With the index at the place `given`, which `option` names.
    pub(super) fn with_index(
        mut self,
        option: &'static str,
        given: Option<&str>,
    ) -> Result<Self, Failure> {
        if let Some(given) = given {
            let place = config::locate(given).map_err(|failure| failure.of(option.trim_end()))?;
            self.options.index = Some(place);
            self.index_option = option;
        }
        Ok(self)
    }

    /// Without the cache: servers are asked for all bytes. Offline, the cache stays, as there is nothing else to ask.
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
        match volume::open(&self.location, &self.options).await {
            Ok(opened) => Ok(opened),
            Err(error) => Err(self.explain(&error).await),
        }
    }

    /// The password, asked for on a terminal if there are encrypted entries and none is given.
    pub(super) fn password_for(&self, index: &Index) -> Option<Password> {
        let given = self.options.password.clone();
        let is_needed = || index.ids().any(|id| index.get(id).encryption.is_some());
        given.or_else(|| {
            let shown = self.location.shown().1;
            is_needed().then(|| password::ask(&shown)).flatten()
        })
    }

    /// Opens the archive, and [asks](Self::password_for) for its password. Must be called within a runtime.
    pub(super) async fn open_unlocked(&self) -> Result<Volume, Failure> {
        let waiting = Waiting::for_(OPENING);
        let volume = self.open().await?;
        drop(waiting);
        if self.options.password.is_none()
            && let Some(password) = self.password_for(volume.archive().index())
        {
            volume.decoder().set_password(password);
        }
        Ok(volume)
    }

    /// Opens the archive without a tree. Must be called within a runtime.
    pub(super) async fn open_archive(&self) -> Result<Opened, Failure> {
        let _waiting = Waiting::for_(OPENING);
        match volume::open_archive(&self.location, &self.options).await {
            Ok(opened) => Ok(opened),
            Err(error) => Err(self.explain(&error).await),
        }
    }

    /// Why the directory cannot be opened as an archive.
    pub(super) async fn explain_directory(&self) -> Failure {
        explain_directory(&self.location, &self.options, self.is_by_gateway).await
    }

    /// Why the archive could not be opened.
    pub(super) async fn explain(&self, error: &OpenError) -> Failure {
        match error {
            OpenError::Directory(_) => self.explain_directory().await,
            OpenError::Index(place, why) => {
                let shown = place.shown().1;
                let file = NamedFile::named_by(self.index_option, Path::new(&shown));
                match &**why {
                    IndexFileError::Unread(error) => {
                        explain_open(place, error).of(self.index_option.trim_end())
                    }
                    IndexFileError::Io { kind, cause } => {
                        file.unreadable(&io::Error::new(*kind, cause.clone()))
                    }
                    why => file.failed(why),
                }
            }
            error => explain_open(&self.location, error),
        }
    }
}

fn not_verifiable(location: &Location) -> Failure {
    Failure::usage(format!(
        "{} is not a CID, and only a CID can be verified; leave '--verify trustless' out",
        location.shown().1
    ))
}

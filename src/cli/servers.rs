//! The options of servers: gateways, headers, tokens, certificates.

use std::path::{Path, PathBuf};

use clap::Args;

use super::config::{Config, with_token_of};
use super::directories::home;
use super::named_file::NamedFile;
use super::{Failure, completions};
use crate::http::{Clients, Netrc, Secrets, parse_url};
use crate::volume::{Location, Server, Servers};

/// The variable for a bearer token, which does not appear in the list of processes.
const TOKEN: &str = "AIOZFS_TOKEN";

/// The CID of the empty block, for the URL that a gateway's template makes of a CID.
const ANY_CID: &str = "bafkqaaa";

#[derive(Clone, Args)]
pub(super) struct ServerArgs {
    /// A gateway that serves CIDs: its URL, or its name in the configuration. {cid} in the URL is
    /// replaced, else /ipfs/CID is appended. May be given more than once
    #[arg(
        long = "gateway",
        value_name = "URL",
        env = "AIOZFS_GATEWAYS",
        value_delimiter = ',',
        hide_env_values = true,
        add = completions::gateways()
    )]
    gateways: Vec<String>,
    /// Spread read-ahead over all gateways, in proportion to their rates
    #[arg(long)]
    stripe: bool,
    /// A header for the server, as 'Name: value'. May be given more than once
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// A file with a bearer token for the server; also the variable AIOZFS_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Certificates to trust in addition to the system's, in PEM format
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The arguments are for archives at many servers, so headers and tokens go to the given gateways alone.
    #[arg(skip)]
    pub(super) is_for_many: bool,
}

impl std::fmt::Debug for ServerArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerArgs") // headers are secret
    }
}

impl ServerArgs {
    /// The servers for `location`. `gateway` is the gateway in its URL, if it had one, and comes first.
    pub(super) fn resolve(
        &self,
        config: &Config,
        location: &Location,
        gateway: Option<String>,
    ) -> Result<Servers, Failure> {
        let own = |template: String| -> Result<Server, Failure> {
            Ok(Server {
                secrets: self.own_secrets()?,
                ..Server::new(template)
            })
        };
        let servers = match (gateway, location) {
            (Some(template), _) => {
                let mut servers = vec![own(template)?];
                if !self.gateways.is_empty() {
                    servers.extend(self.gateways(config)?);
                }
                servers
            }
            (None, Location::File(_)) => Vec::new(),
            (None, Location::Url(url)) => vec![own(url.clone())?],
            (None, Location::Object(address)) => vec![own(address.to_string())?],
            (None, Location::Cid(_) | Location::Path(_) | Location::Id(_)) => {
                self.gateways(config)?
            }
        };
        self.with(config, servers)
    }

    /// The connections.
    pub(super) fn clients(&self, config: &Config) -> Result<Clients, Failure> {
        clients(self.ca_file.as_deref(), config)
    }

    /// Whether the headers and the token can be sent.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.secrets().map(drop)
    }

    /// The gateways that are asked for a CID.
    pub(super) fn resolve_gateways(&self, config: &Config) -> Result<Servers, Failure> {
        self.with(config, self.gateways(config)?)
    }

    fn with(&self, config: &Config, servers: Vec<Server>) -> Result<Servers, Failure> {
        let clients = self.clients(config)?;
        Ok(Servers {
            servers,
            stripe: self.stripe || config.settings().stripe == Some(true),
            clients,
            netrc: netrc(),
            ..Servers::default()
        })
    }

    fn gateways(&self, config: &Config) -> Result<Vec<Server>, Failure> {
        if self.gateways.is_empty() {
            let configured = config.gateways()?;
            if !configured.is_empty() {
                return Ok(configured);
            }
            // A secret must not be sent to the public gateways.
            if !self.headers.is_empty() || self.token_file.is_some() {
                return Err(Failure::usage(
                    "headers and tokens need the gateway that they are for; give --gateway URL",
                ));
            }
            return Ok(Server::public());
        }
        let secrets = self.secrets()?;
        let named = self.gateways.iter().map(|gateway| {
            match config.gateway(gateway)? {
                Some(known) => Ok(known),
                None if !gateway.contains("://") => Err(Failure::usage(format!(
                    "--gateway '{gateway}': neither a URL, such as https://{gateway}, nor a [gateway.NAME] of the configuration"
                ))),
                None => {
                    let server = Server {
                        secrets: secrets.clone(),
                        ..Server::new(gateway)
                    };
                    let url = parse_url(&server.content_url(ANY_CID));
                    url.map_err(|e| Failure::usage(e).of("--gateway"))?;
                    Ok(server)
                }
            }
        });
        named.collect()
    }

    /// The secrets for the server of a location.
    fn own_secrets(&self) -> Result<Secrets, Failure> {
        if self.is_for_many {
            return Ok(Secrets::default());
        }
        self.secrets()
    }

    /// The secrets in the arguments and the environment.
    fn secrets(&self) -> Result<Secrets, Failure> {
        let secrets = Secrets::headers(self.headers.iter().map(String::as_str));
        let secrets = secrets.map_err(Failure::usage)?;
        if let Some(path) = &self.token_file {
            return with_token_of(secrets, &NamedFile::of_option("--token-file", path));
        }
        match std::env::var(TOKEN).ok().filter(|token| !token.is_empty()) {
            None => Ok(secrets),
            Some(token) => {
                let with_token = secrets.with_token(&token);
                with_token.map_err(|why| Failure::usage(format!("{TOKEN}: {why}")))
            }
        }
    }
}

/// The connections, which trust the certificates in `ca_file`, or else in the configured file, too.
pub(super) fn clients(ca_file: Option<&Path>, config: &Config) -> Result<Clients, Failure> {
    let given = ca_file.map(|path| NamedFile::of_option("--ca-file", path));
    let Some(file) = given.or_else(|| config.ca_file()) else {
        return Ok(Clients::default());
    };
    let clients = Clients::with_roots(&file.read_small()?);
    clients.map_err(|why| file.wrong(why))
}

/// The logins of `$NETRC`, else of `~/.netrc`; none if there is no such file.
fn netrc() -> Netrc {
    let path = std::env::var_os("NETRC").map(PathBuf::from);
    let own = || Some(home()?.join(".netrc"));
    let Some(path) = path.or_else(own).filter(|path| path.is_file()) else {
        return Netrc::default();
    };
    match NamedFile::at(&path).read_text() {
        Ok(text) => Netrc::parse(&text),
        Err(e) => {
            log::warn!("{e}; going on without it");
            Netrc::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_sent_to_public_gateways() {
        let mut args = ServerArgs {
            gateways: Vec::new(),
            stripe: false,
            headers: vec!["X-Key: s3cret".into()],
            token_file: None,
            ca_file: None,
            is_for_many: false,
        };
        let config = Config::default();
        let error = args.resolve_gateways(&config).expect_err("for whom?");
        assert!(error.to_string().contains("--gateway"), "{error}");
        args.gateways = vec!["http://a".into()];
        let servers = args.resolve_gateways(&config).expect("for that one");
        assert!(!format!("{servers:?} {args:?}").contains("s3cret"));
    }
}

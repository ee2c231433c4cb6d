//! Which servers to ask, and what they want to see first: gateways, headers, tokens, certificates.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::Failure;
use super::config::Config;
use super::home::home;
use super::location::Location;
use crate::content::parse_cid;
use crate::gateways::{GatewaySet, Gateways, GatewaysOptions, HttpBlocks, Member, UrlOf};
use crate::http::{Clients, Http, HttpOptions, Netrc, Secrets};
use crate::source::Blocks;

/// Public gateways, asked in this order when none is given for a CID.
const DEFAULT_GATEWAYS: [&str; 3] = [
    "https://premium.aiozpin.network",
    "https://ipfs.io",
    "https://dweb.link",
];

/// Where a bearer token may be given, without a trace in the list of processes.
const TOKEN: &str = "AIOZFS_TOKEN";

/// The longest token file, certificate file and netrc file, in bytes.
const LONGEST_FILE: u64 = 4 << 20;

#[derive(Clone, Args)]
pub(super) struct ServerArgs {
    /// Where to ask for a CID: {cid} in the URL is replaced, else /ipfs/CID is appended; or the
    /// name of a gateway in the configuration. May be given more than once
    #[arg(
        long = "gateway",
        value_name = "URL",
        env = "AIOZFS_GATEWAYS",
        value_delimiter = ',',
        hide_env_values = true
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
    /// Certificates to trust beside the system's, in PEM form
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for ServerArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerArgs") // headers are secret
    }
}

/// One gateway, or the server of a URL.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// A URL, with or without `{cid}`.
    pub(super) template: String,
    pub(super) secrets: Secrets,
    pub(super) weight: f64,
}

/// The servers of one archive, and how to talk to them.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    servers: Vec<Server>,
    stripe: bool,
    clients: Clients,
    netrc: Netrc,
}

impl ServerArgs {
    /// The servers for `location`; `gateway` is the one that it names itself, which comes first,
    /// before those that were asked for besides.
    pub(super) fn resolve(
        &self,
        config: &Config,
        location: &Location,
        gateway: Option<String>,
    ) -> Result<Servers, Failure> {
        if let Some(template) = gateway {
            let mut servers = vec![Server {
                secrets: self.secrets()?,
                ..Server::plain(&template)
            }];
            if !self.gateways.is_empty() {
                servers.extend(self.gateways(config)?);
            }
            return self.with(config, servers);
        }
        let servers = match location {
            Location::File(_) => Vec::new(),
            Location::Url(url) => vec![Server {
                template: url.clone(),
                secrets: self.secrets()?,
                weight: 1.0,
            }],
            Location::Cid(_) | Location::Id(_) => self.gateways(config)?,
        };
        self.with(config, servers)
    }

    /// The gateways that would be asked for a CID.
    pub(super) fn resolve_gateways(&self, config: &Config) -> Result<Servers, Failure> {
        self.with(config, self.gateways(config)?)
    }

    fn with(&self, config: &Config, servers: Vec<Server>) -> Result<Servers, Failure> {
        let clients = match self.ca_file.as_deref().or(config.ca_file()) {
            None => Clients::default(),
            Some(path) => {
                let pem = read_small(path)?;
                let clients = Clients::with_roots(pem.as_bytes());
                clients.map_err(|why| Failure::new(format!("{}: {why}", path.display())))?
            }
        };
        Ok(Servers {
            servers,
            stripe: self.stripe || config.stripe(),
            clients,
            netrc: netrc(),
        })
    }

    fn gateways(&self, config: &Config) -> Result<Vec<Server>, Failure> {
        if self.gateways.is_empty() {
            let configured = config.gateways()?;
            if !configured.is_empty() {
                return Ok(configured);
            }
            // A secret must not go to whoever is built in.
            if !self.headers.is_empty() || self.token_file.is_some() {
                return Err(Failure::usage(
                    "headers and tokens need the gateway that they are for; give --gateway URL",
                ));
            }
            return Ok(DEFAULT_GATEWAYS.map(Server::plain).into());
        }
        let secrets = self.secrets()?;
        let named = self.gateways.iter().map(|gateway| {
            let known = config.gateway(gateway)?;
            Ok(known.unwrap_or_else(|| Server {
                secrets: secrets.clone(),
                ..Server::plain(gateway)
            }))
        });
        named.collect()
    }

    /// What was given for this one command.
    fn secrets(&self) -> Result<Secrets, Failure> {
        let secrets = Secrets::headers(self.headers.iter().map(String::as_str));
        let secrets = secrets.map_err(Failure::usage)?;
        let token = match &self.token_file {
            Some(path) => Some(read_small(path)?),
            None => std::env::var(TOKEN).ok().filter(|token| !token.is_empty()),
        };
        match token {
            None => Ok(secrets),
            Some(token) => secrets.with_token(&token).map_err(Failure::usage),
        }
    }
}

impl Server {
    pub(super) fn plain(template: &str) -> Self {
        Self {
            template: template.to_owned(),
            secrets: Secrets::default(),
            weight: 1.0,
        }
    }

    /// Where it has a blob: `{cid}` in its URL is replaced, else `/ipfs/<cid>` is appended. A
    /// host's name knows no upper case, so a CID in it is written as version 1.
    pub(super) fn content_url(&self, id: &str) -> String {
        let Some(at) = self.template.find("{cid}") else {
            return format!("{}/ipfs/{id}", self.template.trim_end_matches('/'));
        };
        let before = &self.template[..at];
        let is_host = (before.split_once("://")).is_some_and(|(_, host)| !host.contains('/'));
        match parse_cid(id) {
            Ok(cid) if is_host => self.template.replace("{cid}", &cid.to_v1().to_string()),
            _ => self.template.replace("{cid}", id),
        }
    }

    fn options(&self, options: &HttpOptions) -> HttpOptions {
        HttpOptions {
            secrets: self.secrets.clone(),
            ..options.clone()
        }
    }
}

impl Servers {
    /// One gateway that wants to see nothing.
    pub(super) fn one(gateway: &str) -> Self {
        Self {
            servers: vec![Server::plain(gateway)],
            stripe: false,
            clients: Clients::default(),
            netrc: Netrc::default(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter()
    }

    /// One of them alone.
    pub(super) fn only(&self, server: &Server) -> Self {
        Self {
            servers: vec![server.clone()],
            ..self.clone()
        }
    }

    /// `options` with what all of them share.
    pub(super) fn http(&self, options: HttpOptions) -> HttpOptions {
        HttpOptions {
            clients: self.clients.clone(),
            netrc: self.netrc.clone(),
            ..options
        }
    }

    /// The blob at `url_of` each server.
    pub(super) fn data(
        &self,
        options: &HttpOptions,
        url_of: impl Fn(&Server) -> String,
    ) -> Result<Gateways, Failure> {
        let mut members = Vec::new();
        for server in &self.servers {
            let http = Http::new(&url_of(server), server.options(options)).map_err(Failure::new)?;
            members.push(Member {
                name: http.origin().clone(),
                source: Arc::new(http),
                weight: server.weight,
            });
        }
        let spread = GatewaysOptions {
            connections: options.connections,
            stripe: self.stripe,
        };
        Ok(Gateways::with(members, &spread))
    }

    /// Raw blocks from all of them; `roster` is that of their data.
    pub(super) fn blocks(
        &self,
        options: &HttpOptions,
        roster: Arc<GatewaySet>,
        patience: Duration,
    ) -> Arc<dyn Blocks> {
        let gateways = self.servers.iter().cloned().map(|server| {
            let options = server.options(options);
            let url: UrlOf = Box::new(move |cid: &str| server.content_url(cid));
            (url, options)
        });
        Arc::new(HttpBlocks::new(gateways.collect(), roster, patience))
    }
}

/// A file of text that is small by nature. What is in it is not repeated in errors.
pub(super) fn read_small(path: &Path) -> Result<String, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", path.display()));
    let size = fs::metadata(path).map_err(|e| failed(&e))?.len();
    if size > LONGEST_FILE {
        return Err(failed(&"it is too large to be what it should be"));
    }
    fs::read_to_string(path).map_err(|e| failed(&e))
}

/// The logins of `$NETRC`, else of `~/.netrc`; none if there is no such file.
fn netrc() -> Netrc {
    let path = std::env::var_os("NETRC").map(PathBuf::from);
    let own = || Some(home()?.join(".netrc"));
    let Some(path) = path.or_else(own).filter(|path| path.is_file()) else {
        return Netrc::default();
    };
    match read_small(&path) {
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
    fn gateways_are_templates_or_prefixes() {
        let url = |template: &str| Server::plain(template).content_url("C");
        assert_eq!(url("http://a/"), "http://a/ipfs/C");
        assert_eq!(url("https://{cid}.b/x"), "https://C.b/x");
        let v0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
        let v1 = "bafybeie5nqv6kd3qnfjupgvz34woh3oksc3iau6abmyajn7qvtf6d2ho34";
        let url = |template: &str| Server::plain(template).content_url(v0);
        assert_eq!(url("https://{cid}.b/"), format!("https://{v1}.b/"));
        assert_eq!(url("https://b/{cid}"), format!("https://b/{v0}"));
    }

    #[test]
    fn secrets_do_not_go_to_whoever_is_built_in() {
        let mut args = ServerArgs {
            gateways: Vec::new(),
            stripe: false,
            headers: vec!["X-Key: s3cret".into()],
            token_file: None,
            ca_file: None,
        };
        let config = Config::default();
        let error = args.resolve_gateways(&config).expect_err("for whom?");
        assert!(error.to_string().contains("--gateway"), "{error}");
        args.gateways = vec!["http://a".into()];
        let servers = args.resolve_gateways(&config).expect("for that one");
        assert!(!format!("{servers:?} {args:?}").contains("s3cret"));
    }
}

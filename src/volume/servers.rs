//! Which servers have the bytes of an archive, and how they are asked.

use std::sync::Arc;
use std::time::Duration;

use crate::content::parse_cid;
use crate::gateways::{GatewaySet, Gateways, GatewaysOptions, HttpBlocks, Member, UrlOf};
use crate::http::{Clients, Http, HttpOptions, Netrc, Secrets};
use crate::source::{Blocks, Result};
use crate::stores::StoreSettings;

/// The gateways that are asked for a CID when none is given, in order of preference.
const PUBLIC_GATEWAYS: [&str; 3] = [
    "https://premium.aiozpin.network",
    "https://ipfs.io",
    "https://dweb.link",
];

/// A gateway, or the server of a URL.
#[derive(Debug, Clone)]
pub struct Server {
    /// The URL of a gateway. `{cid}` in it is replaced by the CID or id; without `{cid}`, `/ipfs/` and
    /// the CID are appended. Not used for a location that is a URL.
    pub template: String,
    /// Headers and tokens that are sent to this server alone.
    pub secrets: Secrets,
    /// How much the server is preferred: one of weight 2 is rated twice as fast as it is. Above 0.
    pub weight: f64,
}

/// The servers that are asked for an archive, and what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    /// For a CID or an id: its gateways, in order of preference. If there are none, a CID and an id are
    /// looked for at public gateways. For a URL: at most one, whose secrets are sent to the URL's server.
    pub servers: Vec<Server>,
    /// What is said about the store of an object. `servers` is as for a URL.
    pub store: StoreSettings,
    /// Spread read-ahead over all gateways, in proportion to their rates.
    pub stripe: bool,
    /// The connections, and the certificates that they trust.
    pub clients: Clients,
    /// Logins by host, for URLs without a login.
    pub netrc: Netrc,
}

impl Server {
    /// A gateway of weight 1, without secrets.
    pub fn new(template: impl Into<String>) -> Self {
        Self {
            template: template.into(),
            secrets: Secrets::default(),
            weight: 1.0,
        }
    }

    /// The public gateways that are asked when none is given.
    pub fn public() -> Vec<Self> {
        PUBLIC_GATEWAYS.map(Self::new).into()
    }

    /// The URL of a blob at this gateway. Host names are not case-sensitive, so a CID within one is
    /// written as version 1.
    pub fn content_url(&self, id: &str) -> String {
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

    /// The URL of an IPNS name at this gateway. `None` if its template tells only where CIDs are.
    pub fn ipns_url(&self, name: &str) -> Option<String> {
        let template = &self.template;
        if !template.contains("{cid}") {
            return Some(format!("{}/ipns/{name}", template.trim_end_matches('/')));
        }
        for (ipfs, ipns) in [("/ipfs/{cid}", "/ipns/"), ("://{cid}.ipfs.", "://")] {
            if template.contains(ipfs) {
                let rest = if ipns == "://" { ".ipns." } else { "" };
                return Some(template.replace(ipfs, &format!("{ipns}{name}{rest}")));
            }
        }
        None
    }

    pub(super) fn options(&self, options: &HttpOptions) -> HttpOptions {
        HttpOptions {
            secrets: self.secrets.clone(),
            ..options.clone()
        }
    }
}

impl Servers {
    /// The same connections and logins with this server alone.
    pub fn only(&self, server: &Server) -> Self {
        Self {
            servers: vec![server.clone()],
            ..self.clone()
        }
    }

    /// `options` with the connections and logins that all servers share.
    pub fn http(&self, options: HttpOptions) -> HttpOptions {
        HttpOptions {
            clients: self.clients.clone(),
            netrc: self.netrc.clone(),
            ..options
        }
    }

    /// The blob at `url_of` each server. Fails if a URL is malformed; nothing is sent.
    pub fn data(
        &self,
        options: &HttpOptions,
        url_of: impl Fn(&Server) -> String,
    ) -> Result<Gateways> {
        let mut members = Vec::new();
        for server in &self.servers {
            let http = Http::new(&url_of(server), server.options(options))?;
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

    /// Raw blocks from all servers. `set` is the gateway set of their data. A request is repeated for
    /// `patience`.
    pub fn blocks(
        &self,
        options: &HttpOptions,
        set: Arc<GatewaySet>,
        patience: Duration,
    ) -> Arc<dyn Blocks> {
        let gateways = self.servers.iter().cloned().map(|server| {
            let options = server.options(options);
            let url: UrlOf = Box::new(move |cid: &str| server.content_url(cid));
            (url, options)
        });
        Arc::new(HttpBlocks::new(gateways.collect(), set, patience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_templates_or_prefixes() {
        let url = |template: &str| Server::new(template).content_url("C");
        assert_eq!(url("http://a/"), "http://a/ipfs/C");
        assert_eq!(url("https://{cid}.b/x"), "https://C.b/x");
        let v0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
        let v1 = "bafybeie5nqv6kd3qnfjupgvz34woh3oksc3iau6abmyajn7qvtf6d2ho34";
        let name = |template: &str| Server::new(template).ipns_url("k51");
        assert_eq!(name("http://a/"), Some("http://a/ipns/k51".into()));
        assert_eq!(
            name("http://a/ipfs/{cid}"),
            Some("http://a/ipns/k51".into())
        );
        let subdomain = Some("https://k51.ipns.b/".into());
        assert_eq!(name("https://{cid}.ipfs.b/"), subdomain);
        assert_eq!(name("https://b/{cid}"), None);
        let url = |template: &str| Server::new(template).content_url(v0);
        assert_eq!(url("https://{cid}.b/"), format!("https://{v1}.b/"));
        assert_eq!(url("https://b/{cid}"), format!("https://b/{v0}"));
    }
}

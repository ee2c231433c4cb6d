//! SOURCE on the command line: a file, a URL, a CID, or an id of another network.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use crate::source::{self, Gateways, Http, HttpOptions, Retry, Source};

/// Public gateways, asked in this order when none is given for a CID.
pub(super) const DEFAULT_GATEWAYS: [&str; 3] = [
    "https://premium.aiozpin.network",
    "https://ipfs.io",
    "https://dweb.link",
];

/// Where a blob is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    File(PathBuf),
    Url(String),
    /// A CID, or the id of another network, which gateways know by that name.
    Id(String),
}

impl Location {
    /// An existing path, or anything with a `/` and no scheme, is a file; `http(s)://` is a URL;
    /// `id:<text>` is taken as it is; anything else must be a CID.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        if let Some(id) = text.strip_prefix("id:") {
            return match id.is_empty() || id.contains(['/', '?', '#']) {
                true => Err(Failure::usage(
                    "'id:' must be followed by an id without '/', '?' and '#'",
                )),
                false => Ok(Location::Id(id.to_owned())),
            };
        }
        if Path::new(text).exists() {
            return Ok(Location::File(PathBuf::from(text)));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => Ok(Location::Url(text.to_owned())),
                "ipfs" => Self::cid(rest.trim_end_matches('/')),
                other => Err(Failure::usage(format!(
                    "sources of scheme '{other}' are not supported; give a file, an http(s) URL or a CID"
                ))),
            };
        }
        match text.contains('/') {
            true => Ok(Location::File(PathBuf::from(text))),
            false => Self::cid(text),
        }
    }

    fn cid(text: &str) -> Result<Self, Failure> {
        match crate::content::parse_cid(text) {
            Ok(cid) => Ok(Location::Id(cid.to_string())),
            Err(e) => Err(Failure::usage(format!(
                "'{text}' is neither a file here nor a CID ({e}); an id of another network is given as 'id:{text}'"
            ))),
        }
    }

    /// What the mount tells of its origin: the name of the root's attribute, and its value
    /// without secrets.
    pub(super) fn shown(&self) -> (&'static str, String) {
        match self {
            Location::File(path) => ("file", path.display().to_string()),
            Location::Url(url) => ("url", source::display_url(url)),
            Location::Id(id) => ("cid", id.clone()),
        }
    }

    /// The source of the blob, retrying what is worth it for as long as a read may take.
    pub(super) fn open(
        &self,
        gateways: &[String],
        timeout: Duration,
    ) -> Result<Arc<dyn Source>, Failure> {
        let options = HttpOptions {
            idle_timeout: HttpOptions::default().idle_timeout.min(timeout),
            pinned: matches!(self, Location::Url(_)),
            ..HttpOptions::default()
        };
        let http = |url: &str| Http::new(url, options.clone()).map_err(Failure::new);
        let inner: Arc<dyn Source> = match self {
            Location::File(path) => {
                return match source::File::open_path(path) {
                    Ok(file) => Ok(Arc::new(file)),
                    Err(e) => Err(Failure::new(e)),
                };
            }
            Location::Url(url) => Arc::new(http(url)?),
            Location::Id(id) => {
                let urls = gateway_urls(gateways, id);
                let mut members: Vec<Arc<dyn Source>> = Vec::new();
                for url in &urls {
                    members.push(Arc::new(http(url)?));
                }
                Arc::new(Gateways::new(members))
            }
        };
        Ok(Arc::new(Retry::new(inner, timeout)))
    }
}

/// Where each gateway has the blob: `{cid}` in it is replaced, else `/ipfs/<cid>` is appended.
fn gateway_urls(gateways: &[String], id: &str) -> Vec<String> {
    let defaults = DEFAULT_GATEWAYS.map(str::to_owned);
    let gateways = if gateways.is_empty() {
        &defaults[..]
    } else {
        gateways
    };
    let url = |gateway: &String| match gateway.contains("{cid}") {
        true => gateway.replace("{cid}", id),
        false => format!("{}/ipfs/{id}", gateway.trim_end_matches('/')),
    };
    gateways.iter().map(url).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_source_is() {
        let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let of = |text: &str| Location::parse(text).map_err(|e| e.to_string());
        assert_eq!(of("Cargo.toml"), Ok(Location::File("Cargo.toml".into())));
        assert_eq!(of("no/such.zip"), Ok(Location::File("no/such.zip".into())));
        let url = "https://example.com/a.zip";
        assert_eq!(of(url), Ok(Location::Url(url.into())));
        assert_eq!(of(cid), Ok(Location::Id(cid.into())));
        assert_eq!(of(&format!("ipfs://{cid}")), Ok(Location::Id(cid.into())));
        assert_eq!(of("id:a1b2"), Ok(Location::Id("a1b2".into())));
        for wrong in ["ftp://example.com/a.zip", "nonsense", "id:", "id:a/b", ""] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn gateways_are_templates_or_prefixes() {
        let gateways = ["http://a/".to_owned(), "https://{cid}.b/x".to_owned()];
        assert_eq!(
            gateway_urls(&gateways, "C"),
            ["http://a/ipfs/C", "https://C.b/x"]
        );
        assert_eq!(gateway_urls(&[], "C").len(), DEFAULT_GATEWAYS.len());
    }
}

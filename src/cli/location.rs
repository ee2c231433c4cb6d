//! SOURCE on the command line: a file, a URL, a CID, or an id of another network.

use std::path::{Path, PathBuf};

use super::Failure;
use super::config::Config;
use crate::content::{Cid, parse_cid};

/// Where a blob is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    File(PathBuf),
    Url(String),
    Cid(Cid),
    /// The id of another network, by which its gateways know the blob.
    Id(String),
}

impl Location {
    /// An existing path, or anything with a `/` and no scheme, is a file; `http(s)://` is a URL;
    /// `id:<text>` is taken as it is; anything else must be a CID, as it is or in one of the forms
    /// `ipfs://<cid>` and `/ipfs/<cid>`.
    ///
    /// The name of an archive of the configuration stands for its source.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let is_word = !text.contains(['/', ':']) && !Path::new(text).exists();
        match is_word && parse_cid(text).is_err() {
            true => match Config::load()?.archive(text) {
                Some(source) => Self::parse_source(source),
                None => Self::parse_source(text),
            },
            false => Self::parse_source(text),
        }
    }

    fn parse_source(text: &str) -> Result<Self, Failure> {
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
        if let Some(rest) = text.strip_prefix("/ipfs/") {
            return Self::cid(rest.trim_end_matches('/'));
        }
        match text.contains('/') {
            true => Ok(Location::File(PathBuf::from(text))),
            false => Self::cid(text),
        }
    }

    fn cid(text: &str) -> Result<Self, Failure> {
        match parse_cid(text) {
            Ok(cid) => Ok(Location::Cid(cid)),
            Err(e) => Err(Failure::usage(format!(
                "'{text}' is neither a file here nor a CID ({e}); an id of another network is given as 'id:{text}'"
            ))),
        }
    }

    /// A URL by which a gateway gives the content of a CID is that CID, and the gateway as
    /// `--gateway` takes it: `https://HOST/ipfs/CID` and `https://CID.ipfs.HOST/`
    /// (<https://specs.ipfs.tech/http-gateways/subdomain-gateway/>). All else stays what it is.
    pub(super) fn by_cid(self) -> (Self, Option<String>) {
        let found = match &self {
            Location::Url(url) => gateway_url(url),
            _ => None,
        };
        match found {
            Some((cid, gateway)) => (Location::Cid(cid), Some(gateway)),
            None => (self, None),
        }
    }

    /// What the mount tells of its origin: the name of the root's attribute, and its value
    /// without secrets.
    pub(super) fn shown(&self) -> (&'static str, String) {
        match self {
            Location::File(path) => ("file", path.display().to_string()),
            Location::Url(url) => ("url", crate::http::display_url(url)),
            Location::Cid(cid) => ("cid", cid.to_string()),
            Location::Id(id) => ("id", id.clone()),
        }
    }
}

/// The CID that a gateway's URL names, and the URL without it.
fn gateway_url(url: &str) -> Option<(Cid, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // What only says how a browser should call the file. Anything else might mean something else.
    let mut parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    let is_harmless = |parameter: &str| {
        let name = parameter.split('=').next();
        matches!(name, Some("filename" | "download"))
    };
    if !parameters.all(is_harmless) {
        return None;
    }
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    if let Some(cid) = path.strip_prefix("ipfs/") {
        return Some((parse_cid(cid).ok()?, format!("{scheme}://{server}")));
    }
    if !path.is_empty() {
        return None;
    }
    let (login, host) = match server.rsplit_once('@') {
        Some((login, host)) => (format!("{login}@"), host),
        None => (String::new(), server),
    };
    let (cid, host) = host.split_once(".ipfs.")?;
    let cid = parse_cid(cid).ok()?;
    Some((cid, format!("{scheme}://{login}{{cid}}.ipfs.{host}/")))
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
        let by_cid = Ok(Location::Cid(cid.parse().expect("a CID")));
        assert_eq!(of(cid), by_cid);
        assert_eq!(of(&format!("ipfs://{cid}")), by_cid);
        assert_eq!(of(&format!("/ipfs/{cid}/")), by_cid);
        assert_eq!(of("id:a1b2"), Ok(Location::Id("a1b2".into())));
        for wrong in ["ftp://example.com/a.zip", "nonsense", "id:", "id:a/b", ""] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn urls_of_gateways_name_cids() {
        let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let of = |url: &str| Location::Url(url.to_owned()).by_cid();
        for (url, gateway) in [
            ("https://a.b/ipfs/CID", "https://a.b"),
            (
                "http://me:pw@a:80/ipfs/CID/?filename=x.zip&download=true",
                "http://me:pw@a:80",
            ),
            ("https://CID.ipfs.a.b", "https://{cid}.ipfs.a.b/"),
            (
                "https://me@CID.ipfs.localhost:8080/",
                "https://me@{cid}.ipfs.localhost:8080/",
            ),
        ] {
            let expected = Location::Cid(cid.parse().expect("a CID"));
            let found = of(&url.replace("CID", cid));
            assert_eq!(found, (expected, Some(gateway.to_owned())), "{url}");
        }
        for url in [
            "https://a.b/ipfs/CID/inside.zip",
            "https://a.b/files/ipfs/CID",
            "https://a.b/ipfs/CID?format=car",
            "https://CID.ipfs.a.b/inside.zip",
            "https://CID.a.b/",
            "https://a.b/ipfs/nonsense",
            "https://a.b/x.zip",
        ] {
            let url = url.replace("CID", cid);
            assert_eq!(of(&url), (Location::Url(url.clone()), None));
        }
    }
}

//! SOURCE on the command line: a file, a URL, a CID, or an id of another network.

use std::path::{Path, PathBuf};

use super::Failure;
use super::config::Config;
use crate::content::{Cid, parse_cid};
use crate::source;

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
    /// `id:<text>` is taken as it is; anything else must be a CID.
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

    /// What the mount tells of its origin: the name of the root's attribute, and its value
    /// without secrets.
    pub(super) fn shown(&self) -> (&'static str, String) {
        match self {
            Location::File(path) => ("file", path.display().to_string()),
            Location::Url(url) => ("url", source::display_url(url)),
            Location::Cid(cid) => ("cid", cid.to_string()),
            Location::Id(id) => ("id", id.clone()),
        }
    }
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
        assert_eq!(of("id:a1b2"), Ok(Location::Id("a1b2".into())));
        for wrong in ["ftp://example.com/a.zip", "nonsense", "id:", "id:a/b", ""] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}

//! Where a blob is: a file, a URL, a CID, or an id of another network.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::content::{Cid, parse_cid};
use crate::ranges::hex;
use crate::stores::{AddressError, ObjectAddress};

/// Where a blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of this machine.
    File(PathBuf),
    /// An `http` or `https` URL, which may have a login in it.
    Url(String),
    /// An object in a store: `s3://`, `gs://` or `az://`.
    Object(ObjectAddress),
    /// Content with this CID, which gateways have.
    Cid(Cid),
    /// Content that the gateways of another network have under this id. It cannot be verified.
    Id(String),
}

/// Why a text is not a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocationError {
    /// `id:` without an id, or with an id that has `/`, `?` or `#` in it.
    BadId,
    /// A URL of this scheme, which is not supported.
    Scheme(String),
    /// The address of an object is malformed.
    Object(AddressError),
    /// The text is neither the path of a file nor a CID.
    NotACid {
        /// The whole text.
        text: String,
        /// Why it is not a CID.
        why: String,
    },
    /// A path below a CID. The blocks of the directories would have to be fetched and verified to find
    /// the CID of the file.
    PathBelowCid {
        /// The CID of the directory.
        cid: Cid,
        /// The path, without slashes at its ends.
        path: String,
    },
    /// A query behind a CID that may change what it stands for.
    Query(String),
}

impl fmt::Display for LocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocationError::BadId => {
                f.write_str("'id:' must be followed by an id without '/', '?' and '#'")
            }
            LocationError::Scheme(scheme) => write!(
                f,
                "sources of scheme '{scheme}' are not supported; give a file, an http(s), s3, gs or az URL, or a CID"
            ),
            LocationError::Object(error) => error.fmt(f),
            LocationError::NotACid { text, why } => write!(
                f,
                "'{text}' is neither a file here nor a CID ({why}); an id of another network is given as 'id:{text}'"
            ),
            LocationError::PathBelowCid { cid, path } => {
                let path = path.replace('\'', r"'\''");
                write!(
                    f,
                    "a path below a CID is not resolved; give the CID of the archive itself, as this command prints it: ipfs resolve -r '/ipfs/{cid}/{path}'"
                )
            }
            LocationError::Query(query) => write!(
                f,
                "'?{query}' behind the CID means nothing here; leave it out"
            ),
        }
    }
}

impl std::error::Error for LocationError {}

impl Location {
    /// An existing path, or anything with a `/` and no scheme, is a file; `http(s)://` is a URL;
    /// `s3://`, `gs://` and `az://` are objects in stores; `id:<text>` is an id of another network; anything else must be a CID, bare or in one of the
    /// forms `ipfs://<cid>` and `/ipfs/<cid>`. What browsers append to these is ignored: a slash, a
    /// fragment, the name of the download.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if let Some(id) = text.strip_prefix("id:") {
            return if id.is_empty() || id.contains(['/', '?', '#']) {
                Err(LocationError::BadId)
            } else {
                Ok(Location::Id(id.to_owned()))
            };
        }
        if Path::new(text).exists() {
            return Ok(Location::File(PathBuf::from(text)));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" => Ok(Location::Url(text.to_owned())),
                "ipfs" => Self::cid(rest),
                other => match ObjectAddress::parse_object(text) {
                    Some(address) => Ok(Location::Object(address.map_err(LocationError::Object)?)),
                    None => Err(LocationError::Scheme(other.to_owned())),
                },
            };
        }
        if let Some(rest) = text.strip_prefix("/ipfs/") {
            return Self::cid(rest);
        }
        match text.split_once('/') {
            // A folder of that name is what 'ipfs get' makes.
            Some((first, _)) if parse_cid(first).is_ok() && !Path::new(first).exists() => {
                Self::cid(text)
            }
            Some(_) => Ok(Location::File(PathBuf::from(text))),
            None => Self::cid(text),
        }
    }

    /// A CID, and what may follow it.
    fn cid(text: &str) -> Result<Self, LocationError> {
        let (name, query) = without_fragment(text);
        let name = percent_decode_str(name).decode_utf8_lossy();
        let (first, path) = name.split_once('/').unwrap_or((&name, ""));
        let cid = parse_cid(first).map_err(|e| LocationError::NotACid {
            text: text.to_owned(),
            why: e.to_string(),
        })?;
        let path = path.trim_matches('/');
        if !path.is_empty() {
            let path = path.to_owned();
            return Err(LocationError::PathBelowCid { cid, path });
        }
        if !is_harmless(query) {
            return Err(LocationError::Query(query.to_owned()));
        }
        Ok(Location::Cid(cid))
    }

    /// For the URL of a file below a CID at a gateway, which cannot be verified: the CID and the path.
    pub fn path_below_cid(&self) -> Option<(Cid, String)> {
        match self {
            Location::Url(url) => {
                let (cid, path, _) = gateway_place(url)?;
                (!path.is_empty()).then_some((cid, path))
            }
            _ => None,
        }
    }

    /// Turns the URL of a CID at a gateway into the CID and the gateway's template (see
    /// [`Server::template`](super::Server::template)): `https://HOST/ipfs/CID` and
    /// `https://CID.ipfs.HOST/` (<https://specs.ipfs.tech/http-gateways/subdomain-gateway/>). Other
    /// locations stay what they are.
    pub fn by_cid(self) -> (Self, Option<String>) {
        let found = match &self {
            Location::Url(url) => gateway_url(url),
            _ => None,
        };
        match found {
            Some((cid, gateway)) => (Location::Cid(cid), Some(gateway)),
            None => (self, None),
        }
    }

    /// A hash that differs for different sources; secrets in URLs are part of it. All names of one CID,
    /// at all gateways, have the same hash.
    pub fn identity(&self) -> String {
        let name = match self.clone().by_cid().0 {
            Location::File(path) => {
                let path = path.canonicalize().unwrap_or(path);
                [b"file:", path.as_os_str().as_bytes()].concat()
            }
            Location::Url(url) => format!("url:{url}").into_bytes(),
            Location::Object(address) => format!("object:{address}").into_bytes(),
            Location::Cid(cid) => format!("cid:{}", cid.to_v1()).into_bytes(),
            Location::Id(id) => format!("id:{id}").into_bytes(),
        };
        hex(Sha256::digest(name))
    }

    /// Its kind (`file`, `url`, `cid` or `id`), and its text without secrets.
    pub fn shown(&self) -> (&'static str, String) {
        match self {
            Location::File(path) => ("file", path.display().to_string()),
            Location::Url(url) => ("url", crate::http::display_url(url)),
            Location::Object(address) => ("url", address.to_string()),
            Location::Cid(cid) => ("cid", cid.to_string()),
            Location::Id(id) => ("id", id.clone()),
        }
    }
}

/// A name and its query, without the fragment.
fn without_fragment(text: &str) -> (&str, &str) {
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    text.split_once('?').unwrap_or((text, ""))
}

/// Whether a query only says how a browser should call the file. Anything else might mean something
/// else.
fn is_harmless(query: &str) -> bool {
    let mut parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    parameters.all(|parameter| {
        let name = parameter.split('=').next();
        matches!(name, Some("filename" | "download"))
    })
}

/// The CID that a gateway's URL names, and the URL without it.
fn gateway_url(url: &str) -> Option<(Cid, String)> {
    let (cid, path, gateway) = gateway_place(url)?;
    let (_, query) = without_fragment(url);
    (path.is_empty() && is_harmless(query)).then_some((cid, gateway))
}

/// The CID that a gateway's URL names, the path below it, decoded and without slashes at its ends,
/// and the URL without both.
fn gateway_place(url: &str) -> Option<(Cid, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (rest, _) = without_fragment(rest);
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let decoded = |path: &str| {
        let path = percent_decode_str(path).decode_utf8_lossy();
        path.trim_matches('/').to_owned()
    };
    if let Some(path) = path.strip_prefix("ipfs/") {
        let (cid, path) = path.split_once('/').unwrap_or((path, ""));
        let cid = parse_cid(cid).ok()?;
        return Some((cid, decoded(path), format!("{scheme}://{server}")));
    }
    let (login, host) = match server.rsplit_once('@') {
        Some((login, host)) => (format!("{login}@"), host),
        None => (String::new(), server),
    };
    let (cid, host) = host.split_once(".ipfs.")?;
    let cid = parse_cid(cid).ok()?;
    let gateway = format!("{scheme}://{login}{{cid}}.ipfs.{host}/");
    Some((cid, decoded(path), gateway))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_recognized() {
        let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let of = |text: &str| Location::parse(text).map_err(|e| e.to_string());
        assert_eq!(of("Cargo.toml"), Ok(Location::File("Cargo.toml".into())));
        assert_eq!(of("no/such.zip"), Ok(Location::File("no/such.zip".into())));
        let url = "https://example.com/a.zip";
        assert_eq!(of(url), Ok(Location::Url(url.into())));
        let by_cid = Ok(Location::Cid(cid.parse().expect("a CID")));
        assert_eq!(of(cid), by_cid);
        assert_eq!(of(&format!("ipfs://{cid}")), by_cid);
        for same in [
            "/ipfs/CID/",
            "ipfs://CID/",
            "ipfs://CID//",
            "CID/",
            "CID?filename=a.zip",
            "ipfs://CID/?filename=a.zip&download=true#t=1",
            "ipfs://CID#top",
        ] {
            assert_eq!(of(&same.replace("CID", cid)), by_cid, "{same}");
        }
        let object = ObjectAddress::parse("s3://b/a.zip?x").expect("its scheme");
        let object = Location::Object(object.expect("an address"));
        assert_eq!(of("s3://b/a.zip?x"), Ok(object.clone()));
        assert_eq!(object.shown(), ("url", "s3://b/a.zip?x".into()));
        assert_eq!(of("id:a1b2"), Ok(Location::Id("a1b2".into())));
        for wrong in [
            "ftp://example.com/a.zip",
            "s3://b",
            "nonsense",
            "id:",
            "id:a/b",
            "",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    /// `ipfs://DIRECTORY/o.zip` was "neither a file here nor a CID (Invalid base string)", and
    /// `DIRECTORY/o.zip` a file that is not there.
    #[test]
    fn a_path_below_a_cid_is_an_error_that_names_it() {
        let cid = "bafybeicg3xgel6sa5m6u6wwyo2mjfavmdndt6equ7y2vxn3chgic7jthza";
        for (text, path) in [
            ("ipfs://CID/o.zip", "o.zip"),
            ("/ipfs/CID/o.zip", "o.zip"),
            ("CID/o.zip", "o.zip"),
            ("CID%2Fo.zip", "o.zip"),
            ("ipfs://CID/sub/a%20b.zip/?filename=x#y", "sub/a b.zip"),
            ("CID//it's.zip", r"it'\''s.zip"),
        ] {
            let error = Location::parse(&text.replace("CID", cid)).expect_err(text);
            let command = format!("ipfs resolve -r '/ipfs/{cid}/{path}'");
            assert!(
                matches!(error, LocationError::PathBelowCid { .. }),
                "{error}"
            );
            assert!(error.to_string().contains(&command), "{error}");
        }
        let other = Location::parse(&format!("ipfs://{cid}?format=car"));
        let told = other.expect_err("a format").to_string();
        assert!(told.contains("'?format=car' behind the CID"), "{told}");
        // The same file at a gateway is a URL, which is not verified.
        for url in [
            "https://a.b/ipfs/CID/o.zip",
            "https://CID.ipfs.a.b/o.zip#x",
            "https://CID.ipfs.a.b/sub/o.zip?filename=x",
        ] {
            let url = url.replace("CID", cid);
            let location = Location::parse(&url).expect("a URL").by_cid().0;
            assert_eq!(location, Location::Url(url));
            let (below, _) = location.path_below_cid().expect("a path");
            assert_eq!(below, cid.parse().expect("a CID"));
        }
        let archive = Location::Url("https://example.com/o.zip".into());
        assert_eq!(archive.path_below_cid(), None);
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
            ("https://a.b/ipfs/CID#top", "https://a.b"),
            ("https://a.b/ipfs/CID//", "https://a.b"),
            ("https://CID.ipfs.a.b", "https://{cid}.ipfs.a.b/"),
            ("https://CID.ipfs.a.b/#top", "https://{cid}.ipfs.a.b/"),
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

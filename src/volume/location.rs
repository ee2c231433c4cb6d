//! Where a blob is: a file, a URL, a CID, a path below a CID, or an id of another network.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::content_path::{ContentPath, Root, System};
use super::location_error::LocationError;
use crate::content::{Cid, parse_cid};
use crate::ranges::hex;
use crate::stores::ObjectAddress;

/// Where a blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of this machine.
    File(PathBuf),
    /// An `http` or `https` URL, which may have a login in it.
    Url(String),
    /// An object in a store: `s3://`, `gs://` or `az://`; or a prefix of keys, which is a directory.
    Object(ObjectAddress),
    /// Content with this CID, which gateways have.
    Cid(Cid),
    /// A path below a CID or an IPNS name. It is resolved, and verified, when it is opened.
    Path(ContentPath),
    /// Content that the gateways of another network have under this id. It cannot be verified.
    Id(String),
}

impl Location {
    /// Parses a source as users write it:
    ///
    /// - an existing path, or anything with a `/` and no scheme, is a file;
    /// - `http(s)://` is a URL; `s3://`, `gs://` and `az://` are objects in stores;
    /// - `id:<text>` is an id of another network;
    /// - anything else must be a CID, also as `ipfs://<cid>` or `/ipfs/<cid>`, with or without a path below it, or an
    ///   IPNS name as `ipns://<name>` or `/ipns/<name>`. What browsers append to these is ignored: a slash, a
    ///   fragment, the name of the download.
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
                "ipfs" => Self::content_url(System::Ipfs, rest),
                "ipns" => Self::content_url(System::Ipns, rest),
                other => match ObjectAddress::parse(text) {
                    Some(address) => Ok(Location::Object(address.map_err(LocationError::Object)?)),
                    None => Err(LocationError::Scheme(other.to_owned())),
                },
            };
        }
        if let Some(content) = Self::parse_content(text) {
            return content;
        }
        match text.split_once('/') {
            // 'ipfs get' makes a folder that is named after the CID.
            Some((first, _)) if parse_cid(first).is_ok() && !Path::new(first).exists() => {
                Self::content_path(System::Ipfs, text)
            }
            Some(_) => Ok(Location::File(PathBuf::from(text))),
            None => Self::content_path(System::Ipfs, text),
        }
    }

    /// Parses `/ipfs/...` and `/ipns/...`; `None` for other text.
    pub(super) fn parse_content(text: &str) -> Option<Result<Self, LocationError>> {
        let (system, rest) = text.strip_prefix('/')?.split_once('/')?;
        let systems = [System::Ipfs, System::Ipns];
        let system = systems.into_iter().find(|known| known.name() == system)?;
        Some(Self::content_path(system, rest))
    }

    /// A path that is not a URL. A query or a fragment right behind the CID is what is left of a URL.
    fn content_path(system: System, text: &str) -> Result<Self, LocationError> {
        if !text.contains('/') && text.contains(['?', '#']) {
            return Self::content_url(system, text);
        }
        Ok(Self::of_path(ContentPath::literal(system, text)?))
    }

    /// What follows the scheme of a URL.
    fn content_url(system: System, text: &str) -> Result<Self, LocationError> {
        let (name, query) = without_fragment(text);
        let path = ContentPath::encoded(system, name)?;
        if !is_harmless(query) {
            return Err(LocationError::Query(query.to_owned()));
        }
        Ok(Self::of_path(path))
    }

    /// A path, which may be that of a CID alone.
    pub(super) fn of_path(path: ContentPath) -> Self {
        match path {
            ContentPath {
                root: Root::Cid(cid),
                names,
            } if names.is_empty() => Location::Cid(cid),
            path => Location::Path(path),
        }
    }

    /// Turns the URL of content at a gateway into the CID or path and the gateway's template (see
    /// [`Server::template`](super::Server::template)): `https://HOST/ipfs/CID/path` and
    /// `https://CID.ipfs.HOST/path` (<https://specs.ipfs.tech/http-gateways/subdomain-gateway/>), and the
    /// same with `ipns`. Other locations stay what they are. So does a path if it is not to be verified:
    /// gateways resolve paths, but not all of them give the blocks that prove it.
    pub fn by_cid(self, is_verified: bool) -> (Self, Option<String>) {
        let found = match &self {
            Location::Url(url) => gateway_url(url),
            _ => None,
        };
        match found {
            Some((location, gateway)) if is_verified || matches!(location, Location::Cid(_)) => {
                (location, Some(gateway))
            }
            _ => (self, None),
        }
    }

    /// A CID or a path below one as a path of IPFS.
    pub fn content(&self) -> Option<ContentPath> {
        match self {
            Location::Cid(cid) => Some(ContentPath::of(*cid)),
            Location::Path(path) => Some(path.clone()),
            _ => None,
        }
    }

    /// Whether it is a directory, as far as that is known without asking a server.
    pub fn is_directory(&self) -> bool {
        match self {
            Location::File(path) => path.is_dir(),
            Location::Object(address) => address.is_prefix(),
            _ => false,
        }
    }

    /// Whether its bytes can be verified: it is a CID, or leads to one by verified steps.
    pub fn is_verifiable(&self) -> bool {
        matches!(self, Location::Cid(_) | Location::Path(_))
    }

    /// A hash that differs for different sources; secrets in URLs are part of it. All names of one CID,
    /// at all gateways, have the same hash.
    pub fn identity(&self) -> String {
        let name = match self.clone().by_cid(true).0 {
            Location::File(path) => {
                let path = path.canonicalize().unwrap_or(path);
                [b"file:", path.as_os_str().as_bytes()].concat()
            }
            Location::Url(url) => format!("url:{url}").into_bytes(),
            Location::Object(address) => format!("object:{address}").into_bytes(),
            Location::Cid(cid) => format!("cid:{}", cid.to_v1()).into_bytes(),
            Location::Path(mut path) => {
                if let Root::Cid(cid) = &mut path.root {
                    *cid = cid.to_v1();
                }
                format!("path:{path}").into_bytes()
            }
            Location::Id(id) => format!("id:{id}").into_bytes(),
        };
        hex(Sha256::digest(name))
    }

    /// Its kind (`file`, `url`, `cid`, `path` or `id`), and its text without secrets.
    pub fn shown(&self) -> (&'static str, String) {
        match self {
            Location::File(path) => ("file", path.display().to_string()),
            Location::Url(url) => ("url", crate::http::display_url(url)),
            Location::Object(address) => ("url", address.to_string()),
            Location::Cid(cid) => ("cid", cid.to_string()),
            Location::Path(path) => ("path", path.to_string()),
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

/// The content that a gateway's URL names, and the URL of the gateway. The query must be harmless.
fn gateway_url(url: &str) -> Option<(Location, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (rest, query) = without_fragment(rest);
    if !is_harmless(query) {
        return None;
    }
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    for system in [System::Ipfs, System::Ipns] {
        let name = system.name();
        if let Some(path) = path.strip_prefix(name).and_then(|p| p.strip_prefix('/')) {
            let path = ContentPath::encoded(system, path).ok()?;
            return Some((Location::of_path(path), format!("{scheme}://{server}")));
        }
        let (login, host) = match server.rsplit_once('@') {
            Some((login, host)) => (format!("{login}@"), host),
            None => (String::new(), server),
        };
        if let Some((root, host)) = host.split_once(&format!(".{name}.")) {
            let path = ContentPath::below(system.root(root).ok()?, path).ok()?;
            let gateway = format!("{scheme}://{login}{{cid}}.ipfs.{host}/");
            return Some((Location::of_path(path), gateway));
        }
    }
    None
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
            "s3://",
            "nonsense",
            "id:",
            "id:a/b",
            "",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    const DIRECTORY: &str = "bafybeicg3xgel6sa5m6u6wwyo2mjfavmdndt6equ7y2vxn3chgic7jthza";

    fn names(location: &Location) -> Vec<String> {
        match location {
            Location::Path(path) => path.names.clone(),
            other => panic!("{other:?} is no path"),
        }
    }

    /// `ipfs://DIRECTORY/o.zip` was "neither a file here nor a CID (Invalid base string)", and
    /// `DIRECTORY/o.zip` a file that is not there.
    #[test]
    fn names_below_a_cid_are_decoded_in_urls_alone() {
        for (text, expected) in [
            ("ipfs://CID/o.zip", &["o.zip"][..]),
            ("/ipfs/CID/o.zip", &["o.zip"]),
            ("CID/o.zip", &["o.zip"]),
            (
                "ipfs://CID/sub/a%20b.zip/?filename=x#y",
                &["sub", "a b.zip"],
            ),
            ("CID/sub/a%20b.zip", &["sub", "a%20b.zip"]),
            ("ipfs://CID/100%25.zip", &["100%.zip"]),
            ("ipfs://CID/100%.zip", &["100%.zip"]),
            ("CID/why?.zip", &["why?.zip"]),
            ("CID/#1.zip", &["#1.zip"]),
            ("CID//./it's.zip/", &["it's.zip"]),
            ("https://a.b/ipfs/CID/o%20p.zip", &["o p.zip"]),
            (
                "https://a.b/ipfs/CID/sub/o.zip?download=true#x",
                &["sub", "o.zip"],
            ),
            (
                "https://CID.ipfs.a.b/sub/o.zip?filename=x",
                &["sub", "o.zip"],
            ),
        ] {
            let location = Location::parse(&text.replace("CID", DIRECTORY)).expect(text);
            let location = location.by_cid(true).0;
            assert_eq!(names(&location), expected, "{text}");
            assert!(location.is_verifiable());
            // The text of its URL leads to the same.
            let path = location.content().expect("a path");
            assert_eq!(Location::parse(&path.url()), Ok(location));
        }
        for text in [
            "CID/../o.zip",
            "ipfs://CID/..",
            "ipfs://CID/%2e%2e/x",
            "ipfs://CID/a%2Fb",
            "ipfs://CID/%ff",
        ] {
            let error = Location::parse(&text.replace("CID", DIRECTORY)).expect_err(text);
            assert!(
                matches!(error, LocationError::BadName(_)),
                "{text}: {error}"
            );
        }
        let other = Location::parse(&format!("ipfs://{DIRECTORY}?format=car"));
        let told = other.expect_err("a format").to_string();
        assert!(told.contains("'?format=car' behind the CID"), "{told}");
    }

    #[test]
    fn a_path_in_a_gateway_s_url_stays_a_url_if_it_is_not_to_be_verified() {
        let url = format!("https://a.b/ipfs/{DIRECTORY}/o.zip");
        let location = Location::parse(&url).expect("a URL");
        let (verified, gateway) = location.clone().by_cid(true);
        assert_eq!(names(&verified), ["o.zip"]);
        assert_eq!(gateway.as_deref(), Some("https://a.b"));
        let kept = location.clone().by_cid(false);
        assert_eq!(kept, (location.clone(), None));
        assert_eq!(location.identity(), verified.identity());
    }

    #[test]
    fn ipns_names_are_keys() {
        let key = "k51qzi5uqu5dm0t4vbwri4lkg76q03b4x9tsvekgvbu4zli6454ff7w8wdosa4";
        let same = "bafzaajaiaejcb2sknrr6fhcsbk7pkud3cmxml6mvi53k5pv6pojeehxknekenurm";
        let by_key = Location::parse(&format!("ipns://{key}/a.zip")).expect("a key");
        for text in [
            format!("/ipns/{same}/a.zip"),
            format!("https://a.b/ipns/{key}/a.zip"),
            format!("https://{key}.ipns.a.b/a.zip"),
        ] {
            let location = Location::parse(&text).expect(&text);
            assert_eq!(location.by_cid(true).0, by_key, "{text}");
        }
        assert_eq!(by_key.shown().1, format!("/ipns/{key}/a.zip"));
        // Nothing proves what the DNS says.
        let site = "https://a.b/ipns/docs.example/a.zip";
        let location = Location::parse(site).expect("a URL").by_cid(true);
        assert_eq!(location, (Location::Url(site.into()), None));
        let error = Location::parse("ipns://docs.example/a.zip").expect_err("DNSLink");
        assert!(error.to_string().contains("ipfs resolve -r"), "{error}");
    }

    #[test]
    fn urls_of_gateways_name_cids() {
        let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let of = |url: &str| Location::Url(url.to_owned()).by_cid(true);
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
            "https://a.b/files/ipfs/CID",
            "https://a.b/ipfs/CID?format=car",
            "https://a.b/ipfs/CID/inside.zip?format=car",
            "https://CID.a.b/",
            "https://a.b/ipfs/nonsense",
            "https://a.b/x.zip",
        ] {
            let url = url.replace("CID", cid);
            assert_eq!(of(&url), (Location::Url(url.clone()), None));
        }
    }
}

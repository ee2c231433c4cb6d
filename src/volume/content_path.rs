//! Paths of IPFS: a CID or an IPNS name, and the names below it.
//!
//! In a URL (`ipfs://`, `https://GATEWAY/ipfs/`), names are percent-encoded and end at `?` and `#`. In the
//! forms `CID/path` and `/ipfs/CID/path`, which are not URLs, a name is taken as it is.

use std::fmt;

use percent_encoding::{percent_decode_str, percent_encode_byte};

use super::location_error::LocationError;
use crate::content::{Cid, IpnsName, IpnsNameError, parse_cid};

/// A path below a CID or an IPNS name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPath {
    /// Where it begins.
    pub root: Root,
    /// The names from there on, none of them empty.
    pub names: Vec<String>,
}

/// Where a path of IPFS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// At a directory, or at the content itself.
    Cid(Cid),
    /// At what an IPNS name stands for.
    Name(IpnsName),
}

/// The name system of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Ipfs,
    Ipns,
}

impl System {
    /// Its name in paths and schemes.
    pub(super) fn name(self) -> &'static str {
        match self {
            System::Ipfs => "ipfs",
            System::Ipns => "ipns",
        }
    }

    /// Parses the beginning of a path.
    pub(super) fn root(self, text: &str) -> Result<Root, LocationError> {
        match self {
            System::Ipfs => match parse_cid(text) {
                Ok(cid) => Ok(Root::Cid(cid)),
                Err(e) => Err(LocationError::NotACid {
                    text: text.to_owned(),
                    why: e.to_string(),
                }),
            },
            System::Ipns => match text.parse() {
                Ok(name) => Ok(Root::Name(name)),
                // In `/ipns/`, the CID of a blob stands for itself.
                Err(IpnsNameError::NotAName) if parse_cid(text).is_ok() => System::Ipfs.root(text),
                Err(why) => Err(LocationError::IpnsName {
                    name: text.to_owned(),
                    why,
                }),
            },
        }
    }
}

impl ContentPath {
    /// Parses what follows `/ipfs/` in a path that is not a URL.
    pub(super) fn literal(system: System, text: &str) -> Result<Self, LocationError> {
        let (root, path) = text.split_once('/').unwrap_or((text, ""));
        Self::new(system.root(root)?, path.split('/').map(str::to_owned))
    }

    /// Parses what follows `ipfs://` or a gateway's `/ipfs/`, without query and fragment.
    pub(super) fn encoded(system: System, text: &str) -> Result<Self, LocationError> {
        let (root, path) = text.split_once('/').unwrap_or((text, ""));
        Self::below(system.root(root)?, path)
    }

    /// The percent-encoded `path` below `root`.
    pub(super) fn below(root: Root, path: &str) -> Result<Self, LocationError> {
        let names = path.split('/').map(|name| {
            let decoded = percent_decode_str(name).decode_utf8().ok();
            let decoded = decoded.filter(|decoded| !decoded.contains('/'));
            decoded.ok_or_else(|| LocationError::BadName(name.to_owned()))
        });
        let names: Vec<_> = names.collect::<Result<_, _>>()?;
        Self::new(root, names.into_iter().map(|name| name.into_owned()))
    }

    fn new(root: Root, names: impl Iterator<Item = String>) -> Result<Self, LocationError> {
        let names = names.filter(|name| !matches!(name.as_str(), "" | "."));
        let names: Vec<String> = names.collect();
        match names.iter().find(|name| *name == "..") {
            Some(name) => Err(LocationError::BadName(name.clone())),
            None => Ok(Self { root, names }),
        }
    }

    /// The path of a CID alone.
    pub fn of(cid: Cid) -> Self {
        Self {
            root: Root::Cid(cid),
            names: Vec::new(),
        }
    }

    /// The path at `path`, names separated by `/`, from here.
    pub fn descend(&self, path: &str) -> Result<Self, LocationError> {
        let names = path.split('/').map(str::to_owned);
        Ok(self.join(&Self::new(self.root, names)?.names))
    }

    /// The same path with these names appended.
    pub fn join(&self, names: &[String]) -> Self {
        Self {
            root: self.root,
            names: [&self.names[..], names].concat(),
        }
    }

    /// Its text as a URL that needs no quotes in a shell.
    /// [`Location::parse`](super::Location::parse) reads it back.
    pub fn url(&self) -> String {
        let mut url = match self.root {
            Root::Cid(cid) => format!("ipfs://{cid}"),
            Root::Name(name) => format!("ipns://{name}"),
        };
        for name in &self.names {
            url.push('/');
            for c in name.chars() {
                if c.is_alphanumeric() || "-._".contains(c) {
                    url.push(c);
                } else {
                    let mut bytes = [0; 4];
                    let bytes = c.encode_utf8(&mut bytes).bytes();
                    url.extend(bytes.map(percent_encode_byte));
                }
            }
        }
        url
    }
}

/// `CID/path` or `/ipns/NAME/path`, with names as they are.
impl fmt::Display for ContentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.root {
            Root::Cid(cid) => cid.fmt(f)?,
            Root::Name(name) => write!(f, "/ipns/{name}")?,
        }
        self.names.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

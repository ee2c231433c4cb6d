//! Why a text is not a location.

use std::fmt;

use crate::content::IpnsNameError;
use crate::stores::AddressError;

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
    /// A name of a path below a CID that no directory can have: `..`, one with a slash, or one that is not
    /// UTF-8. As it was given.
    BadName(String),
    /// A name behind `ipns://` or `/ipns/` that cannot be resolved and verified.
    IpnsName {
        /// The name.
        name: String,
        /// Why it cannot.
        why: IpnsNameError,
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
            // No CID has a dot, so a file is meant.
            LocationError::NotACid { text, .. } if text.contains('.') => write!(
                f,
                "'{text}' is neither a file here nor a CID; check its name and the directory"
            ),
            LocationError::NotACid { text, why } => write!(
                f,
                "'{text}' is neither a file here nor a CID ({why}); an id of another network is given as 'id:{text}'"
            ),
            LocationError::BadName(name) => write!(
                f,
                "no directory of IPFS has an entry '{name}'; a path below a CID consists of names in UTF-8, without '..'"
            ),
            LocationError::IpnsName { name, why } => {
                let name = name.replace('\'', r"'\''");
                match why {
                    IpnsNameError::DnsLink => write!(
                        f,
                        "'{name}' is a name of the DNS (DNSLink), and nothing proves what the DNS says it stands for; give the CID, as this command prints it: ipfs resolve -r '/ipns/{name}'; or the URL at a gateway, https://GATEWAY/ipns/{name}/..., which is not verified"
                    ),
                    IpnsNameError::OtherKey => write!(
                        f,
                        "'{name}' is not an Ed25519 key, the only kind of IPNS name that is verified; give the CID, as this command prints it: ipfs resolve -r '/ipns/{name}'"
                    ),
                    IpnsNameError::NotAName => {
                        write!(f, "'{name}' is not an IPNS name, such as k51...")
                    }
                }
            }
            LocationError::Query(query) => write!(
                f,
                "'?{query}' behind the CID means nothing here; leave it out"
            ),
        }
    }
}

impl std::error::Error for LocationError {}

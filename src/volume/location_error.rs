//! Why a text is not a location.

use thiserror::Error;

use crate::content::IpnsNameError;
use crate::stores::AddressError;

/// Why a text is not a location.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum LocationError {
    /// `id:` without an id, or with an id that has `/`, `?` or `#` in it.
    #[error("'id:' must be followed by an id without '/', '?' and '#'")]
    BadId,
    /// A URL of this scheme, which is not supported.
    #[error(
        "sources of scheme '{0}' are not supported; give a file, an http(s), s3, gs or az URL, or a CID"
    )]
    Scheme(String),
    /// The address of an object is malformed.
    #[error(transparent)]
    Object(AddressError),
    /// The text is neither the path of a file nor a CID.
    #[error("'{text}' is neither a file here nor a CID{}", no_cid(.text, .why))]
    NotACid {
        /// The whole text.
        text: String,
        /// Why it is not a CID.
        why: String,
    },
    /// A name of a path below a CID that no directory can have: `..`, one with a slash, or one that is not
    /// UTF-8. As it was given.
    #[error(
        "no directory of IPFS has an entry '{0}'; a path below a CID consists of names in UTF-8, without '..'"
    )]
    BadName(String),
    /// A name behind `ipns://` or `/ipns/` that cannot be resolved and verified.
    #[error("{}", no_ipns_name(.name, *.why))]
    IpnsName { name: String, why: IpnsNameError },
    /// A query behind a CID that may change what it stands for.
    #[error("'?{0}' behind the CID means nothing here; leave it out")]
    Query(String),
}

/// No CID has a dot, so a file is meant by a text with one.
fn no_cid(text: &str, why: &str) -> String {
    if text.contains('.') {
        "; check its name and the directory".to_owned()
    } else {
        format!(" ({why}); an id of another network is given as 'id:{text}'")
    }
}

fn no_ipns_name(name: &str, why: IpnsNameError) -> String {
    let name = name.replace('\'', r"'\''");
    match why {
        IpnsNameError::DnsLink => format!(
            "'{name}' is a name of the DNS (DNSLink), and nothing proves what the DNS says it stands for; give the CID, as this command prints it: ipfs resolve -r '/ipns/{name}'; or the URL at a gateway, https://GATEWAY/ipns/{name}/..., which is not verified"
        ),
        IpnsNameError::OtherKey => format!(
            "'{name}' is not an Ed25519 key, the only kind of IPNS name that is verified; give the CID, as this command prints it: ipfs resolve -r '/ipns/{name}'"
        ),
        IpnsNameError::NotAName => format!("'{name}' is not an IPNS name, such as k51..."),
    }
}

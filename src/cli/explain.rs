//! Why an archive could not be opened, and what to do about it.

use super::Failure;
use crate::content::{Codec, PathError};
use crate::volume::{Location, OpenError};
use crate::{reader, source};

/// Why an archive could not be opened.
pub(super) fn explain_open(location: &Location, opening: &OpenError) -> Failure {
    let (kind, shown) = location.shown();
    let error = match opening {
        OpenError::Read(reader::Error::Source(error))
        | OpenError::Unusable(error)
        | OpenError::Path(PathError::Blocks(error)) => error,
        OpenError::Path(error) => return explain_path(location, error),
        OpenError::Name { .. } | OpenError::Directory(_) | OpenError::Index(..) => {
            return Failure::new(opening);
        }
        OpenError::Read(error) => return Failure::new(format!("{shown}: {error}")),
        OpenError::NotVerifiable(_) => return Failure::usage(opening),
    };
    match error {
        source::Error::Misconfigured { .. } => return Failure::usage(error),
        // Found before a server was asked: the message is complete.
        _ if matches!(opening, OpenError::Unusable(_)) => return Failure::new(error),
        _ => {}
    }
    let remedy = match (error, location) {
        (
            source::Error::Unreachable { .. } | source::Error::Timeout { .. },
            Location::Cid(_) | Location::Path(_) | Location::Id(_),
        ) => "is the gateway up? Give another with --gateway URL",
        (source::Error::Unreachable { .. } | source::Error::Timeout { .. }, _) => {
            "is the server up, and the address right?"
        }
        (source::Error::Untrusted { .. }, _) => "--ca-file FILE adds a certificate authority",
        (source::Error::NoNetwork { .. }, Location::Url(_) | Location::Object(_)) => {
            "if it is in the cache, --offline mounts it as it was last seen"
        }
        (source::Error::Offline, _) => {
            "fetch it into the cache with 'aiozfs fetch', or leave --offline out"
        }
        (source::Error::NotFound { .. }, Location::Cid(_)) => {
            "the gateway does not know this id, or has no raw blocks of it ('--verify crc' does without); check it, or give another gateway with --gateway URL"
        }
        (source::Error::NotFound { .. }, Location::Path(_)) => {
            "the gateway does not have a block of this path; check the CID, or give another gateway with --gateway URL"
        }
        (source::Error::NotFound { .. }, Location::Id(_)) => {
            "the gateway does not know this id; check it, or give another gateway with --gateway URL"
        }
        (source::Error::NotFound { .. }, Location::Url(_) | Location::Object(_)) => {
            "check the address"
        }
        (source::Error::NotFound { .. }, Location::File(_)) => "there is no such file",
        (
            source::Error::NoRanges { .. },
            Location::Cid(_) | Location::Path(_) | Location::Id(_),
        ) => "aiozfs needs a gateway that answers Range requests; give another with --gateway URL",
        (source::Error::NoRanges { .. }, _) => {
            "aiozfs needs a server that answers Range requests; or download the archive and mount the file"
        }
        (source::Error::NoRawBlocks { .. }, Location::Cid(cid)) if cid.codec() == Codec::Raw => {
            "give a trustless gateway with --gateway URL; a raw CID of more than 2 MiB cannot be verified by ranges at all; '--verify crc' continues without verification"
        }
        (source::Error::NoRawBlocks { .. }, Location::Path(_)) => {
            "give a trustless gateway with --gateway URL; or the path's URL at a gateway, with '--verify crc', which continues without proof"
        }
        (source::Error::NoRawBlocks { .. }, _) => {
            "give a trustless gateway with --gateway URL; '--verify crc' continues without verification"
        }
        (source::Error::Forged { .. }, Location::Cid(_) | Location::Path(_)) => {
            "give another gateway with --gateway URL"
        }
        (
            source::Error::Status {
                status: 401 | 403, ..
            },
            _,
        ) => {
            "it wants a login, or this one may not read it; see --token-file, --header and ~/.netrc"
        }
        (
            source::Error::Status {
                status: 429 | 500..,
                ..
            },
            _,
        ) => "try again later",
        _ => "",
    };
    let error = error.to_string();
    // Most errors name the server by the whole URL.
    let what = if error.contains(&shown) {
        error
    } else {
        format!("cannot open {kind} {shown}: {error}")
    };
    match remedy {
        "" => Failure::new(what),
        remedy => Failure::new(format!("{what}; {remedy}")),
    }
}

/// Why a path below a CID leads to no archive.
fn explain_path(location: &Location, error: &PathError) -> Failure {
    let shown = location.shown().1;
    let remedy = match error {
        PathError::NotFound { name, .. } if name.contains('%') => {
            "; a name behind CID/ is taken as it is, and one behind ipfs://CID/ is percent-decoded"
        }
        _ => "",
    };
    let list = match error {
        PathError::NotFound { directory, .. } => {
            format!("; 'aiozfs ls ipfs://{directory}' lists it")
        }
        _ => String::new(),
    };
    Failure::new(format!("cannot open {shown}: {error}{list}{remedy}"))
}

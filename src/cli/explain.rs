//! Why an archive could not be opened, and what to do about it.

use super::Failure;
use crate::content::{Codec, PathError};
use crate::reader;
use crate::source::Error as E;
use crate::volume::{Location, OpenError};

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
        E::Misconfigured { .. } => return Failure::usage(error),
        // Found before a server was asked: the message is complete.
        _ if matches!(opening, OpenError::Unusable(_)) => return Failure::new(error),
        _ => {}
    }
    let is_content = matches!(
        location,
        Location::Cid(_) | Location::Path(_) | Location::Id(_)
    );
    let remedy = match (error, location) {
        (E::Unreachable { .. } | E::Timeout { .. }, _) if is_content => {
            "is the gateway up? Give another with --gateway URL"
        }
        (E::Unreachable { .. } | E::Timeout { .. }, _) => {
            "is the server up, and the address right?"
        }
        (E::Untrusted { .. }, _) => "--ca-file FILE adds a certificate authority",
        (E::NoNetwork { .. }, Location::Url(_) | Location::Object(_)) => {
            "if it is in the cache, --offline mounts it as it was last seen"
        }
        (E::Offline, _) => "fetch it into the cache with 'aiozfs fetch', or leave --offline out",
        (E::NotFound { .. }, Location::Cid(_)) => {
            "the gateway does not know this id, or has no raw blocks of it ('--verify crc' does without); check it, or give another gateway with --gateway URL"
        }
        (E::NotFound { .. }, Location::Path(_)) => {
            "the gateway does not have a block of this path; check the CID, or give another gateway with --gateway URL"
        }
        (E::NotFound { .. }, Location::Id(_)) => {
            "the gateway does not know this id; check it, or give another gateway with --gateway URL"
        }
        (E::NotFound { .. }, Location::Url(_) | Location::Object(_)) => "check the address",
        (E::NotFound { .. }, Location::File(_)) => "there is no such file",
        (E::NoRanges { .. }, _) if is_content => {
            "aiozfs needs a gateway that answers Range requests; give another with --gateway URL"
        }
        (E::NoRanges { .. }, _) => {
            "aiozfs needs a server that answers Range requests; or download the archive and mount the file"
        }
        (E::NoRawBlocks { .. }, Location::Cid(cid)) if cid.codec() == Codec::Raw => {
            "give a trustless gateway with --gateway URL; a raw CID of more than 2 MiB cannot be verified by ranges at all; '--verify crc' continues without verification"
        }
        (E::NoRawBlocks { .. }, Location::Path(_)) => {
            "give a trustless gateway with --gateway URL; or the path's URL at a gateway, with '--verify crc', which continues without proof"
        }
        (E::NoRawBlocks { .. }, _) => {
            "give a trustless gateway with --gateway URL; '--verify crc' continues without verification"
        }
        (E::Forged { .. }, Location::Cid(_) | Location::Path(_)) => {
            "give another gateway with --gateway URL"
        }
        (
            E::Status {
                status: 401 | 403, ..
            },
            _,
        ) => {
            "it wants a login, or this one may not read it; see --token-file, --header and ~/.netrc"
        }
        (
            E::Status {
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

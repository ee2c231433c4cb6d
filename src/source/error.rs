//! The errors of sources.

use std::ops::Range;
use std::time::Duration;

use super::Origin;
use super::verdict::{Seen, Stage, Verdict, judge};

/// A [`std::result::Result`] with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why bytes did not come. `origin` is the server or the file, `range` the range that was asked for, and `what` says
/// what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the comment above tells what the fields are")]
pub enum Error {
    /// No connection, or it broke before the answer began.
    #[error("cannot reach {origin}: {cause}")]
    Unreachable {
        origin: Origin,
        cause: String,
        /// Whether to expect that the server comes back: it has answered before, or taken a connection, or the
        /// program waits for servers that start. If not, its address may be wrong.
        is_expected: bool,
    },
    /// The server's certificate cannot be trusted: an unknown issuer, another name, expired, revoked.
    #[error("no trusted connection to {origin}: {cause}")]
    Untrusted { origin: Origin, cause: String },
    /// This machine has no network, and no request since the start was answered.
    #[error("cannot reach {origin}: there is no network")]
    NoNetwork { origin: Origin },
    /// Servers are not to be asked.
    #[error("it is not in the cache, and no server is asked")]
    Offline,
    /// The server sent nothing for this long.
    #[error("{origin} sent nothing for {:.1} s", .after.as_secs_f64())]
    Timeout { origin: Origin, after: Duration },
    /// The answer ended, or broke, before its announced length.
    #[error("{origin} cut the answer for {} after {got} of {} bytes", bytes(.range), .range.end - .range.start)]
    Cut {
        origin: Origin,
        range: Range<u64>,
        /// How many bytes of the range had come.
        got: u64,
    },
    /// An HTTP status that is neither a success nor covered by another variant.
    #[error("{origin} answered with HTTP status {status}")]
    Status {
        origin: Origin,
        status: u16,
        /// The server's Retry-After (RFC 9110, section 10.2.3), if it sent one.
        retry_after: Option<Duration>,
    },
    /// The server refused the request for good, and said why.
    #[error("{origin} refused: {why}")]
    Refused {
        origin: Origin,
        status: u16,
        /// What it said, and what to do.
        why: String,
    },
    /// The blob is not there: 404 or 410, or no such file.
    #[error("not found: {origin}")]
    NotFound { origin: Origin },
    /// The server does not serve ranges: it answered with the whole blob, or with 501.
    #[error("{origin} serves no ranges{}: {what}", if *.has_served { " at the moment" } else { "" })]
    NoRanges {
        origin: Origin,
        what: String,
        /// Whether the server has served ranges before, and so may again. A cache that is being filled
        /// answers with the whole blob for a while.
        has_served: bool,
    },
    /// The server does not serve raw blocks, which are needed to verify content against a CID.
    #[error("{origin} gives no raw blocks, without which its bytes cannot be verified: {what}")]
    NoRawBlocks { origin: Origin, what: String },
    /// The answer is encoded (RFC 9110, section 8.4), though only `identity` was accepted.
    #[error("{origin} sent Content-Encoding: {coding} for {}; only identity is supported", bytes(.range))]
    Encoded {
        origin: Origin,
        range: Range<u64>,
        coding: String,
    },
    /// The answer is not the one to the request: it has another Content-Range or length.
    #[error("{origin} gave a wrong answer for {}: {what}", bytes(.range))]
    BadAnswer {
        origin: Origin,
        range: Range<u64>,
        what: String,
    },
    /// The bytes of this range do not match their CID or checksum.
    #[error("{origin} gave forged {}: they do not match the CID", bytes(.range))]
    Forged { origin: Origin, range: Range<u64> },
    /// The blob changed since it was opened: it has another size, ETag or modification time.
    #[error("{origin} changed since it was opened: {what}")]
    Changed { origin: Origin, what: String },
    /// A read of a local file failed.
    #[error("{origin}: {cause}")]
    Io {
        origin: Origin,
        kind: std::io::ErrorKind,
        cause: String,
    },
    /// The range does not lie within the blob of `size` bytes. Either the caller or the archive is wrong.
    #[error("{} are outside the blob of {size} bytes", bytes(.range))]
    OutOfBlob { range: Range<u64>, size: u64 },
    /// The object cannot be read from any server: it is the CID of a directory, for instance. `what` also says what to
    /// do.
    #[error("{what}")]
    Unsupported { what: String },
    /// The address of a server, or a setting for it, is invalid. No server was asked.
    #[error("{what}")]
    Misconfigured { what: String },
}

/// The words for a range in errors, which name the last byte.
pub(crate) fn bytes(range: &Range<u64>) -> String {
    format!("bytes {}-{}", range.start, range.end.saturating_sub(1))
}

impl Error {
    /// Whether it may help to ask again. Answers of servers are judged by the table in `verdict.rs`.
    pub fn is_transient(&self) -> bool {
        let seen = match self {
            Error::Unreachable { .. } => Seen::NoConnection,
            Error::Untrusted { .. } => Seen::Untrusted,
            Error::Timeout { .. } => Seen::Silence,
            Error::Cut { .. } => Seen::Cut,
            Error::Status { status, .. } | Error::Refused { status, .. } => Seen::Status(*status),
            Error::Encoded { .. } | Error::BadAnswer { .. } => Seen::Wrong,
            Error::NoRanges { has_served, .. } => return *has_served,
            // A network that fails later is `Unreachable`, which is transient.
            Error::NoNetwork { .. }
            | Error::Offline
            | Error::NotFound { .. }
            | Error::NoRawBlocks { .. }
            | Error::Forged { .. }
            | Error::Changed { .. }
            | Error::Io { .. }
            | Error::OutOfBlob { .. }
            | Error::Unsupported { .. }
            | Error::Misconfigured { .. } => return false,
        };
        judge(seen, Stage::Middle) == Verdict::Again
    }

    /// One word for the kind of error, for statistics.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Unreachable { .. } => "unreachable",
            Error::Untrusted { .. } => "untrusted",
            Error::NoNetwork { .. } => "no_network",
            Error::Offline => "offline",
            Error::Timeout { .. } => "timeout",
            Error::Cut { .. } => "cut",
            Error::Status { .. } => "status",
            Error::Refused { .. } => "refused",
            Error::NotFound { .. } => "not_found",
            Error::NoRanges { .. } => "no_ranges",
            Error::NoRawBlocks { .. } => "no_raw_blocks",
            Error::Encoded { .. } => "encoded",
            Error::BadAnswer { .. } => "bad_answer",
            Error::Forged { .. } => "forged",
            Error::Changed { .. } => "changed",
            Error::Io { .. } => "io",
            Error::OutOfBlob { .. } => "out_of_blob",
            Error::Unsupported { .. } => "unsupported",
            Error::Misconfigured { .. } => "misconfigured",
        }
    }

    /// The server's Retry-After, if it sent one.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

//! The errors of sources.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::Origin;
use super::verdict::{Seen, Stage, Verdict, judge};

/// A [`std::result::Result`] with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why bytes did not come. Each error names the origin and, where it helps, the range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No connection, or it broke before the answer began.
    Unreachable {
        /// The server.
        origin: Origin,
        /// The error of the connection.
        cause: String,
        /// Whether to expect that the server comes back: it has answered before, or taken a connection, or the
        /// program waits for servers that start. If not, its address may be wrong.
        is_expected: bool,
    },
    /// The server's certificate cannot be trusted: an unknown issuer, another name, expired, revoked.
    Untrusted {
        /// The server.
        origin: Origin,
        /// What is wrong with the certificate.
        cause: String,
    },
    /// This machine has no network, and no request since the start was answered.
    NoNetwork {
        /// The server that was to be asked.
        origin: Origin,
    },
    /// Servers are not to be asked.
    Offline,
    /// The server sent nothing for this long.
    Timeout {
        /// The server.
        origin: Origin,
        /// For how long it sent nothing.
        after: Duration,
    },
    /// The answer ended, or broke, before its announced length.
    Cut {
        /// The server.
        origin: Origin,
        /// The range that was asked for.
        range: Range<u64>,
        /// How many bytes of the range had come.
        got: u64,
    },
    /// An HTTP status that is neither a success nor covered by another variant.
    Status {
        /// The server.
        origin: Origin,
        /// The status code.
        status: u16,
        /// The server's Retry-After (RFC 9110, section 10.2.3), if it sent one.
        retry_after: Option<Duration>,
    },
    /// The server refused the request for good, and said why.
    Refused {
        /// The server.
        origin: Origin,
        /// The status code.
        status: u16,
        /// What it said, and what to do.
        why: String,
    },
    /// The blob is not there: 404 or 410, or no such file.
    NotFound {
        /// The server or file.
        origin: Origin,
    },
    /// The server does not serve ranges: it answered with the whole blob, or with 501.
    NoRanges {
        /// The server.
        origin: Origin,
        /// What the server did instead.
        what: String,
        /// Whether the server has served ranges before, and so may again. A cache that is being filled
        /// answers with the whole blob for a while.
        has_served: bool,
    },
    /// The server does not serve raw blocks, which are needed to verify content against a CID.
    NoRawBlocks {
        /// The server.
        origin: Origin,
        /// What the server did instead.
        what: String,
    },
    /// The answer is encoded (RFC 9110, section 8.4), though only `identity` was accepted.
    Encoded {
        /// The server.
        origin: Origin,
        /// The range that was asked for.
        range: Range<u64>,
        /// The Content-Encoding.
        coding: String,
    },
    /// The answer is not the one to the request: it has another Content-Range or length.
    BadAnswer {
        /// The server.
        origin: Origin,
        /// The range that was asked for.
        range: Range<u64>,
        /// What the answer was.
        what: String,
    },
    /// The bytes do not match their CID or checksum.
    Forged {
        /// The server or file that gave them.
        origin: Origin,
        /// The range that does not match.
        range: Range<u64>,
    },
    /// The blob changed since it was opened: it has another size, ETag or modification time.
    Changed {
        /// The server or file.
        origin: Origin,
        /// What differs.
        what: String,
    },
    /// A read of a local file failed.
    Io {
        /// The file.
        origin: Origin,
        /// The kind of the error.
        kind: std::io::ErrorKind,
        /// The text of the error.
        cause: String,
    },
    /// The range does not lie within the blob. Either the caller or the archive is wrong.
    OutOfBlob {
        /// The range that was asked for.
        range: Range<u64>,
        /// The blob's size in bytes.
        size: u64,
    },
    /// The object cannot be read from any server: it is the CID of a directory, for instance.
    Unsupported {
        /// What the object is and what to do.
        what: String,
    },
    /// The address of a server, or a setting for it, is invalid. No server was asked.
    Misconfigured {
        /// What is invalid.
        what: String,
    },
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreachable { origin, cause, .. } => write!(f, "cannot reach {origin}: {cause}"),
            Error::Untrusted { origin, cause } => {
                write!(f, "no trusted connection to {origin}: {cause}")
            }
            Error::NoNetwork { origin } => {
                write!(f, "cannot reach {origin}: there is no network")
            }
            Error::Offline => f.write_str("it is not in the cache, and no server is asked"),
            Error::Timeout { origin, after } => {
                write!(f, "{origin} sent nothing for {:.1} s", after.as_secs_f64())
            }
            Error::Cut { origin, range, got } => write!(
                f,
                "{origin} cut the answer for bytes {}-{} after {got} of {} bytes",
                range.start,
                range.end.saturating_sub(1),
                range.end - range.start
            ),
            Error::Status { origin, status, .. } => {
                write!(f, "{origin} answered with HTTP status {status}")
            }
            Error::Refused { origin, why, .. } => write!(f, "{origin} refused: {why}"),
            Error::NotFound { origin } => write!(f, "not found: {origin}"),
            Error::NoRanges {
                origin,
                what,
                has_served: false,
            } => write!(f, "{origin} serves no ranges: {what}"),
            Error::NoRanges { origin, what, .. } => {
                write!(f, "{origin} serves no ranges at the moment: {what}")
            }
            Error::NoRawBlocks { origin, what } => {
                write!(
                    f,
                    "{origin} gives no raw blocks, without which its bytes cannot be verified: {what}"
                )
            }
            Error::Encoded {
                origin,
                range,
                coding,
            } => write!(
                f,
                "{origin} sent Content-Encoding: {coding} for bytes {}-{}; only identity is supported",
                range.start,
                range.end.saturating_sub(1)
            ),
            Error::BadAnswer {
                origin,
                range,
                what,
            } => write!(
                f,
                "{origin} gave a wrong answer for bytes {}-{}: {what}",
                range.start,
                range.end.saturating_sub(1)
            ),
            Error::Forged { origin, range } => write!(
                f,
                "{origin} gave forged bytes {}-{}: they do not match the CID",
                range.start,
                range.end.saturating_sub(1)
            ),
            Error::Changed { origin, what } => {
                write!(f, "{origin} changed since it was opened: {what}")
            }
            Error::Io { origin, cause, .. } => write!(f, "{origin}: {cause}"),
            Error::OutOfBlob { range, size } => write!(
                f,
                "bytes {}-{} are outside the blob of {size} bytes",
                range.start,
                range.end.saturating_sub(1)
            ),
            Error::Unsupported { what } | Error::Misconfigured { what } => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

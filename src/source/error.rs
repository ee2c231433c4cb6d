//! What can go wrong between asking for a range and having it.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::Origin;
use super::verdict::{Seen, Stage, Verdict, judge};

/// A [`std::result::Result`] with this room's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why bytes did not come. Each says which origin and, where it helps, which range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No connection, or it broke before the answer began.
    Unreachable {
        /// Who could not be reached.
        origin: Origin,
        /// What the connection's error was.
        cause: String,
    },
    /// This machine has no network, and had none since its first request.
    NoNetwork {
        /// Who could not be asked.
        origin: Origin,
    },
    /// No server is to be asked.
    Offline,
    /// Nothing came for this long.
    Timeout {
        /// Who kept silent.
        origin: Origin,
        /// How long.
        after: Duration,
    },
    /// The answer ended, or broke, before its announced length.
    Cut {
        /// Who cut it.
        origin: Origin,
        /// The range that was asked for.
        range: Range<u64>,
        /// How many bytes of it had come.
        got: u64,
    },
    /// An HTTP status that is neither success nor any of the others here.
    Status {
        /// Who answered.
        origin: Origin,
        /// The status code.
        status: u16,
        /// The server's Retry-After (RFC 9110, section 10.2.3), if it sent one.
        retry_after: Option<Duration>,
    },
    /// The blob is not there: 404 or 410, or no such file.
    NotFound {
        /// Who says so.
        origin: Origin,
    },
    /// The server does not serve ranges: it answered with the whole blob, or with 501.
    NoRanges {
        /// Who it was.
        origin: Origin,
        /// What it did instead.
        what: String,
        /// Whether it has served ranges before, and so may again: a cache that fills answers with the
        /// whole blob for a while.
        has_served: bool,
    },
    /// The server gives no raw blocks of the trees behind CIDs, without which nothing is proven.
    NoRawBlocks {
        /// Who it was.
        origin: Origin,
        /// What it did instead.
        what: String,
    },
    /// The answer is encoded (RFC 9110, section 8.4), though it was asked for as it is.
    Encoded {
        /// Who encoded it.
        origin: Origin,
        /// The range that was asked for.
        range: Range<u64>,
        /// Its Content-Encoding.
        coding: String,
    },
    /// The answer is not what was asked for: wrong Content-Range or length.
    BadAnswer {
        /// Who lied.
        origin: Origin,
        /// The range that was asked for.
        range: Range<u64>,
        /// What the answer was.
        what: String,
    },
    /// Bytes that came do not match the CID or checksum that they were promised under.
    Forged {
        /// Who gave them.
        origin: Origin,
        /// The range that does not prove.
        range: Range<u64>,
    },
    /// The blob is not the one that was opened: another size, ETag or modification time.
    Changed {
        /// Where it changed.
        origin: Origin,
        /// What differs.
        what: String,
    },
    /// A read of a local file failed.
    Io {
        /// The file.
        origin: Origin,
        /// The error's kind.
        kind: std::io::ErrorKind,
        /// Its text.
        cause: String,
    },
    /// The range does not lie within the blob: the caller's mistake, or an archive's lie.
    OutOfBlob {
        /// The range that was asked for.
        range: Range<u64>,
        /// The blob's size in bytes.
        size: u64,
    },
    /// The object cannot be read at all, whoever serves it: a directory's CID, for one.
    Unsupported {
        /// What it is and what to do.
        what: String,
    },
}

impl Error {
    /// Whether asking again may help. Of a permanent error, it will not. What servers do is judged by
    /// the table of `verdict.rs`.
    pub fn is_transient(&self) -> bool {
        let seen = match self {
            Error::Unreachable { .. } => Seen::NoConnection,
            Error::Timeout { .. } => Seen::Silence,
            Error::Cut { .. } => Seen::Cut,
            Error::Status { status, .. } => Seen::Status(*status),
            Error::Encoded { .. } | Error::BadAnswer { .. } => Seen::Wrong,
            Error::NoRanges { has_served, .. } => return *has_served,
            // Where there was one it may come back, and is `Unreachable` for the time being.
            Error::NoNetwork { .. }
            | Error::Offline
            | Error::NotFound { .. }
            | Error::NoRawBlocks { .. }
            | Error::Forged { .. }
            | Error::Changed { .. }
            | Error::Io { .. }
            | Error::OutOfBlob { .. }
            | Error::Unsupported { .. } => return false,
        };
        judge(seen, Stage::Middle) == Verdict::Again
    }

    /// How long the server asked to be left alone, if it did.
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
            Error::Unreachable { origin, cause } => write!(f, "cannot reach {origin}: {cause}"),
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
                    "{origin} gives no raw blocks, which prove content: {what}"
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
            Error::Unsupported { what } => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

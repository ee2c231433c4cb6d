//! The faults of a node, and the servers in which each was seen.

/// How the node answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// As RFC 9110 says.
    Good,
    /// 200 with the whole blob to any range (boxo#856).
    Whole,
    /// The same, but only to ranges that begin at this byte or later (boxo#856 above 5 GiB,
    /// nftstorage.link#178 at the end of a ZIP).
    WholeFrom(u64),
    /// 200 without a Content-Range to a range that covers the whole blob (kubo#5250).
    WholeWhenAll,
    /// 416 to a range that reaches past the end, instead of what there is (dufs#735).
    NoClamp,
    /// This status to a suffix range; 200 comes with the whole blob (boxo#1043, warehouse#12823).
    Suffix(u16),
    /// This status and nothing else, with a Retry-After of this many seconds.
    Status(u16, Option<u64>),
    /// Silence for this many milliseconds, then this status (rainbow#285).
    Late(u64, u16),
    /// This many answers of this status, then a good one, and again (429 storms, 503 in bursts).
    Burst(u16, u64),
    /// 429 with Retry-After 1 to more than this many requests at once (boxo#994).
    AtMost(usize),
    /// A suffix range is answered with the head of the blob (kubo#10808).
    SuffixGivesHead,
    /// Ranges within the blob are served with status 200 (w3link#9).
    StatusOk,
    /// Another ETag in each answer, as of nodes of one CDN (background_downloader#541).
    OtherETags,
    /// The same with weak ones, which promise nothing.
    WeakETags,
    /// Right headers, bytes from 4 further on (jsdelivr#18679). Only a CID can tell.
    Shifted,
    /// Right headers, one bit of the body wrong. Only a CID can tell.
    Flipped,
    /// All bits of one byte of the blob are turned over, as bad memory or a bad disk does.
    Flip(u64),
    /// Content-Range of another range (bandit#677).
    WrongContentRange,
    /// A Content-Length of one byte more than the range has, and no more bytes.
    WrongLength,
    /// A compressed body (express#5293).
    Gzip,
    /// The connection is cut after this many bytes of body.
    Cut(usize),
    /// Headers that announce more than comes, then a clean end.
    ShortBody,
    /// More bytes than announced, then the end.
    TrailingGarbage,
    /// The request is read and nothing ever answered.
    Silent,
    /// Headers, then nothing.
    SilentBody,
    /// Headers and this many bytes, then nothing.
    StallAfter(usize),
    /// Headers, then a byte a second.
    Drip,
    /// The connection is closed before anything is answered.
    Slam,
    /// The connection is reset as soon as it is made.
    Reset,
    /// A redirect of this status to this place (ipfs-docs#431).
    Redirect(u16, String),
    /// 302 to itself.
    RedirectLoop,
    /// multipart/byteranges with one part (gateway-conformance#154).
    Multipart,
    /// Chunked, without a length.
    Chunked,
    /// Another blob of the same size, with another ETag.
    Changed,
    /// A blob that is a byte longer.
    Longer,
    /// HTTP/1.1 with `Connection: close` after each answer.
    CloseEach,
    /// The connection is closed after each answer without a word.
    DiesIdle,
    /// 200 with the whole blob to these requests, counted from 1: a cache that fills (Varnish#4081).
    WholeAt(&'static [u64]),
    /// This Content-Encoding with plain bytes (ceph/s3-tests#671).
    Coded(&'static str),
    /// Requests whose target has this part get that, others a good answer: a signed address that has
    /// expired (floci-gcp#32).
    If(&'static str, Box<Behaviour>),
}

impl Behaviour {
    /// Whether it is over only when the behaviour changes.
    pub fn hangs(&self) -> bool {
        matches!(
            self,
            Behaviour::Silent | Behaviour::SilentBody | Behaviour::StallAfter(_) | Behaviour::Drip
        )
    }
}

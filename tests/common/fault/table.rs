//! The table of faults, for tests that go through all of them.

use super::Behaviour;

/// What a fault does to one who has no other gateway.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Alone {
    /// It is merely odd: every byte comes.
    Works,
    /// Reads fail.
    Fails,
    /// As it comes: some bytes may get through before it bites.
    Either,
}

/// Every fault that a node can be told to have, and what it does alone. The table of faults of real
/// servers is in `behaviour.rs`, with where each was seen.
pub fn faults() -> Vec<(Behaviour, Alone)> {
    use Alone::{Either, Fails, Works};
    vec![
        (Behaviour::Whole, Fails),
        (Behaviour::WholeFrom(100_000), Either),
        (Behaviour::WholeWhenAll, Works),
        (Behaviour::NoClamp, Works),
        (Behaviour::Suffix(200), Works),
        (Behaviour::Suffix(416), Works),
        (Behaviour::Suffix(501), Works),
        (Behaviour::Status(304, None), Fails),
        (Behaviour::Status(401, None), Fails),
        (Behaviour::Status(403, None), Fails),
        (Behaviour::Status(404, None), Fails),
        (Behaviour::Status(410, None), Fails),
        (Behaviour::Status(416, None), Fails),
        (Behaviour::Status(429, None), Fails),
        (Behaviour::Status(429, Some(60)), Fails),
        (Behaviour::Status(451, None), Fails),
        (Behaviour::Status(500, None), Fails),
        (Behaviour::Status(501, None), Fails),
        (Behaviour::Status(502, None), Fails),
        (Behaviour::Status(503, Some(u64::MAX)), Fails),
        (Behaviour::Status(504, None), Fails),
        (Behaviour::Status(520, None), Fails),
        (Behaviour::Late(300, 504), Fails),
        (Behaviour::Burst(429, 2), Either),
        (Behaviour::Burst(500, 2), Either),
        (Behaviour::Burst(502, 2), Either),
        (Behaviour::Burst(503, 2), Either),
        (Behaviour::Burst(504, 2), Either),
        (Behaviour::AtMost(2), Either),
        (Behaviour::SuffixGivesHead, Works),
        (Behaviour::StatusOk, Works),
        (Behaviour::OtherETags, Works),
        (Behaviour::WeakETags, Works),
        (Behaviour::Shifted, Fails),
        (Behaviour::Flipped, Fails),
        (Behaviour::WrongContentRange, Fails),
        (Behaviour::WrongLength, Fails),
        (Behaviour::Gzip, Fails),
        (Behaviour::Cut(30_000), Works),
        (Behaviour::ShortBody, Either),
        (Behaviour::TrailingGarbage, Either),
        (Behaviour::Silent, Fails),
        (Behaviour::SilentBody, Fails),
        (Behaviour::StallAfter(40_000), Either),
        (Behaviour::Drip, Fails),
        (Behaviour::Slam, Fails),
        (Behaviour::Reset, Fails),
        (
            Behaviour::Redirect(307, "http://127.0.0.1:9/".into()),
            Fails,
        ),
        (Behaviour::Redirect(302, "ftp://127.0.0.1/".into()), Fails),
        (Behaviour::RedirectLoop, Fails),
        (Behaviour::Multipart, Fails),
        (Behaviour::Chunked, Works),
        (Behaviour::Changed, Fails),
        (Behaviour::Longer, Fails),
        (Behaviour::CloseEach, Works),
        (Behaviour::DiesIdle, Works),
        (Behaviour::WholeAt(&[2, 3]), Either),
        (Behaviour::Coded("aws-chunked, identity"), Works),
    ]
}

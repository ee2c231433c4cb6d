//! The [`Source`] over one URL.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use reqwest::header::CONTENT_RANGE;

use super::HttpOptions;
use super::answer::{Answer, ContentRange, Validator};
use super::body::Body;
use super::exchange::Exchange;
use super::freshness::fresh_for;
use super::range_support::Repeats;
use super::remote::{Ask, RemoteUrl};
use crate::ranges::RangeSet;
use crate::source::{
    Chunk, ChunkStream, Error, Fact, Gate, Hints, Opened, Origin, Pass, Priority, Result, Source,
    answer_without_bytes,
};

/// How many connections are made when a blob is opened, so that the first reads need not wait for one.
/// Browsers make as many to a server.
const FIRST_CONNECTIONS: usize = 6;

/// What an error says about a change of version.
const OTHER_VERSION: &str = "its ETag or modification time is another";

/// A [`Source`] over one URL.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    remote: RemoteUrl,
    gate: Gate,
    options: HttpOptions,
    /// What the first answer said.
    known: OnceLock<Known>,
    /// The blob's size as the caller knows it from elsewhere.
    expected: OnceLock<u64>,
    /// The version that the caller has bytes of.
    expected_version: OnceLock<String>,
    /// Ranges whose bytes were wrong. A cache on the way may have given them, and would give them again. So the
    /// next request for them asks caches for a fresh answer.
    rejected: Mutex<RangeSet>,
}

struct Known {
    size: u64,
    validator: Option<Validator>,
    /// Identifies this state of the blob among all states, past and future.
    version: Option<String>,
    /// For how long this is believed without asking the server again.
    fresh_for: Duration,
}

impl Http {
    /// The blob at `url`, which may have `user:password@`. Sends nothing yet.
    ///
    /// # Errors
    /// If `url` is not an http or https URL.
    pub fn new(url: &str, options: HttpOptions) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            remote: RemoteUrl::new(url, options.clone())?,
            gate: Gate::new(options.connections),
            options,
            known: OnceLock::new(),
            expected: OnceLock::new(),
            expected_version: OnceLock::new(),
            rejected: Mutex::default(),
        })))
    }

    /// The URL without credentials and query.
    pub fn origin(&self) -> &Origin {
        self.0.remote.origin()
    }
}

impl Inner {
    fn size(&self) -> Option<u64> {
        let known = || self.known.get().map(|known| known.size);
        self.expected.get().copied().or_else(known)
    }

    /// The number of requests that the gate lets through: one for each useful connection, and two that wait
    /// for a connection.
    fn passes(&self) -> usize {
        let most = self.options.connections;
        self.remote
            .useful_connections()
            .map_or(most, |useful| most.min(useful + 2))
    }

    /// Asks for the size and for the tail at once. Some servers refuse suffix ranges, or answer them with
    /// the head of the file. So the tail counts only if its Content-Range ends at the size that the other
    /// answer tells. After that, other blobs of this server are asked for their tails alone.
    async fn open(&self, tail_wanted: u64) -> Result<Opened> {
        if tail_wanted > 0
            && self.remote.gives_suffixes()
            && let Some((chunk, known)) = self.ask_tail(tail_wanted).await
        {
            return self.opened(known, Some(chunk));
        }
        let connections = FIRST_CONNECTIONS.min(self.options.connections);
        // Polled last, when the requests above have taken their connections.
        let warm_up = async {
            if tail_wanted > 0 {
                // A caller that wants the tail will read more.
                self.remote.warm_up_unknown(connections);
            }
        };
        let (known, tail, ()) = tokio::join!(self.ask_size(), self.ask_tail(tail_wanted), warm_up);
        let known = known?;
        let tail = tail.filter(|(_, of_tail)| {
            of_tail.size == known.size && of_tail.validator == known.validator
        });
        if tail.is_some() {
            self.remote.gave_suffix();
        }
        let opened = self.opened(known, tail.map(|(chunk, _)| chunk))?;
        if tail_wanted > 0 {
            // A redirect may have led to another server.
            self.remote.warm_up(connections);
        }
        Ok(opened)
    }

    fn opened(&self, known: Known, tail: Option<Chunk>) -> Result<Opened> {
        let size = known.size;
        if let Some(known) = self.size().filter(|known| *known != size) {
            return Err(Error::Changed {
                origin: self.remote.origin().clone(),
                what: format!("it had {known} bytes and now has {size}"),
            });
        }
        let _ = self.known.set(known);
        Ok(Opened { size, tail })
    }

    /// Takes the size from the Content-Range of the first byte. Some servers refuse HEAD, and HEAD does not
    /// tell whether ranges work.
    async fn ask_size(&self) -> Result<Known> {
        let _pass = self.gate.pass(self.options.opening.priority()).await;
        let (origin, mut repeats) = (self.remote.origin(), Repeats::new());
        loop {
            let (received, target) = self.remote.get(Ask::Range("bytes=0-0")).await?;
            let answer = Answer::of(&received);
            let known = |size| Known::of(&answer, size);
            if answer.says_empty() {
                return Ok(known(0));
            }
            let ignored = answer.ignored_range();
            let told = match answer.check(origin, &(0..1), None) {
                Ok(told) => told,
                Err(error) => {
                    drop(received);
                    let seen = (ignored, target);
                    self.remote
                        .wait_to_repeat(seen, error, &mut repeats)
                        .await?;
                    continue;
                }
            };
            self.accepted(&answer);
            let size = told.ok_or_else(|| Error::BadAnswer {
                origin: origin.clone(),
                range: 0..1,
                what: "its Content-Range does not tell the size".into(),
            })?;
            let known = known(size);
            // After the body has been read to its end, the connection can be used again.
            self.collect(received, 0..1).await?;
            return Ok(known);
        }
    }

    /// Records what an accepted answer tells about the server.
    fn accepted(&self, answer: &Answer<'_>) {
        if answer.headers.contains_key(CONTENT_RANGE) {
            self.remote.gave_range();
        }
    }

    /// The last `tail` bytes, and what their answer tells of the blob; `None` if the server does not serve suffix
    /// ranges.
    async fn ask_tail(&self, tail: u64) -> Option<(Chunk, Known)> {
        if tail == 0 {
            return None;
        }
        let _pass = self.gate.pass(self.options.opening.priority()).await;
        let suffix = format!("bytes=-{tail}");
        let (received, _) = self.remote.get(Ask::Range(&suffix)).await.ok()?;
        let answer = Answer::of(&received);
        let told = answer.headers.get(CONTENT_RANGE)?;
        let content = ContentRange::parse(told.to_str().ok()?)?;
        let size = content.size?;
        if content.range != (size.saturating_sub(tail)..size) {
            return None;
        }
        let origin = self.remote.origin();
        answer.check(origin, &content.range, Some(size)).ok()?;
        self.accepted(&answer);
        let known = Known::of(&answer, size);
        let chunk = self.collect(received, content.range).await.ok()?;
        Some((chunk, known))
    }

    /// Reads the body of the accepted answer to a request for `range`, which is short, as one chunk.
    async fn collect(&self, received: Exchange, range: Range<u64>) -> Result<Chunk> {
        let mut body = Body::new(received, range.clone());
        let mut bytes = BytesMut::with_capacity((range.end - range.start) as usize);
        while let Some(chunk) = self.next(&mut body).await? {
            bytes.extend_from_slice(&chunk.bytes);
        }
        Ok(Chunk {
            offset: range.start,
            bytes: bytes.freeze(),
            origin: self.remote.origin().clone(),
        })
    }

    async fn next(&self, body: &mut Body) -> Result<Option<Chunk>> {
        let wait = self.options.idle_timeout;
        body.next(self.remote.origin(), wait).await
    }

    /// Requests `range` until there is an answer to accept.
    async fn request(&self, range: &Range<u64>, priority: Priority) -> Result<Exchange> {
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let mut repeats = Repeats::new();
        let fresh = self.take_rejected(range);
        loop {
            let ask = match self.size() {
                Some(_) => Ask::Part {
                    range: &header,
                    priority,
                    fresh,
                },
                None => Ask::Range(&header),
            };
            let (received, target) = self.remote.get(ask).await?;
            let connections = received.connections.clone();
            let ignored = Answer::of(&received).ignored_range();
            let is_pipelined = received.is_pipelined;
            match self.accept(received, range) {
                Ok(answer) => {
                    answer.confirm();
                    self.accepted(&Answer::of(&answer));
                    return Ok(answer);
                }
                // Some servers refuse pipelined requests, or mix up their answers.
                Err(error) if is_pipelined && !is_busy(&error) => {
                    connections.state().pipelining.refuse();
                }
                Err(error) => {
                    let seen = (ignored, target);
                    self.remote
                        .wait_to_repeat(seen, error, &mut repeats)
                        .await?;
                }
            }
        }
    }

    /// Returns whether bytes of `range` were wrong, and forgets it.
    fn take_rejected(&self, range: &Range<u64>) -> bool {
        let mut rejected = self.rejected.lock();
        let is_rejected = rejected.first_in(range).is_some();
        if is_rejected {
            rejected.remove(range);
        }
        is_rejected
    }

    /// Returns the answer if it is the one to a request for `range`.
    fn accept(&self, received: Exchange, range: &Range<u64>) -> Result<Exchange> {
        let answer = Answer::of(&received);
        let known = self.known.get();
        let origin = self.remote.origin();
        let size = self.size();
        let is_pinned = self.options.pinned;
        let expected = self.expected_version.get().filter(|_| is_pinned);
        let is_new = known.is_none() && expected.is_none();
        if let (true, Some(size)) = (is_pinned && !is_new, size)
            && answer.tells_earlier_end(range, size)
        {
            return Err(self.changed("it is shorter now"));
        }
        answer.check(origin, range, size).map_err(|e| match e {
            // A blob with a CID cannot change, and a blob seen for the first time has not changed. So this server
            // has another blob.
            Error::Changed { origin, what } if !is_pinned || is_new => Error::BadAnswer {
                origin,
                range: range.clone(),
                what,
            },
            error => error,
        })?;
        if let (None, Some(expected)) = (known, expected)
            && answer.version().as_ref() != Some(expected)
        {
            return Err(self.changed(OTHER_VERSION));
        }
        let known = known.or_else(|| {
            let size = size?;
            Some(self.known.get_or_init(|| {
                let mut known = Known::of(&answer, size);
                known.validator = known.validator.filter(|_| is_pinned);
                known
            }))
        });
        if let (true, Some(known)) = (is_pinned, known)
            && answer.validator() != known.validator
        {
            return Err(self.changed(OTHER_VERSION));
        }
        Ok(received)
    }

    fn changed(&self, what: &str) -> Error {
        Error::Changed {
            origin: self.remote.origin().clone(),
            what: what.into(),
        }
    }
}

impl Known {
    fn of(answer: &Answer<'_>, size: u64) -> Self {
        Self {
            size,
            validator: answer.validator(),
            version: answer.version(),
            fresh_for: fresh_for(answer.headers, SystemTime::now()),
        }
    }
}

/// Whether an error says that the server is overloaded, which has nothing to do with pipelining.
fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Status { status, .. } if *status == 429 || *status >= 500)
}

/// The state of a read.
enum ReadState {
    /// Waits for a pass or for the answer.
    Asking(Range<u64>, Priority),
    /// Reads the answer. The pass is held until the next request may be sent.
    Answered(Box<Body>, Option<Pass>),
}

impl Source for Http {
    fn inner(&self) -> Option<&dyn Source> {
        None
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail).boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        if let Some(answer) = answer_without_bytes(&range, self.0.size()) {
            return answer;
        }
        let http = self.0.clone();
        stream::try_unfold(ReadState::Asking(range, priority), move |state| {
            let http = http.clone();
            async move {
                let (mut body, mut pass) = match state {
                    ReadState::Asking(range, priority) => {
                        if priority == Priority::Prefetch {
                            // Tasks start in no certain order, and there may be fewer connections than
                            // reads: demand reads that start now go first.
                            tokio::task::yield_now().await;
                        }
                        // The wait for a pass does not count as the server's delay.
                        http.gate.set_limit(http.passes());
                        let pass = http.gate.pass(priority).await;
                        let received = http.request(&range, priority).await?;
                        (Box::new(Body::new(received, range)), Some(pass))
                    }
                    ReadState::Answered(body, pass) => (body, pass),
                };
                // Read beyond the last byte to the end of the body: if the answer does not tell its
                // length, the connection becomes free only then.
                let next = http.next(&mut body).await?;
                if pass.is_some() && body.is_nearly_over() {
                    pass = None;
                }
                Ok(next.map(|chunk| (chunk, ReadState::Answered(body, pass))))
            }
        })
        .boxed()
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        if origin == self.0.remote.origin() {
            self.0.rejected.lock().insert(range);
        }
    }

    fn version(&self) -> Option<String> {
        let known = self.0.known.get()?;
        known.version.clone().filter(|_| self.0.options.pinned)
    }

    fn fresh_for(&self) -> Duration {
        let known = self.0.known.get();
        known.map(|known| known.fresh_for).unwrap_or_default()
    }

    fn warm_up(&self, reads: usize) -> usize {
        self.0.remote.warm_up(reads.min(self.0.options.connections))
    }

    fn hints(&self) -> Hints {
        Hints {
            concurrency: self.0.remote.useful_connections(),
            pipelined_within: self.0.remote.pipeline_window(),
            ..Hints::default()
        }
    }

    fn learn(&self, fact: Fact<'_>) {
        match fact {
            Fact::Version(version, size) => {
                let _ = self.0.expected_version.set(version.to_owned());
                let _ = self.0.expected.set(size);
            }
            Fact::Size(size) => drop(self.0.expected.set(size)),
            Fact::Bytes(_) | Fact::NoRanges { .. } => {}
        }
    }
}

//! A blob behind a URL, read by HTTP ranges (RFC 9110, section 14).
//!
//! One bounded, absolute range a request. An answer is believed only if it says that it is exactly
//! that range (`answer.rs`); anything else drops the connection, so that a server which sends
//! gigabytes nobody asked for is cut short, and becomes an error that says what the server did.

mod answer;
mod blocks;
mod breadth;
mod connections;
mod connector;
mod exchange;
mod head;
mod lead;
mod lease;
mod link;
mod network;
mod pool;
mod proxy;
mod redirect;
mod request;
mod secrets;
mod shown;
mod tunnel;

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};

use self::answer::{Answer, ContentRange, Validator};
pub use self::blocks::raw_block;
pub use self::connections::Clients;
use self::exchange::Exchange;
use self::link::{Ask, Link};
pub use self::secrets::{Netrc, Secrets};
use self::shown::{Again, Shown};
use crate::source::{Chunk, ChunkStream, Error, Opened, Origin, Priority, Result, Source};
use crate::source::{Gate, Pass};

/// So many connections there are once a blob has been opened, so that the first reads need not wait
/// for one. Browsers make as many to a server.
const FIRST_CONNECTIONS: usize = 6;

/// How to talk to a server.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// How many connections there may be to a server. Each carries one answer at a time; the request
    /// for the next one may be on its way while the end of an answer comes.
    pub connections: usize,
    /// How long a server may keep silent, before or within an answer.
    pub idle_timeout: Duration,
    /// Whether the content can change under the name, as behind a plain URL. Then its ETag or
    /// Last-Modified is compared with every answer. Content named by a CID cannot, and gateways
    /// put the range into its ETag, so there it must not be compared.
    pub pinned: bool,
    /// Whether all that comes is proven against a CID. Then a redirect from https to http is followed.
    pub proven: bool,
    /// The connections to use. Sources with the same clients share them.
    pub clients: Clients,
    /// What to send along. It goes to the URL's own server, and not where that redirects to.
    pub secrets: Secrets,
    /// Logins by host, for a URL that brings no other.
    pub netrc: Netrc,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connections: 16,
            idle_timeout: Duration::from_secs(15),
            pinned: true,
            proven: false,
            clients: Clients::default(),
            secrets: Secrets::default(),
            netrc: Netrc::default(),
        }
    }
}

/// A URL fit for logs and /proc/mounts: without credentials, and without its query, which may hold
/// a signature. What is no URL is not repeated.
pub fn display_url(url: &str) -> String {
    let parsed = reqwest::Url::parse(url);
    parsed.map_or_else(|_| "(not a URL)".into(), |url| link::display_name(&url))
}

/// A [`Source`] over one URL.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    link: Link,
    gate: Gate,
    options: HttpOptions,
    /// What was found when the blob was opened, or else when it was first read.
    known: OnceLock<Known>,
    /// How long it is, as was said by others.
    expected: OnceLock<u64>,
    shown: Shown,
}

struct Known {
    size: u64,
    validator: Option<Validator>,
    /// What names this state for ever.
    version: Option<String>,
}

impl Http {
    /// The blob at `url`, which may carry `user:password@`. Nothing is sent yet.
    pub fn new(url: &str, options: HttpOptions) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            link: Link::new(url, options.clone())?,
            gate: Gate::new(options.connections),
            options,
            known: OnceLock::new(),
            expected: OnceLock::new(),
            shown: Shown::default(),
        })))
    }

    /// The URL without credentials and query.
    pub fn origin(&self) -> &Origin {
        self.0.link.origin()
    }
}

impl Inner {
    fn size(&self) -> Option<u64> {
        let known = || self.known.get().map(|known| known.size);
        self.expected.get().copied().or_else(known)
    }

    /// How many requests are let through at once: one or two of them may wait for a connection.
    fn passes(&self) -> usize {
        let most = self.options.connections;
        self.link
            .at_once()
            .map_or(most, |worth| most.min(worth + 2))
    }

    /// The size and the tail, asked side by side. Suffix ranges are a gamble: servers were seen to
    /// refuse them, or to answer with the head of the file. So the answer counts only if its
    /// Content-Range proves that it ends where the other answer says the blob ends.
    async fn open(&self, tail_wanted: u64) -> Result<Opened> {
        let connections = FIRST_CONNECTIONS.min(self.options.connections);
        // Polled last: the requests have what they need by then.
        let warm_up = async {
            if tail_wanted > 0 {
                // Whoever wants the end will want more.
                self.link.warm_up_unknown(connections);
            }
        };
        let (size, tail, ()) =
            tokio::join!(self.ask_size(), self.gamble_on_tail(tail_wanted), warm_up);
        let (size, validator, version) = size?;
        let tail = tail.filter(|(chunk, total, tail_validator)| {
            *total == size && chunk.range().end == size && *tail_validator == validator
        });
        if let Some(known) = self.size().filter(|known| *known != size) {
            return Err(Error::Changed {
                origin: self.link.origin().clone(),
                what: format!("it had {known} bytes and now has {size}"),
            });
        }
        let _ = self.known.set(Known {
            size,
            validator,
            version,
        });
        let chunk = tail.map(|(chunk, ..)| chunk);
        if tail_wanted > 0 {
            // Where a redirect led may be another server.
            self.link.warm_up(connections);
        }
        Ok(Opened { size, tail: chunk })
    }

    /// The size from the Content-Range of the first byte: HEAD is refused by some servers, and
    /// says nothing about whether ranges work.
    async fn ask_size(&self) -> Result<(u64, Option<Validator>, Option<String>)> {
        let _pass = self.gate.pass(Priority::Demand).await;
        let (origin, mut again) = (self.link.origin(), Again::new());
        loop {
            let (received, way) = self.link.get(Ask::Range("bytes=0-0")).await?;
            let answer = Answer::of(&received);
            let (validator, version) = (answer.validator(), answer.version());
            if answer.says_empty() {
                return Ok((0, validator, version));
            }
            let status = answer.status;
            let told = match answer.check(origin, &(0..1), None) {
                Ok(told) => told,
                Err(error) => {
                    drop(received);
                    let ask_again =
                        self.shown
                            .ask_again((status, way), error, &self.link, &mut again);
                    ask_again.await?;
                    continue;
                }
            };
            self.shown_by(&answer);
            let size = told.ok_or_else(|| Error::BadAnswer {
                origin: origin.clone(),
                range: 0..1,
                what: "its Content-Range does not tell the size".into(),
            })?;
            // Reading the body to its end lets the connection be used again.
            self.drain(received, 0..1).await?;
            return Ok((size, validator, version));
        }
    }

    /// An answer was accepted.
    fn shown_by(&self, answer: &Answer<'_>) {
        if answer.headers.contains_key(reqwest::header::CONTENT_RANGE) {
            self.shown.gave();
        }
    }

    async fn gamble_on_tail(&self, tail: u64) -> Option<(Chunk, u64, Option<Validator>)> {
        if tail == 0 {
            return None;
        }
        let _pass = self.gate.pass(Priority::Demand).await;
        let suffix = format!("bytes=-{tail}");
        let (received, _) = self.link.get(Ask::Range(&suffix)).await.ok()?;
        let answer = Answer::of(&received);
        let told = answer.headers.get(reqwest::header::CONTENT_RANGE)?;
        let content = ContentRange::parse(told.to_str().ok()?)?;
        let size = content.size?;
        if content.range != (size.saturating_sub(tail)..size) {
            return None;
        }
        let origin = self.link.origin();
        answer.check(origin, &content.range, Some(size)).ok()?;
        self.shown_by(&answer);
        let validator = answer.validator();
        let chunk = self.drain(received, content.range).await.ok()?;
        Some((chunk, size, validator))
    }

    /// Reads a short body whole. `range` bounds it.
    async fn drain(&self, received: Exchange, range: Range<u64>) -> Result<Chunk> {
        let mut body = Body::new(received, range.clone());
        let mut bytes = BytesMut::with_capacity((range.end - range.start) as usize);
        while let Some(chunk) = body.next(self).await? {
            bytes.extend_from_slice(&chunk.bytes);
        }
        Ok(Chunk {
            offset: range.start,
            bytes: bytes.freeze(),
            origin: self.link.origin().clone(),
        })
    }

    async fn request(&self, range: &Range<u64>, priority: Priority) -> Result<Exchange> {
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let mut again = Again::new();
        loop {
            let ask = match self.size() {
                Some(_) => Ask::Part(&header, priority),
                None => Ask::Range(&header),
            };
            let (received, way) = self.link.get(ask).await?;
            let connections = received.connections.clone();
            let (is_early, status) = (received.is_early, received.status);
            match self.accept(received, range) {
                Ok(answer) => {
                    answer.is_right();
                    self.shown_by(&Answer::of(&answer));
                    return Ok(answer);
                }
                // A server may refuse or mix up requests that come before the last answer has gone.
                Err(error) if is_early && !is_busy(&error) => connections.confused(),
                Err(error) => {
                    let ask_again =
                        self.shown
                            .ask_again((status, way), error, &self.link, &mut again);
                    ask_again.await?;
                }
            }
        }
    }

    /// The answer, if it is the one to a request for `range`.
    fn accept(&self, received: Exchange, range: &Range<u64>) -> Result<Exchange> {
        let answer = Answer::of(&received);
        let known = self.known.get();
        let origin = self.link.origin();
        let size = self.size();
        let is_pinned = self.options.pinned;
        answer.check(origin, range, size).map_err(|e| match e {
            // What has a CID does not change, nor has what was never seen: this server has another
            // blob.
            Error::Changed { origin, what } if !is_pinned || known.is_none() => Error::BadAnswer {
                origin,
                range: range.clone(),
                what,
            },
            error => error,
        })?;
        let known = known.or_else(|| {
            let validator = answer.validator().filter(|_| is_pinned);
            let size = size?;
            Some(self.known.get_or_init(|| Known {
                size,
                validator,
                version: answer.version(),
            }))
        });
        if let (true, Some(known)) = (is_pinned, known)
            && answer.validator() != known.validator
        {
            return Err(Error::Changed {
                origin: origin.clone(),
                what: "its ETag or modification time is another".into(),
            });
        }
        Ok(received)
    }
}

/// Whether an error says that a server has too much to do, which is no matter of when it is asked.
fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Status { status, .. } if *status == 429 || *status >= 500)
}

/// The body of an accepted answer: exactly the bytes of `left`, or an error.
struct Body {
    received: Exchange,
    range: Range<u64>,
    at: u64,
}

impl Body {
    fn new(received: Exchange, range: Range<u64>) -> Self {
        let at = range.start;
        Self {
            received,
            range,
            at,
        }
    }

    /// The next chunk; `None` once all of the range has come.
    async fn next(&mut self, http: &Inner) -> Result<Option<Chunk>> {
        let origin = http.link.origin();
        let wait = http.options.idle_timeout;
        let cut = Error::Cut {
            origin: origin.clone(),
            range: self.range.clone(),
            got: self.at - self.range.start,
        };
        let next = match tokio::time::timeout(wait, self.received.chunk()).await {
            Err(_) => {
                return Err(Error::Timeout {
                    origin: origin.clone(),
                    after: wait,
                });
            }
            Ok(Err(_)) => return Err(cut),
            Ok(Ok(next)) => next,
        };
        let Some(bytes) = next else {
            return if self.at == self.range.end {
                Ok(None)
            } else {
                Err(cut)
            };
        };
        let left = self.range.end - self.at;
        if bytes.len() as u64 > left {
            return Err(Error::BadAnswer {
                origin: origin.clone(),
                range: self.range.clone(),
                what: "more bytes than it announced".into(),
            });
        }
        let offset = self.at;
        self.at += bytes.len() as u64;
        Ok(Some(Chunk {
            offset,
            bytes,
            origin: origin.clone(),
        }))
    }
}

/// How far a read has come: waiting to be let through, or within its answer.
enum Reading {
    Asking(Range<u64>, Priority),
    /// The pass is held until the next request may be sent.
    Answered(Box<Body>, Option<Pass>),
}

impl Source for Http {
    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail).boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        if let Some(size) = self.0.size()
            && range.end > size
        {
            return stream::once(ready(Err(Error::OutOfBlob { range, size }))).boxed();
        }
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let http = self.0.clone();
        stream::try_unfold(Reading::Asking(range, priority), move |state| {
            let http = http.clone();
            async move {
                let (mut body, mut pass) = match state {
                    Reading::Asking(range, priority) => {
                        if priority == Priority::Prefetch {
                            // Tasks begin in no certain order, and there may be fewer connections
                            // that are ready than reads.
                            tokio::task::yield_now().await;
                        }
                        // How long it waits here does not count as the server's delay.
                        http.gate.set_limit(http.passes());
                        let pass = http.gate.pass(priority).await;
                        let received = http.request(&range, priority).await?;
                        (Box::new(Body::new(received, range)), Some(pass))
                    }
                    Reading::Answered(body, pass) => (body, pass),
                };
                // Read to the end of the body, also past the last byte: where an answer does not tell
                // its length, only then is the connection free.
                let next = body.next(&http).await?;
                if pass.is_some() && body.received.is_nearly_over() {
                    pass = None;
                }
                Ok(next.map(|chunk| (chunk, Reading::Answered(body, pass))))
            }
        })
        .boxed()
    }

    fn version(&self) -> Option<String> {
        let known = self.0.known.get()?;
        known.version.clone().filter(|_| self.0.options.pinned)
    }

    fn warm_up(&self, reads: usize) -> usize {
        self.0.link.warm_up(reads.min(self.0.options.connections))
    }

    fn early_by(&self) -> Option<u64> {
        self.0.link.early_by()
    }

    fn at_once(&self) -> Option<usize> {
        self.0.link.at_once()
    }

    fn expect_size(&self, size: u64) {
        let _ = self.0.expected.set(size);
    }
}

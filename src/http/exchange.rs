//! One request and its answer, on a connection of the pool (HTTP/1.1, RFC 9112).
//!
//! Requests are GETs without a body. An answer's bytes are given out as they come, and when the last
//! one has come the connection goes to whoever is next.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use httparse::Status;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::connections::{Connections, WireLease};
use super::connector::{CONNECT_TIMEOUT, ConnectError, wants_login};
use super::head::{BadHead, Head, LONGEST_HEAD, Length, ONLY_HTTP2};
use super::network;
use super::request::Request;
use crate::source::{Error, Origin};

/// So much is read at once at the most, in bytes.
const READ: usize = 256 * 1024;

/// With less room than this, in bytes, more is made.
const LEAST_ROOM: usize = 32 * 1024;

/// No line between chunks is longer, in bytes.
const LONGEST_LINE: usize = 4 * 1024;

/// For so long the answer to the first request that was sent early is waited for, from when it could
/// come: there are servers that lose it.
const TRIAL: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection could be made.
    Unmade(Arc<ConnectError>),
    /// The connection broke, or what came is no answer.
    Broken(String),
    /// The server does not speak HTTP/1.1.
    OnlyHttp2,
}

impl Failure {
    /// What it means for a request to `origin`. `may_be_offline`: nobody ever answered, so this machine
    /// may have no network.
    pub(super) fn error(self, origin: Origin, may_be_offline: bool) -> Error {
        match self {
            Self::Unmade(error) => match &*error {
                ConnectError::Timeout => Error::Timeout {
                    origin,
                    after: CONNECT_TIMEOUT,
                },
                ConnectError::OnlyHttp2 => Self::OnlyHttp2.error(origin, may_be_offline),
                error if may_be_offline && network::is_missing(error) => {
                    Error::NoNetwork { origin }
                }
                error => Error::Unreachable {
                    origin,
                    cause: error.to_string(),
                },
            },
            Self::Broken(cause) => Error::Unreachable { origin, cause },
            Self::OnlyHttp2 => Error::NoRanges {
                origin,
                what: ONLY_HTTP2.into(),
                has_served: false,
            },
        }
    }
}

/// Why this connection brings no answer.
enum Lost {
    /// It is none's fault: another one will.
    Again,
    Failed(Failure),
}

/// An answer that comes.
pub(super) struct Exchange {
    pub(super) connections: Arc<Connections>,
    lease: Option<WireLease>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    keeps: bool,
    /// How many connections there may be.
    most: usize,
    rest: Rest,
    /// Whether it was asked for while another answer came.
    pub(super) is_early: bool,
    /// When its first bytes had come, how many those were, and how many there were in all.
    since: Instant,
    at_once: u64,
    came: u64,
}

/// What of a body has not been given out.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Known(u64),
    /// The rest of a chunk; `is_within`: there was one before that ends with a line's end.
    Chunk {
        left: u64,
        is_within: bool,
    },
    UntilClosed,
}

impl Rest {
    /// The next bytes of it; `None` if there are no more.
    async fn next(&mut self, lease: &mut WireLease) -> io::Result<Option<Bytes>> {
        let most = match self {
            Self::Known(left) => *left,
            Self::Chunk { left, is_within } => {
                if *left == 0 {
                    *left = next_chunk(lease, *is_within).await?;
                    *is_within = true;
                }
                *left
            }
            Self::UntilClosed => {
                let bytes = some_of(lease, u64::MAX).await;
                return match bytes {
                    Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                    bytes => bytes.map(Some),
                };
            }
        };
        if most == 0 {
            return Ok(None);
        }
        let bytes = some_of(lease, most).await?;
        if let Self::Known(left) | Self::Chunk { left, .. } = self {
            *left -= bytes.len() as u64;
        }
        Ok(Some(bytes))
    }
}

impl Exchange {
    /// Sends `request` over one of at most `most` connections, and waits for its answer to begin.
    pub(super) async fn begin(
        connections: &Arc<Connections>,
        most: usize,
        request: &Request<'_>,
    ) -> Result<Self, Failure> {
        loop {
            let lease = connections
                .lease(most, request.claim)
                .await
                .map_err(Failure::Unmade)?;
            match Self::over(connections, lease, most, request).await {
                Ok(exchange) => return Ok(exchange),
                Err(Lost::Again) => {}
                Err(Lost::Failed(failure)) => {
                    connections.broke();
                    return Err(failure);
                }
            }
        }
    }

    async fn over(
        connections: &Arc<Connections>,
        mut lease: WireLease,
        most: usize,
        request: &Request<'_>,
    ) -> Result<Self, Lost> {
        let asked = Instant::now();
        let (is_early, may_be_stale) = (lease.is_early(), lease.may_be_stale());
        // Servers close what carries nothing, and that may cross a request on its way (RFC 9112,
        // section 9.3.1).
        let lost = |cause: String| match may_be_stale {
            true => Lost::Again,
            false => Lost::Failed(Failure::Broken(cause)),
        };
        let proxy = connections.connector.forwarding_proxy();
        if let Some(writer) = lease.writer() {
            let bytes = request.bytes(proxy.map(|_| connections.proxy_authorization.as_ref()));
            let written = async {
                writer.to.write_all(&bytes).await?;
                writer.to.flush().await
            };
            written.await.map_err(|e| lost(e.to_string()))?;
        }
        lease.written();
        lease.turn().await.map_err(|_| Lost::Again)?;
        let is_trial = lease.is_trial();
        let begun = first_bytes(&mut lease);
        let begun = match is_trial {
            true => tokio::time::timeout(TRIAL, begun).await,
            false => Ok(begun.await),
        };
        if let Err(cause) = begun.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            lease.was_lost();
            return Err(lost(cause.to_string()));
        }
        let head = match read_head(&mut lease).await {
            Ok(head) => head,
            // The answer before may have been longer than it said.
            Err(_) if is_early => {
                lease.was_lost();
                return Err(Lost::Again);
            }
            Err(BadHead::Http2) => return Err(Lost::Failed(Failure::OnlyHttp2)),
            Err(BadHead::Wrong(cause)) => return Err(Lost::Failed(Failure::Broken(cause))),
        };
        if head.asks_for_http2() {
            return Err(Lost::Failed(Failure::OnlyHttp2));
        }
        if let Some(proxy) = proxy
            && head.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            return Err(Lost::Failed(Failure::Broken(wants_login(proxy))));
        }
        connections.answered(asked.elapsed(), is_early);
        let at_once = lease
            .reader()
            .map_or(0, |reader| reader.buffer.len() as u64);
        let exchange = Self {
            connections: connections.clone(),
            lease: Some(lease),
            status: head.status,
            headers: head.headers,
            most,
            keeps: head.keeps && head.body != Length::UntilClosed,
            rest: match head.body {
                Length::Known(bytes) => Rest::Known(bytes),
                Length::Chunked => Rest::Chunk {
                    left: 0,
                    is_within: false,
                },
                Length::UntilClosed => Rest::UntilClosed,
            },
            is_early,
            since: Instant::now(),
            at_once,
            came: 0,
        };
        exchange.tell_what_comes();
        Ok(exchange)
    }

    /// The next bytes of the body; `None` at its end. Only when all have been taken can the
    /// connection be used again.
    pub(super) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let Some(lease) = &mut self.lease else {
            return Ok(None);
        };
        let next = self.rest.next(lease).await;
        let bytes = next.inspect_err(|_| lease.broke_off())?;
        let Some(bytes) = bytes else {
            self.finish();
            return Ok(None);
        };
        self.came += bytes.len() as u64;
        self.connections.carried(bytes.len() as u64, self.most);
        match self.rest {
            // Whoever is next need not wait until somebody has seen these.
            Rest::Known(0) => self.finish(),
            _ => self.tell_what_comes(),
        }
        Ok(Some(bytes))
    }

    /// It is the part that was asked for.
    pub(super) fn is_right(&self) {
        if let Some(lease) = &self.lease {
            lease.was_answered();
        }
        if !matches!(self.rest, Rest::Known(_)) {
            // Whose parts do not tell where they end cannot be asked for the next one before.
            self.connections.confused();
        }
    }

    /// Whether so little is still to come that the next request may be sent on its connection.
    pub(super) fn is_nearly_over(&self) -> bool {
        let early_by = self.connections.early_by().unwrap_or(0);
        self.keeps && matches!(self.rest, Rest::Known(left) if left <= early_by)
    }

    /// Tells the pool when the connection can carry the next request.
    fn tell_what_comes(&self) {
        if let (Some(lease), Rest::Known(left), true) = (&self.lease, self.rest, self.keeps) {
            lease.still_comes(left, self.connections.early_by().unwrap_or(0));
        }
    }

    /// All has come.
    fn finish(&mut self) {
        let Some(mut lease) = self.lease.take() else {
            return;
        };
        let came = self.came.saturating_sub(self.at_once);
        self.connections.came(came, self.since.elapsed());
        let is_clean = lease
            .reader()
            .is_some_and(|reader| reader.buffer.is_empty());
        match self.keeps && is_clean {
            true => {
                lease.done();
                self.connections.kept();
            }
            false => {
                drop(lease);
                self.connections.broke();
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(lease) = &mut self.lease else { return };
        // What has come and nobody wants, such as a redirect's text, does not cost the connection.
        if let (Rest::Known(left), Some(reader)) = (self.rest, lease.reader())
            && left == reader.buffer.len() as u64
        {
            reader.buffer.clear();
            self.finish();
            return;
        }
        self.lease = None;
        self.connections.broke();
    }
}

/// Waits until something has come.
async fn first_bytes(lease: &mut WireLease) -> io::Result<()> {
    match fill(lease, READ).await? {
        0 => Err(io::Error::other(
            "the connection was closed before an answer came",
        )),
        _ => Ok(()),
    }
}

/// Reads the head of the answer; the beginning of its body may be in the buffer then.
async fn read_head(lease: &mut WireLease) -> Result<Head, BadHead> {
    loop {
        let buffer = lease.reader().map(|reader| &mut reader.buffer);
        let buffer = buffer.ok_or("another answer comes")?;
        match Head::parse(buffer)? {
            Some((head, length)) => {
                buffer.advance(length);
                if !head.status.is_informational() {
                    return Ok(head);
                }
            }
            None if buffer.len() > LONGEST_HEAD => {
                return Err("the head of its answer does not end".into());
            }
            None => match fill(lease, READ).await {
                Ok(0) => {
                    return Err("the connection was closed within the head of an answer".into());
                }
                Ok(_) => {}
                Err(error) => return Err(error.to_string().into()),
            },
        }
    }
}

/// Bytes of the body, of which so many are left.
async fn some_of(lease: &mut WireLease, left: u64) -> io::Result<Bytes> {
    let most = usize::try_from(left).unwrap_or(usize::MAX);
    let is_empty = lease
        .reader()
        .is_some_and(|reader| reader.buffer.is_empty());
    if is_empty && fill(lease, most).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let reader = lease.reader().ok_or(io::ErrorKind::NotConnected)?;
    let length = reader.buffer.len().min(most);
    Ok(reader.buffer.split_to(length).freeze())
}

/// How long the next chunk is; 0 for the last one, with whatever follows it (RFC 9112, section 7.1).
async fn next_chunk(lease: &mut WireLease, is_within: bool) -> io::Result<u64> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    if is_within && !line(lease).await?.is_empty() {
        return Err(wrong());
    }
    let size = line(lease).await?;
    if !size.first().is_some_and(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let size = [&size[..], b"\r\n"].concat();
    let Ok(Status::Complete((_, length))) = httparse::parse_chunk_size(&size) else {
        return Err(wrong());
    };
    if length == 0 {
        while !line(lease).await?.is_empty() {}
    }
    Ok(length)
}

/// A line, without its end.
async fn line(lease: &mut WireLease) -> io::Result<Bytes> {
    loop {
        let reader = lease.reader().ok_or(io::ErrorKind::NotConnected)?;
        if let Some(end) = reader.buffer.iter().position(|byte| *byte == b'\n') {
            let mut line = reader.buffer.split_to(end + 1);
            line.truncate(end);
            if line.last() == Some(&b'\r') {
                line.truncate(end - 1);
            }
            return Ok(line.freeze());
        }
        if reader.buffer.len() > LONGEST_LINE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if fill(lease, READ).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Reads what has come, but at most so many bytes; waits if nothing has. 0 is the end of the
/// connection.
async fn fill(lease: &mut WireLease, most: usize) -> io::Result<usize> {
    let reader = lease.reader().ok_or(io::ErrorKind::NotConnected)?;
    let most = most.min(READ);
    // Room that is left is used first: what was given out of it may still be held.
    if reader.buffer.capacity() - reader.buffer.len() < most.min(LEAST_ROOM) {
        reader.buffer.reserve(most);
    }
    let mut room = (&mut reader.buffer).limit(most);
    reader.from.read_buf(&mut room).await
}

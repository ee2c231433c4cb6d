//! One request and its answer, on a connection of the pool (HTTP/1.1, RFC 9112).
//!
//! An answer's bytes are given out as they arrive. After the last one, the connection goes to the next request.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use httparse::Status;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::connections::{Connections, WireLease};
use super::connector::{CONNECT_TIMEOUT, ConnectError, Reader};
use super::head::{BadHead, Head, Length, MAX_HEAD, ONLY_HTTP2};
use super::network;
use super::request::Request;
use super::tunnel::Refusal;
use crate::source::{Error, Origin};

/// The largest read from a connection, in bytes.
const READ: usize = 256 * 1024;

/// The buffer grows when it has less room than this, in bytes.
const MIN_ROOM: usize = 32 * 1024;

/// The longest line between chunks, in bytes.
const MAX_LINE: usize = 4 * 1024;

/// How long to wait for the first pipelined answer once the answer before it has ended. Some servers drop
/// pipelined requests.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// If a request over a connection that was idle gets no answer for this long, nor any other request to the server, the
/// connections that were idle for as long are closed. A router, or a machine that was asleep, loses all connections at
/// once and tells nobody.
const SUSPICIOUS: Duration = Duration::from_secs(4);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// No connection could be made.
    Unmade(Arc<ConnectError>),
    /// The connection broke, or the answer is not HTTP.
    Broken(String),
}

impl Failure {
    /// The server does not speak HTTP/1.1.
    fn only_http2() -> Self {
        Self::Unmade(Arc::new(ConnectError::OnlyHttp2))
    }

    /// The error of a request to `origin`. `is_expected`: this server is expected to come back. `may_be_offline`: no
    /// server has ever answered, so this machine may have no network.
    pub(super) fn error(self, origin: Origin, is_expected: bool, may_be_offline: bool) -> Error {
        match self {
            Self::Unmade(error) => match &*error {
                ConnectError::Timeout => Error::Timeout {
                    origin,
                    after: CONNECT_TIMEOUT,
                },
                ConnectError::OnlyHttp2 => Error::NoRanges {
                    origin,
                    what: ONLY_HTTP2.into(),
                    has_served: false,
                },
                error if error.is_untrusted() => Error::Untrusted {
                    origin,
                    cause: error.to_string(),
                },
                error if may_be_offline && network::is_missing(error) => {
                    Error::NoNetwork { origin }
                }
                error => Error::Unreachable {
                    origin,
                    cause: error.to_string(),
                    is_expected: is_expected || !network::is_nobody(error),
                },
            },
            Self::Broken(cause) => Error::Unreachable {
                origin,
                cause,
                // It has taken the connection.
                is_expected: true,
            },
        }
    }
}

/// Why a connection brings no answer.
enum Lost {
    /// The server did nothing wrong: the request is sent again on another connection.
    Again,
    Failed(Failure),
}

/// A request whose answer has begun.
pub(super) struct Exchange {
    pub(super) connections: Arc<Connections>,
    /// The connection, until the answer has ended.
    connection: Option<(WireLease, Reader)>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Whether the connection can be used again after this answer.
    is_reusable: bool,
    rest: Rest,
    /// Whether the request was sent while another answer came.
    pub(super) is_pipelined: bool,
    /// Whether the next request may be sent on the connection.
    pub(super) is_nearly_over: bool,
    /// When the head had arrived.
    since: Instant,
    /// Bytes of the body that came with the head.
    with_head: u64,
    /// Bytes of the body that were given out.
    received: u64,
}

/// The part of a body that has not been given out.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Known(u64),
    /// The rest of a chunk. `is_within`: another chunk came before it, and a line end lies between them.
    Chunk {
        left: u64,
        is_within: bool,
    },
    UntilClosed,
}

impl Rest {
    /// The next bytes; `None` at the end.
    async fn next(&mut self, reader: &mut Reader) -> io::Result<Option<Bytes>> {
        let most = match self {
            Self::Known(left) => *left,
            Self::Chunk { left, is_within } => {
                if *left == 0 {
                    *left = next_chunk(reader, *is_within).await?;
                    *is_within = true;
                }
                *left
            }
            Self::UntilClosed => {
                let bytes = read_some(reader, u64::MAX).await;
                return match bytes {
                    Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                    bytes => bytes.map(Some),
                };
            }
        };
        if most == 0 {
            return Ok(None);
        }
        let bytes = read_some(reader, most).await?;
        if let Self::Known(left) | Self::Chunk { left, .. } = self {
            *left -= bytes.len() as u64;
        }
        Ok(Some(bytes))
    }
}

impl Exchange {
    /// Sends `request` over one of at most `max_connections`, and waits until its answer begins.
    pub(super) async fn begin(
        connections: &Arc<Connections>,
        max_connections: usize,
        request: &Request<'_>,
    ) -> Result<Self, Failure> {
        loop {
            let lease = connections
                .lease(max_connections, &request.claim)
                .await
                .map_err(Failure::Unmade)?;
            match Self::over(connections, lease, request).await {
                Ok(exchange) => return Ok(exchange),
                Err(Lost::Again) => {}
                Err(Lost::Failed(failure)) => {
                    connections.state().close_unless_persistent();
                    return Err(failure);
                }
            }
        }
    }

    /// Sends `request` over this connection, and waits until its answer begins.
    async fn over(
        connections: &Arc<Connections>,
        mut lease: WireLease,
        request: &Request<'_>,
    ) -> Result<Self, Lost> {
        let asked = Instant::now();
        let (head, reader) = answer_head(connections, &mut lease, request).await?;
        if head.asks_for_http2() {
            return Err(Lost::Failed(Failure::only_http2()));
        }
        if let Some(proxy) = connections.connector.forwarding_proxy()
            && head.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
        {
            return Err(Lost::Failed(Failure::Broken(
                Refusal::WantsLogin.text(proxy),
            )));
        }
        let is_pipelined = lease.loan.is_pipelined;
        let now = Instant::now();
        let mut state = connections.state();
        state.answered(now.saturating_duration_since(asked), is_pipelined, now);
        drop(state);
        let with_head = reader.buffer.len() as u64;
        let mut exchange = Self {
            connections: connections.clone(),
            connection: Some((lease, reader)),
            status: head.status,
            headers: head.headers,
            is_reusable: head.is_reusable && head.body != Length::UntilClosed,
            rest: match head.body {
                Length::Known(bytes) => Rest::Known(bytes),
                Length::Chunked => Rest::Chunk {
                    left: 0,
                    is_within: false,
                },
                Length::UntilClosed => Rest::UntilClosed,
            },
            is_pipelined,
            is_nearly_over: false,
            since: Instant::now(),
            with_head,
            received: 0,
        };
        exchange.report_rest();
        Ok(exchange)
    }

    /// The next bytes of the body; `None` at its end. The connection can be used again only after all bytes
    /// were taken.
    pub(super) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let Some((lease, reader)) = &mut self.connection else {
            return Ok(None);
        };
        let next = self.rest.next(reader).await;
        let bytes = next.inspect_err(|_| lease.broke_off())?;
        let Some(bytes) = bytes else {
            self.finish();
            return Ok(None);
        };
        self.received += bytes.len() as u64;
        match self.rest {
            // The next request need not wait until the caller has processed these bytes.
            Rest::Known(0) => self.finish(),
            _ => self.report_rest(),
        }
        Ok(Some(bytes))
    }

    /// Tells the pool that the answer is the one to the request.
    pub(super) fn confirm(&self) {
        if let Some((lease, _)) = &self.connection {
            lease.was_answered();
        }
        if !matches!(self.rest, Rest::Known(_)) {
            // Nothing can be pipelined behind answers that do not tell their length.
            self.connections.state().pipelining.refuse();
        }
    }

    /// Tells the pool how many bytes are still to come.
    fn report_rest(&mut self) {
        if let (Some((lease, _)), Rest::Known(left)) = (&self.connection, self.rest)
            && self.is_reusable
        {
            self.is_nearly_over = lease.still_comes(left);
        }
    }

    /// Gives the connection back after the whole body has come.
    fn finish(&mut self) {
        let Some((lease, reader)) = self.connection.take() else {
            return;
        };
        let after_head = self.received.saturating_sub(self.with_head);
        let took = self.since.elapsed();
        self.connections.state().link.received(after_head, took);
        if self.is_reusable && reader.buffer.is_empty() {
            lease.done(reader);
            self.is_nearly_over = true;
        } else {
            drop((lease, reader));
            self.connections.state().close_unless_persistent();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some((_, reader)) = &mut self.connection else {
            return;
        };
        // If the rest is in the buffer already, as the text of a redirect mostly is, the connection is kept.
        if let Rest::Known(left) = self.rest
            && left == reader.buffer.len() as u64
        {
            reader.buffer.clear();
            self.finish();
            return;
        }
        self.connection = None;
        self.connections.state().close_unless_persistent();
    }
}

/// Sends a request, and reads the head of its answer. Also returns the half to read the body from.
async fn answer_head(
    connections: &Connections,
    lease: &mut WireLease,
    request: &Request<'_>,
) -> Result<(Head, Reader), Lost> {
    let (is_pipelined, may_be_stale) = (lease.loan.is_pipelined, lease.loan.may_be_stale);
    // Servers close idle connections, possibly while a request is on its way (RFC 9112, section 9.3.1).
    let lost = |cause: String| {
        if may_be_stale {
            Lost::Again
        } else {
            Lost::Failed(Failure::Broken(cause))
        }
    };
    let sent = send(connections, lease, request).await;
    sent.map_err(|e| lost(e.to_string()))?;
    lease.written();
    let mut reader = lease.turn().await.ok_or(Lost::Again)?;
    let begun = first_bytes(connections, &mut reader, may_be_stale);
    let begun = if lease.loan.is_trial {
        tokio::time::timeout(TRIAL_TIMEOUT, begun).await
    } else {
        Ok(begun.await)
    };
    if let Err(cause) = begun.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        lease.was_lost();
        return Err(lost(cause.to_string()));
    }
    match read_head(&mut reader).await {
        Ok(head) => Ok((head, reader)),
        // The answer before it may have been longer than it said.
        Err(_) if is_pipelined => {
            lease.was_lost();
            Err(Lost::Again)
        }
        Err(BadHead::Http2) => Err(Lost::Failed(Failure::only_http2())),
        Err(BadHead::Wrong(cause)) => Err(Lost::Failed(Failure::Broken(cause))),
    }
}

/// Sends a request.
async fn send(
    connections: &Connections,
    lease: &mut WireLease,
    request: &Request<'_>,
) -> io::Result<()> {
    let proxy = connections.connector.forwarding_proxy();
    let Some(writer) = lease.writer() else {
        return Ok(());
    };
    let head = request.head(proxy.map(|_| connections.proxy_authorization.as_ref()));
    writer.write_all(&head).await?;
    writer.write_all(request.body).await?;
    writer.flush().await
}

/// Waits for the first bytes of an answer.
async fn first_bytes(
    connections: &Connections,
    reader: &mut Reader,
    may_be_stale: bool,
) -> io::Result<()> {
    let since = Instant::now();
    let mut filled = pin!(fill(reader, READ));
    let filled = match tokio::time::timeout(SUSPICIOUS, &mut filled).await {
        Ok(filled) => filled,
        Err(_) => {
            if may_be_stale {
                connections.state().close_if_silent_since(since);
            }
            filled.await
        }
    };
    match filled? {
        0 => Err(io::Error::other(
            "the connection was closed before an answer came",
        )),
        _ => Ok(()),
    }
}

/// Reads the head of the answer. The beginning of the body may be in the buffer afterwards.
async fn read_head(reader: &mut Reader) -> Result<Head, BadHead> {
    loop {
        let buffer = &mut reader.buffer;
        match Head::parse(buffer)? {
            Some((head, length)) => {
                buffer.advance(length);
                if !head.status.is_informational() {
                    return Ok(head);
                }
            }
            None if buffer.len() > MAX_HEAD => {
                return Err("the head of its answer does not end".into());
            }
            None => match fill(reader, READ).await {
                Ok(0) => {
                    return Err("the connection was closed within the head of an answer".into());
                }
                Ok(_) => {}
                Err(error) => return Err(error.to_string().into()),
            },
        }
    }
}

/// Some bytes of the body, at most `left`.
async fn read_some(reader: &mut Reader, left: u64) -> io::Result<Bytes> {
    let most = usize::try_from(left).unwrap_or(usize::MAX);
    if reader.buffer.is_empty() && fill(reader, most).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let length = reader.buffer.len().min(most);
    Ok(reader.buffer.split_to(length).freeze())
}

/// Reads the length of the next chunk (RFC 9112, section 7.1). After the last one, which has length 0, also
/// reads the trailer.
async fn next_chunk(reader: &mut Reader, is_within: bool) -> io::Result<u64> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    if is_within && !line(reader).await?.is_empty() {
        return Err(wrong());
    }
    let size = line(reader).await?;
    if !size.first().is_some_and(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let size = [&size[..], b"\r\n"].concat();
    let Ok(Status::Complete((_, length))) = httparse::parse_chunk_size(&size) else {
        return Err(wrong());
    };
    if length == 0 {
        while !line(reader).await?.is_empty() {}
    }
    Ok(length)
}

/// Reads a line. Its end is left out.
async fn line(reader: &mut Reader) -> io::Result<Bytes> {
    loop {
        if let Some(end) = reader.buffer.iter().position(|byte| *byte == b'\n') {
            let mut line = reader.buffer.split_to(end + 1);
            line.truncate(end);
            if line.last() == Some(&b'\r') {
                line.truncate(end - 1);
            }
            return Ok(line.freeze());
        }
        if reader.buffer.len() > MAX_LINE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if fill(reader, READ).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Reads what has arrived, at most `most` bytes, and waits if nothing has. Returns 0 at the end of the
/// connection.
async fn fill(reader: &mut Reader, most: usize) -> io::Result<usize> {
    let most = most.min(READ);
    // Use up the room first: while callers hold slices of the buffer, growing it allocates another one.
    if reader.buffer.capacity() - reader.buffer.len() < most.min(MIN_ROOM) {
        reader.buffer.reserve(most);
    }
    let mut room = (&mut reader.buffer).limit(most);
    reader.from.read_buf(&mut room).await
}

//! The head of an answer: its status, its fields, and the length of its body (RFC 9112).

use reqwest::StatusCode;
use reqwest::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};

use crate::ranges::decimal;

/// The longest head that is accepted, in bytes.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// The length of the head of an HTTP/2 frame (RFC 9113, section 4.1).
pub(super) const HTTP2_FRAME_HEAD: usize = 9;

/// What is wrong with a server that does not speak HTTP/1.1.
pub(super) const ONLY_HTTP2: &str = "it speaks only HTTP/2, and aiozfs needs HTTP/1.1";

/// The largest number of fields that is accepted.
const MAX_FIELDS: usize = 100;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Whether the connection can carry another answer behind this one (RFC 9112, section 9.3).
    pub(super) is_reusable: bool,
    pub(super) body: Length,
}

/// What tells where a body ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// The body has this many bytes.
    Known(u64),
    /// The body comes in chunks, each with its length.
    Chunked,
    /// The body ends with the connection.
    UntilClosed,
}

/// Why bytes are not the head of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    /// The bytes are a frame of HTTP/2.
    #[error("{ONLY_HTTP2}")]
    Http2,
    /// Something else is wrong, as the text says.
    #[error("{0}")]
    Wrong(String),
}

impl From<String> for BadHead {
    fn from(what: String) -> Self {
        Self::Wrong(what)
    }
}

impl From<&str> for BadHead {
    fn from(what: &str) -> Self {
        Self::Wrong(what.into())
    }
}

/// Whether bytes begin with the frame that an HTTP/2 server sends first: SETTINGS, or GOAWAY if it did not
/// understand the request (RFC 9113, sections 3.4, 6.5 and 6.8).
pub(super) fn is_http2(bytes: &[u8]) -> bool {
    let Some(head) = bytes.first_chunk::<HTTP2_FRAME_HEAD>() else {
        return false;
    };
    let [high, middle, low, kind, flags, stream @ ..] = *head;
    let length = u32::from_be_bytes([0, high, middle, low]);
    let is_whole = match kind {
        4 => length.is_multiple_of(6),
        7 => length >= 8,
        _ => false,
    };
    is_whole && flags == 0 && stream == [0; 4]
}

impl Head {
    /// Parses the first head in `bytes` and returns it with its length; `None` if it is not complete yet. An
    /// interim answer (1xx) is a head of its own.
    ///
    /// # Errors
    /// If it is not a head, or if the length of the body cannot be known.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadHead> {
        if is_http2(bytes) {
            return Err(BadHead::Http2);
        }
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(bytes);
        let length = match parsed.map_err(|e| format!("its answer is no HTTP: {e}"))? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => return Ok(None),
        };
        let mut headers = HeaderMap::with_capacity(response.headers.len());
        for field in response.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        let status = response
            .code
            .and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or("its answer has no status")?;
        let is_1_1 = response.version == Some(1);
        let body = body(status, &headers)?;
        let head = Self {
            status,
            is_reusable: is_1_1 && !says_close(&headers) && !is_ambiguous(&headers),
            headers,
            body,
        };
        Ok(Some((head, length)))
    }

    /// Whether the server says that it needs HTTP/2: by status 505, or by status 426 with an Upgrade
    /// to it (RFC 9110, sections 15.6.6 and 15.5.22).
    pub(super) fn asks_for_http2(&self) -> bool {
        match self.status {
            StatusCode::HTTP_VERSION_NOT_SUPPORTED => true,
            StatusCode::UPGRADE_REQUIRED => {
                let mut protocols = tokens(&self.headers, UPGRADE);
                protocols.any(|name| matches!(name.as_str(), "h2c" | "h2" | "http/2" | "http/2.0"))
            }
            _ => false,
        }
    }
}

/// The value of a field; `None` if the answer does not have it, or not as ASCII.
pub(super) fn field(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn body(status: StatusCode, headers: &HeaderMap) -> Result<Length, String> {
    if status.is_informational() || matches!(status.as_u16(), 204 | 304) {
        return Ok(Length::Known(0));
    }
    // RFC 2616, section 3.6, defined `identity` as no coding.
    let mut codings = tokens(headers, TRANSFER_ENCODING).filter(|coding| coding != "identity");
    if let Some(coding) = codings.next() {
        return match (coding.as_str(), codings.next()) {
            ("chunked", None) => Ok(Length::Chunked),
            _ => Err(format!("its answer is encoded as {coding}")),
        };
    }
    let mut lengths = tokens(headers, CONTENT_LENGTH);
    let Some(length) = lengths.next() else {
        return Ok(Length::UntilClosed);
    };
    // Repetitions of the same length are allowed.
    match decimal(&length).filter(|_| lengths.all(|other| other == length)) {
        Some(known) => Ok(Length::Known(known)),
        None => Err("the Content-Length of its answer is not a number".into()),
    }
}

/// Whether two fields tell the length: a proxy in between may have used the other one.
fn is_ambiguous(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH)
}

fn says_close(headers: &HeaderMap) -> bool {
    tokens(headers, CONNECTION).any(|token| token == "close")
}

/// The members of a list field, in lower case.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).into_iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let members = texts.flat_map(|text| {
        let members = text.split(',').map(|member| member.trim().to_owned());
        members.collect::<Vec<_>>()
    });
    members.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        let text = text.replace('\n', "\r\n") + "\r\n\r\n";
        let parsed = Head::parse(text.as_bytes()).expect("a head");
        let (head, length) = parsed.expect("complete");
        assert_eq!(length, text.len());
        head
    }

    #[test]
    fn length_of_the_body() {
        let of = |fields: &str| {
            let head = head(&format!("HTTP/1.1 206 Partial Content{fields}"));
            (head.body, head.is_reusable)
        };
        assert_eq!(of("\nContent-Length: 12"), (Length::Known(12), true));
        assert_eq!(of("\ncontent-length: 12, 12"), (Length::Known(12), true));
        assert_eq!(of(""), (Length::UntilClosed, true));
        assert_eq!(
            of("\nTransfer-Encoding: identity\nContent-Length: 12"),
            (Length::Known(12), false)
        );
        assert_eq!(of("\nTransfer-Encoding: Chunked"), (Length::Chunked, true));
        assert_eq!(
            of("\nTransfer-Encoding: chunked\nContent-Length: 12"),
            (Length::Chunked, false)
        );
        assert_eq!(
            of("\nContent-Length: 12\nConnection: Foo, Close"),
            (Length::Known(12), false)
        );
        let old = head("HTTP/1.0 206 OK\nContent-Length: 12\nConnection: keep-alive");
        assert_eq!((old.body, old.is_reusable), (Length::Known(12), false));
        for bodiless in ["204 No Content", "304 Not Modified", "100 Continue"] {
            let head = head(&format!("HTTP/1.1 {bodiless}\nContent-Length: 12"));
            assert_eq!(head.body, Length::Known(0), "{bodiless}");
        }
    }

    #[test]
    fn a_server_that_needs_http_2_is_recognized() {
        let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
        let goaway = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01";
        for frame in [&settings[..], goaway] {
            assert_eq!(Head::parse(frame).err(), Some(BadHead::Http2));
        }
        for other in [&b"\0\0\0\0\0\0\0\0\0"[..], &settings[..8], b"SSH-2.0-x"] {
            assert!(!is_http2(other), "{other:?}");
        }
        let asks = |text| head(text).asks_for_http2();
        assert!(asks("HTTP/1.1 505 HTTP Version Not Supported"));
        assert!(asks(
            "HTTP/1.1 426 Upgrade Required\nUpgrade: websocket, h2c"
        ));
        assert!(!asks("HTTP/1.1 426 Upgrade Required\nUpgrade: TLS/1.0"));
        assert!(!asks("HTTP/1.1 503 Service Unavailable"));
    }

    #[test]
    fn malformed_heads_are_errors() {
        for text in [
            "HTTP/2 200 OK\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 206 Partial\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 206 Partial\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 206 Partial\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 206 Partial\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 206 Partial\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 206 Partial\r\n folded: 1\r\n\r\n",
        ] {
            assert!(Head::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let whole = "HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\n";
        for cut in 0..whole.len() {
            let parsed = Head::parse(&whole.as_bytes()[..cut]).expect("a beginning");
            assert!(parsed.is_none(), "{cut}");
        }
    }
}

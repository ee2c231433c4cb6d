//! A client that hides nothing: one request a connection, over a plain socket.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer, as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// All that came until the connection's end.
    pub body: Vec<u8>,
}

impl Reply {
    /// The header's value; it must not be there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }
}

/// The lines of the next request or answer up to the empty one; `None` if the connection has ended.
pub fn head(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    loop {
        let start = head.len();
        match from.read_line(&mut head)? {
            0 => return Ok(None),
            _ if &head[start..] == "\r\n" => return Ok(Some(head)),
            _ => {}
        }
    }
}

/// The fields of such a head, with names in lower case.
pub fn fields(head: &str) -> impl Iterator<Item = (String, String)> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// Sends a request and leaves the answer in the socket.
pub fn send(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("a connection");
    let timeout = Some(Duration::from_secs(20));
    stream.set_read_timeout(timeout).expect("a timeout");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

/// Sends a request and reads to the connection's end.
pub fn request(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut stream = send(addr, method, path, headers);
    let mut bytes = Vec::new();
    // A reset is an end, too: what came before it counts.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {bytes:?}"));
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head in ASCII");
    let status = head.split(' ').nth(1);
    Reply {
        status: status.and_then(|s| s.parse().ok()).expect("a status"),
        headers: fields(&head).collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

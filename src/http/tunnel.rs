//! Tunnels through proxies: the CONNECT method of HTTP (RFC 9110, section 9.3.6) and SOCKS.
//!
//! The proxy resolves the server's name. So it also reaches servers that only it knows, and the resolver of
//! this machine does not learn the name.

use std::io;

use bytes::BytesMut;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_socks::tcp::{Socks4Stream, Socks5Stream};

use super::head::{Head, MAX_HEAD};
use super::proxy::{Kind, Login, Proxy};
use super::request::AGENT;
use super::secrets::basic_authorization;

/// Why a proxy did not connect to the server.
#[derive(Debug)]
pub(super) enum Refusal {
    WantsLogin,
    RefusesLogin,
    /// The connection to the proxy broke.
    Broken(io::Error),
    /// The proxy's answer, or what is wrong with it.
    Other(String),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Refusal {
    /// What `proxy` did, and what to do.
    pub(super) fn text(&self, proxy: &Proxy) -> String {
        match self {
            // Status 407 (RFC 9110, section 15.5.8), which a login does not prevent if it is wrong.
            Self::WantsLogin if proxy.login.is_none() => {
                format!("the proxy {proxy} wants a login: put USER:PASSWORD@ before its host")
            }
            Self::WantsLogin | Self::RefusesLogin => {
                format!("the proxy {proxy} refuses the login")
            }
            Self::Broken(error) => format!("the connection to the proxy {proxy} broke: {error}"),
            Self::Other(what) => {
                format!("the proxy {proxy} did not connect to the server: {what}")
            }
        }
    }
}

/// Makes `proxy`, which `stream` is connected to, connect to a server. Afterwards the stream leads to the
/// server. `host` is a name or an address without brackets.
pub(super) async fn through<S>(
    proxy: &Proxy,
    mut stream: S,
    (host, port): (&str, u16),
) -> Result<S, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let login = proxy.login.as_ref();
    let target = (host, port);
    let led = match (proxy.kind, login) {
        (Kind::Http | Kind::Https, _) => {
            connect(&mut stream, target, login).await?;
            return Ok(stream);
        }
        (Kind::Socks4, None) => Socks4Stream::connect_with_socket(stream, target)
            .await
            .map(Socks4Stream::into_inner),
        // SOCKS4 has no passwords.
        (Kind::Socks4, Some(Login { user, .. })) => {
            Socks4Stream::connect_with_userid_and_socket(stream, target, user)
                .await
                .map(Socks4Stream::into_inner)
        }
        (Kind::Socks5, None) => Socks5Stream::connect_with_socket(stream, target)
            .await
            .map(Socks5Stream::into_inner),
        (Kind::Socks5, Some(Login { user, password })) => {
            Socks5Stream::connect_with_password_and_socket(stream, target, user, password)
                .await
                .map(Socks5Stream::into_inner)
        }
    };
    led.map_err(|error| socks_refusal(error, login.is_some()))
}

async fn connect<S>(
    stream: &mut S,
    (host, port): (&str, u16),
    login: Option<&Login>,
) -> Result<(), Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let target = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let text = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nuser-agent: {AGENT}\r\n");
    let mut request = text.into_bytes();
    if let Some(value) = login.and_then(authorization) {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    stream.flush().await?;
    // A server sends nothing before TLS begins, so nothing can follow the head in the buffer.
    let mut buffer = BytesMut::new();
    let status = loop {
        match Head::parse(&buffer).map_err(|e| Refusal::Other(e.to_string()))? {
            Some((head, length)) if head.status.is_informational() => drop(buffer.split_to(length)),
            Some((head, _)) => break head.status,
            None if buffer.len() > MAX_HEAD => {
                return Err(Refusal::Other("the head of its answer does not end".into()));
            }
            None if stream.read_buf(&mut buffer).await? == 0 => {
                return Err(Refusal::Other("it closed the connection".into()));
            }
            None => {}
        }
    };
    match (status, login) {
        (status, _) if status.is_success() => Ok(()),
        // Tinyproxy answers a wrong login with 401.
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED | StatusCode::UNAUTHORIZED, login) => {
            Err(match login {
                None => Refusal::WantsLogin,
                Some(_) => Refusal::RefusesLogin,
            })
        }
        (status, _) => Err(Refusal::Other(format!("HTTP status {}", status.as_u16()))),
    }
}

/// The value of Proxy-Authorization (RFC 9110, section 11.7.2).
pub(super) fn authorization(login: &Login) -> Option<HeaderValue> {
    basic_authorization(login.user.as_bytes(), login.password.as_bytes())
}

fn socks_refusal(error: tokio_socks::Error, has_login: bool) -> Refusal {
    use tokio_socks::Error as E;
    match error {
        E::Io(error) => Refusal::Broken(error),
        E::NoAcceptableAuthMethods if !has_login => Refusal::WantsLogin,
        E::AuthorizationRequired => Refusal::WantsLogin,
        E::NoAcceptableAuthMethods
        | E::PasswordAuthFailure(_)
        | E::IdentdAuthFailure
        | E::InvalidUserIdAuthFailure => Refusal::RefusesLogin,
        E::InvalidResponseVersion => Refusal::Other("it does not speak this protocol".into()),
        error => Refusal::Other(error.to_string()),
    }
}

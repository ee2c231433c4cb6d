//! A fault node behind TLS, with a certificate of the test's choice.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::fault::FaultNode;
use super::http;

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Certificate {
    /// For 127.0.0.1, localhost and files.test.
    Good,
    /// For another name.
    WrongName,
    Expired,
}

impl Authority {
    /// One of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Its own certificate, for clients to trust.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a server with such a certificate needs. It knows no ALPN.
    pub fn config(&self, certificate: Certificate) -> ServerConfig {
        let names = match certificate {
            Certificate::WrongName => vec!["other.example".to_owned()],
            _ => ["127.0.0.1", "localhost", "files.test"]
                .map(str::to_owned)
                .into(),
        };
        let mut params = CertificateParams::new(names).expect("usable names");
        if certificate == Certificate::Expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .expect("they belong together")
    }

    /// Puts TLS before a node: what comes is decrypted and passed on. Returns the address.
    pub fn front(&self, certificate: Certificate, node: &FaultNode) -> SocketAddr {
        let config = Arc::new(self.config(certificate));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let (addr, back) = (listener.local_addr().expect("an address"), node.addr);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let config = config.clone();
                thread::spawn(move || drop(pass_on(config, connection, back)));
            }
        });
        addr
    }
}

/// One request and its answer after the other, as both sides are this test's own.
fn pass_on(config: Arc<ServerConfig>, front: TcpStream, back: SocketAddr) -> std::io::Result<()> {
    let tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut front = BufReader::new(StreamOwned::new(tls, front));
    let mut back = BufReader::new(TcpStream::connect(back)?);
    loop {
        let Some(request) = http::head(&mut front)? else {
            return Ok(());
        };
        back.get_mut().write_all(request.as_bytes())?;
        let Some(answer) = http::head(&mut back)? else {
            return Ok(());
        };
        let length = http::fields(&answer).find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, length)| length.parse().ok());
        let mut body = Vec::new();
        (&mut back)
            .take(length.unwrap_or(0))
            .read_to_end(&mut body)?;
        let out = front.get_mut();
        out.write_all(answer.as_bytes())?;
        out.write_all(&body)?;
        out.flush()?;
    }
}

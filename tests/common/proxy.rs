//! A proxy on this machine that speaks HTTP, SOCKS4a and SOCKS5, and knows one server's name.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The name that only a [`Proxy`] resolves.
pub const NAME: &str = "files.test";

pub struct Proxy {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// Where the server of [`NAME`] is.
    server: SocketAddr,
    /// User and password.
    login: Option<(&'static str, &'static str)>,
    tls: Option<TlsAcceptor>,
    log: Mutex<Vec<String>>,
}

/// What a client asked for.
struct Asked {
    protocol: &'static str,
    host: String,
    login: Option<String>,
}

impl Proxy {
    pub fn start(server: SocketAddr) -> Self {
        Self::begin(server, None, None)
    }

    /// One that serves nobody without this login.
    pub fn with_login(server: SocketAddr, user: &'static str, password: &'static str) -> Self {
        Self::begin(server, Some((user, password)), None)
    }

    /// One that speaks TLS.
    pub fn with_tls(server: SocketAddr, config: ServerConfig) -> Self {
        Self::begin(server, None, Some(Arc::new(config).into()))
    }

    fn begin(
        server: SocketAddr,
        login: Option<(&'static str, &'static str)>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("for tokio");
        let addr = listener.local_addr().expect("an address");
        let log = Mutex::default();
        let shared = Arc::new(Shared {
            server,
            login,
            tls,
            log,
        });
        let serving = shared.clone();
        thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_io().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                while let Ok((client, _)) = listener.accept().await {
                    let shared = serving.clone();
                    tokio::spawn(async move {
                        match &shared.tls {
                            None => shared.serve(client).await,
                            Some(tls) => shared.serve(tls.accept(client).await?).await,
                        }
                    });
                }
            });
        });
        Self { addr, shared }
    }

    /// A line for each connection: protocol, host, and the login that was given, if any.
    pub fn log(&self) -> Vec<String> {
        self.shared.log.lock().expect("a log").clone()
    }
}

impl Shared {
    async fn serve(&self, mut client: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        match client.read_u8().await? {
            4 => self.socks4(client).await,
            5 => self.socks5(client).await,
            first => self.http(client, first).await,
        }
    }

    /// <https://www.openssh.com/txt/socks4a.protocol>
    async fn socks4(&self, mut client: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        assert_eq!(client.read_u8().await?, 1, "CONNECT");
        let _port = client.read_u16().await?;
        let address = client.read_u32().await?;
        let user = until(&mut client, b"\0").await?;
        let is_name = (1..256).contains(&address);
        let host = if is_name {
            until(&mut client, b"\0").await?
        } else {
            address.to_string()
        };
        let login = Some(user).filter(|user| !user.is_empty());
        let is_right = self
            .login
            .is_none_or(|(user, _)| Some(user) == login.as_deref());
        let server = self.server(Asked {
            protocol: "SOCKS4",
            host,
            login,
        });
        let Some(server) = server.await.filter(|_| is_right) else {
            return client.write_all(&[0, 91, 0, 0, 0, 0, 0, 0]).await;
        };
        client.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).await?;
        pipe(client, server).await
    }

    /// RFC 1928, with the logins of RFC 1929.
    async fn socks5(&self, mut client: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
        let methods = counted(&mut client).await?;
        let method = if self.login.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            return client.write_all(&[5, 0xff]).await;
        }
        client.write_all(&[5, method]).await?;
        let mut login = None;
        if let Some((user, password)) = self.login {
            assert_eq!(client.read_u8().await?, 1, "the version");
            let given = [counted(&mut client).await?, counted(&mut client).await?];
            let [given_user, given_password] = given.map(text);
            let is_right = (user, password) == (given_user.as_str(), given_password.as_str());
            client.write_all(&[1, u8::from(!is_right)]).await?;
            if !is_right {
                return Ok(());
            }
            login = Some(format!("{given_user}:{given_password}"));
        }
        let mut request = [0; 4];
        client.read_exact(&mut request).await?;
        assert_eq!(request[..3], [5, 1, 0], "CONNECT");
        let host = match request[3] {
            3 => text(counted(&mut client).await?),
            kind => format!("an address of kind {kind}"),
        };
        let _port = client.read_u16().await?;
        let server = self.server(Asked {
            protocol: "SOCKS5",
            host,
            login,
        });
        let Some(server) = server.await else {
            return client.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        };
        // The address it connects from: here a name, which is the rarest of the three forms.
        client.write_all(b"\x05\0\0\x03\x01x\0\0").await?;
        pipe(client, server).await
    }

    /// CONNECT, or a request with the whole URL.
    async fn http(
        &self,
        mut client: impl AsyncRead + AsyncWrite + Unpin,
        first: u8,
    ) -> io::Result<()> {
        let head = until(&mut client, b"\r\n\r\n").await?;
        let head = format!("{}{head}\r\n\r\n", char::from(first));
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_owned())
        };
        let login = field("proxy-authorization");
        let expected = self.login.map(|(user, password)| {
            // "joe:s3cret", the only one that tests use.
            assert_eq!((user, password), ("joe", "s3cret"));
            "Basic am9lOnMzY3JldA==".to_owned()
        });
        let refuse = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        if expected.is_some() && expected != login {
            let refusal = refuse("407 Proxy Authentication Required");
            return client.write_all(refusal.as_bytes()).await;
        }
        let host = field("host").unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default().to_owned();
        let is_connect = head.starts_with("CONNECT ");
        let protocol = if is_connect { "CONNECT" } else { "GET" };
        let server = self.server(Asked {
            protocol,
            host,
            login,
        });
        let Some(mut server) = server.await else {
            let refusal = refuse("403 Forbidden");
            return client.write_all(refusal.as_bytes()).await;
        };
        if is_connect {
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
        } else {
            server.write_all(head.as_bytes()).await?;
        }
        pipe(client, server).await
    }

    /// A connection to the server, if its name is known.
    async fn server(&self, asked: Asked) -> Option<TcpStream> {
        let login = asked
            .login
            .map_or(String::new(), |login| format!(" {login}"));
        let line = format!("{} {}{login}", asked.protocol, asked.host);
        self.log.lock().expect("a log").push(line);
        if asked.host != NAME {
            return None;
        }
        TcpStream::connect(self.server).await.ok()
    }
}

async fn pipe(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: TcpStream,
) -> io::Result<()> {
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Bytes after one that tells how many there are.
async fn counted(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; from.read_u8().await?.into()];
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn until(from: &mut (impl AsyncRead + Unpin), end: &[u8]) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        bytes.push(from.read_u8().await?);
    }
    bytes.truncate(bytes.len() - end.len());
    Ok(text(bytes))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

//! A server whose answers a test writes: object stores, and the services that give credentials.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::{http, run};

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// By names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// What is answered.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

pub struct Scripted {
    pub addr: SocketAddr,
    log: Arc<Mutex<Vec<Asked>>>,
    /// The clients' ends of connections.
    open: Arc<Mutex<HashSet<SocketAddr>>>,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Reply {
    pub fn text(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into().into_bytes(),
        }
    }

    /// A store's refusal. `more` are other elements.
    pub fn refusal(status: u16, code: &str, message: &str, more: &str) -> Self {
        let text = format!(
            "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
        );
        Self {
            status,
            headers: vec![("content-type", "application/xml".into())],
            body: text.into_bytes(),
        }
    }

    /// The range of `blob` that is asked for.
    pub fn range(blob: &[u8], asked: &Asked) -> Self {
        let range = asked.header("range").strip_prefix("bytes=");
        let (first, last) = range.and_then(|r| r.split_once('-')).expect("a range");
        let size = blob.len();
        let (first, end) = match first.parse::<usize>() {
            Ok(first) => (
                first,
                size.min(last.parse::<usize>().map_or(size, |last| last + 1)),
            ),
            Err(_) => (size.saturating_sub(last.parse().expect("a suffix")), size),
        };
        let told = format!("bytes {first}-{}/{size}", end - 1);
        Self {
            status: 206,
            headers: vec![("content-range", told), ("etag", "\"e1\"".into())],
            body: blob[first..end].to_vec(),
        }
    }
}

impl Scripted {
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let log = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(Mutex::new(HashSet::new()));
        let (answer, written, clients) = (Arc::new(answer), log.clone(), open.clone());
        thread::spawn(move || {
            while let Ok((connection, client)) = listener.accept() {
                clients.lock().expect("clients").insert(client);
                let (answer, written, clients) = (answer.clone(), written.clone(), clients.clone());
                thread::spawn(move || {
                    serve(connection, &*answer, &written);
                    clients.lock().expect("clients").remove(&client);
                });
            }
        });
        Self { addr, log, open }
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Waits until the server has answered all requests that clients sent before they went away.
    pub fn settle(&self) {
        // Connections are accepted in their order, so all before this one are in the set when it is.
        let connection = TcpStream::connect(self.addr).expect("a connection");
        let last = connection.local_addr().expect("an address");
        let settled = run::wait_until(Duration::from_secs(30), || {
            let open = self.open.lock().expect("clients");
            open.len() == 1 && open.contains(&last)
        });
        assert!(settled, "requests are still under way");
    }

    /// Forgets the requests so far, which may be large.
    pub fn clear(&self) {
        self.log.lock().expect("log").clear();
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Asked> {
        self.log.lock().expect("log").clone()
    }
}

fn serve(
    connection: TcpStream,
    answer: &(dyn Fn(&Asked) -> Reply + Send + Sync),
    log: &Mutex<Vec<Asked>>,
) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    let mut out = connection;
    loop {
        let asked = read(&mut reader)?;
        log.lock().expect("log").push(asked.clone());
        let reply = answer(&asked);
        let mut head = format!(
            "HTTP/1.1 {} .\r\ncontent-length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        for (name, value) in &reply.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !head.contains("\r\ndate: ") {
            let now = httpdate::fmt_http_date(std::time::SystemTime::now());
            let _ = write!(head, "date: {now}\r\n");
        }
        out.write_all(head.as_bytes()).ok()?;
        out.write_all(b"\r\n").ok()?;
        out.write_all(&reply.body).ok()?;
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let head = http::head(reader).ok()??;
    let mut words = head.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let headers: HashMap<String, String> = http::fields(&head).collect();
    let length = headers
        .get("content-length")
        .map_or(0, |n| n.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        method,
        target,
        headers,
        body,
    })
}

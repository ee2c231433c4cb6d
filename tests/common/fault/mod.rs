//! A node that misbehaves on command: real sockets, real HTTP/1.1, any lie.
//!
//! Faults were seen in real servers; each variant names where. Blocking threads, one a connection,
//! so that nothing here shares machinery with what is tested.

mod answer;
mod behaviour;
pub mod table;

use std::collections::HashMap;
use std::io::BufReader;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::http;

pub use behaviour::Behaviour;

struct Shared {
    blob: Vec<u8>,
    /// Raw blocks by their CIDs.
    blocks: HashMap<String, Vec<u8>>,
    behaviour: Mutex<Behaviour>,
    stop: AtomicBool,
    requests: AtomicU64,
    sent: AtomicU64,
    /// Requests that are being answered.
    under_way: AtomicUsize,
    /// The most of them so far.
    most_at_once: AtomicUsize,
    /// Counts what behaves differently from time to time.
    turn: AtomicU64,
    /// The head of every request.
    log: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
}

pub struct FaultNode {
    shared: Arc<Shared>,
    pub addr: SocketAddr,
}

impl FaultNode {
    /// A node that serves `blob` at any path.
    pub fn start(blob: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::start_on(listener, blob)
    }

    pub fn start_on(listener: TcpListener, blob: Vec<u8>) -> Self {
        Self::start_with(listener, blob, HashMap::new())
    }

    /// One that has raw blocks, too.
    pub fn with_blocks(blob: Vec<u8>, blocks: HashMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::start_with(listener, blob, blocks)
    }

    pub fn start_with(
        listener: TcpListener,
        blob: Vec<u8>,
        blocks: HashMap<String, Vec<u8>>,
    ) -> Self {
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            blob,
            blocks,
            behaviour: Mutex::new(Behaviour::Good),
            stop: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            turn: AtomicU64::new(0),
            log: Mutex::new(Vec::new()),
            open: Mutex::new(Vec::new()),
        });
        let accepting = shared.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                if accepting.stop.load(SeqCst) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                if let Ok(copy) = connection.try_clone() {
                    accepting.open.lock().expect("open").push(copy);
                }
                let shared = accepting.clone();
                thread::spawn(move || {
                    let peer = connection.peer_addr();
                    let _ = serve(&shared, connection);
                    let mut open = shared.open.lock().expect("open");
                    open.retain(|copy| copy.peer_addr().ok() != peer.as_ref().ok().copied());
                });
            }
        });
        Self { shared, addr }
    }

    pub fn url(&self) -> String {
        format!("http://{}/archive.zip", self.addr)
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn behave(&self, behaviour: Behaviour) {
        let is_reset = behaviour == Behaviour::Reset;
        *self.shared.behaviour.lock().expect("behaviour") = behaviour;
        if is_reset {
            // Those that are there would go on.
            self.break_connections();
        }
    }

    /// Breaks all connections, and listens no more.
    pub fn die(&self) {
        self.shared.stop.store(true, SeqCst);
        let _ = TcpStream::connect(self.addr); // wakes the thread that accepts, which then ends
        self.break_connections();
    }

    /// Breaks all connections.
    pub fn break_connections(&self) {
        for connection in self.shared.open.lock().expect("open").drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }

    /// The most requests that were being answered at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(SeqCst)
    }

    /// Bytes of bodies sent.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(SeqCst)
    }

    pub fn log(&self) -> Vec<String> {
        self.shared.log.lock().expect("log").clone()
    }
}

impl Drop for FaultNode {
    fn drop(&mut self) {
        self.die();
    }
}

impl Shared {
    fn still_hangs(&self) -> bool {
        !self.stop.load(SeqCst) && self.behaviour.lock().expect("behaviour").hangs()
    }

    fn still_is(&self, behaviour: &Behaviour) -> bool {
        !self.stop.load(SeqCst) && *self.behaviour.lock().expect("behaviour") == *behaviour
    }
}

fn serve(shared: &Shared, connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    if *shared.behaviour.lock().expect("behaviour") == Behaviour::Reset {
        // What has come and was not read makes a reset of the close.
        connection.peek(&mut [0])?;
        return Ok(());
    }
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut out = connection;
    while let Some(head) = http::head(&mut reader)? {
        shared.requests.fetch_add(1, SeqCst);
        shared.log.lock().expect("log").push(head.clone());
        let behaviour = shared.behaviour.lock().expect("behaviour").clone();
        let at_once = shared.under_way.fetch_add(1, SeqCst) + 1;
        shared.most_at_once.fetch_max(at_once, SeqCst);
        let goes_on = answer::answer(shared, &behaviour, &head, &mut out);
        shared.under_way.fetch_sub(1, SeqCst);
        if !goes_on.as_ref().is_ok_and(|goes_on| *goes_on) {
            let _ = out.shutdown(Shutdown::Both);
            return goes_on.map(drop);
        }
    }
    Ok(())
}

/// Keeps silent until the node ends or behaves otherwise.
fn wait_for_end(shared: &Shared) {
    while shared.still_hangs() {
        thread::sleep(Duration::from_millis(5));
    }
}

//! The pool of connections: every request gets a connection in the end, whatever breaks, is made, is not
//! made or is given up meanwhile. No answer goes to another request, and no connection is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::future::FutureExt;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use tokio::time::Instant;

use super::pool::{Opening, Pool};
use super::server::Claim;
use super::{Priority, Urgency};

/// No more connections than this.
const MOST: usize = 2;

/// A server at the other end of a connection: the requests that it has not answered, in their order.
#[derive(Default)]
struct Server(Mutex<Vec<usize>>);

/// Half of a connection. Counted while it is there.
struct Half {
    server: Arc<Server>,
    halves: Arc<AtomicUsize>,
}

impl Half {
    fn of(server: &Arc<Server>, halves: &Arc<AtomicUsize>) -> Self {
        halves.fetch_add(1, SeqCst);
        Self {
            server: server.clone(),
            halves: halves.clone(),
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.halves.fetch_sub(1, SeqCst);
    }
}

type Halves = Pool<Half, Half, &'static str>;

/// Connects, or does not, after a while.
async fn connect(opening: Opening<Half, Half, &'static str>, halves: Arc<AtomicUsize>) {
    yield_now().await;
    if thread_rng().gen_range(0..4) == 0 {
        opening.failed("refused");
        return;
    }
    let server = Arc::default();
    let half = || Half::of(&server, &halves);
    opening.made(half(), half());
}

/// One request and its answer, if no connection breaks.
async fn exchange(pool: Halves, halves: Arc<AtomicUsize>, number: usize) {
    // Some cannot be pipelined.
    let blob = (number > 0).then_some(number as u64 % 2);
    let priority = match number % 3 {
        0 => Priority::Prefetch,
        _ => Priority::Demand,
    };
    let urgency = Urgency::from(priority);
    let claim = Claim {
        blob,
        urgency: urgency.clone(),
    };
    // A program begins to wait for it, perhaps while it waits for a connection.
    spawn(async move {
        yield_now().await;
        urgency.raise();
    });
    loop {
        // How many are worth it changes.
        let most = thread_rng().gen_range(1..=MOST);
        let open = |opening| drop(spawn(connect(opening, halves.clone())));
        let Ok(mut lease) = pool.lease(most, &claim, open).await else {
            return;
        };
        let sent = lease.writer().expect("a half to write");
        sent.server.0.lock().expect("a server").push(number);
        yield_now().await;
        lease.written();
        let Some(reader) = lease.turn().await else {
            continue;
        };
        let answer = reader.server.0.lock().expect("a server").remove(0);
        assert_eq!(answer, number, "somebody else's answer");
        lease.was_answered();
        match thread_rng().gen_range(0..4) {
            // It breaks in the middle.
            0 => return,
            1 => lease.was_lost(),
            _ => {}
        }
        lease.still_comes(0);
        yield_now().await;
        lease.done(reader);
        return;
    }
}

/// How many connections are idle, busy, and being opened.
fn count(pool: &Halves) -> (usize, usize, usize) {
    pool.state().count(Instant::now())
}

pub fn model() {
    let (pool, halves) = (Halves::default(), Arc::new(AtomicUsize::new(0)));
    let mut all: Vec<_> = (0..5)
        .map(|number| {
            let (pool, halves) = (pool.clone(), halves.clone());
            spawn(async move {
                let mut exchange = exchange(pool, halves, number).boxed();
                match thread_rng().gen_range(0..3) {
                    // Gives up, wherever it may be.
                    0 => {
                        let _ = (&mut exchange).now_or_never();
                        yield_now().await;
                        let _ = (&mut exchange).now_or_never();
                    }
                    _ => exchange.await,
                }
            })
        })
        .collect();
    let announced = pool.announce(MOST).into_iter();
    all.extend(announced.map(|opening| spawn(connect(opening, halves.clone()))));
    let is_cleared = thread_rng().gen_range(0..3) == 0;
    if is_cleared {
        let pool = pool.clone();
        all.push(spawn(async move { pool.state().close_unless_persistent() }));
    }
    block_on(async {
        for task in all {
            task.await.expect("a task that does not panic");
        }
        while count(&pool).2 > 0 {
            yield_now().await;
        }
    });
    let (idle, busy, opening) = count(&pool);
    assert_eq!((busy, opening), (0, 0), "in use, and being made");
    assert!(idle <= MOST, "{idle} connections");
    assert_eq!(halves.load(SeqCst), 2 * idle, "what is open is in the pool");
}

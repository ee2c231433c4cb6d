//! The gate: never more holders than its limit, nobody waits forever, and no pass is lost if waiters give up at any
//! moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::FutureExt;
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};

use super::Priority;
use super::gate::Gate;

const LIMIT: usize = 2;

pub fn model() {
    let gate = Gate::new(LIMIT);
    let inside = Arc::new(AtomicUsize::new(0));
    let readers = (0..5).map(|n| {
        let (gate, inside) = (gate.clone(), inside.clone());
        spawn(async move {
            let priority = match n % 2 {
                0 => Priority::Demand,
                _ => Priority::Prefetch,
            };
            for _ in 0..2 {
                let mut waiting = Box::pin(gate.pass(priority));
                // Some give up: at once, or when they may have been let in already.
                let pass = match thread_rng().gen_range(0..4) {
                    0 => waiting.as_mut().now_or_never(),
                    1 => {
                        let pass = waiting.as_mut().now_or_never();
                        yield_now().await;
                        drop(waiting);
                        pass
                    }
                    _ => Some(waiting.await),
                };
                if pass.is_some() {
                    assert!(inside.fetch_add(1, SeqCst) < LIMIT, "too many are in");
                    yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    // One connection less, as after a server's refusal, and then the same number as before.
    gate.set_limit(LIMIT - 1);
    gate.set_limit(LIMIT);
    block_on(async {
        for reader in readers {
            reader.await.expect("a reader that does not panic");
        }
    });
    let free: Vec<_> = std::iter::from_fn(|| gate.try_pass()).collect();
    assert_eq!(free.len(), LIMIT, "passes at the end");
}

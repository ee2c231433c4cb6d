//! A limit on concurrent requests that lets demand go first.
//!
//! A semaphore serves waiters in order of arrival, so a demand read would wait behind all read-ahead that was
//! queued before it. The gate has two queues, and serves the one for demand first.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;

use super::Priority;
use super::sync::{Mutex, MutexGuard};

/// Limits how many [`Pass`]es are held at once.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Mutex<Queues>>);

#[derive(Debug)]
struct Queues {
    limit: usize,
    held: usize,
    demand: VecDeque<oneshot::Sender<Pass>>,
    prefetch: VecDeque<oneshot::Sender<Pass>>,
}

/// The right to run one request. Dropping it lets the next one in.
#[derive(Debug)]
pub struct Pass(Option<Gate>);

impl Gate {
    /// A gate for `limit` passes, at least one.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Queues {
            limit: limit.max(1),
            held: 0,
            demand: VecDeque::new(),
            prefetch: VecDeque::new(),
        })))
    }

    /// A pass, if one is free.
    pub fn try_pass(&self) -> Option<Pass> {
        let mut queues = self.queues();
        let is_free = queues.held < queues.limit;
        queues.held += usize::from(is_free);
        is_free.then(|| Pass(Some(self.clone())))
    }

    /// Waits for a pass. Dropping the future gives up the place in the queue.
    pub async fn pass(&self, priority: Priority) -> Pass {
        let waiting = {
            let mut queues = self.queues();
            if queues.held < queues.limit {
                queues.held += 1;
                return Pass(Some(self.clone()));
            }
            let (sender, receiver) = oneshot::channel();
            match priority {
                Priority::Demand => queues.demand.push_back(sender),
                Priority::Prefetch => queues.prefetch.push_back(sender),
            }
            receiver
        };
        match waiting.await {
            Ok(pass) => pass,
            // Senders leave the queue only to send, so this does not happen. If it did, one request too many
            // would be better than one that waits forever.
            Err(_) => {
                self.queues().held += 1;
                Pass(Some(self.clone()))
            }
        }
    }

    /// Changes the limit, to at least one. Passes that are held stay valid.
    pub fn set_limit(&self, limit: usize) {
        self.queues().limit = limit.max(1);
        self.let_in();
    }

    /// Gives passes to waiters up to the limit.
    fn let_in(&self) {
        loop {
            let next = {
                let mut queues = self.queues();
                if queues.held >= queues.limit {
                    return;
                }
                let next = queues.demand.pop_front();
                let next = next.or_else(|| queues.prefetch.pop_front());
                queues.held += usize::from(next.is_some());
                next
            };
            let Some(waiter) = next else { return };
            if let Err(mut unwanted) = waiter.send(Pass(Some(self.clone()))) {
                // The waiter has gone: disarm its pass, so that dropping it does nothing.
                unwanted.0 = None;
                self.queues().held -= 1;
            }
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.queues().held -= 1;
            gate.let_in();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn demand_overtakes_prefetch_and_abandoned_waiters_are_skipped() {
        let gate = Gate::new(1);
        let held = gate.pass(Priority::Demand).await;
        let mut prefetch = Box::pin(gate.pass(Priority::Prefetch));
        assert!(prefetch.as_mut().now_or_never().is_none());
        let mut abandoned = Box::pin(gate.pass(Priority::Demand));
        assert!(abandoned.as_mut().now_or_never().is_none());
        let mut demand = Box::pin(gate.pass(Priority::Demand));
        assert!(demand.as_mut().now_or_never().is_none());

        drop(abandoned);
        drop(held);
        assert!(prefetch.as_mut().now_or_never().is_none());
        let second = demand.as_mut().now_or_never().expect("demand goes first");
        drop(second);
        let third = prefetch
            .as_mut()
            .now_or_never()
            .expect("then the read-ahead");
        drop(third);
        assert_eq!(gate.queues().held, 0);
    }

    /// Threads take passes, wait, give up and change the limit in any order. None waits forever, no pass is
    /// lost, and the highest limit is never exceeded.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_pass_is_lost_when_threads_wait_and_give_up() {
        let gate = Gate::new(3);
        let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let relaxed = std::sync::atomic::Ordering::SeqCst;
        let tasks = (0..16_u64).map(|task| {
            let (gate, inside) = (gate.clone(), inside.clone());
            tokio::spawn(async move {
                for turn in 0..300_u64 {
                    let dice = (task * 7919 + turn * 104_729) % 31;
                    let priority = match dice % 2 {
                        0 => Priority::Demand,
                        _ => Priority::Prefetch,
                    };
                    let pass = gate.pass(priority);
                    // Some give up: at once, or when they may just have got it.
                    let patience = std::time::Duration::from_micros(dice * 20);
                    let pass = match dice {
                        0..8 => tokio::time::timeout(patience, pass).await.ok(),
                        _ => Some(pass.await),
                    };
                    if pass.is_some() {
                        assert!(inside.fetch_add(1, relaxed) < 3, "too many inside");
                        tokio::task::yield_now().await;
                        inside.fetch_sub(1, relaxed);
                    }
                    drop(pass);
                    gate.set_limit(1 + (dice % 3) as usize);
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no more inside than allowed");
        }
        assert_eq!(gate.queues().held, 0);
        assert!(gate.try_pass().is_some());
    }

    #[tokio::test]
    async fn the_limit_may_change_while_passes_are_held() {
        let gate = Gate::new(3);
        let held = [(); 3].map(|()| gate.try_pass().expect("free"));
        assert!(gate.try_pass().is_none());
        gate.set_limit(1);
        let mut waiting = Box::pin(gate.pass(Priority::Demand));
        let [first, second, third] = held;
        drop((first, second));
        assert!(waiting.as_mut().now_or_never().is_none(), "one is held");
        let mut another = Box::pin(gate.pass(Priority::Demand));
        assert!(another.as_mut().now_or_never().is_none());
        drop(third);
        let _one = waiting.as_mut().now_or_never().expect("none is held");
        gate.set_limit(2);
        assert!(another.as_mut().now_or_never().is_some());
    }
}

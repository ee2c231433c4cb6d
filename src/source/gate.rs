//! A limit on how many requests run at once, with demand going first.
//!
//! A semaphore serves its waiters in the order they came, so one demand read would stand behind
//! all the read-ahead that was queued before it. Here there are two queues, and the one for
//! demand is always emptied first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Priority;

/// Lets through at most so many holders of a [`Pass`] at once.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Mutex<Queues>>);

#[derive(Debug)]
struct Queues {
    free: usize,
    demand: VecDeque<oneshot::Sender<Pass>>,
    prefetch: VecDeque<oneshot::Sender<Pass>>,
}

/// The right to run one request; dropping it lets the next one in.
#[derive(Debug)]
pub struct Pass(Option<Gate>);

impl Gate {
    /// A gate for `limit` holders; at least one.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Queues {
            free: limit.max(1),
            demand: VecDeque::new(),
            prefetch: VecDeque::new(),
        })))
    }

    /// Waits for a pass. Dropping the future gives up the place in the queue.
    pub async fn pass(&self, priority: Priority) -> Pass {
        let waiting = {
            let mut queues = self.queues();
            if queues.free > 0 {
                queues.free -= 1;
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
            // The sender lives in the queue, and the queue in this gate: it is only taken out to
            // send. Were it ever dropped, one request too many is better than one lost.
            Err(_) => Pass(Some(self.clone())),
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(gate) = self.0.take() else { return };
        loop {
            let next = {
                let mut queues = gate.queues();
                let next = queues.demand.pop_front();
                let next = next.or_else(|| queues.prefetch.pop_front());
                if next.is_none() {
                    queues.free += 1;
                }
                next
            };
            let Some(waiter) = next else { return };
            match waiter.send(Pass(Some(gate.clone()))) {
                Ok(()) => return,
                // That waiter has gone: disarm what came back, and hand it to the next.
                Err(mut unwanted) => unwanted.0 = None,
            }
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
        assert_eq!(gate.queues().free, 1);
    }
}

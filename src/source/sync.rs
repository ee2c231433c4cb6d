//! The lock of what lets others wait by hand: the queues of the [gate](super::gate) and of the pool
//! of connections. `tests/models` builds both with shuttle's lock in its place, and has them run under
//! thousands of schedules.

pub(crate) use std::sync::{Mutex, MutexGuard};

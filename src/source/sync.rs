//! The lock of the [gate](super::gate) and of the pool of connections. `tests/models` replaces it with
//! shuttle's lock, and runs both under thousands of schedules.

pub(crate) use std::sync::{Mutex, MutexGuard};

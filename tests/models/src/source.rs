//! The rooms `source` and `http`, as far as the models need it.

#[path = "../../../src/http/bandwidth_delay.rs"]
#[allow(dead_code, reason = "the models use what requests use")]
mod bandwidth_delay;
#[path = "../../../src/http/connection.rs"]
#[allow(dead_code, reason = "the models use what requests use")]
mod connection;
#[path = "../../../src/source/gate.rs"]
mod gate;
pub mod gate_model;
#[path = "../../../src/http/pipelining.rs"]
#[allow(dead_code, reason = "the models use what requests use")]
mod pipelining;
#[path = "../../../src/http/pool.rs"]
#[allow(dead_code, reason = "the models use what requests use")]
mod pool;
pub mod pool_model;
#[path = "../../../src/http/server.rs"]
#[allow(dead_code, reason = "the models use what requests use")]
mod server;
#[path = "../../../src/source/urgency.rs"]
mod urgency;

pub use urgency::Urgency;

/// The lock that lets others go first.
mod sync {
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
}

/// How urgent a read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    Prefetch,
    Demand,
}

//! The scheduler: which range to request from the source next, and for whom.
//!
//! [`Scheduler`] is a state machine without I/O, tasks or a clock. Events go in: a read, bytes that
//! arrived, a request that ended, each with the time. [`Action`]s come out: start a request, cancel
//! it, wake a read. The executor of the reader carries them out.

mod capacity;
mod draft;
mod event;
mod flow;
mod link;
mod memory;
mod reads;
mod requests;
mod scheduler;
mod stream;
mod streams;

pub(super) use draft::{Boundaries, Draft};
pub(super) use event::{Action, Progress, Read, Request, SourceCall};
pub(super) use reads::{ReadId, Wake};
pub(super) use requests::RequestId;
pub(super) use scheduler::Scheduler;

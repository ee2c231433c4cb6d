//! Several servers of one blob as one source.
//!
//! A set keeps each member's health (`health.rs`), and all requests to the same servers share it (`set.rs`). A
//! read asks the best member, hedges a request that stalls, and continues with the next member when one
//! fails (`read.rs`). Its caller notices none of this. A hash tree tells the blob's size; without one, the
//! members vote (`open.rs`).

mod blocks;
mod health;
mod hedge;
mod limit;
mod member;
mod open;
mod rate;
mod read;
mod records;
mod set;
mod source;
mod status;

pub use self::blocks::{HttpBlocks, UrlOf};
pub use self::member::{Availability, GatewaysOptions, Member};
pub use self::records::ipns_records;
pub use self::set::GatewaySet;
pub use self::source::Gateways;
pub use self::status::{AnswerCounts, MemberStatus};

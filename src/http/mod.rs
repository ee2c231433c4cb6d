//! A blob behind a URL, read by HTTP ranges (RFC 9110, section 14).
//!
//! Each request asks for one bounded, absolute range. An answer is accepted only if it says that it is
//! exactly that range (`answer.rs`). Any other answer closes the connection, which cuts short a server that sends
//! gigabytes unasked, and the error says what the server did.

mod address;
mod answer;
mod authorizer;
mod bandwidth_delay;
mod blocks;
mod body;
mod call;
mod codings;
mod connection;
mod connections;
mod connector;
mod exchange;
mod freshness;
mod head;
mod network;
mod options;
mod page;
mod pipelining;
mod pool;
mod proxy;
mod range_support;
mod redirect;
mod refusal;
mod remote;
mod request;
mod secrets;
mod server;
mod source;
mod tunnel;

/// The URL type of this room.
pub use reqwest::Url;

pub use self::address::{display_url, parse_url};
pub use self::authorizer::Authorizer;
pub use self::blocks::{ipns_record, raw_block};
pub use self::call::call;
pub use self::connections::Clients;
pub use self::options::HttpOptions;
pub use self::page::{Page, page};
pub use self::refusal::Refusal;
pub use self::secrets::{Netrc, Secrets};
pub use self::source::Http;

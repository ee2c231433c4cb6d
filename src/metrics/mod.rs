//! The statistics of a mount for Prometheus: OpenMetrics over HTTP.
//!
//! All numbers come from [`Report`](crate::mount::Report), which `aiozfs status` shows, too. Nothing is
//! counted here, so that metrics cost nothing between two scrapes. `doc/MONITORING.md` lists them.

mod server;
mod text;

pub use server::{Listener, serve};

//! CIDs, and content that is verified against them.

mod cids;
mod interop;
mod verified;

//! What the tests share.

pub mod archives;
pub mod disk;
pub mod fault;
pub mod forger;
pub mod gateways;
pub mod http;
pub mod kept;
pub mod link;
pub mod media;
pub mod mount;
pub mod needs;
pub mod nginx;
pub mod node;
pub mod packs;
pub mod player;
pub mod proxy;
pub mod restless;
pub mod run;
pub mod shape;
pub mod sparse;
pub mod tls;
pub mod tree;
pub mod vast;
pub mod way;
pub mod zip_cases;
pub mod zips;

//! The reader without a kernel: against a model, over simulated links, and with CRC-32.

mod crc;
mod links;
mod links_verified;
mod many_files;
mod model;

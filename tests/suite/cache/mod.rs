//! The cache: as a source, on disks with faults, and its commands.

mod commands;
mod fresh;
mod order;
mod source;

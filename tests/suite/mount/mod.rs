//! Mounts of the real binary. They need /dev/fuse, and the package fuse3 unless run as root.

mod archives;
mod attributes;
mod cache;
mod cases;
mod crc;
mod faults;
mod fleet;
mod gateways;
mod handles;
mod helper;
mod large;
mod limits;
mod log;
mod media;
mod nfs;
mod options;
mod reload;
mod scan;
mod startup;
mod status;
mod supervised;
mod trace;
mod unmount;
mod verified;
mod xattrs;

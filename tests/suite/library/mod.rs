//! A library of archives under one mount.

mod archive_server;
mod fair;
mod fresh;
mod many;
mod names;
mod reload;
mod scan;
mod xattrs;

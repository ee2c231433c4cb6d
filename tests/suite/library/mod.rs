//! A library of archives under one mount.

mod fair;
mod fresh;
mod many;
mod names;
mod reload;
mod scan;
mod shelf;
mod xattrs;

//! A library of archives under one mount.

mod fresh;
mod many;
mod names;
mod reload;
mod shelf;
mod xattrs;

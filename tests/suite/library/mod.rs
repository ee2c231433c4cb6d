//! A library of archives under one mount.

mod many;
mod names;
mod reload;
mod shelf;

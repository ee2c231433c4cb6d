//! Commands that read an archive without a mount, `aiozfs verify`, and the demo.

mod demo;
mod documents;
mod exit_codes;
mod extract;
mod json;
mod mounts;
mod unmounted;
mod verify;

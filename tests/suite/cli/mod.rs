//! Commands that read an archive without a mount, `aiozfs verify`, and the demo.

mod commands;
mod demo;
mod documents;
mod extract;
mod help;
mod mounts;
mod unmounted;
mod verify;

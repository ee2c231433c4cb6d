//! Commands that read an archive without a mount, `aiozfs verify`, and the demo.

mod commands;
mod completions;
mod demo;
mod documents;
mod exit_codes;
mod extract;
mod help;
mod json;
mod mistakes;
mod mounts;
mod named_files;
mod output;
mod unmounted;
mod verify;

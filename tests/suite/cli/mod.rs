//! Commands that read an archive without a mount, `aiozfs verify`, and the demo.

mod demo;
mod unmounted;
mod verify;

//! `aiozfs pack`: the command, the archives that it writes, and packages that play.

mod atomic;
mod command;
mod dash;
mod format;
mod mounted;
mod plays;

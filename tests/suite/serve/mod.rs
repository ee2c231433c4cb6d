//! `aiozfs serve`: the command, and the node in this process.

mod command;
mod node;

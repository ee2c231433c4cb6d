//! What the tests share. Each test binary uses some of it.
#![allow(dead_code)]

pub mod fault;
pub mod http;

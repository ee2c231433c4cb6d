//! What shells complete, with the scripts of `aiozfs completions`.

mod bash;
mod shells;
mod values;

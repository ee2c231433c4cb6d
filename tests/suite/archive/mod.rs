//! The archive room from outside: a table of archives, archives of real programs, random ones, and the fuzz corpus.

mod cases;
mod checks;
mod coding;
mod corpus;
pub mod drive;
mod large;
mod links;
mod programs;
mod random;
mod stored;
mod stored_form;
mod tree;

// `checks` and `stored_form` look for them here: fuzz targets use these files, too.
use aiozfs::{archive, fs};

//! The archive room from outside: a table of archives, those of real programs, random ones, and
//! what fuzzing left.

mod cases;
mod checks;
mod coding;
mod corpus;
mod drive;
mod large;
mod links;
mod programs;
mod random;
mod stored;
mod stored_form;
mod tree;

// `checks` and `stored_form` look for them here: fuzz targets use these files, too.
use aiozfs::{archive, fs};

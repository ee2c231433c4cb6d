//! The archive room from outside: a table of archives, those of real programs, random ones, and
//! what fuzzing left.

mod cases;
mod checks;
mod corpus;
mod drive;
mod large;
mod programs;
mod random;
#[path = "../common/vast.rs"]
mod vast;
#[path = "../common/zip_cases/mod.rs"]
mod zip_cases;
#[path = "../common/zips.rs"]
#[allow(dead_code)]
mod zips;

// Where `checks` looks for it, which the fuzz targets share.
use aiozfs::archive;

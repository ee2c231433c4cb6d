//! The archive room from outside: a table of archives, those of real programs, random ones, and
//! what fuzzing left.

mod cases;
mod corpus;
mod drive;
mod large;
mod programs;
mod random;
#[path = "../common/zip_cases.rs"]
mod zip_cases;
#[path = "../common/zips.rs"]
#[allow(dead_code)]
mod zips;

// Where the checks shared with the fuzz targets look for it.
use aiozfs::archive;

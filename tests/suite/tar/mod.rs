//! Tars: of real programs, damaged, hostile, over links, and mounted.

mod checks;
mod corpus;
mod damage;
mod drive;
mod hostile;
mod indexes;
mod links;
mod made;
mod mounted;
mod programs;
mod scouts;

// `checks` looks for it here: the fuzz target uses that file, too.
use aiozfs::archive;

//! Tars: of real programs, damaged, hostile, over links, and mounted.

mod damage;
mod drive;
mod hostile;
mod indexes;
mod links;
mod made;
mod mounted;
mod programs;

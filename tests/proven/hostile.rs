//! Trees that were made to do harm.

//! Lines on standard error.

/// Prints a line on standard error, as `eprintln!` does, which panics if nobody reads any more
/// (`aiozfs extract ... 2>&1 | head`). There is no better place to report that, so it is ignored.
macro_rules! tell {
    ($($arguments:tt)+) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($arguments)+);
    }};
}

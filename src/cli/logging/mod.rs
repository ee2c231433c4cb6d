//! The log: which messages are wanted, how often, and where they go.
//!
//! The filter can be changed while the process runs. Of each kind of message, a mount logs a bounded number
//! a minute, whatever the sink is.

mod limit;
mod sink;

use std::sync::OnceLock;

use env_filter::Filter;
use log::{Level, Log, Metadata, Record};
use parking_lot::RwLock;

use super::show::printable;
use limit::Limit;
pub(super) use sink::{describe, reopen, to_file, to_system};

/// The variable with the filter, in the syntax of the crate env_logger: `aiozfs::http=debug,info`.
const RUST_LOG: &str = "RUST_LOG";

/// Libraries whose messages are never logged: they hold what is signed.
const SECRET: &str = "reqsign";

/// What this process logs.
struct Logger {
    /// `None` until [`init`].
    filter: RwLock<Option<Filter>>,
    /// `None`: the number of messages has no limit.
    limit: OnceLock<Limit>,
    /// The count of `-v`.
    verbosity: OnceLock<u8>,
}

static LOGGER: Logger = Logger {
    filter: RwLock::new(None),
    limit: OnceLock::new(),
    verbosity: OnceLock::new(),
};

/// Starts logging to standard error, at level warn, info, debug or trace for a `verbosity` (count of `-v`)
/// of 0, 1, 2 or more; `RUST_LOG` replaces that. Panics are logged.
pub(super) fn init(verbosity: u8) {
    let _ = LOGGER.verbosity.set(verbosity);
    sink::to_stderr();
    let filter = of_environment().unwrap_or_else(|| of_verbosity(verbosity));
    LOGGER.set_filter(filter);
    // A second call, as in tests, has no effect.
    let _ = log::set_logger(&LOGGER);
    std::panic::set_hook(Box::new(|info| log::error!("{info}")));
}

/// Bounds how often messages of one kind are logged, from now on.
pub(super) fn limit() {
    let _ = LOGGER.limit.set(Limit::default());
}

/// Logs how many messages were left out, before the process ends.
pub(super) fn finish() {
    if let Some(limit) = LOGGER.limit.get() {
        limit.finish();
    }
}

/// Sets the filter to that of the configuration, if neither `-v` nor `RUST_LOG` says something else; without
/// one, to the default.
pub(super) fn configure(directives: Option<&str>) {
    let verbosity = LOGGER.verbosity.get().copied().unwrap_or(0);
    if verbosity > 0 || std::env::var_os(RUST_LOG).is_some() {
        return;
    }
    let filter = directives.and_then(|directives| parse(directives).ok());
    LOGGER.set_filter(filter.unwrap_or_else(|| of_verbosity(verbosity)));
}

/// Parses a filter.
pub(super) fn parse(directives: &str) -> Result<Filter, String> {
    let mut builder = env_filter::Builder::new();
    let parsed = builder.try_parse(directives);
    parsed.map_err(|e| format!("'{directives}' is no filter of log messages ({e}); write it like info or aiozfs::http=debug"))?;
    Ok(builder.build())
}

fn of_environment() -> Option<Filter> {
    let directives = std::env::var(RUST_LOG).ok()?;
    match parse(&directives) {
        Ok(filter) => Some(filter),
        Err(why) => {
            tell!("aiozfs: warning: {RUST_LOG}: {why}");
            None
        }
    }
}

fn of_verbosity(verbosity: u8) -> Filter {
    // Libraries log less. `rustls_platform_verifier` logs each refused certificate once a connection; the error of the
    // command says the same.
    let directives = match verbosity {
        0 => "error,rustls_platform_verifier=off,aiozfs=warn",
        1 => "error,rustls_platform_verifier=off,aiozfs=info",
        2 => "error,rustls_platform_verifier=off,aiozfs=debug",
        _ => "debug,aiozfs=trace",
    };
    parse(directives).expect("the filters above are valid")
}

impl Logger {
    fn set_filter(&self, filter: Filter) {
        log::set_max_level(filter.filter());
        *self.filter.write() = Some(filter);
    }

    fn wants(&self, is_wanted: impl FnOnce(&Filter) -> bool) -> bool {
        self.filter.read().as_ref().is_some_and(is_wanted)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        !metadata.target().starts_with(SECRET) && self.wants(|filter| filter.enabled(metadata))
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) || !self.wants(|filter| filter.matches(record)) {
            return;
        }
        let text = printable(&record.args().to_string());
        let (level, module) = (record.level(), record.target());
        // A user who asks for details gets all of them.
        let limit = LOGGER.limit.get().filter(|_| level <= Level::Info);
        if limit.is_none_or(|limit| limit.allows(record, &text)) {
            sink::write(level, module, &text);
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_those_of_env_logger() {
        let filter = parse("warn,aiozfs::http=debug").expect("a filter");
        let enabled = |target: &str, level| {
            let metadata = Metadata::builder().target(target).level(level).build();
            filter.enabled(&metadata)
        };
        assert!(enabled("aiozfs::http::pool", Level::Debug));
        assert!(!enabled("aiozfs::http::pool", Level::Trace));
        assert!(enabled("hyper", Level::Warn) && !enabled("hyper", Level::Info));
        let error = parse("aiozfs=loud").map(drop).expect_err("no level");
        assert!(error.contains("aiozfs=loud"), "{error}");
    }
}

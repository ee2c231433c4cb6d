//! What the errors of connections say: why, and whether there is a network at all.

use std::error::Error;
use std::fs;
use std::io;

/// Whether a request failed because this machine has no network, rather than for anything that the
/// server or the way to it did.
pub(super) fn is_missing(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{NetworkDown, NetworkUnreachable};
            if matches!(error.kind(), NetworkDown | NetworkUnreachable) {
                return true;
            }
            // The resolver's errors have no kind; without a route it can ask nobody.
            if error.to_string().contains("failed to lookup address") {
                return !has_route();
            }
        }
    }
    false
}

/// Whether any interface but the loopback has a route.
fn has_route() -> bool {
    // Interface first; interface last. What cannot be read tells nothing.
    let leads_out = |path: &str, name: fn(&str) -> Option<&str>| {
        fs::read_to_string(path).is_ok_and(|table| {
            let names = table.lines().filter_map(name);
            names
                .into_iter()
                .any(|name| !matches!(name, "lo" | "Iface"))
        })
    };
    leads_out("/proc/net/route", |line| line.split_whitespace().next())
        || leads_out("/proc/net/ipv6_route", |line| {
            line.split_whitespace().last()
        })
}

/// The innermost error says what happened; the outer ones repeat the URL, secrets and all.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("it did not work")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_innermost_reason_counts() {
        let of = |errno: Errno| Outer(io::Error::from(errno));
        for (errno, expected) in [
            (Errno::NETUNREACH, true),
            (Errno::NETDOWN, true),
            (Errno::CONNREFUSED, false),
            (Errno::HOSTUNREACH, false),
        ] {
            assert_eq!(is_missing(&of(errno)), expected, "{errno}");
        }
    }
}

//! Reads connection errors: their cause, and whether this machine has a network.

use std::error::Error;
use std::fs;
use std::io;

/// Whether a request failed because this machine has no network, rather than because of the server or the
/// way to it.
pub(super) fn is_missing(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{NetworkDown, NetworkUnreachable};
            if matches!(error.kind(), NetworkDown | NetworkUnreachable) {
                return true;
            }
            // The resolver's errors have no kind. Without a route, it reaches no name server.
            if error.to_string().contains("failed to lookup address") {
                return !has_route();
            }
        }
    }
    false
}

/// Whether any interface other than the loopback has a route.
fn has_route() -> bool {
    // The interface is the first column of the table for IPv4, and the last one of that for IPv6.
    let leads_out = |path: &str, name: fn(&str) -> Option<&str>| {
        fs::read_to_string(path).is_ok_and(|table| {
            let mut names = table.lines().filter_map(name);
            names.any(|name| !matches!(name, "lo" | "Iface"))
        })
    };
    leads_out("/proc/net/route", |line| line.split_whitespace().next())
        || leads_out("/proc/net/ipv6_route", |line| {
            line.split_whitespace().last()
        })
}

/// The text of the innermost error, which says what happened. The outer ones repeat the URL with its secrets.
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
    fn innermost_error_tells_whether_the_network_is_missing() {
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

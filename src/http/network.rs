//! Reads connection errors: their cause, and whether this machine has a network.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::iter::successors;

/// Whether a request failed because this machine has no network, rather than because of the server or the
/// way to it.
pub(super) fn is_missing(error: &(dyn Error + 'static)) -> bool {
    let missing = io_errors(error).find_map(|error| match error.kind() {
        ErrorKind::NetworkDown | ErrorKind::NetworkUnreachable => Some(true),
        // Without a route, the resolver reaches no name server.
        _ if is_unknown_name(error) => Some(!has_route()),
        _ => None,
    });
    missing.unwrap_or(false)
}

/// Whether a connection failed because nobody takes connections at the address, or no server has the name.
pub(super) fn is_nobody(error: &(dyn Error + 'static)) -> bool {
    use ErrorKind::{ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable};
    io_errors(error).any(|error| match error.kind() {
        ConnectionRefused | HostUnreachable | NetworkDown | NetworkUnreachable => true,
        _ => is_unknown_name(error),
    })
}

/// The I/O errors among an error and its causes, the outermost first.
pub(super) fn io_errors<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a io::Error> {
    let causes = successors(Some(error), |&error| error.source());
    causes.filter_map(|error| error.downcast_ref())
}

/// Whether it is an error of the resolver: these have no kind.
fn is_unknown_name(error: &io::Error) -> bool {
    error.to_string().contains("failed to lookup address")
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
    fn innermost_error_tells_whether_the_network_or_the_server_is_missing() {
        let of = |errno: Errno| Outer(io::Error::from(errno));
        for (errno, no_network, nobody) in [
            (Errno::NETUNREACH, true, true),
            (Errno::NETDOWN, true, true),
            (Errno::CONNREFUSED, false, true),
            (Errno::HOSTUNREACH, false, true),
            (Errno::CONNRESET, false, false),
        ] {
            assert_eq!(is_missing(&of(errno)), no_network, "{errno}");
            assert_eq!(is_nobody(&of(errno)), nobody, "{errno}");
        }
        let unknown =
            io::Error::other("failed to lookup address information: Name or service not known");
        assert!(is_nobody(&Outer(unknown)));
    }
}

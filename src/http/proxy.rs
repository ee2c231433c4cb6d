//! The proxy for a server.
//!
//! The environment names it, as for curl(1). A proxy that cannot be used is an error: a direct request would
//! reveal this machine to the server and the resolver.

use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use reqwest::Url;

/// A proxy, and the variable that names it.
#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) kind: Kind,
    /// A name or an address. IPv6 addresses are in brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: Option<Login>,
    variable: &'static str,
}

/// The protocol that a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// HTTP (RFC 9110, sections 7.6 and 9.3.6).
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS4a, which is SOCKS4 with host names.
    Socks4,
    /// SOCKS5 (RFC 1928).
    Socks5,
}

/// User and password for a proxy. It has no `Debug`, so that no log shows it.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl Proxy {
    /// The proxy for `server` according to the environment variables, which `variable` reads; `None` if no
    /// variable names one, or if NO_PROXY exempts the server.
    ///
    /// # Errors
    /// If the proxy that a variable names cannot be used. The text does not repeat the value, which may hold
    /// a password.
    pub(super) fn of(
        server: &Url,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        let set = |name: &&'static str| {
            let value = variable(name).filter(|value| !value.trim().is_empty());
            value.map(|value| (*name, value))
        };
        let specific: &[&str] = match server.scheme() {
            "https" => &["https_proxy", "HTTPS_PROXY"],
            // CGI programs get the `Proxy` header of a request as HTTP_PROXY (CVE-2016-5385).
            _ if set(&"REQUEST_METHOD").is_some() => &["http_proxy"],
            _ => &["http_proxy", "HTTP_PROXY"],
        };
        let mut names = specific.iter().chain(&["all_proxy", "ALL_PROXY"]);
        let Some((name, value)) = names.find_map(set) else {
            return Ok(None);
        };
        let exempt = ["no_proxy", "NO_PROXY"].iter().find_map(set);
        if exempt.is_some_and(|(_, list)| is_exempt(server, &list)) {
            return Ok(None);
        }
        Self::parse(name, value.trim()).map(Some)
    }

    fn parse(variable: &'static str, value: &str) -> Result<Self, String> {
        let unusable = |what: &str| format!("the proxy in {variable} cannot be used: {what}");
        let url = if value.contains("://") {
            Url::parse(value)
        } else {
            Url::parse(&format!("http://{value}"))
        };
        let url = url.map_err(|e| unusable(&format!("its URL is wrong ({e})")))?;
        // socks4 and socks5 are treated as socks4a and socks5h: the proxy resolves names, so that this
        // machine's resolver does not learn them.
        let (kind, default_port) = match url.scheme() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks4" | "socks4a" => (Kind::Socks4, 1080),
            // GNOME writes socks:// for SOCKS5.
            "socks" | "socks5" | "socks5h" => (Kind::Socks5, 1080),
            other => {
                return Err(unusable(&format!(
                    "'{other}' is not a known kind; give http://, https://, socks4a:// or socks5h://"
                )));
            }
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| unusable("its URL has no host"))?;
        let decode = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map_err(|_| unusable("its user or password is not UTF-8"))
                .map(String::from)
        };
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some(Login {
                user: decode(user)?,
                password: decode(password.unwrap_or_default())?,
            }),
        };
        Ok(Self {
            kind,
            host: host.to_owned(),
            port: url.port().unwrap_or(default_port),
            login,
            variable,
        })
    }
}

/// The proxy without its login.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks4 => "socks4a",
            Kind::Socks5 => "socks5h",
        };
        let (host, port, variable) = (&self.host, self.port, self.variable);
        write!(f, "{scheme}://{host}:{port} (from {variable})")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Whether a NO_PROXY list names the server. Its members are separated by commas or blanks. They are host
/// names, which include their subdomains, addresses, networks such as `10.0.0.0/8`, or `*` for all.
fn is_exempt(server: &Url, list: &str) -> bool {
    let members = list.split([',', ' ', '\t']);
    let members = members.map(|member| member.trim_matches(['[', ']']).trim_end_matches('.'));
    let list = members.collect::<Vec<_>>().join(",");
    let host = server.host_str().unwrap_or_default().trim_end_matches('.');
    let Ok(server) = format!("http://{host}/").parse() else {
        return false;
    };
    let all_but_these = Matcher::builder().all("http://proxy").no(list).build();
    all_but_these.intercept(&server).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(server: &str, variables: &[(&str, &str)]) -> Result<Option<Proxy>, String> {
        let server = Url::parse(server).expect("a URL");
        Proxy::of(&server, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn shown(server: &str, variables: &[(&str, &str)]) -> String {
        let found = of(server, variables).expect("a usable proxy");
        found.map_or("none".into(), |proxy| proxy.to_string())
    }

    #[test]
    fn variables_take_precedence_as_in_curl() {
        let (http, https) = ("http://a.example/", "https://a.example/");
        let all: &[(&str, &str)] = &[
            ("http_proxy", "http://1:1"),
            ("HTTP_PROXY", "http://2:2"),
            ("https_proxy", "http://3:3"),
            ("HTTPS_PROXY", "http://4:4"),
            ("all_proxy", "http://5:5"),
            ("ALL_PROXY", "http://6:6"),
        ];
        let port = |server, variables: &[(&str, &str)]| {
            let found = of(server, variables).expect("usable");
            found.map(|proxy| proxy.port)
        };
        for (skipped, over_http, over_https) in [
            (0, 1, 3),
            (1, 2, 3),
            (2, 5, 3),
            (3, 5, 4),
            (4, 5, 5),
            (5, 6, 6),
        ] {
            assert_eq!(port(http, &all[skipped..]), Some(over_http), "{skipped}");
            assert_eq!(port(https, &all[skipped..]), Some(over_https), "{skipped}");
        }
        assert_eq!(port(http, &[]), None);
        // An empty value counts as unset.
        assert_eq!(port(http, &[("http_proxy", ""), all[5]]), Some(6));
        let cgi = ("REQUEST_METHOD", "GET");
        assert_eq!(port(http, &[cgi, all[1]]), None);
        assert_eq!(port(http, &[cgi, all[0]]), Some(1));
        assert_eq!(port(https, &[cgi, all[3]]), Some(4));
    }

    #[test]
    fn proxy_urls_of_all_kinds() {
        for (value, expected) in [
            ("proxy.example:3128", "http://proxy.example:3128"),
            ("joe:s3cret@proxy.example:3128", "http://proxy.example:3128"),
            ("proxy.example", "http://proxy.example:80"),
            ("http://proxy.example/path", "http://proxy.example:80"),
            ("HTTPS://proxy.example", "https://proxy.example:443"),
            ("socks4://10.0.0.1", "socks4a://10.0.0.1:1080"),
            ("socks4a://10.0.0.1:9", "socks4a://10.0.0.1:9"),
            ("socks5://[::1]:9/", "socks5h://[::1]:9"),
            ("SOCKS5H://joe:s3cret@a:9", "socks5h://a:9"),
            ("socks://a/", "socks5h://a:1080"),
            (" socks://a:1 ", "socks5h://a:1"),
        ] {
            let expected = format!("{expected} (from ALL_PROXY)");
            assert_eq!(
                shown("http://b.example/", &[("ALL_PROXY", value)]),
                expected
            );
        }
        let login = |value| {
            let found = of("http://b.example/", &[("ALL_PROXY", value)]);
            let login = found.expect("usable").expect("a proxy").login;
            login.map(|login| (login.user, login.password))
        };
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(login("socks5h://a"), None);
        assert_eq!(login("socks5h://j%40e:p%3A%2F@a"), pair("j@e", "p:/"));
        assert_eq!(login("joe@a:1"), pair("joe", ""));
    }

    /// With an unknown scheme, servers were once asked without the proxy.
    #[test]
    fn an_unusable_proxy_is_an_error_and_not_a_direct_connection() {
        for value in [
            "socks6://s3cret:s3cret@a:1",
            "quic://a:1",
            "file:///proxy",
            "http://",
            "http://s3cret:s3cret@a:99999",
            "socks5h:///",
            "http://a b",
            "socks5h://s3cret%FF@a:1",
            ":",
        ] {
            let error = of("https://b.example/", &[("HTTPS_PROXY", value)]);
            let error = error.expect_err(value);
            assert!(error.contains("HTTPS_PROXY"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn no_proxy_exempts_the_servers_that_it_names() {
        let is_direct = |server: &str, list: &str| {
            let variables = [("ALL_PROXY", "http://proxy:1"), ("NO_PROXY", list)];
            shown(server, &variables) == "none"
        };
        for (server, list) in [
            ("http://a.example/", "*"),
            ("http://a.example/", "b.example,a.example"),
            ("http://a.example/", "b.example a.example"),
            ("http://A.Example./", "a.example"),
            ("https://a.example:8443/", "a.example."),
            ("http://www.a.example/", ".a.example"),
            ("http://10.1.2.3/", "10.0.0.0/8"),
            ("http://10.1.2.3/", "10.1.2.3"),
            ("http://[fd00::1]/", "fd00::/8"),
            ("http://[fd00::1]:81/", "[fd00::1]"),
        ] {
            assert!(is_direct(server, list), "{server} {list}");
        }
        for (server, list) in [
            ("http://a.example/", ""),
            ("http://nota.example/", "a.example"),
            ("http://a.example/", "www.a.example"),
            ("http://11.1.2.3/", "10.0.0.0/8"),
        ] {
            assert!(!is_direct(server, list), "{server} {list}");
        }
        let both = [("ALL_PROXY", "quic://a"), ("no_proxy", "a.example")];
        assert_eq!(shown("http://a.example/", &both), "none");
    }
}

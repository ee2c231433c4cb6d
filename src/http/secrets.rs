//! Credentials for servers: headers, a token, logins of a netrc file.
//!
//! They are never shown: the types do not print them, and no error repeats a value.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use parking_lot::RwLock;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// Headers that are sent to the server that they were given for, and to no other. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Headers>>);

type Headers = Vec<(HeaderName, HeaderValue)>;

impl Secrets {
    /// Parses headers, each as `Name: value`.
    ///
    /// # Errors
    /// If one is not a header, or must not be set. The text does not repeat its value.
    pub fn headers<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let parsed = lines.into_iter().map(header);
        Ok(Self::of(parsed.collect::<Result<_, _>>()?))
    }

    /// Adds a bearer token (RFC 6750, section 2.1), unless there is an Authorization already.
    ///
    /// # Errors
    /// If the token has characters that a header cannot have.
    pub fn with_token(self, token: &str) -> Result<Self, String> {
        if self.has_authorization() {
            return Ok(self);
        }
        let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut value = value.map_err(|_| "the token has characters that a header cannot have")?;
        value.set_sensitive(true);
        let mut headers = self.all();
        headers.push((AUTHORIZATION, value));
        Ok(Self::of(headers))
    }

    /// Sends what `others` has from now on, also by all clones.
    pub fn replace(&self, others: &Self) {
        *self.0.write() = others.all();
    }

    fn of(headers: Headers) -> Self {
        Self(Arc::new(RwLock::new(headers)))
    }

    pub(super) fn has_authorization(&self) -> bool {
        self.all().iter().any(|(name, _)| name == AUTHORIZATION)
    }

    pub(super) fn all(&self) -> Headers {
        self.0.read().clone()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secret headers", self.all().len())
    }
}

/// Headers that a user cannot set: with other values, the answers to ranges could not be checked.
const RESERVED: [&str; 6] = [
    "range",
    "accept-encoding",
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
];

fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or("a header is written 'Name: value'")?;
    let name = name.trim();
    let wrong = |what: &str| format!("header '{}': {what}", name.escape_debug());
    let parsed = HeaderName::from_str(name).map_err(|_| wrong("not a valid name of a header"))?;
    if RESERVED.contains(&parsed.as_str()) {
        return Err(wrong("aiozfs sets this header itself; leave it out"));
    }
    let value = HeaderValue::from_str(value.trim());
    let mut value =
        value.map_err(|_| wrong("its value has characters that a header cannot have"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

/// Logins by host, from a netrc file (curl(1), netrc(5)). The `default` entry is left out: it would send a
/// login to any host.
#[derive(Clone, Default)]
pub struct Netrc(Arc<Vec<Login>>);

#[derive(Default)]
struct Login {
    machine: String,
    login: String,
    password: String,
}

impl Netrc {
    /// Parses a netrc file. Unknown words are left out.
    pub fn parse(text: &str) -> Self {
        let mut logins: Vec<Login> = Vec::new();
        let mut is_default = false;
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                match word {
                    "machine" => {
                        is_default = false;
                        logins.push(Login {
                            machine: words.next().unwrap_or_default().to_ascii_lowercase(),
                            ..Login::default()
                        });
                    }
                    "default" => is_default = true,
                    // A macro ends with an empty line.
                    "macdef" => {
                        lines.by_ref().find(|line| line.trim().is_empty());
                        break;
                    }
                    "login" | "password" | "account" => {
                        let value = words.next().unwrap_or_default().to_owned();
                        match (word, logins.last_mut()) {
                            ("login", Some(last)) if !is_default => last.login = value,
                            ("password", Some(last)) if !is_default => last.password = value,
                            _ => {}
                        }
                    }
                    word if word.starts_with('#') => break,
                    _ => {}
                }
            }
        }
        Self(Arc::new(logins))
    }

    /// Login and password for a host.
    pub(super) fn login(&self, host: &str) -> Option<(&str, &str)> {
        let mut logins = self.0.iter();
        let found = logins.find(|login| login.machine.eq_ignore_ascii_case(host))?;
        Some((&found.login, &found.password))
    }
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} logins", self.0.len())
    }
}

/// The value of a Basic Authorization (RFC 7617), marked so that it is never logged.
pub(super) fn basic_authorization(login: &[u8], password: &[u8]) -> Option<HeaderValue> {
    let pair = [login, b":", password].concat();
    let text = format!("Basic {}", BASE64_STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_parsed_and_never_shown() {
        let secrets = Secrets::headers(["X-Key:  s3cret ", "Cookie: a=b:c"]).expect("headers");
        let secrets = secrets.with_token("t0ken\n").expect("a token");
        let all = secrets.all();
        let sent: Vec<_> = all.iter().map(|(n, v)| (n.as_str(), v)).collect();
        assert_eq!(sent[0], ("x-key", &HeaderValue::from_static("s3cret")));
        assert_eq!(sent[1], ("cookie", &HeaderValue::from_static("a=b:c")));
        assert_eq!(sent[2].1, &HeaderValue::from_static("Bearer t0ken"));
        assert!(all.iter().all(|(_, value)| value.is_sensitive()));
        assert!(!format!("{secrets:?}").contains("s3cret"));
        for wrong in ["s3cret", "X Y: s3cret", "Range: s3cret", "X: s3\ncret"] {
            let error = Secrets::headers([wrong]).expect_err(wrong);
            assert!(!error.contains("cret"), "{error}");
        }
        // An Authorization that is given as a header takes precedence over a token.
        let own = Secrets::headers(["authorization: Basic x"]).expect("a header");
        assert_eq!(own.with_token("t").expect("a token").all().len(), 1);
        // A token that was renewed counts for all who have the old one.
        let old = Secrets::default().with_token("old").expect("a token");
        let (new, shared) = (Secrets::default().with_token("new"), old.clone());
        old.replace(&new.expect("a token"));
        assert_eq!(shared.all()[0].1, "Bearer new");
    }

    #[test]
    fn netrc_file_with_macros_comments_and_default() {
        let text = "# mine\nmachine a.example login joe password s3cret\n\
            macdef init\n  machine x login y\n\nmachine B.example\n\tlogin ann\n\tpassword p\n\
            default login anonymous password me\n";
        let netrc = Netrc::parse(text);
        assert_eq!(netrc.login("a.example"), Some(("joe", "s3cret")));
        assert_eq!(netrc.login("b.example"), Some(("ann", "p")));
        assert_eq!(netrc.login("x"), None);
        assert_eq!(netrc.login("elsewhere"), None);
        assert!(!format!("{netrc:?}").contains("s3cret"));
    }
}

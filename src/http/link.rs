//! One URL, as HTTP sees it: redirects, credentials.
//!
//! Redirects are followed here rather than by reqwest: where they lead is remembered, so that the
//! next range does not pay for the same redirect again, and credentials stay with the host that
//! they were given for.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE};

use super::connections::Connections;
use super::exchange::Exchange;
use super::pool::{Claim, Line};
use super::request::Request;
use super::secrets::basic_authorization;
use super::{HttpOptions, Secrets, redirect};
use crate::source::verdict::{Seen, Stage, Verdict, judge};
use crate::source::{Error, Origin, Priority};

/// More redirects than this are a loop (browsers allow 20, curl 50; a gateway needs one or two).
const MAX_REDIRECTS: usize = 10;

/// Requests to one URL, wherever it has moved to.
pub(super) struct Link {
    origin: Origin,
    /// Without credentials; those are in `secrets`.
    url: Url,
    secrets: Secrets,
    /// What tells its parts from those of others.
    line: Line,
    /// Where redirects led last time.
    moved: Mutex<Option<Url>>,
    /// Over which connections the last answer came.
    latest: Mutex<Option<Arc<Connections>>>,
    options: HttpOptions,
}

/// What is asked of a URL.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// Some of it, by which it becomes known: the value of the Range header.
    Range(&'a str),
    /// A part of it, now that it is known how long it is.
    Part(&'a str, Priority),
    /// All of it, as this media type.
    Whole { accept: &'static str },
}

/// By which way an answer came.
#[derive(Debug)]
pub(super) enum Way {
    /// From the URL itself, or from where it redirects to now.
    Straight,
    /// From where it redirected to earlier.
    Remembered(Url),
}

impl Link {
    /// A link to `url`, which may carry `user:password@`.
    pub(super) fn new(url: &str, options: HttpOptions) -> Result<Self, Error> {
        let unsupported = |what: String| Error::Unsupported { what };
        // The text is not repeated in the error: it may hold a password.
        let mut url = Url::parse(url).map_err(|e| unsupported(format!("not a URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(unsupported(format!(
                "URLs of scheme '{}' are not supported; give http:// or https://",
                url.scheme()
            )));
        }
        let mut secrets = options.secrets.clone();
        let netrc = || {
            let (login, password) = options.netrc.login(url.host_str()?)?;
            basic_authorization(login.as_bytes(), password.as_bytes())
        };
        if !secrets.has_authorization()
            && let Some(basic) = authorization_of(&url).or_else(netrc)
        {
            secrets = secrets.with(AUTHORIZATION, basic);
        }
        // Both fail only for URLs that cannot have a host, which were refused above.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Self {
            origin: Origin::new(display_name(&url)),
            line: RandomState::new().hash_one(()),
            url,
            secrets,
            moved: Mutex::new(None),
            latest: Mutex::new(None),
            options,
        })
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sends a GET and follows redirects. The answer is not judged here, but for redirects.
    pub(super) async fn get(&self, ask: Ask<'_>) -> Result<(Exchange, Way), Error> {
        let known = self.moved().clone();
        if let Some(target) = known {
            let answer = self.follow(target.clone(), ask).await;
            let verdict = seen_of_target(&answer).map(|seen| judge(seen, Stage::Target));
            if matches!(verdict, Some(Verdict::Anew | Verdict::AgainAnew)) {
                self.forget(&target);
            }
            if verdict != Some(Verdict::Anew) {
                return Ok((answer?, Way::Remembered(target)));
            }
        }
        let answer = self.follow(self.url.clone(), ask).await?;
        Ok((answer, Way::Straight))
    }

    /// Where a redirect led to is asked no more without asking where it leads now.
    pub(super) fn forget(&self, target: &Url) {
        let mut moved = self.moved();
        // Another request may have found a new one meanwhile.
        if moved.as_ref() == Some(target) {
            *moved = None;
        }
    }

    /// Makes connections to where the URL leads, until there are so many; returns how many carry a
    /// request or are ready to. Must be called within a tokio runtime.
    pub(super) fn warm_up(&self, requests: usize) -> usize {
        // Why there can be none is told to whoever asks for something.
        let connections = self.connections();
        connections.map_or(0, |connections| connections.warm_up(requests))
    }

    /// Makes connections to the URL's own server while its first requests are under way, until there
    /// are so many with theirs. Must be called within a tokio runtime.
    pub(super) fn warm_up_unknown(&self, requests: usize) {
        if let Ok(connections) = self.options.clients.of(&self.url) {
            connections.warm_up_unknown(requests);
        }
    }

    async fn follow(&self, mut url: Url, ask: Ask<'_>) -> Result<Exchange, Error> {
        for _ in 0..=MAX_REDIRECTS {
            let received = self.send(&url, ask).await?;
            if !redirect::is_redirect(received.status) {
                if url != self.url {
                    *self.moved() = Some(url);
                }
                let connections = received.connections.clone();
                *self.latest() = Some(connections);
                return Ok(received);
            }
            let next = redirect::target(&url, &received.headers, self.options.proven);
            url = next.map_err(|why| self.misdirected(&why))?;
        }
        Err(self.misdirected(&format!(
            "redirects more than {MAX_REDIRECTS} times in a row"
        )))
    }

    async fn send(&self, url: &Url, ask: Ask<'_>) -> Result<Exchange, Error> {
        let connections = self.options.clients.of(url)?;
        let mut headers = vec![match ask {
            Ask::Range(range) | Ask::Part(range, _) => (RANGE, text(range)),
            Ask::Whole { accept } => (ACCEPT, HeaderValue::from_static(accept)),
        }];
        if same_server(url, &self.url) {
            let secrets = self.secrets.iter();
            headers.extend(secrets.map(|(name, value)| (name.clone(), value.clone())));
        }
        // Of one that nothing is known of yet, an answer does not tell whether it is another's.
        let (line, priority) = match ask {
            Ask::Part(_, priority) => (Some(self.line), priority),
            Ask::Range(_) | Ask::Whole { .. } => (None, Priority::Demand),
        };
        let claim = Claim { line, priority };
        let request = Request {
            url,
            headers,
            claim,
        };
        let (origin, wait) = (self.origin.clone(), self.options.idle_timeout);
        let answer = Exchange::begin(&connections, self.options.connections, &request);
        match tokio::time::timeout(wait, answer).await {
            Err(_) => Err(connections.timeout(origin, wait)),
            Ok(Err(failure)) => Err(failure.error(origin, !self.options.clients.have_heard())),
            Ok(Ok(answer)) => {
                self.options.clients.heard();
                Ok(answer)
            }
        }
    }

    /// How many bytes before the end of an answer the next request may be sent on its connection;
    /// `None` if none may.
    pub(super) fn early_by(&self) -> Option<u64> {
        self.latest().as_ref()?.early_by()
    }

    /// How many requests at once are worth it, as far as is known; `None` if as many as there may be.
    pub(super) fn at_once(&self) -> Option<usize> {
        let most = self.options.connections;
        let worth = self.latest().as_ref()?.at_once(most);
        (worth < most).then_some(worth)
    }

    /// The connections to where the URL leads.
    fn connections(&self) -> Option<Arc<Connections>> {
        let moved = self.moved().clone();
        let url = moved.as_ref().unwrap_or(&self.url);
        self.options.clients.of(url).ok()
    }

    fn moved(&self) -> std::sync::MutexGuard<'_, Option<Url>> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Option<Arc<Connections>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn misdirected(&self, why: &str) -> Error {
        Error::Unsupported {
            what: format!("{} {why}", self.origin),
        }
    }
}

/// What a redirect's target did that may be different at another one.
fn seen_of_target(answer: &Result<Exchange, Error>) -> Option<Seen> {
    match answer {
        Ok(answer) if answer.status.is_success() => None,
        Ok(answer) => Some(Seen::Status(answer.status.as_u16())),
        Err(Error::Unreachable { .. }) => Some(Seen::NoConnection),
        Err(Error::Timeout { .. }) => Some(Seen::Silence),
        // It redirects to where nothing is followed.
        Err(Error::Unsupported { .. }) => Some(Seen::Wrong),
        Err(_) => None,
    }
}

fn text(range: &str) -> HeaderValue {
    HeaderValue::from_str(range).expect("numbers and what is between them")
}

/// Credentials go only where they were given for: same scheme, host and port.
fn same_server(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// `user:password@` as a Basic Authorization header (RFC 7617), marked so that it is never logged.
fn authorization_of(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let password = url.password().unwrap_or("");
    basic_authorization(&decode(url.username()), &decode(password))
}

/// A URL fit for logs and /proc/mounts: a query may hold a signature, so it is left out.
pub(super) fn display_name(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_not_in_its_name() {
        let options = HttpOptions::default();
        let link = Link::new("https://joe:s3cret@example.com/a.zip?sig=abc#x", options)
            .expect("a usable URL");
        assert_eq!(link.origin.to_string(), "https://example.com/a.zip");
        let (_, header) = link.secrets.iter().next().expect("credentials");
        assert!(header.is_sensitive());
        assert_eq!(header.as_bytes(), b"Basic am9lOnMzY3JldA==");
        assert_eq!(link.url.query(), Some("sig=abc"));
    }

    /// The plainest wins: what was given for this request, then the URL's, then the file's.
    #[test]
    fn one_authorization_is_chosen() {
        let first = |url: &str, secrets: Secrets| {
            let netrc = super::super::Netrc::parse("machine a.example login n password n");
            let options = HttpOptions {
                secrets,
                netrc,
                ..HttpOptions::default()
            };
            let link = Link::new(url, options).expect("a usable URL");
            let values: Vec<String> = link
                .secrets
                .iter()
                .map(|(_, value)| value.to_str().expect("text").to_owned())
                .collect();
            values.join(", ")
        };
        let none = Secrets::default;
        let token = || none().with_token("t").expect("a token");
        assert_eq!(first("http://u:u@a.example/", token()), "Bearer t");
        assert_eq!(first("http://u:u@a.example/", none()), "Basic dTp1");
        assert_eq!(first("http://a.example/", none()), "Basic bjpu");
        assert_eq!(first("http://b.example/", none()), "");
    }

    #[test]
    fn credentials_stay_with_their_server() {
        let url = |text| Url::parse(text).expect("a URL");
        let home = url("https://a.example/x");
        assert!(same_server(&home, &url("https://a.example:443/y")));
        for other in [
            "http://a.example/x",
            "https://b.example/x",
            "https://a.example:8443/x",
        ] {
            assert!(!same_server(&home, &url(other)), "{other}");
        }
    }
}

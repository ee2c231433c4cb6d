//! One URL: redirects, credentials, signatures.
//!
//! The target of a redirect is remembered, so that the next range does not pay for the same redirect again.
//! Credentials are sent only to the server that they were given for.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, LOCATION, RANGE,
};
use reqwest::{Method, Url};
use tokio::time::Instant;

use super::address::{authorization_of, display_name, is_same_server, parse_url};
use super::connection::BlobId;
use super::connections::Connections;
use super::exchange::Exchange;
use super::range_support::{RangeSupport, Repeat, Repeats};
use super::refusal::Refusal;
use super::request::Request;
use super::secrets::basic_authorization;
use super::server::Claim;
use super::{HttpOptions, Secrets, redirect};
use crate::source::verdict::{Seen, Stage, Verdict, Why, judge};
use crate::source::{Error, Origin, Priority, Urgency};

/// More redirects than this are taken for a loop. Browsers allow 20, curl 50; a gateway needs one or two.
const MAX_REDIRECTS: usize = 10;

/// The next [`BlobId`].
static NEXT_BLOB: AtomicU64 = AtomicU64::new(0);

/// A URL that requests are sent to, or to the target that it redirects to.
pub(super) struct RemoteUrl {
    origin: Origin,
    /// Without credentials; those are in `secrets` and `login`.
    url: Url,
    secrets: Secrets,
    /// The login in the URL, or of the netrc file. It is sent unless `secrets` has an Authorization.
    login: Option<HeaderValue>,
    blob: BlobId,
    state: Mutex<State>,
    options: HttpOptions,
}

/// What the answers have shown.
#[derive(Default)]
struct State {
    /// The last target of redirects.
    target: Option<Url>,
    /// The connections that the last answer came over.
    latest: Option<Arc<Connections>>,
    ranges: RangeSupport,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask<'a> {
    /// A range of a blob whose size is not known yet: the value of the Range header.
    Range(&'a str),
    /// A range of a blob whose size is known. The request may be pipelined. If `fresh`, caches on the way
    /// must ask their server (RFC 9111, section 5.2.1.4).
    Part {
        range: &'a str,
        priority: Priority,
        fresh: bool,
    },
    /// The whole resource as this media type; `fresh` as above.
    Whole { accept: &'static str, fresh: bool },
}

impl Ask<'_> {
    fn is_fresh(&self) -> bool {
        matches!(
            self,
            Ask::Part { fresh: true, .. } | Ask::Whole { fresh: true, .. }
        )
    }
}

/// The target of an earlier redirect that a request was sent to; `None` if it was sent to the URL's own
/// server, which may have redirected.
type Remembered = Option<Url>;

impl RemoteUrl {
    /// Parses `url`, which may have `user:password@`.
    pub(super) fn new(url: &str, options: HttpOptions) -> Result<Self, Error> {
        let mut url = parse_url(url)?;
        let netrc = || {
            let (login, password) = options.netrc.login(url.host_str()?)?;
            basic_authorization(login.as_bytes(), password.as_bytes())
        };
        let login = authorization_of(&url).or_else(netrc);
        // Both fail only for URLs that cannot have a host, which were refused above.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Ok(Self {
            origin: Origin::new(display_name(&url)),
            blob: NEXT_BLOB.fetch_add(1, Relaxed),
            url,
            secrets: options.secrets.clone(),
            login,
            state: Mutex::default(),
            options,
        })
    }

    /// The headers that are for this server alone.
    fn credentials(&self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = self.secrets.all();
        if !self.secrets.has_authorization() {
            let login = self.login.clone().into_iter();
            headers.extend(login.map(|login| (AUTHORIZATION, login)));
        }
        headers
    }

    /// The URL without credentials and query.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Where the last answer came from: the URL, or the target that it redirects to.
    pub(super) fn latest_url(&self) -> Url {
        let target = self.state.lock().target.clone();
        target.unwrap_or_else(|| self.url())
    }

    /// Sends a GET and follows redirects. Other answers are returned as they are.
    pub(super) async fn get(&self, ask: Ask<'_>) -> Result<(Exchange, Remembered), Error> {
        let remembered = self.state.lock().target.clone();
        if let Some(target) = remembered {
            let answer = self.follow(target.clone(), ask).await;
            let verdict = seen_of_target(&answer).map(|seen| judge(seen, Stage::Target));
            if matches!(verdict, Some(Verdict::Anew | Verdict::AgainAnew)) {
                self.forget(&target);
            }
            if verdict != Some(Verdict::Anew) {
                return Ok((answer?, Some(target)));
            }
        }
        let mut is_signed_anew = false;
        loop {
            let asked = std::time::Instant::now();
            let answer = self.follow(self.url(), ask).await?;
            if !self.is_explained(&answer, ask) {
                return Ok((answer, None));
            }
            let refusal = match Refusal::read(answer).await {
                Ok(refusal) => refusal,
                Err(answer) => return Ok((*answer, None)),
            };
            let authorizer = self.options.authorization.as_ref();
            if !is_signed_anew
                && authorizer.is_some_and(|authorizer| authorizer.renew(&refusal, asked))
            {
                is_signed_anew = true;
                log::debug!("{} refused: {}; signing anew", self.origin, refusal.text());
                continue;
            }
            let advice = match authorizer {
                Some(authorizer) => authorizer.advice(&refusal),
                None if refusal.is_expired() => {
                    "the signature in the URL has expired; get a new URL".to_owned()
                }
                None => String::new(),
            };
            return Err(Error::Refused {
                origin: self.origin.clone(),
                status: refusal.status,
                why: refusal.text_with(&advice),
            });
        }
    }

    /// Whether the body of an answer may say more than its status: the refusal of a store, or of a URL that may
    /// contain a signature.
    fn is_explained(&self, answer: &Exchange, ask: Ask<'_>) -> bool {
        if matches!(ask, Ask::Whole { .. }) || answer.status.is_success() {
            return false;
        }
        let is_signed = self.options.authorization.is_some();
        match judge(Seen::Status(answer.status.as_u16()), Stage::First) {
            Verdict::Final(Why::Refused) => is_signed || self.options.pinned,
            Verdict::Final(Why::NotThere) => is_signed,
            _ => false,
        }
    }

    /// The URL without credentials and redirects.
    pub(super) fn url(&self) -> Url {
        match &self.options.authorization {
            Some(authorizer) => authorizer.url(),
            None => self.url.clone(),
        }
    }

    /// Forgets a target of redirects, so that the next request goes to the URL's own server.
    fn forget(&self, target: &Url) {
        let mut state = self.state.lock();
        // Another request may have been redirected to a new target in the meantime.
        state.target.take_if(|remembered| remembered == target);
    }

    /// Records that the server gave a range.
    pub(super) fn gave_range(&self) {
        self.state.lock().ranges.confirmed();
    }

    /// Decides what to do after an answer to a request that [`get`](Self::get) sent to `remembered` was not accepted
    /// because of `error`. `ignored`: what the answer has if it ignored the range. Returns when it is time to repeat the
    /// request.
    ///
    /// # Errors
    /// The error of the request, if it is not to be repeated.
    pub(super) async fn wait_to_repeat(
        &self,
        (ignored, remembered): (Option<Seen>, Remembered),
        error: Error,
        repeats: &mut Repeats,
    ) -> Result<(), Error> {
        let seen = (ignored, remembered.is_some());
        let repeat = self.state.lock().ranges.repeat(seen, error, repeats)?;
        match (repeat, remembered) {
            (Repeat::Anew, Some(target)) => self.forget(&target),
            (Repeat::Anew, None) => {}
            (Repeat::After(pause), _) => tokio::time::sleep(pause).await,
        }
        Ok(())
    }

    /// Whether the server of the URL gave the end of another blob that was asked for by a suffix range.
    pub(super) fn gives_suffixes(&self) -> bool {
        let connections = self.options.clients.of(&self.url());
        connections.is_ok_and(|connections| connections.gives_suffixes.load(Relaxed))
    }

    /// Records that the server gave the end of this blob.
    pub(super) fn gave_suffix(&self) {
        if let Ok(connections) = self.options.clients.of(&self.url()) {
            connections.gives_suffixes.store(true, Relaxed);
        }
    }

    /// Makes connections to the server that the URL leads to, until there are `requests` of them. Returns
    /// how many are idle or busy now. Must be called within a tokio runtime.
    pub(super) fn warm_up(&self, requests: usize) -> usize {
        // An error is left to the next request, which reports it.
        let connections = self.options.clients.of(&self.latest_url());
        connections.map_or(0, |connections| connections.warm_up(requests))
    }

    /// Makes connections to the URL's own server while the first requests are under way. See
    /// [`Connections::warm_up_unknown`]. Must be called within a tokio runtime.
    pub(super) fn warm_up_unknown(&self, requests: usize) {
        if let Ok(connections) = self.options.clients.of(&self.url()) {
            connections.warm_up_unknown(requests);
        }
    }

    async fn follow(&self, mut url: Url, ask: Ask<'_>) -> Result<Exchange, Error> {
        for _ in 0..=MAX_REDIRECTS {
            let received = self.send(&url, ask).await?;
            // S3 redirects without a Location if the bucket is in another region. Only the region is told.
            let is_elsewhere =
                self.options.authorization.is_some() && !received.headers.contains_key(LOCATION);
            if !redirect::is_redirect(received.status) || is_elsewhere {
                let mut state = self.state.lock();
                if url != self.url() {
                    state.target = Some(url);
                }
                state.latest = Some(received.connections.clone());
                return Ok(received);
            }
            let next = redirect::target(&url, &received.headers, self.options.verified);
            url = next.map_err(|why| self.misdirected(&why))?;
        }
        Err(self.misdirected(&format!(
            "redirects more than {MAX_REDIRECTS} times in a row"
        )))
    }

    async fn send(&self, url: &Url, ask: Ask<'_>) -> Result<Exchange, Error> {
        let connections = self.options.clients.of(url)?;
        let mut headers = vec![match ask {
            Ask::Range(range) | Ask::Part { range, .. } => (RANGE, text(range)),
            Ask::Whole { accept, .. } => (ACCEPT, HeaderValue::from_static(accept)),
        }];
        if ask.is_fresh() {
            headers.push((CACHE_CONTROL, HeaderValue::from_static("no-cache")));
        }
        let mut url = Cow::Borrowed(url);
        if is_same_server(&url, &self.url()) {
            headers.extend(self.credentials());
            if let Some(authorizer) = &self.options.authorization {
                let mut signed: HeaderMap = headers.into_iter().collect();
                let signing = authorizer.authorize(&Method::GET, url.to_mut(), &mut signed);
                signing.await?;
                let pairs = signed.iter();
                headers = pairs
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
            }
        }
        // While the size is not known, nothing tells whether an answer belongs to this blob.
        let (blob, urgency) = match ask {
            Ask::Part { priority, .. } => (Some(self.blob), Urgency::Fixed(priority)),
            Ask::Range(_) => (None, self.options.opening.clone()),
            Ask::Whole { .. } => (None, Urgency::Fixed(Priority::Demand)),
        };
        let claim = Claim { blob, urgency };
        let request = Request {
            method: &Method::GET,
            url: &url,
            headers,
            body: b"",
            claim,
        };
        let (origin, wait) = (self.origin.clone(), self.options.idle_timeout);
        let answer = Exchange::begin(&connections, self.options.connections, &request);
        match tokio::time::timeout(wait, answer).await {
            Err(_) => Err(connections.timeout(origin, wait)),
            Ok(Err(failure)) => {
                let clients = &self.options.clients;
                let (is_expected, may_be_offline) =
                    (clients.expect(&connections), !clients.have_answer());
                Err(failure.error(origin, is_expected, may_be_offline))
            }
            Ok(Ok(answer)) => {
                self.options.clients.answered();
                Ok(answer)
            }
        }
    }

    /// The next request may be sent on a connection when at most this many bytes of an answer are still to
    /// come; `None` if the server gets no pipelined requests.
    pub(super) fn pipeline_window(&self) -> Option<u64> {
        let latest = self.state.lock().latest.clone()?;
        latest.state().pipeline_window(Instant::now())
    }

    /// How many connections are worth it; `None` if all are, or if that is not known.
    pub(super) fn useful_connections(&self) -> Option<usize> {
        let most = self.options.connections;
        let latest = self.state.lock().latest.clone()?;
        let useful = latest.state().link.connections(most);
        (useful < most).then_some(useful)
    }

    fn misdirected(&self, why: &str) -> Error {
        Error::Unsupported {
            what: format!("{} {why}", self.origin),
        }
    }
}

/// What the target of a redirect did wrong; `None` if it answered, or if the error is not its fault.
fn seen_of_target(answer: &Result<Exchange, Error>) -> Option<Seen> {
    match answer {
        Ok(answer) if answer.status.is_success() => None,
        Ok(answer) => Some(Seen::Status(answer.status.as_u16())),
        Err(Error::Unreachable { .. }) => Some(Seen::NoConnection),
        Err(Error::Untrusted { .. }) => Some(Seen::Untrusted),
        Err(Error::Timeout { .. }) => Some(Seen::Silence),
        // It redirects to a URL that is not followed.
        Err(Error::Unsupported { .. }) => Some(Seen::Wrong),
        Err(_) => None,
    }
}

fn text(range: &str) -> HeaderValue {
    HeaderValue::from_str(range).expect("digits and ASCII signs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_has_no_secrets_of_the_url() {
        let options = HttpOptions::default();
        let remote = RemoteUrl::new("https://joe:s3cret@example.com/a.zip?sig=abc#x", options)
            .expect("a usable URL");
        assert_eq!(remote.origin.to_string(), "https://example.com/a.zip");
        let all = remote.credentials();
        let (_, header) = all.first().expect("credentials");
        assert!(header.is_sensitive());
        assert_eq!(header.as_bytes(), b"Basic am9lOnMzY3JldA==");
        assert_eq!(remote.url.query(), Some("sig=abc"));
    }

    /// The order: the header given for this request, the URL's login, the netrc file's.
    #[test]
    fn the_most_specific_authorization_is_sent() {
        let first = |url: &str, secrets: Secrets| {
            let netrc = super::super::Netrc::parse("machine a.example login n password n");
            let options = HttpOptions {
                secrets,
                netrc,
                ..HttpOptions::default()
            };
            let remote = RemoteUrl::new(url, options).expect("a usable URL");
            let values: Vec<String> = remote
                .credentials()
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
}

//! A whole resource as a server sends it to a browser: the index of a directory.

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};

use super::HttpOptions;
use super::address::{display_name, is_same_server};
use super::answer::Answer;
use super::blocks::collect;
use super::codings::Codings;
use super::head::field;
use super::remote::{Ask, RemoteUrl};
use crate::source::verdict::Stage;
use crate::source::{Error, Result};

/// What is asked for: nginx and others list directories in both.
const KINDS: &str = "text/html, application/json;q=0.9, */*;q=0.1";

/// A whole resource.
pub struct Page {
    /// Where it came from, after redirects, without a login.
    pub url: Url,
    /// The media type as the server sent it; empty without one.
    pub kind: String,
    /// The content, not encoded.
    pub body: Bytes,
}

/// Fetches the resource at `url`, which may have `user:password@`. Redirects are followed on the same server.
/// `is_wanted` is asked with the media type before the content is read.
///
/// # Errors
/// If the server does not answer with the resource, redirects to another server, sends another media type, or more
/// than `most` bytes.
pub async fn page(
    url: &str,
    options: &HttpOptions,
    most: usize,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Page> {
    let remote = RemoteUrl::new(url, options.clone())?;
    let (received, _) = remote
        .get(Ask::Whole {
            accept: KINDS,
            fresh: false,
        })
        .await?;
    let origin = remote.origin();
    let unsupported = |what: String| Error::Unsupported {
        what: format!("{origin} {what}"),
    };
    let answer = Answer::of(&received);
    if answer.status != StatusCode::OK {
        return Err(answer.refusal(origin, &(0..1), Stage::First));
    }
    let codings = Codings::of(answer.headers);
    if codings.changes_content {
        let told = codings.told;
        return Err(unsupported(format!(
            "sends Content-Encoding: {told}; only identity is supported"
        )));
    }
    let came_from = remote.latest_url();
    // The caller will request what the page lists with the same secrets, which are for the URL's own server alone.
    if !is_same_server(&came_from, &remote.url()) {
        return Err(unsupported(format!(
            "redirects to {}; give that address instead",
            display_name(&came_from)
        )));
    }
    let kind = field(answer.headers, CONTENT_TYPE);
    let kind = kind.unwrap_or_default().to_owned();
    if !is_wanted(&kind) {
        let kind = if kind.is_empty() {
            "no media type"
        } else {
            &kind
        };
        return Err(unsupported(format!(
            "sends {kind} where a page was expected"
        )));
    }
    let body = collect(origin, received, options.idle_timeout, most).await?;
    let body = body.ok_or_else(|| unsupported(format!("sends more than {most} bytes")))?;
    Ok(Page {
        url: came_from,
        kind,
        body,
    })
}

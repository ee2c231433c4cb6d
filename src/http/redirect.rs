//! The target of a redirect (RFC 9110, section 10.2.2), and whether it is followed. Pure.

use percent_encoding::{AsciiSet, percent_encode};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{StatusCode, Url};

use super::address::display_name;

/// Whether this status redirects to another URL. 300 and 304 to 306 do not.
pub(super) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The URL that the answer with these headers, to a request for `from`, redirects to. `is_verified`: the caller
/// verifies the bytes: nobody can change them unnoticed.
///
/// # Errors
/// The reason why the redirect is not followed, and the remedy. The text continues a sentence whose subject is the
/// server.
pub(super) fn target(from: &Url, headers: &HeaderMap, is_verified: bool) -> Result<Url, String> {
    let Some(location) = headers.get(LOCATION) else {
        return Err("redirects without a Location, so there is nothing to follow".into());
    };
    // Like browsers, percent-encodes each byte beyond ASCII, so that the server gets back the bytes that it sent, in
    // whatever charset.
    let location = percent_encode(location.as_bytes(), &AsciiSet::EMPTY).to_string();
    let mut target = from
        .join(&location)
        .map_err(|e| format!("redirects to what is not a URL: {e}"))?;
    match target.scheme() {
        "http" | "https" => {}
        scheme @ ("ipfs" | "ipns") => {
            return Err(format!(
                "redirects to an address of scheme '{scheme}'; mount the CID itself, \
                 with --gateway URL to choose who is asked"
            ));
        }
        scheme => {
            return Err(format!(
                "redirects to an address of scheme '{scheme}', and only http and https are read; \
                 give an http or https address of the archive"
            ));
        }
    }
    if from.scheme() == "https" && target.scheme() == "http" && !is_verified {
        return Err(format!(
            "redirects from https to http ({}), where the bytes could be changed on their way; give \
             the http address itself if that is acceptable, or mount the archive by its CID, which \
             '--verify trustless' verifies",
            display_name(&target)
        ));
    }
    // A server does not decide which credentials are sent.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    target.set_fragment(None);
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn from_to(from: &str, location: &[u8], is_verified: bool) -> Result<String, String> {
        let from = Url::parse(from).expect("a URL");
        let value = HeaderValue::from_bytes(location).expect("a header value");
        let headers = [(LOCATION, value)].into_iter().collect();
        target(&from, &headers, is_verified).map(String::from)
    }

    /// A Location that was not ASCII was ignored. Archives with such names could not be mounted behind a
    /// redirect that curl follows.
    #[test]
    fn redirects_that_browsers_follow_are_followed() {
        let from = "http://a.example/dir/x?y=z";
        for (location, to) in [
            (&b"b.zip"[..], "http://a.example/dir/b.zip"),
            (b"../b.zip", "http://a.example/b.zip"),
            (b"/b.zip", "http://a.example/b.zip"),
            (b"?sig=1", "http://a.example/dir/x?sig=1"),
            (b"//b.example/c", "http://b.example/c"),
            (b"https://b.example/c#there", "https://b.example/c"),
            (b"HTTP://B.example:80/c", "http://b.example/c"),
            (
                "/Фильм.zip".as_bytes(),
                "http://a.example/%D0%A4%D0%B8%D0%BB%D1%8C%D0%BC.zip",
            ),
            ("/a?n=é".as_bytes(), "http://a.example/a?n=%C3%A9"),
            // ISO 8859-1: the server gets back the byte that it sent.
            (b"/caf\xe9.zip", "http://a.example/caf%E9.zip"),
            (
                "http://bücher.example/b".as_bytes(),
                "http://xn--bcher-kva.example/b",
            ),
            (b"/my film (1).zip", "http://a.example/my%20film%20(1).zip"),
            (b" /b.zip ", "http://a.example/b.zip"),
            (b"/a%20b%2Fc", "http://a.example/a%20b%2Fc"),
            (b"http://joe:s3cret@b.example/c", "http://b.example/c"),
        ] {
            let shown = String::from_utf8_lossy(location);
            assert_eq!(from_to(from, location, false), Ok(to.into()), "{shown}");
        }
    }

    #[test]
    fn refused_redirects_say_why_and_what_to_do() {
        let from = "https://a.example/x";
        for (location, parts) in [
            (
                &b"http://b.example/c?sig=s3cret"[..],
                &["from https to http", "http://b.example/c", "--verify"][..],
            ),
            (b"ftp://b.example/c", &["scheme 'ftp'", "http or https"]),
            (b"ipfs://bafy", &["scheme 'ipfs'", "mount the CID"]),
            (b"data:,x", &["scheme 'data'"]),
            (b"http://[", &["not a URL"]),
        ] {
            let error = from_to(from, location, false).expect_err("refused");
            for part in parts {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert!(!error.contains("s3cret"), "{error}");
        }
        let none = target(&Url::parse(from).expect("a URL"), &HeaderMap::new(), true);
        assert!(none.expect_err("nowhere").contains("Location"));
        // Verification finds out if the bytes were changed.
        let followed = from_to(from, b"http://b.example/c", true);
        assert_eq!(followed, Ok("http://b.example/c".into()));
    }
}

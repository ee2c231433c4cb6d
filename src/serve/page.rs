//! The page that shows what the node serves, looks into archives, and plays them. Its files come from
//! `web/`; the build embeds them.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, header};

use super::media;
use super::response::{by_conditions, refusal, response, set};

/// The document at `/`.
pub(super) const DOCUMENT: &str = "page/index.html";

/// What the page may do. Nothing is loaded from other hosts but data, from gateways that a user names.
/// No inline scripts or styles: names in archives cannot become code. The player makes its track of
/// subtitles from a `data:` address.
const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
     img-src 'self' blob: data:; media-src 'self' blob: data:; connect-src 'self' http: https:; \
     frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
#[derive(Debug)]
pub(super) struct PageFile {
    /// Its path below `web/`, and below `/web/` on the node.
    name: &'static str,
    bytes: &'static [u8],
    /// It is embedded in compressed form.
    is_gzip: bool,
    /// Changes with its content.
    hash: &'static str,
}

static FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// The file of this name.
pub(super) fn find(name: &str) -> Option<&'static PageFile> {
    FILES.iter().find(|file| file.name == name)
}

/// Answers with a file.
pub(super) fn answer(file: &PageFile, request: &Parts) -> Response<Body> {
    if file.is_gzip && !accepts_gzip(&request.headers) {
        let why = "this file is stored in compressed form; send Accept-Encoding: gzip";
        return refusal(StatusCode::NOT_ACCEPTABLE, why);
    }
    let etag = format!("\"{}\"", file.hash);
    let mut headers = HeaderMap::new();
    set(&mut headers, header::ETAG, &etag);
    // Asked for anew each time, since another version of the program has other files.
    set(&mut headers, header::CACHE_CONTROL, "no-cache");
    if let Some(response) = by_conditions(request, &etag, &headers) {
        return response;
    }
    let kind = media::of(file.name);
    set(&mut headers, header::CONTENT_TYPE, &kind);
    set(&mut headers, header::CONTENT_SECURITY_POLICY, POLICY);
    set(&mut headers, header::REFERRER_POLICY, "no-referrer");
    if file.is_gzip {
        set(&mut headers, header::CONTENT_ENCODING, "gzip");
        set(&mut headers, header::VARY, "Accept-Encoding");
    }
    // The worker answers for files of archives below `/view/`, and lies in `/web/lib/` itself.
    let allowed = HeaderName::from_static("service-worker-allowed");
    set(&mut headers, allowed, "/");
    let length = file.bytes.len().to_string();
    set(&mut headers, header::CONTENT_LENGTH, &length);
    response(StatusCode::OK, headers, Body::from(file.bytes))
}

/// Whether a client takes gzip (RFC 9110, section 12.5.3): it names it, or has no such header.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT_ENCODING).iter().peekable();
    values.peek().is_none()
        || values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|coding| {
                let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
                let is_refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
                matches!(name.trim(), "gzip" | "x-gzip" | "*") && !is_refused
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_embedded_and_its_scripts_have_a_type_that_browsers_run() {
        for (name, kind) in [
            (DOCUMENT, "text/html; charset=utf-8"),
            ("page/style.css", "text/css; charset=utf-8"),
            ("lib/view-worker.js", "text/javascript; charset=utf-8"),
        ] {
            assert!(find(name).is_some_and(|file| !file.bytes.is_empty()));
            assert_eq!(media::of(name), kind);
        }
        assert!(find("page/nothing").is_none());
    }

    #[test]
    fn compressed_files_go_to_clients_that_take_them() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().expect("a value"));
            accepts_gzip(&headers)
        };
        assert!(accepts_gzip(&HeaderMap::new()));
        assert!(takes("gzip, deflate") && takes("br;q=1.0, gzip;q=0.8") && takes("*"));
        assert!(!takes("identity") && !takes("br, gzip;q=0") && !takes(""));
    }
}

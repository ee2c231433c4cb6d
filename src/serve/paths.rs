//! The paths of a node's URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::content::{Cid, parse_cid};

/// All characters but the unreserved ones (RFC 3986, section 2.3) and the slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The path of a blob's URL: `/ipfs/<cid>/<name>`, with the name percent-encoded.
pub fn blob_path(cid: &Cid, name: &str) -> String {
    format!("/ipfs/{cid}/{}", utf8_percent_encode(name, ENCODED))
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/` and `/<path>/`: a directory of the served names, by its decoded path, which is empty or ends with a slash.
    /// `/` is also the page.
    Directory(String),
    /// `/web/<name>`: a file of the page, by its name.
    Page(String),
    /// `/index.json`: the list of blobs, for programs.
    Json,
    /// `/ipfs/<cid>[/<name>]`: a blob, and the decoded name, which may have slashes.
    Blob(Cid, Option<String>),
    /// Nothing, and why.
    Unknown(String),
}

/// Parses the path of a request, still percent-encoded.
pub(super) fn route(path: &str) -> Route {
    if path == "/index.json" {
        return Route::Json;
    }
    if let Some(directory) = directory(path) {
        return Route::Directory(directory);
    }
    if let Some(name) = path.strip_prefix("/web/") {
        return Route::Page(name.into());
    }
    let Some(rest) = path.strip_prefix("/ipfs/") else {
        return Route::Unknown("blobs are at /ipfs/<cid>, and their list at /".into());
    };
    let (cid, name) = rest.split_once('/').unwrap_or((rest, ""));
    let cid = percent_decode_str(cid).decode_utf8_lossy();
    match parse_cid(&cid) {
        Ok(cid) => {
            let name = percent_decode_str(name).decode_utf8_lossy();
            Route::Blob(
                cid,
                (!name.trim_matches('/').is_empty()).then(|| name.into_owned()),
            )
        }
        Err(e) => Route::Unknown(format!("not a CID: {e}")),
    }
}

/// The directory that a path is of.
fn directory(path: &str) -> Option<String> {
    let directory = path.strip_prefix('/')?;
    let is_directory = directory.is_empty() || directory.ends_with('/');
    let is_plain = !directory.starts_with('/') && !directory.contains("//");
    if !is_directory || !is_plain || directory.starts_with("ipfs/") {
        return None;
    }
    let decoded = percent_decode_str(directory).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let text = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let cid = parse_cid(text).expect("a CID");
        let blob = |name: Option<&str>| Route::Blob(cid, name.map(str::to_owned));
        let directory = |path: &str| Route::Directory(path.into());
        assert_eq!(route("/"), directory(""));
        assert_eq!(route("/a%20b/c/"), directory("a b/c/"));
        assert_eq!(route("/web/"), directory("web/"));
        assert_eq!(route("/web/lib/a.js"), Route::Page("lib/a.js".into()));
        assert_eq!(route("/index.json"), Route::Json);
        for (rest, name) in [
            ("", None),
            ("/", None),
            ("//", None),
            ("/a.ts", Some("a.ts")),
            ("/x/y/a%20b.ts", Some("x/y/a b.ts")),
            ("/x/", Some("x/")),
        ] {
            assert_eq!(route(&format!("/ipfs/{text}{rest}")), blob(name), "{rest}");
        }
        for path in [
            "/ipfs",
            "/ipfs/",
            "/ipfs/x",
            "/ipns/x",
            "//",
            "/favicon.ico",
            "*",
        ] {
            assert!(matches!(route(path), Route::Unknown(_)), "{path}");
        }
        assert_eq!(
            blob_path(&cid, "sub/a b?#é.ts"),
            format!("/ipfs/{text}/sub/a%20b%3F%23%C3%A9.ts")
        );
    }
}

//! The paths of the node's URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::content::{Cid, parse_cid};

/// What stays as it is in a path: the unreserved characters (RFC 3986, section 2.3) and the slash.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The path of a blob's URL on a node: `/ipfs/<cid>/<name>`, the name percent-encoded.
pub fn blob_path(cid: &Cid, name: &str) -> String {
    format!("/ipfs/{cid}/{}", utf8_percent_encode(name, ENCODED))
}

/// What a request's path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/`: the list, for people.
    List,
    /// `/index.json`: the list, for programs.
    Json,
    /// `/ipfs/<cid>[/<name>]`: a blob, and the decoded name below it, which may have slashes.
    Blob(Cid, Option<String>),
    /// Something else, and why.
    Nowhere(String),
}

/// Reads a path as it stands in the request.
pub(super) fn place(path: &str) -> Place {
    match path {
        "/" => return Place::List,
        "/index.json" => return Place::Json,
        _ => {}
    }
    let Some(rest) = path.strip_prefix("/ipfs/") else {
        return Place::Nowhere("blobs are at /ipfs/<cid>, the list of them at /".into());
    };
    let (cid, name) = rest.split_once('/').unwrap_or((rest, ""));
    let cid = percent_decode_str(cid).decode_utf8_lossy();
    match parse_cid(&cid) {
        Ok(cid) => {
            let name = percent_decode_str(name).decode_utf8_lossy();
            Place::Blob(
                cid,
                (!name.trim_matches('/').is_empty()).then(|| name.into_owned()),
            )
        }
        Err(e) => Place::Nowhere(format!("this is no CID: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let text = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let cid = parse_cid(text).expect("a CID");
        let blob = |name: Option<&str>| Place::Blob(cid, name.map(str::to_owned));
        assert_eq!(place("/"), Place::List);
        assert_eq!(place("/index.json"), Place::Json);
        for (rest, name) in [
            ("", None),
            ("/", None),
            ("//", None),
            ("/a.ts", Some("a.ts")),
            ("/x/y/a%20b.ts", Some("x/y/a b.ts")),
            ("/x/", Some("x/")),
        ] {
            assert_eq!(place(&format!("/ipfs/{text}{rest}")), blob(name), "{rest}");
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
            assert!(matches!(place(path), Place::Nowhere(_)), "{path}");
        }
        assert_eq!(
            blob_path(&cid, "sub/a b?#é.ts"),
            format!("/ipfs/{text}/sub/a%20b%3F%23%C3%A9.ts")
        );
    }
}

//! Which form of a CID's content a client asks for: the file or the raw block (trustless gateway
//! specification, "HTTP API").

use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::window::parameter;

/// The prefix of the media types for blocks and for graphs of them.
const IPLD: &str = "application/vnd.ipld.";

/// The media type of a raw block.
pub(super) const RAW: &str = "application/vnd.ipld.raw";

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The file, or a range of it.
    File,
    /// The block that the CID names.
    Block,
    /// A CAR or another format that the node does not produce. It refuses the request: the client
    /// would take other bytes for that format.
    Other,
}

impl Form {
    /// The form by `?format=`, or else by the Accept header. The query counts first because browsers
    /// set the header on their own.
    pub(super) fn of(request: &Parts) -> Self {
        match parameter(request.uri.query(), "format") {
            Some("raw") => Form::Block,
            Some(_) => Form::Other,
            None => Self::accepted(&request.headers),
        }
    }

    fn accepted(headers: &HeaderMap) -> Self {
        let mut form = Form::File;
        for accepted in accepted_types(headers) {
            if accepted.eq_ignore_ascii_case(RAW) {
                return Form::Block;
            }
            let start = accepted.get(..IPLD.len()).unwrap_or_default();
            if start.eq_ignore_ascii_case(IPLD) {
                form = Form::Other;
            }
        }
        form
    }
}

/// Whether the Accept header names this media type. Browsers name no JSON.
pub(super) fn names(headers: &HeaderMap, media_type: &str) -> bool {
    accepted_types(headers).any(|accepted| accepted.eq_ignore_ascii_case(media_type))
}

/// The media types of the Accept header, without parameters.
fn accepted_types(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::ACCEPT).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let types = values.flat_map(|value| value.split(','));
    types.map(|accepted| accepted.split(';').next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[test]
    fn forms() {
        for (query, accept, expected) in [
            ("", "", Form::File),
            ("", "*/*", Form::File),
            ("", "text/html, */*;q=0.8", Form::File),
            ("", "application/vnd.ipld.raw", Form::Block),
            ("", "text/html, Application/Vnd.Ipld.Raw;q=0.5", Form::Block),
            (
                "",
                "application/vnd.ipld.car, application/vnd.ipld.raw",
                Form::Block,
            ),
            ("", "application/vnd.ipld.car; version=1", Form::Other),
            ("", "application/vnd.ipld.dag-json", Form::Other),
            ("?format=raw", "", Form::Block),
            ("?x=y&format=raw", "application/vnd.ipld.car", Form::Block),
            ("?format=car", "application/vnd.ipld.raw", Form::Other),
            ("?format=", "", Form::Other),
            ("?format", "", Form::Other),
            ("?xformat=raw", "", Form::File),
        ] {
            let request = Request::builder().uri(format!("/ipfs/x{query}"));
            let request = request.header(header::ACCEPT, accept).body(());
            let (parts, ()) = request.expect("a request").into_parts();
            let form = Form::of(&parts);
            assert_eq!(form, expected, "{query} {accept}");
        }
    }
}

//! Which form of a CID's content a client wants: the file, or the block (trustless gateway
//! specification, "HTTP API").

use axum::extract::Request;
use axum::http::{HeaderMap, header};

use super::window::parameter;

/// What all that concerns single blocks or graphs of them begins with.
const IPLD: &str = "application/vnd.ipld.";

/// The media type of a block as it is.
pub(super) const RAW: &str = "application/vnd.ipld.raw";

/// What is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The file, or a range of it.
    File,
    /// The block that the CID names.
    Block,
    /// A CAR, or what else a node does not make: better refused than answered with bytes that the
    /// client would take for it.
    Other,
}

impl Form {
    /// By `?format=`, or else by the Accept header: who can set the URL means it, and browsers set
    /// the header on their own.
    pub(super) fn of(request: &Request) -> Self {
        match parameter(request.uri().query(), "format") {
            Some("raw") => Form::Block,
            Some(_) => Form::Other,
            None => Self::accepted(request.headers()),
        }
    }

    fn accepted(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let types = values.flat_map(|value| value.split(','));
        let types = types.map(|accepted| accepted.split(';').next().unwrap_or_default().trim());
        let mut form = Form::File;
        for accepted in types {
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

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
            let request = request.header(header::ACCEPT, accept).body(Body::empty());
            let form = Form::of(&request.expect("a request"));
            assert_eq!(form, expected, "{query} {accept}");
        }
    }
}

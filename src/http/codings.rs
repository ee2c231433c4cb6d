//! The content codings of an answer. Pure.

use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// What the Content-Encoding fields of an answer name (RFC 9110, section 8.4).
pub(super) struct Codings {
    /// All fields as they were sent, joined by commas.
    pub(super) told: String,
    /// Whether `aws-chunked` is among them. It is an encoding of uploads (AWS, "Signature calculations:
    /// transfer payload in multiple chunks"). Stores keep the name and send it with plain bytes.
    pub(super) is_aws_chunked: bool,
    /// Whether any other than `identity` is among them: then the bytes that come are not the stored ones.
    pub(super) changes_content: bool,
}

impl Codings {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let fields = headers.get_all(CONTENT_ENCODING).into_iter();
        let fields: Vec<_> = fields
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let told = fields.join(", ");
        let is = |name: &str, coding: &str| name.eq_ignore_ascii_case(coding);
        let names = told.split(',').map(str::trim);
        let names = names.filter(|name| !name.is_empty() && !is(name, "identity"));
        let (aws, others): (Vec<&str>, Vec<&str>) = names.partition(|name| is(name, "aws-chunked"));
        Self {
            is_aws_chunked: !aws.is_empty(),
            changes_content: !others.is_empty(),
            told,
        }
    }
}

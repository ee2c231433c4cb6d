//! What a store's refusal means, and what to do about it.

use std::time::{Duration, SystemTime};

use super::address::{ObjectAddress, Service};
use super::settings::StoreSettings;
use crate::http::Refusal;

/// Stores refuse signatures whose time differs from their own by more than 15 minutes. Differences below
/// this one are no reason.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// What a request was for, and how it was signed.
pub(super) struct Request<'a> {
    pub(super) address: &'a ObjectAddress,
    pub(super) settings: &'a StoreSettings,
    /// The store's host; `None` for Amazon's.
    pub(super) host: Option<&'a str>,
    /// The region that it was signed for; empty for Google and Azure.
    pub(super) region: String,
    /// Where the credentials come from; `None` without a signature.
    pub(super) keys_from: Option<String>,
}

/// The region that the bucket is in, if the store names one.
pub(super) fn region(refusal: &Refusal) -> Option<&str> {
    let header = refusal.header("x-amz-bucket-region");
    let named = match refusal.code.as_str() {
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "IllegalLocationConstraintException" => header.or_else(|| refusal.field("Region")),
        // The header comes with other refusals, too, and with those without a text.
        _ => header,
    };
    named.filter(|region| !region.is_empty())
}

/// Whether other credentials may be accepted: those of the request have expired, or have been replaced.
pub(super) fn may_be_renewed(service: Service, refusal: &Refusal) -> bool {
    let is_unknown = matches!(
        refusal.code.as_str(),
        "InvalidAccessKeyId" | "InvalidToken" | "TokenRefreshRequired"
    );
    // Google and Azure answer so to tokens that have expired.
    let is_token = service != Service::S3 && refusal.status == 401;
    refusal.is_expired() || is_unknown || is_token
}

/// What to do about a refusal, as the end of a sentence; empty if the store's words say it all.
pub(super) fn advice(request: &Request<'_>, refusal: &Refusal) -> String {
    let (bucket, settings) = (&request.address.bucket, request.settings);
    let from = match &request.keys_from {
        Some(from) => format!("the credentials come from {from}"),
        None => "the request was not signed".into(),
    };
    if let Some(named) = region(refusal)
        && named != request.region
    {
        let signed = &request.region;
        return format!("the bucket is in region {named}, not {signed}; give --region {named}");
    }
    if let Some(clocks) = clocks(refusal, SystemTime::now()) {
        return format!("{clocks}; set the clock of this machine");
    }
    let place = match request.host {
        Some(host) => host.to_owned(),
        None => format!("Amazon's region {}", request.region),
    };
    if settings.anonymous && matches!(refusal.status, 400 | 401 | 403) {
        return "the object may not be public; leave --anonymous out to sign requests".into();
    }
    match refusal.code.as_str() {
        "NoSuchKey" | "BlobNotFound" => {
            "check the key: upper and lower case differ, and it is not percent-encoded".into()
        }
        "NoSuchBucket" | "ContainerNotFound" => {
            format!("there is no '{bucket}' at {place}; check the name, and --endpoint-url")
        }
        "InvalidAccessKeyId" => {
            format!("{from}, and {place} does not know them; check --profile and --endpoint-url")
        }
        "SignatureDoesNotMatch" => format!("{from}; the secret key is probably wrong"),
        _ if refusal.is_expired() => {
            format!("{from}; sign in again, then reads work again without a new mount")
        }
        _ if refusal.status == 403 && request.address.service == Service::S3 => {
            let payer = if settings.requester_pays {
                ""
            } else {
                "; a requester-pays bucket needs --requester-pays"
            };
            let permission = match request.address.key.as_str() {
                "" => "s3:ListBucket",
                _ => "s3:GetObject",
            };
            format!("{from}, and need the permission {permission}{payer}")
        }
        _ if matches!(refusal.status, 401 | 403) => from,
        _ => String::new(),
    }
}

/// Both times, if this machine's clock is so wrong that signatures are refused.
fn clocks(refusal: &Refusal, now: SystemTime) -> Option<String> {
    if !matches!(refusal.status, 400 | 401 | 403) {
        return None;
    }
    let theirs = refusal.header("date");
    let theirs = theirs.and_then(|date| httpdate::parse_http_date(date).ok());
    let told = refusal.field("ServerTime");
    let told = told.and_then(|time| humantime::parse_rfc3339_weak(time).ok());
    let theirs = told.or(theirs)?;
    let apart = now.duration_since(theirs).unwrap_or_else(|e| e.duration());
    if apart < SKEW {
        return None;
    }
    let time = humantime::format_rfc3339_seconds;
    let off = if now > theirs { "ahead" } else { "behind" };
    let seconds = apart.as_secs();
    Some(format!(
        "this machine's clock says {}, the store's {}, so it is {seconds} s {off}",
        time(now),
        time(theirs)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use http::header::{HeaderMap, HeaderName, HeaderValue};

    fn refusal(status: u16, header: Option<(&'static str, &'static str)>, body: &str) -> Refusal {
        let status = StatusCode::from_u16(status).expect("a status");
        let header = header.map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let headers: HeaderMap = header.into_iter().collect();
        Refusal::parse(status, headers, body.as_bytes())
    }

    #[test]
    fn a_store_names_the_region_in_a_header_or_in_its_text() {
        let header = Some(("x-amz-bucket-region", "eu-west-1"));
        assert_eq!(region(&refusal(301, header, "")), Some("eu-west-1"));
        let text = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>b</Region></Error>";
        assert_eq!(region(&refusal(400, None, text)), Some("b"));
        let other = "<Error><Code>AccessDenied</Code><Region>b</Region></Error>";
        assert_eq!(region(&refusal(403, None, other)), None);
    }

    #[test]
    fn both_clocks_are_told_if_they_are_far_apart() {
        let now = humantime::parse_rfc3339("2026-01-01T12:00:00Z").expect("a time");
        let text = "<Error><Code>RequestTimeTooSkewed</Code>\
            <ServerTime>2026-01-01T13:00:00Z</ServerTime></Error>";
        let told = clocks(&refusal(403, None, text), now).expect("an hour");
        assert!(
            told.contains("12:00:00Z")
                && told.contains("13:00:00Z")
                && told.contains("3600 s behind"),
            "{told}"
        );
        let date = Some(("date", "Thu, 01 Jan 2026 11:00:00 GMT"));
        let told = clocks(&refusal(403, date, ""), now).expect("an hour");
        assert!(
            told.contains("11:00:00Z") && told.contains("3600 s ahead"),
            "{told}"
        );
        let date = Some(("date", "Thu, 01 Jan 2026 12:01:00 GMT"));
        assert_eq!(clocks(&refusal(403, date, ""), now), None);
        assert_eq!(clocks(&refusal(404, None, text), now), None);
    }
}

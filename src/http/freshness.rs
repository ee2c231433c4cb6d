//! For how long an answer may be used again without asking the server (RFC 9111, section 4.2). Pure.

use std::time::{Duration, SystemTime};

use reqwest::header::{
    AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName, LAST_MODIFIED, VARY,
};

use super::head::field;

/// The longest lifetime of an answer whose server tells none. The lifetime is then a tenth of the time since the last
/// modification, as section 4.2.2 advises.
const LONGEST_GUESS: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long from `now` on an answer with these headers, which has just come, is fresh.
pub(super) fn fresh_for(headers: &HeaderMap, now: SystemTime) -> Duration {
    let control = Control::of(headers);
    let varies = field(headers, VARY).is_some_and(|vary| vary.trim() == "*");
    if control.forbids || varies {
        return Duration::ZERO;
    }
    let sent = date(headers, DATE).unwrap_or(now);
    let since = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default();
    let lifetime = match (control.max_age, headers.contains_key(EXPIRES)) {
        (Some(max_age), _) => max_age,
        // A value that is not a date, such as 0, counts as past (section 5.3).
        (None, true) => date(headers, EXPIRES).map_or(Duration::ZERO, |end| since(sent, end)),
        (None, false) if control.must_revalidate => Duration::ZERO,
        (None, false) if control.immutable => LONGEST_GUESS,
        (None, false) => {
            let unchanged = date(headers, LAST_MODIFIED).map(|then| since(then, sent));
            (unchanged.unwrap_or_default() / 10).min(LONGEST_GUESS)
        }
    };
    // Section 4.2.3.
    let age = field(headers, AGE).and_then(|age| age.trim().parse().ok());
    let age = Duration::from_secs(age.unwrap_or(0));
    lifetime.saturating_sub(age.max(since(sent, now)))
}

/// The directives of Cache-Control that matter to a cache of one user (section 5.2.2; `immutable`: RFC 8246).
#[derive(Default)]
struct Control {
    /// `no-store`, or `no-cache`.
    forbids: bool,
    must_revalidate: bool,
    immutable: bool,
    max_age: Option<Duration>,
}

impl Control {
    fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        let fields = headers.get_all(CACHE_CONTROL).iter();
        let fields = fields.filter_map(|field| field.to_str().ok());
        for directive in fields.flat_map(|field| field.split(',')) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match &*name.trim().to_ascii_lowercase() {
                // With a value, no-cache is about some fields of the answer. Few caches implement that.
                "no-store" | "no-cache" => control.forbids = true,
                "must-revalidate" => control.must_revalidate = true,
                "immutable" => control.immutable = true,
                "max-age" => {
                    // A value that is not a number counts as stale (section 4.2.1).
                    let seconds = value.trim().trim_matches('"').parse().unwrap_or(0);
                    let given = Duration::from_secs(seconds);
                    control.max_age = Some(control.max_age.map_or(given, |known| known.min(given)));
                }
                _ => {}
            }
        }
        control
    }
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(field(headers, name)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    const DAY: u64 = 24 * 60 * 60;

    /// The seconds for which an answer is fresh that was sent and came on 1 January 2026.
    fn fresh(fields: &[(&'static str, &str)]) -> u64 {
        let now = "Thu, 01 Jan 2026 00:00:00 GMT";
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static(now));
        for (name, value) in fields {
            let value = HeaderValue::from_str(value).expect("a value");
            if *name == "date" {
                headers.insert(DATE, value);
            } else {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        let now = httpdate::parse_http_date(now).expect("a date");
        fresh_for(&headers, now).as_secs()
    }

    #[test]
    fn lifetime_of_the_server_is_taken() {
        let control = |value| fresh(&[("cache-control", value)]);
        assert_eq!(control("max-age=60"), 60);
        assert_eq!(control("public, Max-Age=\"60\", immutable"), 60);
        assert_eq!(control("max-age=60, max-age=7"), 7);
        assert_eq!(control("max-age=soon"), 0);
        assert_eq!(control("immutable"), DAY);
        assert_eq!(control("max-age=60, no-cache"), 0);
        assert_eq!(control("max-age=60, no-cache=\"a, b\""), 0);
        assert_eq!(control("no-store, immutable"), 0);
        assert_eq!(control("max-age=60, must-revalidate"), 60);
        let both = [
            ("cache-control", "max-age=60"),
            ("cache-control", "no-cache"),
        ];
        assert_eq!(fresh(&both), 0);
        assert_eq!(fresh(&[("cache-control", "max-age=60"), ("vary", "*")]), 0);
        let expires = |value| fresh(&[("expires", value)]);
        assert_eq!(expires("Thu, 01 Jan 2026 00:01:00 GMT"), 60);
        assert_eq!(expires("Wed, 31 Dec 2025 00:01:00 GMT"), 0);
        assert_eq!(expires("0"), 0);
    }

    #[test]
    fn without_a_lifetime_a_tenth_of_the_age_is_taken_up_to_a_day() {
        let modified = |value| fresh(&[("last-modified", value)]);
        assert_eq!(modified("Wed, 31 Dec 2025 23:50:00 GMT"), 60);
        assert_eq!(modified("Wed, 01 Jan 2020 00:00:00 GMT"), DAY);
        assert_eq!(modified("Fri, 02 Jan 2026 00:00:00 GMT"), 0);
        assert_eq!(fresh(&[]), 0);
        let modified = ("last-modified", "Wed, 01 Jan 2020 00:00:00 GMT");
        assert_eq!(fresh(&[modified, ("cache-control", "must-revalidate")]), 0);
    }

    #[test]
    fn time_in_caches_and_on_the_way_counts() {
        assert_eq!(fresh(&[("cache-control", "max-age=60"), ("age", "50")]), 10);
        assert_eq!(fresh(&[("cache-control", "max-age=60"), ("age", "70")]), 0);
        let sent = ("date", "Wed, 31 Dec 2025 23:59:40 GMT");
        assert_eq!(fresh(&[("cache-control", "max-age=60"), sent]), 40);
    }
}

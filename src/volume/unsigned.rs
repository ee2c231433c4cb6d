//! A URL without the parts that are renewed: the login, and the signature of a presigned URL.
//!
//! A presigned URL works for hours or days, and the next one for the same object has another signature. In the
//! cache both are the same blob, whose version (its ETag) is compared when it is opened.

/// A way to sign URLs.
struct Scheme {
    /// Parameters that a URL of this scheme has, all of them, in lower case.
    marks: &'static [&'static str],
    /// Parameters that belong to the signature, in lower case. `x-*` stands for all that begin with `x-`.
    signature: &'static [&'static str],
}

/// Amazon S3 and its like (AWS, "Authenticating requests: query parameters", "Signing REST requests"), CloudFront
/// ("Use signed URLs"), Google ("Signed URLs"), Azure ("Create a service SAS", "Create a user delegation SAS").
/// Other parameters choose the content or its headers, such as `versionId`.
const SCHEMES: [Scheme; 7] = [
    Scheme {
        marks: &["x-amz-signature", "x-amz-credential"],
        signature: &["x-amz-*"],
    },
    Scheme {
        marks: &["x-goog-signature", "x-goog-credential"],
        signature: &["x-goog-*"],
    },
    Scheme {
        marks: &["signature", "expires", "awsaccesskeyid"],
        signature: &[
            "signature",
            "expires",
            "awsaccesskeyid",
            "x-amz-security-token",
        ],
    },
    Scheme {
        marks: &["signature", "expires", "googleaccessid"],
        signature: &["signature", "expires", "googleaccessid"],
    },
    Scheme {
        marks: &["signature", "key-pair-id"],
        signature: &[
            "signature",
            "key-pair-id",
            "expires",
            "policy",
            "hash-algorithm",
        ],
    },
    Scheme {
        marks: &["sig", "sv", "sr"],
        signature: SHARED_ACCESS,
    },
    Scheme {
        marks: &["sig", "sv", "ss", "srt"],
        signature: SHARED_ACCESS,
    },
];

/// The parameters of a shared access signature of Azure, for one resource (`sr`) or for an account (`ss`, `srt`).
const SHARED_ACCESS: &[&str] = &[
    "sig", "sv", "ss", "srt", "sr", "sp", "st", "se", "spr", "sip", "si", "skoid", "sktid", "skt",
    "ske", "sks", "skv", "saoid", "suoid", "scid", "sdd", "ses",
];

/// A URL without `user:password@` and without the parameters of a signature, for the key of a cache. Neither
/// changes which blob the URL names.
pub(super) fn unsigned(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    let rest = &rest[end..];
    let Some((path, query)) = rest.split_once('?') else {
        return format!("{scheme}://{host}{rest}");
    };
    let (query, fragment) = match query.split_once('#') {
        Some((query, fragment)) => (query, format!("#{fragment}")),
        None => (query, String::new()),
    };
    let kept = without_signature(query);
    let mark = if kept.is_empty() { "" } else { "?" };
    format!("{scheme}://{host}{path}{mark}{kept}{fragment}")
}

fn without_signature(query: &str) -> String {
    let name = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        name.to_ascii_lowercase()
    };
    let names: Vec<String> = query.split('&').map(name).collect();
    let has = |mark: &&str| names.iter().any(|name| name == mark);
    let scheme = SCHEMES.iter().find(|scheme| scheme.marks.iter().all(&has));
    let Some(scheme) = scheme else {
        return query.to_owned();
    };
    let is_signature = |name: &str| {
        let mut known = scheme.signature.iter();
        known.any(|known| match known.strip_suffix('*') {
            Some(begin) => name.starts_with(begin),
            None => name == *known,
        })
    };
    let pairs = query.split('&').zip(&names);
    let kept = pairs.filter(|(_, name)| !is_signature(name));
    kept.map(|(pair, _)| pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_known_schemes_are_left_out() {
        for (url, expected) in [
            ("https://me:pw@h/a.zip", "https://h/a.zip"),
            (
                "https://b.s3.amazonaws.com/a.zip?versionId=7&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK\
                 &X-Amz-Date=1&X-Amz-Expires=9&X-Amz-SignedHeaders=host&x-amz-security-token=t&X-Amz-Signature=ab",
                "https://b.s3.amazonaws.com/a.zip?versionId=7",
            ),
            (
                "https://storage.googleapis.com/b/a.zip?X-Goog-Credential=c&X-Goog-Signature=s&generation=3",
                "https://storage.googleapis.com/b/a.zip?generation=3",
            ),
            (
                "https://h/a.zip?AWSAccessKeyId=AK&Expires=1&Signature=a%2Bb%3D",
                "https://h/a.zip",
            ),
            (
                "https://h/a.zip?GoogleAccessId=me&Expires=1&Signature=a#part",
                "https://h/a.zip#part",
            ),
            (
                "https://d1.cloudfront.net/a.zip?size=large&Policy=p&Signature=s&Key-Pair-Id=K",
                "https://d1.cloudfront.net/a.zip?size=large",
            ),
            (
                "https://me.blob.core.windows.net/c/a.zip?sp=r&st=1&se=2&spr=https&sv=2022-11-02&sr=b&sig=x%3D\
                 &snapshot=5",
                "https://me.blob.core.windows.net/c/a.zip?snapshot=5",
            ),
        ] {
            assert_eq!(unsigned(url), expected, "{url}");
        }
    }

    /// They may name the content.
    #[test]
    fn parameters_of_no_known_scheme_stay() {
        for url in [
            "https://h/get?id=7&expires=9&signature=mine",
            "https://h/get?sig=7",
            "https://h/get?sv=3&sig=x&se=1&st=5",
            "https://h/get?token=7&X-Amz-Date=1",
            "https://h/a?",
        ] {
            let kept = unsigned(url);
            assert_eq!(kept, url.trim_end_matches('?'), "{url}");
        }
    }
}

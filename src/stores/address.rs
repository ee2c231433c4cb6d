//! The address of an object: `s3://BUCKET/KEY`, `gs://BUCKET/OBJECT`, `az://CONTAINER/BLOB`.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What a signature expects to be percent-encoded in a query: all but the unreserved characters of RFC 3986
/// (AWS, "Create a signed AWS API request", step 1).
pub(super) const IN_QUERY: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The same in a path, where slashes stay.
const IN_PATH: AsciiSet = IN_QUERY.remove(b'/');

/// The kinds of object stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon S3, and the many stores that speak its protocol.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
}

/// The address of an object, or of a prefix of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectAddress {
    /// The kind of the store.
    pub service: Service,
    /// The bucket, or the container.
    pub bucket: String,
    /// The key as the store knows it: not encoded. Empty for a whole bucket.
    pub key: String,
}

/// Why a text is not the address of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The bucket is missing, or has characters that no bucket can have.
    #[error("no bucket has such a name; the form is {}", .0.form())]
    Bucket(Service),
    /// The key has `.` or `..` between slashes. URLs cannot have such paths.
    #[error("a key with '.' or '..' between slashes cannot be requested by URL")]
    Dots,
}

impl Service {
    /// The service of a scheme.
    pub fn of_scheme(scheme: &str) -> Option<Self> {
        let all = [Service::S3, Service::Gs, Service::Az].into_iter();
        let mut all = all.filter(|service| service.scheme().eq_ignore_ascii_case(scheme));
        all.next()
    }

    /// The scheme of its addresses.
    pub fn scheme(self) -> &'static str {
        match self {
            Service::S3 => "s3",
            Service::Gs => "gs",
            Service::Az => "az",
        }
    }

    /// The form of its addresses.
    fn form(self) -> &'static str {
        match self {
            Service::S3 => "s3://BUCKET/KEY",
            Service::Gs => "gs://BUCKET/OBJECT",
            Service::Az => "az://CONTAINER/BLOB",
        }
    }
}

impl ObjectAddress {
    /// Parses an address. `None` if `text` has another scheme. The key is taken as it is: `%20` is three
    /// characters, and `?` and `#` have no meaning, as for the stores' own tools.
    pub fn parse(text: &str) -> Option<Result<Self, AddressError>> {
        let (scheme, rest) = text.split_once("://")?;
        let service = Service::of_scheme(scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
        Some(if bucket.is_empty() || !bucket.chars().all(is_fit) {
            Err(AddressError::Bucket(service))
        } else if key.split('/').any(|part| part == "." || part == "..") {
            Err(AddressError::Dots)
        } else {
            Ok(Self {
                service,
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            })
        })
    }

    /// Whether it is that of a prefix of keys, which is listed like a directory: the whole bucket, or one that
    /// ends with a slash.
    pub fn is_prefix(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The address of a key in the same bucket.
    pub fn with_key(&self, key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            ..self.clone()
        }
    }

    /// The key as the path of a URL, without a slash in front.
    pub(super) fn encoded_key(&self) -> String {
        utf8_percent_encode(&self.key, &IN_PATH).to_string()
    }
}

impl fmt::Display for ObjectAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}/{}",
            self.service.scheme(),
            self.bucket,
            self.key
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says() {
        for (text, service, bucket, key, encoded) in [
            ("s3://b/k.zip", Service::S3, "b", "k.zip", "k.zip"),
            ("S3://b.c/a/k", Service::S3, "b.c", "a/k", "a/k"),
            (
                "gs://b_1/my film+é?#%20.zip",
                Service::Gs,
                "b_1",
                "my film+é?#%20.zip",
                "my%20film%2B%C3%A9%3F%23%2520.zip",
            ),
            ("az://$root//k", Service::Az, "$root", "/k", "/k"),
        ] {
            let address = ObjectAddress::parse(text).expect("its scheme");
            let address = address.expect(text);
            assert_eq!(address.service, service, "{text}");
            assert_eq!((&*address.bucket, &*address.key), (bucket, key), "{text}");
            assert_eq!(address.encoded_key(), encoded, "{text}");
        }
        for (text, is_prefix) in [
            ("s3://b", true),
            ("s3://b/", true),
            ("s3://b/f/", true),
            ("s3://b/f", false),
        ] {
            let address = ObjectAddress::parse(text).expect("its scheme").expect(text);
            assert_eq!(address.is_prefix(), is_prefix, "{text}");
        }
        assert_eq!(ObjectAddress::parse("https://b/k"), None);
        assert_eq!(ObjectAddress::parse("b/k"), None);
    }

    #[test]
    fn what_is_wrong_names_the_form() {
        for (text, part) in [
            ("s3://", "s3://BUCKET/KEY"),
            ("s3:///k", "s3://BUCKET/KEY"),
            ("gs://me:pw@b/k", "gs://BUCKET/OBJECT"),
            ("az:///c", "az://CONTAINER/BLOB"),
            ("s3://b/a/../k", "'..'"),
        ] {
            let error = ObjectAddress::parse(text).expect("its scheme");
            let error = error.expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }
}

//! One object, or one bucket, in a store: its URL, and the signatures of requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt};
use http::Method;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use reqsign_core::{Context, SignRequestDyn, SigningCredential};

use super::address::{ObjectAddress, Service};
use super::keys::{Keys, NoKeys};
use super::settings::StoreSettings;
use super::{advice, az, gs, s3};
use crate::http::{Authorizer, Clients, Refusal, Url};
use crate::source::Error;

/// The hash of an empty body, which S3 wants to see in a request.
const EMPTY_BODY: &str = reqsign_aws_v4::EMPTY_STRING_SHA256;

/// What a request's body hashes to, which is signed with it. So nobody changes it on the way.
pub(super) const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// One object or bucket in a store, which signs the requests for it.
pub struct Store {
    address: ObjectAddress,
    settings: StoreSettings,
    /// The store's URL; `None` for Amazon's.
    endpoint: Option<Url>,
    /// The region that requests are signed for, and since when. The store may name another.
    region: Mutex<(String, Instant)>,
    signing: Signing,
}

enum Signing {
    None,
    S3(Arc<Keys<reqsign_aws_v4::Credential>>),
    Gs(Arc<Keys<reqsign_google::Credential>>),
    Az(Arc<Keys<reqsign_azure_storage::Credential>>),
}

impl Store {
    /// The store of `address`. `clients` are asked for credentials. Sends nothing yet.
    ///
    /// # Errors
    /// What is wrong with the settings, the environment or a profile, and what to do.
    pub fn new(
        address: ObjectAddress,
        settings: StoreSettings,
        clients: &Clients,
    ) -> Result<Self, String> {
        let (mut region, mut signing) = (String::new(), Signing::None);
        let is_signed = !settings.anonymous;
        let endpoint = match address.service {
            Service::S3 => {
                let profile = s3::profile(&settings)?;
                region = s3::region(&settings, &profile);
                if is_signed {
                    let places = s3::places(&settings, &profile, &region, clients)?;
                    signing = Signing::S3(Keys::new(places));
                }
                s3::endpoint(&settings, &profile)
            }
            Service::Gs => {
                if is_signed {
                    signing = Signing::Gs(Keys::new(gs::places(clients)));
                }
                Some(gs::endpoint(&settings))
            }
            Service::Az => {
                if is_signed {
                    signing = Signing::Az(Keys::new(az::places(&settings, clients)));
                }
                Some(az::endpoint(&settings)?)
            }
        };
        let endpoint = endpoint.as_deref().map(parse_endpoint).transpose()?;
        let store = Self {
            address,
            settings,
            endpoint,
            region: Mutex::new((region, Instant::now())),
            signing,
        };
        store.object_url(&store.region())?; // So that later calls cannot fail.
        Ok(store)
    }

    /// The kind of the store.
    pub fn service(&self) -> Service {
        self.address.service
    }

    /// The store's URL; `None` for Amazon's, whose buckets have the same name everywhere.
    pub fn endpoint(&self) -> Option<&Url> {
        self.endpoint.as_ref()
    }

    fn object_url(&self, region: &str) -> Result<Url, String> {
        match (self.address.service, &self.endpoint) {
            (Service::Gs, Some(endpoint)) => Ok(gs::url(&self.address, endpoint)),
            (Service::Az, Some(endpoint)) => Ok(az::url(&self.address, endpoint)),
            (_, endpoint) => {
                let addressing = self.settings.addressing;
                s3::url(&self.address, endpoint.as_ref(), region, addressing)
            }
        }
    }

    /// The region that requests are signed for; empty for Google and Azure.
    fn region(&self) -> String {
        let region = self.region.lock();
        region.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Where the credentials come from; `None` without signatures.
    fn keys_from(&self) -> Option<String> {
        match &self.signing {
            Signing::None => None,
            Signing::S3(keys) => keys.origin(),
            Signing::Gs(keys) => keys.origin(),
            Signing::Az(keys) => keys.origin(),
        }
    }

    /// Uses the region that the store named in answer to a request of `asked`. False if that request was signed
    /// for it, or if the user chose another.
    fn adopt_region(&self, named: &str, asked: Instant) -> bool {
        let is_possible = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.settings.region.is_some() || !named.chars().all(is_possible) {
            return false;
        }
        // A host name can be wrong in other ways, too: `xn--a` is no name of the DNS.
        if named.is_empty() || self.object_url(named).is_err() {
            return false;
        }
        let mut region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        if region.0 == named {
            return region.1 > asked;
        }
        log::debug!("{}: the bucket is in region {named}", self.address);
        *region = (named.to_owned(), Instant::now());
        true
    }

    async fn sign(
        &self,
        method: &Method,
        url: &mut Url,
        headers: &mut HeaderMap,
    ) -> Result<(), NoKeys> {
        if self.settings.requester_pays && matches!(self.signing, Signing::None | Signing::S3(_)) {
            headers.insert("x-amz-request-payer", HeaderValue::from_static("requester"));
        }
        match &self.signing {
            Signing::None => Ok(()),
            Signing::S3(keys) => {
                let hash = HeaderValue::from_static(EMPTY_BODY);
                headers.entry(CONTENT_HASH).or_insert(hash);
                let keys = keys.get().await?;
                let signer = reqsign_aws_v4::RequestSigner::new("s3", &self.region());
                // Proxies may change other headers.
                let signed = |name: &HeaderName| name.as_str().starts_with("x-amz-");
                add_signature(&signer, &keys, method, url, headers, signed).await
            }
            Signing::Gs(keys) => {
                let keys = keys.get().await?;
                let signer = reqsign_google::RequestSigner::new("storage");
                add_signature(&signer, &keys, method, url, headers, |_| false).await
            }
            Signing::Az(keys) => {
                let version = HeaderValue::from_static(az::VERSION);
                headers.insert("x-ms-version", version);
                let keys = keys.get().await?;
                let signer = reqsign_azure_storage::RequestSigner::new();
                add_signature(&signer, &keys, method, url, headers, |_| true).await
            }
        }
    }
}

impl Authorizer for Store {
    fn url(&self) -> Url {
        // `new` and `adopt_region` make the URL of a region before they keep it.
        let url = self.object_url(&self.region());
        url.expect("it could be made before")
    }

    fn authorize<'a>(
        &'a self,
        method: &'a Method,
        url: &'a mut Url,
        headers: &'a mut HeaderMap,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let signed = async {
            self.sign(method, url, headers)
                .await
                .map_err(|NoKeys(what)| Error::Unsupported { what })
        };
        signed.boxed()
    }

    fn renew(&self, refusal: &Refusal, asked: Instant) -> bool {
        if self.address.service == Service::S3
            && let Some(region) = advice::region(refusal)
            && self.adopt_region(region, asked)
        {
            return true;
        }
        if !advice::may_be_renewed(self.address.service, refusal) {
            return false;
        }
        match &self.signing {
            Signing::None => return false,
            Signing::S3(keys) => keys.give_up(asked),
            Signing::Gs(keys) => keys.give_up(asked),
            Signing::Az(keys) => keys.give_up(asked),
        }
        true
    }

    fn advice(&self, refusal: &Refusal) -> String {
        let request = advice::Request {
            address: &self.address,
            settings: &self.settings,
            host: self.endpoint.as_ref().and_then(Url::host_str),
            region: self.region(),
            keys_from: self.keys_from(),
        };
        advice::advice(&request, refusal)
    }
}

/// Signs a request with the library: with those of its headers that `is_signed` says.
async fn add_signature<K: SigningCredential>(
    signer: &dyn SignRequestDyn<Credential = K>,
    keys: &K,
    method: &Method,
    url: &mut Url,
    headers: &mut HeaderMap,
    is_signed: impl Fn(&HeaderName) -> bool,
) -> Result<(), NoKeys> {
    let wrong = |e: reqsign_core::Error| NoKeys(format!("the request cannot be signed: {e}"));
    let request = http::Request::builder().method(method).uri(url.as_str());
    let request = request.body(()).map_err(|e| wrong(e.into()))?;
    let (mut parts, ()) = request.into_parts();
    let to_sign = headers.iter().filter(|(name, _)| is_signed(name));
    parts.headers = to_sign
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // These signatures need nothing from this machine.
    let context = Context::new();
    let signed = signer.sign_request_dyn(&context, &mut parts, Some(keys), None);
    signed.await.map_err(wrong)?;
    // The Host header is written with the request line.
    parts.headers.remove(HOST);
    for (name, value) in &parts.headers {
        headers.insert(name, value.clone());
    }
    if let Some(query) = parts.uri.query() {
        url.set_query(Some(query));
    }
    Ok(())
}

/// Parses the URL of a store.
fn parse_endpoint(text: &str) -> Result<Url, String> {
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    // The text is not repeated: it may hold a password.
    let url = Url::parse(&text).map_err(|e| format!("the endpoint is not a URL: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("the endpoint must be an http or https URL".into());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err("the endpoint must be a URL without a login and a query".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `xn--a` has the characters of a region, and no URL can be made of it. Requests panicked.
    #[test]
    fn a_region_that_is_no_name_of_a_host_is_not_adopted() {
        let address = ObjectAddress::parse("s3://b/k").expect("its scheme");
        let settings = StoreSettings {
            anonymous: true,
            ..StoreSettings::default()
        };
        let store = Store::new(address.expect("an address"), settings, &Clients::default());
        let store = store.expect("a store");
        let before = store.url();
        for named in ["xn--a", "a..b", "A", ""] {
            assert!(!store.adopt_region(named, Instant::now()), "{named}");
            assert_eq!(store.url(), before, "{named}");
        }
        assert!(store.adopt_region("eu-west-9", Instant::now()));
        assert!(store.url().as_str().contains(".eu-west-9."));
    }
}

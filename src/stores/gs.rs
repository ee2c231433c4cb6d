//! Google Cloud Storage: its XML API, and where credentials are (Google, "How Application Default Credentials
//! works").

use std::sync::Arc;

use reqsign_core::{Context, ProvideCredential, ProvideCredentialDyn, Result};
use reqsign_google::{
    Credential, EnvCredentialProvider, ServiceAccountTokenCredentialProvider,
    VmMetadataCredentialProvider, WellKnownCredentialProvider,
};

use super::address::ObjectAddress;
use super::context::context;
use super::environment::variable;
use super::keys::Place;
use super::settings::StoreSettings;
use crate::http::{Clients, Url};

/// What may be done with the credentials: read objects.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// The URL of the store.
pub(super) fn endpoint(settings: &StoreSettings) -> String {
    let given = settings.endpoint.clone();
    let given = given.or_else(|| variable("STORAGE_EMULATOR_HOST"));
    given.unwrap_or_else(|| "https://storage.googleapis.com".to_owned())
}

/// The URL of an object.
pub(super) fn url(address: &ObjectAddress, endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let before = endpoint.path().trim_end_matches('/');
    let (bucket, key) = (&address.bucket, address.encoded_key());
    url.set_path(&format!("{before}/{bucket}/{key}"));
    url
}

/// Where credentials may be.
pub(super) fn places(clients: &Clients) -> Vec<Place<Credential>> {
    let place = |name: &str, is_optional: bool, provider: Arc<Tokens>| Place {
        name: name.to_owned(),
        context: context(clients),
        provider,
        is_optional,
    };
    let of = |provider: Arc<dyn ProvideCredentialDyn<Credential = Credential>>| {
        Arc::new(Tokens(provider))
    };
    vec![
        place(
            "GOOGLE_APPLICATION_CREDENTIALS",
            false,
            of(Arc::new(EnvCredentialProvider::new().with_scope(SCOPE))),
        ),
        place(
            "the login of gcloud ('gcloud auth application-default login')",
            false,
            of(Arc::new(
                WellKnownCredentialProvider::new().with_scope(SCOPE),
            )),
        ),
        place(
            "the metadata service of Google Cloud",
            true,
            of(Arc::new(
                VmMetadataCredentialProvider::new().with_scope(SCOPE),
            )),
        ),
    ]
}

/// Credentials as access tokens. The key of a service account is exchanged for one, which is kept; the
/// signer would exchange it for every request.
#[derive(Debug)]
struct Tokens(Arc<dyn ProvideCredentialDyn<Credential = Credential>>);

impl ProvideCredential for Tokens {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<Credential>> {
        let found = self.0.provide_credential_dyn(context).await?;
        let Some(Credential {
            service_account: Some(account),
            token: None,
            ..
        }) = found
        else {
            return Ok(found);
        };
        let exchange = ServiceAccountTokenCredentialProvider::new(account).with_scope(SCOPE);
        exchange.provide_credential(context).await
    }
}

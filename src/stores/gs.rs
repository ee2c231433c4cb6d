//! Google Cloud Storage: its XML API, and where credentials are (Google, "How Application Default Credentials
//! works").

use reqsign_core::{Context, ProvideCredential, Result};
use reqsign_google::{
    Credential, EnvCredentialProvider, ServiceAccountTokenCredentialProvider,
    VmMetadataCredentialProvider, WellKnownCredentialProvider,
};

use super::address::ObjectAddress;
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
    let metadata = VmMetadataCredentialProvider::new().with_scope(SCOPE);
    vec![
        Place::new(
            "GOOGLE_APPLICATION_CREDENTIALS",
            clients,
            Tokens(EnvCredentialProvider::new().with_scope(SCOPE)),
        ),
        Place::new(
            "the login of gcloud ('gcloud auth application-default login')",
            clients,
            Tokens(WellKnownCredentialProvider::new().with_scope(SCOPE)),
        ),
        Place::optional(
            "the metadata service of Google Cloud",
            clients,
            Tokens(metadata),
        ),
    ]
}

/// Credentials as access tokens. The key of a service account is exchanged for one, which is kept; the
/// signer would exchange it for every request.
#[derive(Debug)]
struct Tokens<P>(P);

impl<P: ProvideCredential<Credential = Credential>> ProvideCredential for Tokens<P> {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<Credential>> {
        let found = self.0.provide_credential(context).await?;
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

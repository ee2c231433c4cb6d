//! Azure Blob Storage: accounts, and where credentials are.

use reqsign_azure_storage::{
    AzureCliCredentialProvider, AzurePipelinesCredentialProvider,
    ClientCertificateCredentialProvider, ClientSecretCredentialProvider, Credential,
    EnvCredentialProvider, ImdsCredentialProvider, StaticCredentialProvider,
    WorkloadIdentityCredentialProvider,
};

use super::address::ObjectAddress;
use super::environment::{first_of, variable};
use super::keys::Place;
use super::settings::StoreSettings;
use crate::http::{Clients, Url};

/// The version of the protocol, which every request names. The first one in which every kind of credentials
/// can be used.
pub(super) const VERSION: &str = "2021-08-06";

/// The storage account: the first part of the endpoint's host, or what the environment says.
pub(super) fn account(settings: &StoreSettings) -> Option<String> {
    let given = settings.account.clone();
    given
        .or_else(|| first_of(&["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]))
        .or_else(|| in_connection_string("AccountName"))
}

/// The URL of the store.
///
/// # Errors
/// If nothing says which account is meant.
pub(super) fn endpoint(settings: &StoreSettings) -> Result<String, String> {
    let given = settings.endpoint.clone();
    if let Some(url) = given.or_else(|| in_connection_string("BlobEndpoint")) {
        return Ok(url);
    }
    let account = account(settings);
    let account = account.ok_or(
        "nothing says which storage account is meant; set AZURE_STORAGE_ACCOUNT, or give --endpoint-url https://ACCOUNT.blob.core.windows.net",
    )?;
    Ok(format!("https://{account}.blob.core.windows.net"))
}

/// The URL of a blob, or of the container for an empty key.
pub(super) fn url(address: &ObjectAddress, endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let before = endpoint.path().trim_end_matches('/');
    let (container, blob) = (&address.bucket, address.encoded_key());
    let slash = if blob.is_empty() { "" } else { "/" };
    url.set_path(&format!("{before}/{container}{slash}{blob}"));
    url
}

/// Where credentials may be: account keys and shared access signatures, then identities in the order of
/// Microsoft's libraries (Microsoft, "DefaultAzureCredential overview").
pub(super) fn places(settings: &StoreSettings, clients: &Clients) -> Vec<Place<Credential>> {
    let mut places = Vec::new();
    let key = first_of(&["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"]);
    let key = key.or_else(|| in_connection_string("AccountKey"));
    if let (Some(account), Some(key)) = (account(settings), key) {
        let provider = StaticCredentialProvider::new_shared_key(&account, &key);
        places.push(Place::new(
            "the account key of the environment",
            clients,
            provider,
        ));
    }
    let signature = variable("AZURE_STORAGE_SAS_TOKEN");
    let signature = signature.or_else(|| in_connection_string("SharedAccessSignature"));
    if let Some(signature) = signature {
        let signature = signature.trim_start_matches('?');
        let provider = StaticCredentialProvider::new_sas_token(signature);
        places.push(Place::new("AZURE_STORAGE_SAS_TOKEN", clients, provider));
    }
    places.extend([
        Place::new(
            "AZURE_STORAGE_BEARER_TOKEN",
            clients,
            EnvCredentialProvider::new(),
        ),
        Place::new(
            "AZURE_CLIENT_SECRET",
            clients,
            ClientSecretCredentialProvider::new(),
        ),
        Place::new(
            "AZURE_CLIENT_CERTIFICATE_PATH",
            clients,
            ClientCertificateCredentialProvider::new(),
        ),
        Place::new(
            "AZURE_FEDERATED_TOKEN_FILE",
            clients,
            WorkloadIdentityCredentialProvider::new(),
        ),
        Place::new(
            "Azure Pipelines",
            clients,
            AzurePipelinesCredentialProvider::new(),
        ),
        Place::optional(
            "the managed identity",
            clients,
            ImdsCredentialProvider::new(),
        ),
        Place::optional(
            "the login of the Azure CLI ('az login')",
            clients,
            AzureCliCredentialProvider::new(),
        ),
    ]);
    places
}

/// A part of AZURE_STORAGE_CONNECTION_STRING (Microsoft, "Configure Azure Storage connection strings").
fn in_connection_string(name: &str) -> Option<String> {
    part_of(&variable("AZURE_STORAGE_CONNECTION_STRING")?, name)
}

fn part_of(connection: &str, name: &str) -> Option<String> {
    let mut parts = connection
        .split(';')
        .filter_map(|part| part.split_once('='));
    let found = parts.find(|(part, _)| part.trim().eq_ignore_ascii_case(name))?;
    Some(found.1.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_made_of_parts() {
        let text = "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=a+b/c==;\
            SharedAccessSignature=sv=1&sig=x%3D;BlobEndpoint=";
        assert_eq!(part_of(text, "AccountName").as_deref(), Some("me"));
        assert_eq!(part_of(text, "AccountKey").as_deref(), Some("a+b/c=="));
        let signature = part_of(text, "SharedAccessSignature");
        assert_eq!(signature.as_deref(), Some("sv=1&sig=x%3D"));
        assert_eq!(part_of(text, "BlobEndpoint"), None);
    }
}

//! Credentials of a profile whose user signs in at IAM Identity Center (SSO).

use reqsign_aws_v4::{Credential, SSOCredentialProvider};
use reqsign_core::{Context, Error, ProvideCredential, Result};

/// The library's provider. Where that finds no token, or an expired one, the error says what to do. The search for
/// credentials ends here: the user asked for this profile.
#[derive(Debug)]
pub(super) struct Sso {
    pub(super) provider: SSOCredentialProvider,
    /// The name of the profile.
    pub(super) profile: String,
}

impl ProvideCredential for Sso {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> Result<Option<Credential>> {
        match self.provider.provide_credential(context).await? {
            None => Err(Error::credential_invalid(format!(
                "there is no SSO token, or it has expired; run 'aws sso login --profile {}'",
                self.profile
            ))),
            found => Ok(found),
        }
    }
}

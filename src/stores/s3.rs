//! Amazon S3 and the stores that speak its protocol: endpoints, regions, and where credentials are.

use std::path::PathBuf;
use std::sync::Arc;

use reqsign_aws_v4::{
    AssumeRoleCredentialProvider, AssumeRoleWithWebIdentityCredentialProvider, Credential,
    ECSCredentialProvider, EnvCredentialProvider, IMDSv2CredentialProvider,
    ProcessCredentialProvider, RequestSigner, SSOCredentialProvider, StaticCredentialProvider,
};
use reqsign_core::{Context, ProvideCredentialDyn, Signer};

use super::address::ObjectAddress;
use super::context::{context, context_of_process};
use super::environment::first_of;
use super::keys::Place;
use super::profile::Profile;
use super::settings::{Addressing, StoreSettings};
use crate::http::{Clients, Url};

/// The region where nothing says another.
const DEFAULT_REGION: &str = "us-east-1";

/// The longest chain of `source_profile`s.
const MAX_SOURCES: usize = 5;

type Provider = Arc<dyn ProvideCredentialDyn<Credential = Credential>>;

/// The profile to use.
///
/// # Errors
/// If the user named one that no file has.
pub(super) fn profile(settings: &StoreSettings) -> Result<Profile, String> {
    let named = settings.profile.clone().or_else(Profile::chosen);
    let name = named.as_deref().unwrap_or("default");
    match Profile::load(name)? {
        Some(profile) => Ok(profile),
        None if named.is_some() => Err(format!(
            "there is no profile '{name}' in ~/.aws/config and ~/.aws/credentials"
        )),
        None => Ok(Profile::empty(name.to_owned())),
    }
}

/// The URL of the store, if it is not Amazon's (AWS, "Service-specific endpoints").
pub(super) fn endpoint(settings: &StoreSettings, profile: &Profile) -> Option<String> {
    let given = settings.endpoint.clone();
    let given = given.or_else(|| first_of(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
    given.or_else(|| profile.get("endpoint_url").map(str::to_owned))
}

/// The region that requests are signed for.
pub(super) fn region(settings: &StoreSettings, profile: &Profile) -> String {
    let given = settings.region.clone();
    let given = given.or_else(|| first_of(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
    let given = given.or_else(|| profile.get("region").map(str::to_owned));
    given.unwrap_or_else(|| DEFAULT_REGION.to_owned())
}

/// The URL of an object. `endpoint` is the store's URL; `None` means Amazon's.
pub(super) fn url(
    address: &ObjectAddress,
    endpoint: Option<&Url>,
    region: &str,
    addressing: Option<Addressing>,
) -> Result<Url, String> {
    let bucket = &address.bucket;
    let base = match endpoint {
        Some(url) => url.clone(),
        None => {
            let suffix = if region.starts_with("cn-") {
                "amazonaws.com.cn"
            } else {
                "amazonaws.com"
            };
            let url = Url::parse(&format!("https://s3.{region}.{suffix}/"));
            url.map_err(|_| format!("'{region}' cannot be a region"))?
        }
    };
    let addressing = addressing.unwrap_or(match endpoint {
        Some(_) => Addressing::Path,
        // No certificate covers names with more dots, and old buckets may have other characters.
        None if bucket.contains(['.', '_']) || *bucket != bucket.to_ascii_lowercase() => {
            Addressing::Path
        }
        None => Addressing::VirtualHosted,
    });
    let (mut url, before) = (base.clone(), base.path().trim_end_matches('/'));
    let key = address.encoded_key();
    match addressing {
        Addressing::Path => url.set_path(&format!("{before}/{bucket}/{key}")),
        Addressing::VirtualHosted => {
            let host = base.host_str().unwrap_or_default();
            let host = format!("{bucket}.{host}");
            url.set_host(Some(&host))
                .map_err(|_| format!("'{host}' cannot be the name of a host"))?;
            url.set_path(&format!("{before}/{key}"));
        }
    }
    Ok(url)
}

/// Where credentials may be, in the order of AWS's own tools (AWS, "Standardized credential providers").
///
/// # Errors
/// If a profile that is needed does not exist.
pub(super) fn places(
    settings: &StoreSettings,
    profile: &Profile,
    region: &str,
    clients: &Clients,
) -> Result<Vec<Place<Credential>>, String> {
    // A profile that is named as an option is meant, whatever else there is.
    let is_meant = settings.profile.is_some();
    let mut places = Vec::new();
    if !is_meant {
        let provider = EnvCredentialProvider::new();
        places.push(Place::new(
            "AWS_ACCESS_KEY_ID in the environment",
            clients,
            provider,
        ));
    }
    let name = format!("profile '{}'", profile.name);
    match of_profile(profile, region, clients, MAX_SOURCES)? {
        Some((context, provider)) => places.push(Place {
            name,
            context,
            provider,
            is_optional: false,
        }),
        None if is_meant => return Err(format!("{name} has no credentials")),
        None => {}
    }
    if !is_meant {
        places.extend([
            Place::new(
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                clients,
                AssumeRoleWithWebIdentityCredentialProvider::new(),
            ),
            Place::new(
                "the container's credentials service",
                clients,
                ECSCredentialProvider::new(),
            ),
            Place::optional(
                "the metadata service of EC2",
                clients,
                IMDSv2CredentialProvider::new(),
            ),
        ]);
    }
    Ok(places)
}

/// What provides the credentials of a profile, and in which context; `None` if the profile has none.
fn of_profile(
    profile: &Profile,
    region: &str,
    clients: &Clients,
    sources_left: usize,
) -> Result<Option<(Context, Provider)>, String> {
    let own = context(clients);
    let get = |key: &str| profile.get(key).map(str::to_owned);
    if let Some(role) = get("role_arn") {
        if let Some(token) = get("web_identity_token_file") {
            let token = PathBuf::from(token);
            let provider = AssumeRoleWithWebIdentityCredentialProvider::with_config(role, token);
            return Ok(Some((own, Arc::new(provider))));
        }
        let (source_context, source) = source(profile, region, clients, sources_left)?;
        let signer = RequestSigner::new("sts", region);
        let signer = Signer::new(source_context, source, signer);
        let mut provider = AssumeRoleCredentialProvider::new(role, signer)
            .with_region(region.to_owned())
            .with_regional_sts_endpoint();
        if let Some(name) = get("role_session_name") {
            provider = provider.with_role_session_name(name);
        }
        if let Some(id) = get("external_id") {
            provider = provider.with_external_id(id);
        }
        return Ok(Some((own, Arc::new(provider))));
    }
    if let Some(account) = get("sso_account_id") {
        let sso = |key: &str| {
            let value = profile.get_sso(key).map(str::to_owned);
            value.ok_or_else(|| format!("profile '{}' has no {key}", profile.name))
        };
        // The token lies in a file that is named after the session, or after the URL if there is none.
        let name = get("sso_session").map_or_else(|| sso("sso_start_url"), Ok)?;
        let provider = SSOCredentialProvider::new()
            .with_account_id(account)
            .with_region(sso("sso_region")?)
            .with_role_name(sso("sso_role_name")?)
            .with_start_url(name);
        return Ok(Some((own, Arc::new(provider))));
    }
    if let (Some(id), Some(secret)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
        let keys = StaticCredentialProvider::new(&id, &secret);
        let keys = match get("aws_session_token") {
            Some(token) => keys.with_session_token(&token),
            None => keys,
        };
        return Ok(Some((own, Arc::new(keys))));
    }
    if let Some(command) = get("credential_process") {
        let provider = ProcessCredentialProvider::new().with_command("sh");
        return Ok(Some((
            context_of_process(clients, &command),
            Arc::new(provider),
        )));
    }
    Ok(None)
}

/// What provides the credentials by which a role is assumed.
fn source(
    profile: &Profile,
    region: &str,
    clients: &Clients,
    sources_left: usize,
) -> Result<(Context, Provider), String> {
    let name = &profile.name;
    if let Some(source) = profile.get("source_profile") {
        let found = Profile::load(source)?;
        let found = found.ok_or_else(|| {
            format!("profile '{name}' names the source_profile '{source}', which does not exist")
        })?;
        let Some(left) = sources_left.checked_sub(1) else {
            return Err(format!(
                "profile '{name}': the source_profiles lead in a circle"
            ));
        };
        // A profile may be its own source: then its keys are meant.
        let found = if source == name {
            found.without("role_arn")
        } else {
            found
        };
        let provider = of_profile(&found, region, clients, left)?;
        return provider.ok_or_else(|| format!("profile '{source}' has no credentials"));
    }
    let provider: Provider = match profile.get("credential_source") {
        Some("Environment") => Arc::new(EnvCredentialProvider::new()),
        Some("EcsContainer") => Arc::new(ECSCredentialProvider::new()),
        Some("Ec2InstanceMetadata") => Arc::new(IMDSv2CredentialProvider::new()),
        _ => {
            return Err(format!(
                "profile '{name}' has a role_arn and no source_profile"
            ));
        }
    };
    Ok((context(clients), provider))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(
        address: &str,
        endpoint: Option<&str>,
        region: &str,
        addressing: Option<Addressing>,
    ) -> String {
        let address = ObjectAddress::parse(address).expect("its scheme");
        let address = address.expect("an address");
        let endpoint = endpoint.map(|url| Url::parse(url).expect("a URL"));
        let url = url(&address, endpoint.as_ref(), region, addressing);
        url.expect("a URL").into()
    }

    #[test]
    fn buckets_are_named_where_the_store_expects_it() {
        let (path, host) = (Some(Addressing::Path), Some(Addressing::VirtualHosted));
        for (address, endpoint, region, addressing, expected) in [
            (
                "s3://b/a b.zip",
                None,
                "eu-west-1",
                None,
                "https://b.s3.eu-west-1.amazonaws.com/a%20b.zip",
            ),
            (
                "s3://b.c/k",
                None,
                "cn-north-1",
                None,
                "https://s3.cn-north-1.amazonaws.com.cn/b.c/k",
            ),
            (
                "s3://b/k",
                Some("http://127.0.0.1:9000"),
                "x",
                None,
                "http://127.0.0.1:9000/b/k",
            ),
            (
                "s3://b//k",
                Some("https://h/pre/"),
                "x",
                path,
                "https://h/pre/b//k",
            ),
            (
                "s3://b/k",
                Some("https://s3.h:8443"),
                "x",
                host,
                "https://b.s3.h:8443/k",
            ),
        ] {
            assert_eq!(url_of(address, endpoint, region, addressing), expected);
        }
    }
}

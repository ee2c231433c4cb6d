//! The options of object stores.

use clap::Args;

use super::config::Config;
use super::mount_options::MountOptions;
use super::show::quoted;
use super::{Failure, completions};
use crate::stores::StoreSettings;
use crate::volume::Location;

#[derive(Debug, Clone, Default, Args)]
pub(super) struct StoreArgs {
    /// The store of an s3://, gs:// or az:// source: a [store.NAME] of the configuration
    #[arg(long, value_name = "NAME", add = completions::stores())]
    store: Option<String>,
    /// The profile of ~/.aws/config and ~/.aws/credentials to use [default: the environment's, or 'default']
    #[arg(long, value_name = "NAME", add = completions::profiles())]
    profile: Option<String>,
    /// The URL of the store, if it is not Amazon's, Google's or Azure's
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The region of an S3 bucket [default: the environment's or the profile's, or what the store says]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Do not sign requests: the object is public
    #[arg(long, alias = "no-sign-request")]
    anonymous: bool,
    /// Pay for requests to an S3 bucket whose owner does not
    #[arg(long)]
    requester_pays: bool,
}

impl StoreArgs {
    /// The same options as they are written on a command line, each with a space behind it.
    pub(super) fn line(&self) -> String {
        let values = [
            ("--store", &self.store),
            ("--profile", &self.profile),
            ("--endpoint-url", &self.endpoint_url),
            ("--region", &self.region),
        ];
        let mut line = String::new();
        for (name, value) in values {
            if let Some(value) = value {
                line += &format!("{name} {} ", quoted(value.as_bytes()));
            }
        }
        let flags = [
            ("--anonymous", self.anonymous),
            ("--requester-pays", self.requester_pays),
        ];
        for (name, _) in flags.into_iter().filter(|(_, is_set)| *is_set) {
            line += &format!("{name} ");
        }
        line
    }

    /// What is said about the store of `location`. Mount options take precedence over these arguments, and
    /// these over the configuration.
    pub(super) fn resolve(
        &self,
        config: &Config,
        location: &Location,
        options: &MountOptions,
    ) -> Result<StoreSettings, Failure> {
        let name = options.store_name.as_ref().or(self.store.as_ref());
        let own = StoreSettings {
            endpoint: self.endpoint_url.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            anonymous: self.anonymous,
            requester_pays: self.requester_pays,
            ..StoreSettings::default()
        };
        let own = options.store.clone().or(own);
        let Location::Object(address) = location else {
            if name.is_some() || own != StoreSettings::default() {
                return Err(Failure::usage(
                    "the options of a store are for sources that begin with s3://, gs:// or az://",
                ));
            }
            return Ok(own);
        };
        let of_archive = config.store_of(&address.to_string());
        let mut stores = config.stores();
        let store = match name.map(String::as_str).or(of_archive) {
            Some(name) => {
                let missing = || Failure::usage(format!("the configuration has no [store.{name}]"));
                let store = stores.find(|(known, _)| *known == name);
                Some(store.ok_or_else(missing)?)
            }
            None => stores.find(|(_, table)| table.has(&address.bucket)),
        };
        let configured = store.map(|(_, table)| table.settings());
        Ok(own.or(configured.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::Addressing;

    fn resolve(args: &StoreArgs, config: &str, source: &str) -> Result<StoreSettings, String> {
        let config = Config::parse_for_test(config);
        let location = Location::parse(source).expect("a location");
        let settings = args.resolve(&config, &location, &MountOptions::default());
        settings.map_err(|e| e.to_string())
    }

    const CONFIG: &str = r#"
        [store.near]
        endpoint = "http://10.0.0.1:9000"
        region = "here"
        addressing = "virtual-hosted"
        buckets = ["films"]
        [store.far]
        profile = "work"
        requester-pays = true
        [archive.holiday]
        source = "s3://b/holiday.zip"
        store = "far"
    "#;

    #[test]
    fn a_store_is_found_by_option_archive_or_bucket() {
        let none = StoreArgs::default();
        let near = resolve(&none, CONFIG, "s3://films/a.zip").expect("a store");
        assert_eq!(near.endpoint.as_deref(), Some("http://10.0.0.1:9000"));
        assert_eq!(near.addressing, Some(Addressing::VirtualHosted));
        let far = resolve(&none, CONFIG, "s3://b/holiday.zip").expect("a store");
        assert!(far.requester_pays && far.profile.as_deref() == Some("work"));
        let other = resolve(&none, CONFIG, "s3://b/other.zip");
        assert_eq!(other, Ok(StoreSettings::default()));
        let args = StoreArgs {
            store: Some("near".into()),
            region: Some("there".into()),
            ..none
        };
        let named = resolve(&args, CONFIG, "s3://b/holiday.zip").expect("a store");
        assert_eq!(named.region.as_deref(), Some("there"));
        assert_eq!(named.endpoint.as_deref(), Some("http://10.0.0.1:9000"));
    }

    #[test]
    fn what_cannot_apply_is_an_error() {
        let args = StoreArgs {
            store: Some("absent".into()),
            ..StoreArgs::default()
        };
        let error = resolve(&args, CONFIG, "s3://b/a.zip").expect_err("no such store");
        assert!(error.contains("[store.absent]"), "{error}");
        let args = StoreArgs {
            anonymous: true,
            ..StoreArgs::default()
        };
        let error = resolve(&args, CONFIG, "http://h/a.zip").expect_err("not a store");
        assert!(error.contains("s3://"), "{error}");
    }
}

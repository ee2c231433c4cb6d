//! `[store.NAME]` in the configuration.

use serde::Deserialize;

use crate::stores::{Addressing, StoreSettings};

/// `[store.NAME]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StoreTable {
    endpoint: Option<String>,
    region: Option<String>,
    profile: Option<String>,
    account: Option<String>,
    addressing: Option<AddressingName>,
    #[serde(default)]
    anonymous: bool,
    #[serde(default)]
    requester_pays: bool,
    /// The buckets that are in it. They need no `--store`.
    #[serde(default)]
    buckets: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum AddressingName {
    Path,
    VirtualHosted,
}

impl StoreTable {
    /// Whether it lists this bucket.
    pub(super) fn has(&self, bucket: &str) -> bool {
        self.buckets.iter().any(|listed| listed == bucket)
    }

    /// What it says.
    pub(super) fn settings(&self) -> StoreSettings {
        let table = self.clone();
        StoreSettings {
            endpoint: table.endpoint,
            region: table.region,
            profile: table.profile,
            account: table.account,
            addressing: table.addressing.map(|name| match name {
                AddressingName::Path => Addressing::Path,
                AddressingName::VirtualHosted => Addressing::VirtualHosted,
            }),
            anonymous: table.anonymous,
            requester_pays: table.requester_pays,
        }
    }
}

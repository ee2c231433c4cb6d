//! What a user may say about a store. All of it is optional: the environment and the profile files of AWS,
//! Google and Azure say the rest.

/// How the bucket is named in the URLs of an S3 store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `https://ENDPOINT/BUCKET/KEY`, as most stores other than Amazon's expect it.
    Path,
    /// `https://BUCKET.ENDPOINT/KEY`, as Amazon's store expects it.
    VirtualHosted,
}

/// What a user says about a store. `None` and `false` leave it to the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreSettings {
    /// The URL of the store.
    pub endpoint: Option<String>,
    /// The region that requests are signed for (S3).
    pub region: Option<String>,
    /// The profile of AWS's files (S3).
    pub profile: Option<String>,
    /// The storage account (Azure).
    pub account: Option<String>,
    /// Where the bucket is named (S3).
    pub addressing: Option<Addressing>,
    /// Requests are not signed: the object is public.
    pub anonymous: bool,
    /// The requester pays for requests and traffic (S3).
    pub requester_pays: bool,
}

impl StoreSettings {
    /// These settings, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            endpoint: self.endpoint.or(other.endpoint),
            region: self.region.or(other.region),
            profile: self.profile.or(other.profile),
            account: self.account.or(other.account),
            addressing: self.addressing.or(other.addressing),
            anonymous: self.anonymous || other.anonymous,
            requester_pays: self.requester_pays || other.requester_pays,
        }
    }
}

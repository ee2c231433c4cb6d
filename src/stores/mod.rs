//! Object stores: addresses such as `s3://BUCKET/KEY`, credentials, and the signatures of requests.
//!
//! A [`Store`] knows where an object is and signs the requests for it ([`crate::http::Authorizer`]). A library
//! finds credentials and signs (`doc/decisions/0011-credentials-and-signing.md`); what is here says which
//! credentials are looked for in which order, keeps and renews them, and explains a store's refusals. The bytes come over the
//! same HTTP client as those of a URL.

mod address;
mod advice;
mod az;
mod context;
mod environment;
mod gs;
mod keys;
mod list;
mod profile;
mod request;
mod s3;
mod settings;
mod store;

pub use self::address::{AddressError, ObjectAddress, Service};
pub use self::list::{Folder, Stored, list};
pub use self::profile::profile_names;
pub use self::request::{Ask, RequestError, Requests};
pub use self::settings::{Addressing, StoreSettings};
pub use self::store::Store;

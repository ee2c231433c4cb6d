//! The name of a blob whose bytes never change.

use std::fmt;

use crate::content::Cid;
use crate::ranges::hex;

/// The name of a blob in the cache.
///
/// The content of a key never changes. So the key of a URL includes a version. Verified and unverified
/// content of a CID have different keys: a lying gateway affects only mounts that do not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Identifies it.
    pub(super) hash: [u8; 32],
    /// `cid`, `believed`, `id` or `url`.
    pub(super) kind: &'static str,
    name: String,
}

impl Key {
    /// Content of a CID that the reader of the cache verifies.
    pub fn verified(cid: &Cid) -> Self {
        Self::new("cid", &[&cid.to_v1().to_string()], cid.to_string())
    }

    /// Content of a CID that is taken from gateways without verification.
    pub fn believed(cid: &Cid) -> Self {
        Self::new("believed", &[&cid.to_v1().to_string()], cid.to_string())
    }

    /// Content of an id of another network, as these gateways serve it.
    pub fn id(id: &str, gateways: &[String]) -> Self {
        let mut gateways: Vec<&str> = gateways.iter().map(String::as_str).collect();
        gateways.sort_unstable();
        gateways.dedup();
        let parts: Vec<&str> = [id].into_iter().chain(gateways).collect();
        Self::new("id", &parts, id.to_owned())
    }

    /// A URL, without its version yet. `shown` is the URL without secrets.
    pub fn url(url: &str, shown: &str) -> Self {
        Self::new("url", &[url], shown.to_owned())
    }

    /// A version of [`url`](Self::url) with `size` bytes.
    pub fn version(&self, version: &str, size: u64) -> Self {
        Self {
            kind: self.kind,
            ..Self::version_of(&self.hex(), version, size, self.name.clone())
        }
    }

    /// The file name of a version of the URL whose file name is `url`.
    pub(super) fn hex_of_version(url: &str, version: &str, size: u64) -> String {
        Self::version_of(url, version, size, String::new()).hex()
    }

    fn version_of(url: &str, version: &str, size: u64, name: String) -> Self {
        Self::new("version", &[url, version, &size.to_string()], name)
    }

    fn new(kind: &'static str, parts: &[&str], name: String) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("aiozfs cache key 1");
        for part in [kind].iter().chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let hash = hasher.finalize().into();
        Self { hash, kind, name }
    }

    /// The hash, shortened, as a file name.
    pub(super) fn hex(&self) -> String {
        hex(&self.hash[..20])
    }

    /// Whether it is a URL without a version.
    pub(super) fn is_url(&self) -> bool {
        self.kind == "url"
    }
}

/// The name for people, without secrets.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_content_has_different_keys() {
        let cid: Cid = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
            .parse()
            .expect("a CID");
        let url = Key::url("https://a/?x=s3cret", "https://a/");
        let gateways = ["http://g".to_owned(), "http://h".to_owned()];
        let keys = [
            Key::verified(&cid),
            Key::believed(&cid),
            Key::id("a", &gateways),
            Key::id("a", &gateways[..1]),
            Key::id("b", &gateways),
            Key::url("https://a/?x=2", "https://a/"),
            url.version("e1", 5),
            url.version("e2", 5),
            url.version("e1", 6),
            url.clone(),
        ];
        let mut names: Vec<String> = keys.iter().map(Key::hex).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), keys.len());
        assert_eq!(
            Key::verified(&cid),
            Key {
                name: cid.to_string(),
                ..Key::verified(&cid.to_v1())
            }
        );
        let turned = [gateways[1].clone(), gateways[0].clone()];
        assert_eq!(Key::id("a", &gateways), Key::id("a", &turned));
        assert!(!format!("{url:?} {url}").contains("s3cret"));
        assert_eq!(url.version("e1", 5).kind, "url");
    }
}

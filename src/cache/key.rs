//! What names a blob whose bytes can never change.

use std::fmt;

use crate::content::Cid;
use crate::ranges::hex;

/// The name of a blob in the cache.
///
/// What is kept under one key is the same for ever. So a URL alone is none: its version belongs to
/// it. And what gateways say of a CID without proof is kept apart from what is proven: one that
/// lied to a mount that believed it has no say in others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    hash: [u8; 32],
    kind: &'static str,
    name: String,
}

impl Key {
    /// Content that is proven against its CID by whoever reads it here.
    pub fn proven(cid: &Cid) -> Self {
        Self::new("cid", &[&cid.to_v1().to_string()], cid.to_string())
    }

    /// Content of a CID that gateways are believed to give.
    pub fn believed(cid: &Cid) -> Self {
        Self::new("believed", &[&cid.to_v1().to_string()], cid.to_string())
    }

    /// Content of an id of another network, as these gateways know it.
    pub fn id(id: &str, gateways: &[String]) -> Self {
        let mut gateways: Vec<&str> = gateways.iter().map(String::as_str).collect();
        gateways.sort_unstable();
        gateways.dedup();
        let parts: Vec<&str> = [id].into_iter().chain(gateways).collect();
        Self::new("id", &parts, id.to_owned())
    }

    /// Whatever is behind a URL; which version of it is yet to be found out. `shown` is the URL
    /// without secrets.
    pub fn url(url: &str, shown: &str) -> Self {
        Self::new("url", &[url], shown.to_owned())
    }

    /// This version, of `size` bytes, of what [`url`](Self::url) names.
    pub fn version(&self, version: &str, size: u64) -> Self {
        let parts = [&self.hex(), version, &size.to_string()];
        Self::new("version", &parts, self.name.clone()).of_kind(self.kind)
    }

    fn of_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
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

    /// What tells it from all others.
    pub(super) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The same, as the name of a file.
    pub(super) fn hex(&self) -> String {
        hex(&self.hash[..20])
    }

    /// Whether it is what is behind a URL, whatever that is.
    pub(super) fn is_url(&self) -> bool {
        self.kind == "url"
    }

    /// `cid`, `believed`, `id` or `url`.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }
}

/// What people call it; without secrets.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_same_has_another_key() {
        let cid: Cid = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"
            .parse()
            .expect("a CID");
        let url = Key::url("https://a/?x=s3cret", "https://a/");
        let gateways = ["http://g".to_owned(), "http://h".to_owned()];
        let keys = [
            Key::proven(&cid),
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
            Key::proven(&cid),
            Key {
                name: cid.to_string(),
                ..Key::proven(&cid.to_v1())
            }
        );
        let turned = [gateways[1].clone(), gateways[0].clone()];
        assert_eq!(Key::id("a", &gateways), Key::id("a", &turned));
        assert!(!format!("{url:?} {url}").contains("s3cret"));
        assert_eq!(url.version("e1", 5).kind(), "url");
    }
}

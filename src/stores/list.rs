//! What lies directly below a prefix of keys, as a folder: one level, page by page.
//!
//! S3 and Google answer to ListObjectsV2 (AWS, "ListObjectsV2"; Google, "XML API: List objects"), Azure to List
//! Blobs (Microsoft, "List Blobs").

use bytes::Bytes;
use http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::address::Service;
use super::request::{Ask, RequestError, Requests};
use crate::source::{Error, Result};

/// The most pages that are read. A page has up to a thousand keys, or five thousand at Azure.
const MOST_PAGES: usize = 2_000;

/// An object directly below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its key without the prefix.
    pub name: String,
    /// Its size in bytes, if the store tells it.
    pub size: Option<u64>,
    /// Its ETag, if the store tells it.
    pub etag: Option<String>,
}

/// What a page of a listing has.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Objects directly below the prefix.
    pub objects: Vec<Stored>,
    /// The next parts of the longer keys, without a slash.
    pub folders: Vec<String>,
}

/// Lists what is directly below `prefix` in the bucket that `bucket` asks. `take` gets each page.
///
/// # Errors
/// The store's, that of `take`, or that there are too many keys.
pub async fn list(
    bucket: &Requests,
    prefix: &str,
    take: &mut (dyn FnMut(Folder) -> Result<()> + Send),
) -> Result<()> {
    let is_azure = bucket.service() == Service::Az;
    let mut next = String::new();
    for _ in 0..MOST_PAGES {
        let mut query = Vec::new();
        // Azurite leaves empty parameters out of what is signed.
        if !prefix.is_empty() {
            query.push(("prefix", prefix));
        }
        query.push(("delimiter", "/"));
        if is_azure {
            query.extend([("restype", "container"), ("comp", "list")]);
            query.push(("maxresults", "1000"));
        } else {
            // XML cannot express all characters of keys.
            query.extend([("list-type", "2"), ("encoding-type", "url")]);
        }
        if !next.is_empty() {
            let name = if is_azure {
                "marker"
            } else {
                "continuation-token"
            };
            query.push((name, &next));
        }
        let answer = bucket.send(Ask {
            doing: "list the folder",
            method: Method::GET,
            query: &query,
            headers: &[],
            body: Bytes::new(),
        });
        let answer = answer.await.map_err(|RequestError { error, .. }| error)?;
        let page = if is_azure {
            parse::<Blobs>(answer.body(), "EnumerationResults").map(Blobs::page)
        } else {
            parse::<Keys>(answer.body(), "ListBucketResult").map(Keys::page)
        };
        let (page, token) = page.map_err(|what| Error::Unsupported {
            what: format!(
                "{} sends a listing that cannot be read: {what}",
                bucket.url()
            ),
        })?;
        take(page.below(prefix))?;
        match token {
            Some(token) if !token.is_empty() => next = token,
            _ => return Ok(()),
        }
    }
    Err(Error::Unsupported {
        what: format!("the folder has too many keys to list: more than {MOST_PAGES} pages of them"),
    })
}

/// A page, and what to ask the next one with.
type Page = (Folder, Option<String>);

impl Folder {
    /// With names instead of keys. Drops keys that are not directly below `prefix`, and the prefix itself, which
    /// some tools create as an empty object.
    fn below(self, prefix: &str) -> Self {
        let is_name = |name: &str| !name.is_empty() && !name.contains('/');
        let objects = self.objects.into_iter().filter_map(|object| {
            let name = object.name.strip_prefix(prefix)?;
            let name = is_name(name).then(|| name.to_owned())?;
            Some(Stored { name, ..object })
        });
        let folders = self.folders.into_iter().filter_map(|key| {
            let name = key.strip_prefix(prefix)?.strip_suffix('/')?;
            is_name(name).then(|| name.to_owned())
        });
        Self {
            objects: objects.collect(),
            folders: folders.collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    #[serde(default)]
    encoding_type: String,
    #[serde(default)]
    contents: Vec<Key>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
    next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "Key", default)]
    key: String,
    #[serde(rename = "Size")]
    size: Option<u64>,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    #[serde(default)]
    prefix: String,
}

impl Keys {
    fn page(self) -> Page {
        let is_encoded = self.encoding_type == "url";
        let key = |key: String| {
            if is_encoded {
                // The encoding of forms: a space is a plus.
                decoded(&key.replace('+', " "))
            } else {
                Some(key)
            }
        };
        let objects = self.contents.into_iter().filter_map(|object| {
            Some(Stored {
                name: key(object.key)?,
                size: object.size,
                etag: object.etag,
            })
        });
        let folders = self.common_prefixes.into_iter();
        let page = Folder {
            objects: objects.collect(),
            folders: folders.filter_map(|folder| key(folder.prefix)).collect(),
        };
        (page, self.next_continuation_token)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blobs {
    #[serde(default)]
    blobs: BlobItems,
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
struct BlobItems {
    #[serde(rename = "$value", default)]
    items: Vec<BlobItem>,
}

#[derive(Deserialize)]
enum BlobItem {
    #[serde(rename_all = "PascalCase")]
    Blob {
        name: BlobName,
        #[serde(default)]
        properties: BlobProperties,
    },
    #[serde(rename_all = "PascalCase")]
    BlobPrefix { name: BlobName },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct BlobName {
    /// Whether the name is percent-encoded, because XML cannot express it.
    #[serde(rename = "@Encoded", default)]
    is_encoded: bool,
    #[serde(rename = "$text", default)]
    text: String,
}

#[derive(Default, Deserialize)]
struct BlobProperties {
    #[serde(rename = "Content-Length")]
    size: Option<u64>,
    #[serde(rename = "Etag")]
    etag: Option<String>,
}

impl BlobName {
    fn key(self) -> Option<String> {
        if self.is_encoded {
            decoded(&self.text)
        } else {
            Some(self.text)
        }
    }
}

impl Blobs {
    fn page(self) -> Page {
        let mut page = Folder::default();
        for item in self.blobs.items {
            match item {
                BlobItem::Blob { name, properties } => {
                    page.objects.extend(name.key().map(|name| Stored {
                        name,
                        size: properties.size,
                        etag: properties.etag,
                    }));
                }
                BlobItem::BlobPrefix { name } => page.folders.extend(name.key()),
                BlobItem::Other => {}
            }
        }
        (page, self.next_marker)
    }
}

/// `None` for a key that is not UTF-8, which cannot be one.
fn decoded(key: &str) -> Option<String> {
    let decoded = percent_decode_str(key).decode_utf8();
    decoded.ok().map(|key| key.into_owned())
}

/// The document with this root element. A page for people, for instance, has another.
fn parse<T: DeserializeOwned>(body: &[u8], root: &str) -> std::result::Result<T, String> {
    let text = String::from_utf8_lossy(body);
    if !text.contains(&format!("<{root}")) {
        return Err(format!("it has no {root}"));
    }
    // Azure begins with a byte order mark.
    quick_xml::de::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, size: u64, etag: &str) -> Stored {
        Stored {
            name: name.into(),
            size: Some(size),
            etag: Some(etag.into()),
        }
    }

    #[test]
    fn a_page_of_s3() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
            <Prefix>films/</Prefix><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
            <NextContinuationToken>1ueGcxLPRx1Tr</NextContinuationToken><KeyCount>3</KeyCount>
            <Contents><Key>films/</Key><Size>0</Size><ETag>&quot;e&quot;</ETag></Contents>
            <Contents><Key>films/a+b%2B%26%01.zip</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>
            <ETag>&quot;e1&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>
            <Contents><Key>other/c.zip</Key><Size>7</Size></Contents>
            <CommonPrefixes><Prefix>films/sub/</Prefix></CommonPrefixes></ListBucketResult>"#;
        let (page, token) = parse::<Keys>(text.as_bytes(), "ListBucketResult")
            .expect("a page")
            .page();
        assert_eq!(token.as_deref(), Some("1ueGcxLPRx1Tr"));
        let expected = Folder {
            objects: vec![object("a b+&\u{1}.zip", 7, "\"e1\"")],
            folders: vec!["sub".into()],
        };
        assert_eq!(page.below("films/"), expected);
        let none = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        let none = parse::<Keys>(none.as_bytes(), "ListBucketResult")
            .expect("a page")
            .page();
        assert_eq!(none, (Folder::default(), None));
        assert!(parse::<Keys>(b"<html></html>", "ListBucketResult").is_err());
    }

    #[test]
    fn a_page_of_azure() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\
            <EnumerationResults ServiceEndpoint=\"https://me.blob.core.windows.net/\" ContainerName=\"c\">\
            <Prefix>films/</Prefix><Delimiter>/</Delimiter><Blobs>\
            <Blob><Name>films/a.zip</Name><Properties><Last-Modified>x</Last-Modified>\
            <Etag>0x8D</Etag><Content-Length>7</Content-Length></Properties><OrMetadata /></Blob>\
            <BlobPrefix><Name>films/sub/</Name></BlobPrefix>\
            <Blob><Name Encoded=\"true\">films/b%EF%BF%BE.zip</Name><Properties><Etag>0x8E</Etag>\
            <Content-Length>8</Content-Length></Properties></Blob>\
            </Blobs><NextMarker>2!76!</NextMarker></EnumerationResults>";
        let (page, token) = parse::<Blobs>(text.as_bytes(), "EnumerationResults")
            .expect("a page")
            .page();
        assert_eq!(token.as_deref(), Some("2!76!"));
        let expected = Folder {
            objects: vec![
                object("a.zip", 7, "0x8D"),
                object("b\u{fffe}.zip", 8, "0x8E"),
            ],
            folders: vec!["sub".into()],
        };
        assert_eq!(page.below("films/"), expected);
        let none = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
        let (none, token) = parse::<Blobs>(none.as_bytes(), "EnumerationResults")
            .expect("a page")
            .page();
        assert_eq!(
            (none, token.unwrap_or_default()),
            (Folder::default(), String::new())
        );
    }
}

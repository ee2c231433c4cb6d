//! The requests of a multipart upload (AWS, "Amazon S3 API reference").

use bytes::Bytes;
use http::Method;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::object::{CID, Object};
use crate::stores::Ask;

/// Content under a name with a CID in it never changes, and other names are not written twice.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

const ZIP: &str = "application/zip";

/// An upload that is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Unfinished {
    #[serde(default)]
    key: String,
    pub(super) upload_id: String,
}

/// A part that is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Stored {
    #[serde(rename = "PartNumber")]
    pub(super) number: u32,
    #[serde(rename = "ETag")]
    pub(super) etag: String,
    #[serde(rename = "Size")]
    pub(super) size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Uploads {
    #[serde(default, rename = "Upload")]
    uploads: Vec<Unfinished>,
    #[serde(default)]
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parts {
    #[serde(default, rename = "Part")]
    parts: Vec<Stored>,
    #[serde(default)]
    is_truncated: bool,
    next_part_number_marker: Option<String>,
}

/// The most pages of unfinished uploads that are read. A bucket may have many that other programs abandoned.
const MOST_PAGES: usize = 20;

/// How many pages of parts are read. A page has up to a thousand; what is not read is sent again.
const MOST_PAGES_OF_PARTS: usize = 100;

impl Object {
    /// Begins an upload.
    pub(super) async fn create(&self, cid: Option<&str>) -> Result<String, Error> {
        let doing = "begin the upload";
        let text = HeaderValue::from_static;
        let mut headers = vec![(CONTENT_TYPE, text(ZIP)), (CACHE_CONTROL, text(IMMUTABLE))];
        if let Some(cid) = cid.and_then(|cid| HeaderValue::from_str(cid).ok()) {
            headers.push((HeaderName::from_static(CID), cid));
        }
        let created: Unfinished = self
            .xml(Ask {
                doing,
                method: Method::POST,
                query: &[("uploads", "")],
                headers: &headers,
                body: Bytes::new(),
            })
            .await?;
        Ok(created.upload_id)
    }

    /// The uploads of the object `key` that are not complete, the newest last. Must be called on the bucket itself.
    pub(super) async fn unfinished(&self, key: &str) -> Result<Vec<Unfinished>, Error> {
        let mut found = Vec::new();
        let (mut after_key, mut after_id) = (String::new(), String::new());
        for _ in 0..MOST_PAGES {
            let mut query = vec![("uploads", ""), ("prefix", key)];
            if !after_key.is_empty() {
                query.extend([
                    ("key-marker", &*after_key),
                    ("upload-id-marker", &*after_id),
                ]);
            }
            let listed = self.xml(Ask {
                doing: "list the unfinished uploads",
                method: Method::GET,
                query: &query,
                headers: &[],
                body: Bytes::new(),
            });
            let page: Uploads = match listed.await {
                // Where no upload is unfinished, rclone says so.
                Err(error) if error.is_no_such_upload() => break,
                page => page?,
            };
            found.extend(page.uploads.into_iter().filter(|upload| upload.key == key));
            match (page.is_truncated, page.next_key_marker) {
                (true, Some(next)) if !next.is_empty() => {
                    (after_key, after_id) = (next, page.next_upload_id_marker.unwrap_or_default());
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// The parts of an upload that are in the store.
    pub(super) async fn parts(&self, upload: &str) -> Result<Vec<Stored>, Error> {
        let mut found: Vec<Stored> = Vec::new();
        let mut after = String::new();
        for _ in 0..MOST_PAGES_OF_PARTS {
            let mut query = vec![("uploadId", upload)];
            if !after.is_empty() {
                query.push(("part-number-marker", &after));
            }
            let page: Parts = self
                .xml(Ask {
                    doing: "list the parts of the unfinished upload",
                    method: Method::GET,
                    query: &query,
                    headers: &[],
                    body: Bytes::new(),
                })
                .await?;
            let is_more = !page.parts.is_empty();
            found.extend(page.parts);
            match page.next_part_number_marker {
                Some(next) if page.is_truncated && is_more && next != after => after = next,
                _ => break,
            }
        }
        Ok(found)
    }

    /// Sends a part, and returns its ETag.
    pub(super) async fn put(
        &self,
        upload: &str,
        number: u32,
        bytes: Bytes,
    ) -> Result<String, Error> {
        let doing = "send a part";
        let answer = self
            .requests
            .send(Ask {
                doing,
                method: Method::PUT,
                query: &[("partNumber", &number.to_string()), ("uploadId", upload)],
                headers: &[],
                body: bytes,
            })
            .await?;
        let etag = answer.headers().get(ETAG);
        let etag = etag.and_then(|etag| etag.to_str().ok());
        etag.map(str::to_owned).ok_or_else(|| Error::Answer {
            doing,
            what: "it has no ETag".into(),
        })
    }

    /// Puts the parts together. The ETags make sure that they are those that were sent or compared. With `only_new`,
    /// the store refuses if there is an object of this name by now (AWS, "Conditional writes").
    pub(super) async fn complete(
        &self,
        upload: &str,
        etags: &[String],
        only_new: bool,
    ) -> Result<(), Error> {
        let mut body = String::from("<CompleteMultipartUpload>");
        for (etag, number) in etags.iter().zip(1..) {
            let etag = quick_xml::escape::escape(etag);
            body += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        body += "</CompleteMultipartUpload>";
        let text = HeaderValue::from_static;
        let mut headers = vec![(CONTENT_TYPE, text("application/xml"))];
        if only_new {
            headers.push((IF_NONE_MATCH, text("*")));
        }
        self.requests
            .send(Ask {
                doing: "complete the upload",
                method: Method::POST,
                query: &[("uploadId", upload)],
                headers: &headers,
                body: body.into(),
            })
            .await?;
        Ok(())
    }

    async fn xml<T: DeserializeOwned>(&self, ask: Ask<'_>) -> Result<T, Error> {
        let doing = ask.doing;
        let answer = self.requests.send(ask).await?;
        let text = String::from_utf8_lossy(answer.body());
        quick_xml::de::from_str(&text).map_err(|e| Error::Answer {
            doing,
            what: e.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_real_stores_are_read() {
        let uploads = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Bucket>b</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>
            <NextKeyMarker>k2</NextKeyMarker><NextUploadIdMarker>x</NextUploadIdMarker>
            <Delimiter>/</Delimiter><Prefix/><MaxUploads>1000</MaxUploads><IsTruncated>true</IsTruncated>
            <Upload><Key>my &amp; k</Key><UploadId>XMgbGlrZSBlbHZpbmc</UploadId>
            <Initiator><ID>i</ID><DisplayName>n</DisplayName></Initiator><StorageClass>STANDARD</StorageClass>
            <Initiated>2010-11-10T20:48:33.000Z</Initiated></Upload>
            <Upload><Key>k2</Key><UploadId>b</UploadId></Upload></ListMultipartUploadsResult>"#;
        let uploads: Uploads = quick_xml::de::from_str(uploads).expect("uploads");
        let keys: Vec<_> = uploads.uploads.iter().map(|upload| &*upload.key).collect();
        assert_eq!((keys, uploads.is_truncated), (vec!["my & k", "k2"], true));
        let none = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
        let none: Uploads = quick_xml::de::from_str(none).expect("no uploads");
        assert!(none.uploads.is_empty());
        let parts = r#"<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket>
            <PartNumberMarker>1</PartNumberMarker><NextPartNumberMarker>3</NextPartNumberMarker>
            <IsTruncated>true</IsTruncated><Part><PartNumber>2</PartNumber>
            <LastModified>2010-11-10T20:48:34.000Z</LastModified>
            <ETag>&quot;7778aef83f66abc1fa1e8477f296d394&quot;</ETag><Size>10485760</Size></Part></ListPartsResult>"#;
        let parts: Parts = quick_xml::de::from_str(parts).expect("parts");
        assert_eq!(parts.parts[0].etag, "\"7778aef83f66abc1fa1e8477f296d394\"");
        assert_eq!(
            (parts.parts[0].number, parts.parts[0].size),
            (2, 10_485_760)
        );
    }
}

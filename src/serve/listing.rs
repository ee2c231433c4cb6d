//! The list of a node's blobs, as JSON and as a page.

use std::fmt::Write;

use serde::Serialize;

use super::blob::Blob;
use super::paths::blob_path;

/// An element of `/index.json`.
#[derive(Serialize)]
struct Entry<'a> {
    cid: String,
    size: u64,
    name: &'a str,
    /// The path of its URL on this node.
    path: String,
}

/// `/index.json`: an array of objects with cid, size in bytes, name, and path.
pub(super) fn json(blobs: &[Blob]) -> String {
    let entries: Vec<Entry<'_>> = blobs
        .iter()
        .map(|blob| Entry {
            cid: blob.cid.to_string(),
            size: blob.size,
            name: &blob.name,
            path: blob_path(&blob.cid, &blob.name),
        })
        .collect();
    serde_json::to_string_pretty(&entries).expect("strings and numbers are always JSON")
}

/// `/`: a page with the same table.
pub(super) fn html(blobs: &[Blob]) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>aiozfs node</title>\n\
         <h1>aiozfs node</h1>\n<table>\n<tr><th>name<th>bytes<th>CID\n",
    );
    for blob in blobs {
        let path = escaped(&blob_path(&blob.cid, &blob.name));
        let name = escaped(&blob.name);
        // Writing into a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"{path}\">{name}</a><td>{}<td><code>{}</code>",
            blob.size, blob.cid
        );
    }
    page.push_str("</table>\n");
    if blobs.is_empty() {
        page.push_str("<p>No files yet: each appears when its CID is computed.\n");
    }
    page
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Importer, Profile};
    use crate::source::Memory;
    use std::sync::Arc;

    #[test]
    fn names_are_escaped() {
        let name = "<script>alert('x')</script>&\".zip";
        let blob = Blob {
            cid: Importer::new(Profile::default()).finish(),
            name: name.into(),
            size: 0,
            source: Arc::new(Memory::new("empty", "")),
            tree: None,
        };
        let page = html(std::slice::from_ref(&blob));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;.zip"));
        assert!(!page.contains("<script>") && page.contains("href=\"/ipfs/baf"));
        let parsed: serde_json::Value = serde_json::from_str(&json(&[blob])).expect("JSON");
        assert_eq!(parsed[0]["name"], name);
        assert_eq!(parsed[0]["size"], 0);
        assert_eq!(json(&[]), "[]");
        assert!(html(&[]).contains("No files yet"));
    }
}

//! A file or directory in JSON.

use serde::Serialize;

use crate::archive::{Entry, Kind};
use crate::cli::show;
use crate::fs::Attr;

/// Unknown values are left out.
#[derive(Serialize)]
pub(super) struct Row {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kind: &'static str,
    size: u64,
    mtime: String,
    /// In octal, as the mount shows it.
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compressed_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header_offset: Option<u64>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
}

impl Row {
    pub(super) fn new(
        path: &[u8],
        attr: &Attr,
        entry: Option<&Entry>,
        target: Option<&[u8]>,
        problem: Option<String>,
    ) -> Self {
        let of_file = entry.filter(|_| attr.kind != Kind::Dir);
        let (path, path_hex) = show::text_and_hex(path);
        let target = target.map(show::text_and_hex);
        Self {
            path,
            path_hex,
            kind: show::kind(attr.kind),
            size: attr.size,
            mtime: show::rfc3339(attr.mtime),
            mode: format!("{:04o}", attr.perm),
            uid: entry.and_then(|e| e.owner).map(|owner| owner.0),
            gid: entry.and_then(|e| e.owner).map(|owner| owner.1),
            method: of_file.map(|e| e.method.to_string()),
            encrypted: of_file.map(|e| e.encryption.is_some()),
            encryption: of_file.and_then(|e| e.encryption).map(|e| e.to_string()),
            compressed_size: of_file.map(|e| e.compressed_size),
            crc32: of_file
                .and_then(|e| e.crc32)
                .map(|crc| format!("{crc:08x}")),
            header_offset: of_file.map(|e| e.header_offset),
            problem,
            target_hex: target.as_ref().and_then(|(_, hex)| hex.clone()),
            target: target.map(|(text, _)| text),
        }
    }
}

//! Options that mount options, arguments and the configuration have in common, and their values as text.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::verification::VerifyArg;
use super::{logging, units};
use crate::archive::{Encoding, UnknownEncoding};
use crate::fs::{Owners, Symlinks, TreeOptions};
use crate::volume::Options;

/// Options by their names. Those that are not given are `None`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Settings {
    pub(super) gateways: Option<Vec<String>>,
    pub(super) stripe: Option<bool>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "memory")]
    pub(super) memory: Option<u64>,
    #[serde(default, deserialize_with = "size")]
    pub(super) read_ahead: Option<u64>,
    #[serde(default, deserialize_with = "duration")]
    pub(super) timeout: Option<Duration>,
    pub(super) cache_dir: Option<PathBuf>,
    #[serde(default, deserialize_with = "size")]
    pub(super) cache_size: Option<u64>,
    #[serde(default, deserialize_with = "connections")]
    pub(super) connections: Option<usize>,
    pub(super) allow_other: Option<bool>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    #[serde(default, deserialize_with = "mask")]
    pub(super) umask: Option<u16>,
    #[serde(default, deserialize_with = "mask")]
    pub(super) fmask: Option<u16>,
    #[serde(default, deserialize_with = "mask")]
    pub(super) dmask: Option<u16>,
    pub(super) default_permissions: Option<bool>,
    pub(super) noexec: Option<bool>,
    #[serde(default, deserialize_with = "symlinks")]
    pub(super) symlinks: Option<Symlinks>,
    /// Whether they are shown as they are stored.
    #[serde(default, deserialize_with = "stored_playlists")]
    pub(super) playlists: Option<bool>,
    pub(super) xattrs: Option<bool>,
    #[serde(default, deserialize_with = "encoding")]
    pub(super) encoding: Option<Encoding>,
    #[serde(default, deserialize_with = "owners")]
    pub(super) owner: Option<Owners>,
    #[serde(default, deserialize_with = "verify")]
    pub(super) verify: Option<VerifyArg>,
    /// Which messages are wanted, as RUST_LOG writes it.
    #[serde(default, deserialize_with = "log_filter")]
    pub(super) log: Option<String>,
}

impl Settings {
    /// These options, and those of `other` that are not given here.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            gateways: self.gateways.or(other.gateways),
            stripe: self.stripe.or(other.stripe),
            ca_file: self.ca_file.or(other.ca_file),
            memory: self.memory.or(other.memory),
            read_ahead: self.read_ahead.or(other.read_ahead),
            timeout: self.timeout.or(other.timeout),
            cache_dir: self.cache_dir.or(other.cache_dir),
            cache_size: self.cache_size.or(other.cache_size),
            connections: self.connections.or(other.connections),
            allow_other: self.allow_other.or(other.allow_other),
            uid: self.uid.or(other.uid),
            gid: self.gid.or(other.gid),
            default_permissions: self.default_permissions.or(other.default_permissions),
            noexec: self.noexec.or(other.noexec),
            symlinks: self.symlinks.or(other.symlinks),
            playlists: self.playlists.or(other.playlists),
            xattrs: self.xattrs.or(other.xattrs),
            encoding: self.encoding.or(other.encoding),
            owner: self.owner.or(other.owner),
            verify: self.verify.or(other.verify),
            log: self.log.or(other.log),
            // A mask for files or directories takes precedence over one for both.
            umask: None,
            fmask: self.fmask.or(self.umask).or(other.fmask).or(other.umask),
            dmask: self.dmask.or(self.umask).or(other.dmask).or(other.umask),
        }
    }

    /// How files are shown.
    pub(super) fn tree(&self) -> TreeOptions {
        let default = Options::default().tree;
        TreeOptions {
            uid: self.uid.unwrap_or(default.uid),
            gid: self.gid.unwrap_or(default.gid),
            fmask: self.fmask.unwrap_or(0),
            dmask: self.dmask.unwrap_or(0),
            symlinks: self.symlinks.unwrap_or(default.symlinks),
            owners: self.owner.unwrap_or(default.owners),
        }
    }
}

/// The value of `symlinks=`.
pub(super) fn parse_symlinks(value: &str) -> Result<Symlinks, String> {
    match value {
        "all" => Ok(Symlinks::All),
        "inside" => Ok(Symlinks::Inside),
        "none" => Ok(Symlinks::None),
        _ => Err("it must be all, inside or none".into()),
    }
}

/// The value of `owner=`.
pub(super) fn parse_owners(value: &str) -> Result<Owners, String> {
    match value {
        "archive" => Ok(Owners::Archive),
        "mounter" => Ok(Owners::Given),
        _ => Err("it must be archive or mounter".into()),
    }
}

/// The value of `playlists=`: whether they are shown as they are stored.
pub(super) fn parse_playlists(value: &str) -> Result<bool, String> {
    match value {
        "stored" => Ok(true),
        "playable" => Ok(false),
        _ => Err("it must be playable or stored".into()),
    }
}

/// A value as on the command line, parsed by `parse`.
fn unit<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map(Some).map_err(serde::de::Error::custom)
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    unit(from, units::size)
}

/// A size that memory may have.
fn memory<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    unit(from, units::memory)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    unit(from, units::duration)
}

/// A number within the limits of the command line.
fn connections<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let number = usize::deserialize(from)?;
    let parsed = units::connections(&number.to_string());
    parsed.map(Some).map_err(serde::de::Error::custom)
}

fn mask<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    unit(from, units::mask)
}

fn symlinks<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Symlinks>, D::Error> {
    unit(from, parse_symlinks)
}

fn stored_playlists<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    unit(from, parse_playlists)
}

fn verify<'de, D: Deserializer<'de>>(from: D) -> Result<Option<VerifyArg>, D::Error> {
    unit(from, str::parse)
}

fn owners<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Owners>, D::Error> {
    unit(from, parse_owners)
}

fn log_filter<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    unit(from, |text| logging::parse(text).map(|_| text.to_owned()))
}

fn encoding<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Encoding>, D::Error> {
    unit(from, |text| {
        text.parse().map_err(|e: UnknownEncoding| e.to_string())
    })
}

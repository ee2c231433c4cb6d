//! Values of the configuration, parsed as on the command line.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::verification::VerifyArg;
use super::{logging, mount_options, units};
use crate::archive::{Encoding, UnknownEncoding};
use crate::fs::{Owners, Symlinks};

/// The weight of a gateway without one.
pub(super) fn one() -> f64 {
    1.0
}

pub(super) fn weight<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let weight = f64::deserialize(from)?;
    if weight > 0.0 && weight.is_finite() {
        Ok(weight)
    } else {
        Err(serde::de::Error::custom("a weight is above 0"))
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

pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    unit(from, units::size)
}

/// A size that memory may have.
pub(super) fn memory<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    unit(from, units::memory)
}

pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    unit(from, units::duration)
}

/// A number within the limits of the command line.
pub(super) fn connections<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let number = usize::deserialize(from)?;
    let parsed = units::connections(&number.to_string());
    parsed.map(Some).map_err(serde::de::Error::custom)
}

pub(super) fn mask<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    unit(from, units::mask)
}

pub(super) fn symlinks<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Symlinks>, D::Error> {
    unit(from, mount_options::symlinks)
}

pub(super) fn stored_playlists<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<bool>, D::Error> {
    unit(from, mount_options::stored_playlists)
}

pub(super) fn verify<'de, D: Deserializer<'de>>(from: D) -> Result<Option<VerifyArg>, D::Error> {
    unit(from, str::parse)
}

pub(super) fn owners<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Owners>, D::Error> {
    unit(from, mount_options::owners)
}

pub(super) fn log_filter<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    unit(from, |text| logging::parse(text).map(|_| text.to_owned()))
}

pub(super) fn encoding<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Encoding>, D::Error> {
    unit(from, |text| {
        text.parse().map_err(|e: UnknownEncoding| e.to_string())
    })
}

//! Sizes, durations and other values as people write them.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::content::Profile;

/// Parses the name of a profile of CIDs.
pub(super) fn profile() -> impl TypedValueParser<Value = Profile> {
    let names = PossibleValuesParser::new(Profile::ALL.map(|profile| profile.name()));
    names.map(|name| Profile::by_name(&name).expect("one of the names above"))
}

/// A size in bytes: a number with an optional unit (`64M`, `1 GiB`, `500kB`). One letter, or one
/// with `iB`, counts in 1024s, as memory does; one with `B` in 1000s.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number: u64 = number
        .parse()
        .map_err(|_| format!("'{text}' is not a size; write it like 128M or 2GiB"))?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        unit => return Err(format!("unknown unit '{unit}'; use K, M, G or T")),
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("'{text}' is more than 64 bits can count"))
}

/// A duration above zero: seconds, or with units (`500ms`, `2m 30s`).
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text)
            .map_err(|e| format!("'{text}' is not a duration ({e}); write it like 30s"))?,
    };
    if parsed.is_zero() {
        Err("a duration must be more than zero".into())
    } else {
        Ok(parsed)
    }
}

/// The number of connections to a server. More than 64 do not make a link faster, and servers refuse their
/// clients.
pub(super) fn connections(text: &str) -> Result<usize, String> {
    let number = text.trim().parse().ok();
    number
        .filter(|number| (1..=64).contains(number))
        .ok_or_else(|| format!("'{text}' is not a number of connections, which is 1 to 64"))
}

/// Permission bits in octal.
pub(super) fn mask(text: &str) -> Result<u16, String> {
    u16::from_str_radix(text, 8)
        .ok()
        .filter(|mask| *mask <= 0o777)
        .ok_or_else(|| format!("'{text}' is not an octal mask like 022"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let table = [
            ("0", Ok(0)),
            ("4096", Ok(4096)),
            ("64M", Ok(64 << 20)),
            ("64MiB", Ok(64 << 20)),
            ("2 gib", Ok(2 << 30)),
            ("500kB", Ok(500_000)),
            ("M", Err(())),
            ("-1", Err(())),
            ("1.5G", Err(())),
            ("1X", Err(())),
            ("99999999999T", Err(())),
        ];
        for (text, expected) in table {
            assert_eq!(size(text).map_err(drop), expected, "{text}");
        }
    }

    #[test]
    fn durations_and_masks() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m 30s"), Ok(Duration::from_secs(150)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for text in ["0", "soon", "-1s", ""] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(connections("16"), Ok(16));
        for text in ["0", "65", "many", ""] {
            assert!(connections(text).is_err(), "{text}");
        }
        assert_eq!(mask("022"), Ok(0o22));
        for text in ["8", "1777", "x", ""] {
            assert!(mask(text).is_err(), "{text}");
        }
    }
}

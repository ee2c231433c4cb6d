//! Sizes, durations and other values as people write them.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::content::Profile;
use crate::reader::ReaderOptions;

/// Parses the name of a profile of CIDs.
pub(super) fn profile() -> impl TypedValueParser<Value = Profile> {
    let names = PossibleValuesParser::new(Profile::ALL.map(|profile| profile.name));
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

/// The size of the memory for content, in bytes: at least [`ReaderOptions::MIN_MEMORY`].
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let least = ReaderOptions::MIN_MEMORY;
    match size(text)? {
        bytes if bytes < least => Err(format!(
            "'{text}' is too little; it must be at least {}M",
            least >> 20
        )),
        bytes => Ok(bytes),
    }
}

/// A number of levels, from `least` on.
pub(super) fn levels(least: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let number = text.trim().parse().ok();
        let number = number.filter(|number| *number >= least);
        number
            .ok_or_else(|| format!("'{text}' is not a number of levels, which is {least} or more"))
    }
}

/// The id of a user or group.
pub(super) fn id(text: &str) -> Result<u32, String> {
    let number = text.trim().parse();
    number.map_err(|_| format!("'{text}' is not a number from 0 to {}", u32::MAX))
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

/// A host and a port, as `127.0.0.1:8080` or `[::1]:0`. The host may be a name.
pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let is_valid = text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_open = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        !host.is_empty() && !is_open && port.parse::<u16>().is_ok()
    });
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "'{text}' is not HOST:PORT; write it like 127.0.0.1:8080 or [::1]:8080"
        ))
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

    /// A smaller memory was silently replaced by the least one.
    #[test]
    fn memory_below_the_least_is_refused() {
        assert_eq!(memory("16M"), Ok(16 << 20));
        for text in ["0", "1M", "16MB"] {
            let error = memory(text).expect_err(text);
            assert!(error.contains(text) && error.contains("16M"), "{error}");
        }
    }

    #[test]
    fn an_address_to_listen_on_has_a_host_and_a_port() {
        for text in ["127.0.0.1:8080", "localhost:0", "[::1]:80"] {
            assert_eq!(host_and_port(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "foo",
            ":80",
            "host:",
            "host:99999",
            "host:http",
            "::1:80",
        ] {
            assert!(host_and_port(text).is_err(), "{text}");
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

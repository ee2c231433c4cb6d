//! Completes values of options that are one of a few words, and mount options.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::starting_with;
use crate::archive::Encoding;

/// The mount options of aiozfs, and the values of those that are one of a few words.
const MOUNT_OPTIONS: [(&str, &[&str]); 37] = [
    ("allow_other", &[]),
    ("allow_root", &[]),
    ("default_permissions", &[]),
    ("nonempty", &[]),
    ("noexec", &[]),
    ("uid=", &[]),
    ("gid=", &[]),
    ("umask=", &[]),
    ("fmask=", &[]),
    ("dmask=", &[]),
    ("timeout=", &[]),
    ("memory=", &[]),
    ("read_ahead=", &[]),
    ("connections=", &[]),
    ("cache_dir=", &[]),
    ("cache_size=", &[]),
    ("offline", &[]),
    ("password-file=", &[]),
    ("symlinks=", &["all", "inside", "none"]),
    ("playlists=", &["playable", "stored"]),
    ("owner=", &["archive", "mounter"]),
    ("xattrs=", &["yes", "no"]),
    ("encoding=", &[]),
    ("verify=", &["trustless", "crc", "none"]),
    ("store=", &[]),
    ("profile=", &[]),
    ("region=", &[]),
    ("endpoint_url=", &[]),
    ("anonymous", &[]),
    ("requester_pays", &[]),
    ("metrics=", &[]),
    ("metrics_remote", &[]),
    ("index=", &[]),
    ("library=", &[]),
    ("idle=", &[]),
    ("fsname=", &[]),
    ("X-mount.mkdir", &[]),
];

/// Completes a list of mount options.
pub(crate) fn mount_options() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let typed = current.to_str().unwrap_or_default();
        let before = typed.rfind(',').map_or("", |at| &typed[..=at]);
        let names = MOUNT_OPTIONS.iter().flat_map(|(name, values)| {
            let is_begun = typed[before.len()..].starts_with(name);
            let one_of = values.iter().filter(move |_| is_begun);
            let with_value = one_of.map(move |value| format!("{before}{name}{value}"));
            let name = (!is_begun).then(|| format!("{before}{name}"));
            name.into_iter().chain(with_value)
        });
        starting_with(current, names.map(CompletionCandidate::new))
    })
}

/// Completes the name of an encoding.
pub(crate) fn encodings() -> ArgValueCompleter {
    words(Encoding::known)
}

/// Completes `yes` or `no`.
pub(crate) fn yes_or_no() -> ArgValueCompleter {
    words(|| ["yes", "no"].map(str::to_owned).into())
}

/// Completes WHEN of `--color`. It is the same word as the option, behind '=': a word of its own would be the archive.
pub(crate) fn when() -> ArgValueCompleter {
    words(|| {
        let is_same_word = |word: std::ffi::OsString| {
            let word = word.to_string_lossy();
            word.starts_with("--color=")
        };
        if std::env::args_os().any(is_same_word) {
            ["auto", "always", "never"].map(str::to_owned).into()
        } else {
            Vec::new()
        }
    })
}

fn words(all: impl Fn() -> Vec<String> + Send + Sync + 'static) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        starting_with(current, all().into_iter().map(CompletionCandidate::new))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::mount_options::MountOptions;

    #[test]
    fn mount_options_are_those_that_a_mount_knows() {
        for (name, values) in MOUNT_OPTIONS {
            let parse = |option: String| MountOptions::parse(&[option], false);
            if !name.ends_with('=') {
                parse(name.to_owned()).expect(name);
            } else if let Err(error) = parse(name.to_owned()) {
                assert!(!error.to_string().contains("no such option"), "{error}");
            }
            for value in values {
                parse(format!("{name}{value}")).expect(value);
            }
        }
    }

    #[test]
    fn the_last_mount_option_of_a_list_is_completed() {
        for (typed, expected) in [
            ("allow_", &["allow_other", "allow_root"][..]),
            (
                "uid=5,verify=",
                &[
                    "uid=5,verify=trustless",
                    "uid=5,verify=crc",
                    "uid=5,verify=none",
                ],
            ),
            ("uid=5,verify=n", &["uid=5,verify=none"]),
            ("symlinks=a", &["symlinks=all"]),
            ("offline,off", &["offline,offline"]),
            ("nothing", &[]),
        ] {
            let found = mount_options().complete(OsStr::new(typed));
            let found: Vec<_> = found.iter().map(|it| it.get_value().to_owned()).collect();
            assert_eq!(found, expected, "{typed}");
        }
    }
}

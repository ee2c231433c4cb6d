//! Arguments from mount(8) or mount.fuse3(8).
//!
//! mount(8) runs `/sbin/mount.TYPE SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`,
//! which may be a link to this program. mount.fuse3(8), which mount(8) runs for the type
//! `fuse.aiozfs`, has a shell run `aiozfs SOURCE DIRECTORY -o OPTIONS`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::Failure;
use super::mount::FOR_HELPER;

/// As the first argument, it says that mount(8) has passed the others to its helper.
const HELPER: &str = "mount.aiozfs";

/// Turns the arguments of a helper into arguments of `aiozfs mount`; others stay as they are.
pub(super) fn translate(arguments: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    let mut all = arguments.iter();
    let program = all.next().map(|name| Path::new(name).file_name());
    let is_helper = |name: &OsStr| name.as_encoded_bytes().starts_with(b"mount.");
    if program.flatten().is_some_and(is_helper) {
        return of_mount(all.as_slice());
    }
    match all.as_slice() {
        [name, rest @ ..] if name == HELPER => of_mount(rest),
        // Only `mount` and `index` have this option, so this is not another command. The exception of `mount` lets a
        // user who forgets the directory after `aiozfs mount SOURCE` get the right error.
        [source, directory, option, _]
            if option == "-o"
                && source != "mount"
                && source != "index"
                && ![source, directory]
                    .iter()
                    .any(|a| a.as_encoded_bytes().starts_with(b"-")) =>
        {
            of_mount(all.as_slice())
        }
        _ => Ok(arguments),
    }
}

fn of_mount(arguments: &[OsString]) -> Result<Vec<OsString>, Failure> {
    let [source, directory, rest @ ..] = arguments else {
        return Err(misused());
    };
    let mut translated = ["aiozfs", "mount", FOR_HELPER].map(OsString::from).to_vec();
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        let Some(flags) = argument.to_str().and_then(|text| text.strip_prefix('-')) else {
            return Err(misused());
        };
        for (at, flag) in flags.char_indices() {
            let more = Some(&flags[at + 1..]).filter(|more| !more.is_empty());
            let mut value = || more.map(OsString::from).or_else(|| rest.next().cloned());
            match flag {
                's' => translated.push("--sloppy".into()),
                'f' => translated.push("--fake".into()),
                'v' => translated.push("--verbose".into()),
                // -n: there is no /etc/mtab, only the kernel's table of mounts.
                'n' => {}
                'o' => {
                    translated.push("-o".into());
                    translated.push(value().ok_or_else(misused)?);
                    break;
                }
                't' => {
                    value().ok_or_else(misused)?;
                    break;
                }
                'N' => {
                    return Err(Failure::usage(
                        "cannot mount in another namespace ('mount -N'); run 'nsenter --mount=... aiozfs mount'",
                    ));
                }
                _ => return Err(misused()),
            }
        }
    }
    translated.push("--".into());
    translated.extend([source.clone(), directory.clone()]);
    Ok(translated)
}

fn misused() -> Failure {
    Failure::usage(
        "usage as the helper of mount(8): SOURCE DIRECTORY [-sfnv] [-o OPTIONS] [-t TYPE]; 'aiozfs mount --help' is for people",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(line: &str) -> Result<String, String> {
        let arguments = line.split(' ').map(OsString::from).collect();
        let translated = translate(arguments).map_err(|e| e.to_string())?;
        let words = translated.into_iter().map(|word| word.into_string());
        let words: Result<Vec<_>, _> = words.collect();
        Ok(words.expect("text").join(" "))
    }

    #[test]
    fn arguments_of_mount_and_mount_fuse_are_translated() {
        for (called, meant) in [
            ("/sbin/mount.aiozfs s /d -o rw", "-o rw -- s /d"),
            (
                "/sbin/mount.fuse.aiozfs s /d -s -v -o rw -t fuse.aiozfs",
                "--sloppy --verbose -o rw -- s /d",
            ),
            ("aiozfs mount.aiozfs s /d -nfv", "--fake --verbose -- s /d"),
            ("mount.aiozfs -s /d -orw,user", "-o rw,user -- -s /d"),
            ("/usr/bin/aiozfs s d -o dev,suid", "-o dev,suid -- s d"),
            ("aiozfs demo /d -o rw", "-o rw -- demo /d"),
        ] {
            let meant = format!("aiozfs mount --mount-helper {meant}");
            assert_eq!(translated(called), Ok(meant));
        }
        for own in [
            "aiozfs",
            "aiozfs mount s /d -o rw",
            "aiozfs mount /d -o rw",
            "aiozfs index a.tar -o a.index",
            "aiozfs mount -f s /d",
            "aiozfs ls s d",
        ] {
            assert_eq!(translated(own), Ok(own.to_owned()));
        }
        for wrong in [
            "s",
            "s /d x",
            "s /d -o",
            "s /d -q",
            "s /d -N /proc/1/ns/mnt",
        ] {
            translated(&format!("mount.aiozfs {wrong}")).expect_err(wrong);
        }
    }
}

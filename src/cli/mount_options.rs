//! `-o`: options as mount(8), fstab(5) and mount.fuse(8) write them.
//!
//! Callers pass on options that are meant for mount(8), systemd, file managers or libfuse. These are
//! accepted and ignored.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::ignored_options::{is_ignored, is_ignored_with_value};
use super::settings::{Settings, parse_owners, parse_playlists, parse_symlinks};
use super::{Failure, units};
use crate::archive::UnknownEncoding;
use crate::fs::Symlinks;
use crate::stores::StoreSettings;

/// The options of `-o`. Where one is `None`, the long option or the default applies.
#[derive(Debug, Clone, Default)]
pub(super) struct MountOptions {
    /// Those that arguments and the configuration have, too.
    pub(super) settings: Settings,
    pub(super) nonempty: bool,
    /// Make the mountpoint with these permissions, if it is missing (mount(8), X-mount.mkdir).
    pub(super) mkdir: Option<u16>,
    pub(super) allow_root: bool,
    pub(super) password_file: Option<PathBuf>,
    /// Where the index is, if not in the archive.
    pub(super) index: Option<String>,
    pub(super) offline: bool,
    /// The source that the kernel's table of mounts shows.
    pub(super) fs_name: Option<String>,
    /// The library to mount: a file, or a name in the configuration.
    pub(super) library: Option<String>,
    /// An archive that is not used for this long is closed.
    pub(super) idle: Option<Duration>,
    pub(super) store_name: Option<String>,
    pub(super) store: StoreSettings,
    pub(super) metrics: Option<String>,
    pub(super) metrics_remote: bool,
    /// SELinux labels as in mount(8), quotes included: `context="..."` and others.
    pub(super) labels: Vec<String>,
}

impl MountOptions {
    /// Reads all `-o` arguments, each a list separated by commas. Later ones win. `sloppy` is
    /// mount(8)'s `-s`: options that are not known are ignored.
    pub(super) fn parse(lists: &[String], sloppy: bool) -> Result<Self, Failure> {
        let mut options = Self::default();
        for list in lists {
            for option in split(list).map_err(Failure::usage)? {
                let option = option.trim();
                match options.set(option) {
                    Err(Wrong::Unknown) if sloppy => {}
                    set => set
                        .map_err(|why| Failure::usage(format!("mount option '{option}': {why}")))?,
                }
            }
        }
        Ok(options)
    }

    /// The labels if SELinux is on, else none: the kernel would refuse a mount with labels, and mount(8)
    /// omits them too.
    pub(super) fn labels_for_kernel(&self) -> Vec<String> {
        if Path::new(SELINUX).exists() {
            self.labels.clone()
        } else {
            Vec::new()
        }
    }

    fn set(&mut self, option: &str) -> Result<(), Wrong> {
        let settings = &mut self.settings;
        let named = option.split_once('=');
        match named.map(|(name, value)| (name, unquoted(value))) {
            None => match option {
                "allow_other" => settings.allow_other = Some(true),
                "allow_root" => self.allow_root = true,
                "default_permissions" => settings.default_permissions = Some(true),
                "nonempty" => self.nonempty = true,
                "X-mount.mkdir" => self.mkdir = Some(0o755),
                "noexec" => settings.noexec = Some(true),
                "offline" => self.offline = true,
                "exec" => settings.noexec = None,
                "anonymous" => self.store.anonymous = true,
                "requester_pays" => self.store.requester_pays = true,
                "nosymfollow" => settings.symlinks = Some(Symlinks::None),
                "metrics_remote" => self.metrics_remote = true,
                "remount" => return Err(Wrong::Value(REMOUNT.to_owned())),
                "bind" | "rbind" | "move" => return Err(Wrong::Value(TREE.to_owned())),
                option if is_ignored(option) => {}
                _ => return Err(Wrong::Unknown),
            },
            Some(("uid", value)) => settings.uid = Some(units::id(value)?),
            Some(("gid", value)) => settings.gid = Some(units::id(value)?),
            Some(("umask", value)) => settings.umask = Some(units::mask(value)?),
            Some(("fmask", value)) => settings.fmask = Some(units::mask(value)?),
            Some(("dmask", value)) => settings.dmask = Some(units::mask(value)?),
            Some(("X-mount.mkdir", value)) => self.mkdir = Some(units::mask(value)?),
            Some(("timeout", value)) => settings.timeout = Some(units::duration(value)?),
            Some(("memory", value)) => settings.memory = Some(units::memory(value)?),
            Some(("read_ahead", value)) => settings.read_ahead = Some(units::size(value)?),
            Some(("index", value)) => self.index = Some(value.to_owned()),
            Some(("cache_dir", "")) => settings.cache_dir = None,
            Some(("cache_dir", value)) => settings.cache_dir = Some(value.into()),
            Some(("cache_size", value)) => settings.cache_size = Some(units::size(value)?),
            Some(("password-file" | "password_file", value)) => {
                self.password_file = Some(value.into());
            }
            Some(("connections", value)) => settings.connections = Some(units::connections(value)?),
            Some(("symlinks", value)) => settings.symlinks = Some(parse_symlinks(value)?),
            Some(("playlists", value)) => settings.playlists = Some(parse_playlists(value)?),
            Some(("xattrs", value)) => settings.xattrs = Some(yes_or_no(value)?),
            Some(("owner", value)) => settings.owner = Some(parse_owners(value)?),
            Some(("encoding", value)) => {
                settings.encoding =
                    Some(value.parse().map_err(|e: UnknownEncoding| e.to_string())?);
            }
            Some(("verify", value)) => settings.verify = Some(value.parse()?),
            Some(("library", value)) => self.library = Some(value.to_owned()),
            Some(("idle", value)) => self.idle = Some(units::duration(value)?),
            Some(("store", value)) => self.store_name = Some(value.to_owned()),
            Some(("profile", value)) => self.store.profile = Some(value.to_owned()),
            Some(("endpoint_url", value)) => self.store.endpoint = Some(value.to_owned()),
            Some(("region", value)) => self.store.region = Some(value.to_owned()),
            Some(("metrics", value)) => self.metrics = Some(value.to_owned()),
            Some(("fsname", value)) => self.fs_name = Some(value.to_owned()),
            Some((name, _)) if LABELS.contains(&name) => self.labels.push(option.to_owned()),
            Some((name, _)) if is_ignored_with_value(name) => {}
            Some(_) => return Err(Wrong::Unknown),
        }
        Ok(())
    }
}

/// Why an option is refused.
#[derive(Debug, Error)]
enum Wrong {
    #[error("there is no such option; see 'aiozfs mount --help'")]
    Unknown,
    #[error("{0}")]
    Value(String),
}

const REMOUNT: &str = "the options of a mount cannot be changed, and it is always read-only; unmount it with 'aiozfs umount' and mount it again";

const TREE: &str =
    "it is done by mount(8) itself, without a type: 'mount --bind' or 'mount --move'";

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Wrong::Value(why)
    }
}

/// The options of a list. A comma between double quotes belongs to its option, as in libmount
/// (`context="system_u:object_r:container_file_t:s0:c1,c2"`).
fn split(list: &str) -> Result<Vec<&str>, String> {
    let mut is_quoted = false;
    let is_end = |c: char| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    };
    let options = list.split(is_end).collect();
    if is_quoted {
        return Err(format!("mount options '{list}': a quote is not closed"));
    }
    Ok(options)
}

/// A value without the quotes around it.
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// The value of `xattrs=`.
pub(super) fn yes_or_no(value: &str) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("it must be yes or no".into()),
    }
}

/// Exists if SELinux is on (selinux(8)).
const SELINUX: &str = "/sys/fs/selinux/enforce";

/// SELinux labels, which are passed to the kernel (mount(8), "context=").
const LABELS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::verification::VerifyArg;
    use crate::fs::Owners;

    fn parse(list: &str) -> Result<MountOptions, String> {
        MountOptions::parse(&[list.to_owned()], false).map_err(|e| e.to_string())
    }

    #[test]
    fn an_fstab_line() {
        let all = "rw,nosuid,nodev,_netdev,nofail,noauto,user,users,x-systemd.automount,x-a=b,defaults,allow_other,uid=5,gid=6,umask=027,fmask=1,dmask=2,timeout=5s,memory=64M,connections=8,cache_dir=/c,cache_size=2G,offline,noexec,verify=crc,symlinks=none,owner=archive,encoding=cp866,store=s,profile=p,region=r,endpoint_url=http://h,anonymous,requester_pays";
        let options = parse(all).expect("all are known");
        assert!(options.offline && !options.nonempty);
        assert_eq!(options.store_name.as_deref(), Some("s"));
        let store = StoreSettings {
            profile: Some("p".into()),
            region: Some("r".into()),
            endpoint: Some("http://h".into()),
            anonymous: true,
            requester_pays: true,
            ..StoreSettings::default()
        };
        assert_eq!(options.store, store);
        let settings = options.settings;
        assert_eq!(settings.allow_other, Some(true));
        assert_eq!(settings.noexec, Some(true));
        assert_eq!((settings.uid, settings.gid), (Some(5), Some(6)));
        assert_eq!(settings.umask, Some(0o27));
        assert_eq!((settings.fmask, settings.dmask), (Some(1), Some(2)));
        assert_eq!(settings.timeout, Some(Duration::from_secs(5)));
        assert_eq!(settings.memory, Some(64 << 20));
        assert_eq!(settings.cache_dir.as_deref(), Some("/c".as_ref()));
        assert_eq!(settings.cache_size, Some(2 << 30));
        assert_eq!(settings.verify, Some(VerifyArg::Crc));
        assert_eq!(settings.connections, Some(8));
        assert!(matches!(settings.symlinks, Some(Symlinks::None)));
        assert!(matches!(settings.owner, Some(Owners::Archive)));
        let encoding = settings.encoding.map(|encoding| encoding.to_string());
        assert_eq!(encoding.as_deref(), Some("cp866"));
    }

    #[test]
    fn unknown_or_wrong_options_are_errors_that_name_them() {
        let all = "\
            frobnicate ownr noallow_other context remount bind uid=x umask=9 memory=lots memory=1M \
            connections=0 a=b playlists=yes owner=root xattrs=maybe encoding=klingon";
        for wrong in all.split_whitespace() {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn the_later_option_wins() {
        let noexec = parse("noexec,exec").expect("known").settings.noexec;
        assert_eq!(noexec, None);
        let lists = parse("playlists=playable,playlists=stored").expect("known");
        assert_eq!(lists.settings.playlists, Some(true));
        assert_eq!(parse("uid=1,uid=2").expect("known").settings.uid, Some(2));
    }

    /// A label with a comma in it was split into two options, and the second was unknown.
    #[test]
    fn a_comma_in_quotes_belongs_to_its_option() {
        let label = r#"context="system_u:object_r:container_file_t:s0:c1,c2""#;
        let options = parse(&format!("ro,{label},noatime,rootcontext=a:b:c")).expect("known");
        assert_eq!(options.labels, [label, "rootcontext=a:b:c"]);
        let options = parse(r#"comment="a,b=c",cache_dir="/a,b",uid=5"#).expect("known");
        assert_eq!(options.settings.cache_dir.as_deref(), Some("/a,b".as_ref()));
        assert_eq!(options.settings.uid, Some(5));
        for open in [r#"ro,context="a,b"#, r#"""""#, "\""] {
            let error = parse(open).expect_err(open);
            assert!(error.contains(open), "{error}");
        }
    }

    #[test]
    fn options_for_other_programs_are_ignored() {
        let known = "\
            user user=joe nouser users owner noowner group nogroup comment=x-gvfs-show x-gvfs-hide \
            X-mount.mkdir=0755 x-systemd.requires=a helper=udisks2 uhelper=udisks2 lazytime \
            nolazytime sync async dirsync suid dev relatime strictatime nodiratime noiversion \
            silent loud mand nomand loop loop=/dev/loop3 subtype=zip max_read=131072 blkdev \
            auto_unmount big_writes _rnetdev rshared";
        for option in known.split_whitespace() {
            parse(option).expect(option);
        }
        assert!(parse("allow_root").expect("known").allow_root);
        let none = parse("nosymfollow").expect("known").settings.symlinks;
        assert!(matches!(none, Some(Symlinks::None)));
        let named = parse("fsname=film").expect("known").fs_name;
        assert_eq!(named.as_deref(), Some("film"));
    }

    #[test]
    fn sloppy_ignores_only_unknown_options() {
        let sloppy = |list: &str| MountOptions::parse(&[list.to_owned()], true);
        assert_eq!(
            sloppy("frobnicate,a=b,uid=5").expect("known").settings.uid,
            Some(5)
        );
        for wrong in ["uid=me", "remount"] {
            sloppy(wrong).expect_err(wrong);
        }
    }
}

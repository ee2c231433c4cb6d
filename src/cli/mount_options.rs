//! `-o`: options as mount(8) and fstab(5) write them.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use super::access::Verify;
use super::{Failure, units};
use crate::archive::{Encoding, UnknownEncoding};
use crate::fs::{Owners, Symlinks};

/// What `-o` can say. `None` where it says nothing, and then the long option or the default holds.
#[derive(Debug, Default)]
pub(super) struct MountOptions {
    pub(super) nonempty: bool,
    pub(super) allow_other: bool,
    pub(super) default_permissions: bool,
    pub(super) noexec: bool,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) umask: Option<u16>,
    pub(super) fmask: Option<u16>,
    pub(super) dmask: Option<u16>,
    pub(super) timeout: Option<Duration>,
    pub(super) memory: Option<u64>,
    pub(super) cache_dir: Option<PathBuf>,
    pub(super) cache_size: Option<u64>,
    pub(super) offline: bool,
    pub(super) verify: Option<Verify>,
    pub(super) symlinks: Option<Symlinks>,
    pub(super) owners: Option<Owners>,
    pub(super) encoding: Option<Encoding>,
    /// Show playlists as they are stored.
    pub(super) stored_playlists: Option<bool>,
}

impl MountOptions {
    /// Reads all `-o` arguments, each a list separated by commas. Later ones win.
    pub(super) fn parse(lists: &[String]) -> Result<Self, Failure> {
        let mut options = Self::default();
        for option in lists.iter().flat_map(|list| list.split(',')) {
            let option = option.trim();
            options
                .set(option)
                .map_err(|why| Failure::usage(format!("mount option '{option}': {why}")))?;
        }
        Ok(options)
    }

    fn set(&mut self, option: &str) -> Result<(), String> {
        let number = |value: &str| {
            let parsed = value.parse::<u32>();
            parsed.map_err(|_| "it must be a number".to_owned())
        };
        match option.split_once('=') {
            None => match option {
                "allow_other" => self.allow_other = true,
                "default_permissions" => self.default_permissions = true,
                "nonempty" => self.nonempty = true,
                "noexec" => self.noexec = true,
                "offline" => self.offline = true,
                "exec" => self.noexec = false,
                option if is_ignored(option) => {}
                _ => return Err("there is no such option; see 'aiozfs mount --help'".into()),
            },
            Some(("uid", value)) => self.uid = Some(number(value)?),
            Some(("gid", value)) => self.gid = Some(number(value)?),
            Some(("umask", value)) => self.umask = Some(units::mask(value)?),
            Some(("fmask", value)) => self.fmask = Some(units::mask(value)?),
            Some(("dmask", value)) => self.dmask = Some(units::mask(value)?),
            Some(("timeout", value)) => self.timeout = Some(units::duration(value)?),
            Some(("memory", value)) => self.memory = Some(units::size(value)?),
            Some(("cache_dir", value)) => self.cache_dir = Some(value.into()),
            Some(("cache_size", value)) => self.cache_size = Some(units::size(value)?),
            Some(("symlinks", value)) => self.symlinks = Some(symlinks(value)?),
            Some(("playlists", value)) => self.stored_playlists = Some(stored_playlists(value)?),
            Some(("owner", value)) => self.owners = Some(owners(value)?),
            Some(("encoding", value)) => {
                self.encoding = Some(value.parse().map_err(|e: UnknownEncoding| e.to_string())?);
            }
            Some(("verify", value)) => self.verify = Some(Verify::from_str(value, false)?),
            Some((name, _)) if name.starts_with("x-") => {}
            Some(_) => return Err("there is no such option; see 'aiozfs mount --help'".into()),
        }
        Ok(())
    }
}

/// The value of `symlinks=`.
pub(super) fn symlinks(value: &str) -> Result<Symlinks, String> {
    match value {
        "all" => Ok(Symlinks::All),
        "inside" => Ok(Symlinks::Inside),
        "none" => Ok(Symlinks::None),
        _ => Err("it must be all, inside or none".into()),
    }
}

/// The value of `owner=`.
pub(super) fn owners(value: &str) -> Result<Owners, String> {
    match value {
        "archive" => Ok(Owners::Archive),
        "mounter" => Ok(Owners::Given),
        _ => Err("it must be archive or mounter".into()),
    }
}

/// The value of `playlists=`: whether they are shown as they are stored.
pub(super) fn stored_playlists(value: &str) -> Result<bool, String> {
    match value {
        "stored" => Ok(true),
        "playable" => Ok(false),
        _ => Err("it must be playable or stored".into()),
    }
}

/// What is always so (`ro`), what mount(8) passes whatever the filesystem (`rw` among it, its
/// default), and what is meant for mount(8) and systemd.
fn is_ignored(option: &str) -> bool {
    const IGNORED: [&str; 16] = [
        "",
        "ro",
        "rw",
        "nosuid",
        "nodev",
        "noatime",
        "relatime",
        "nodiratime",
        "async",
        "defaults",
        "auto",
        "noauto",
        "nofail",
        "user",
        "users",
        "_netdev",
    ];
    IGNORED.contains(&option) || option.starts_with("x-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: &str) -> Result<MountOptions, String> {
        MountOptions::parse(&[list.to_owned()]).map_err(|e| e.to_string())
    }

    #[test]
    fn an_fstab_line() {
        let all = "rw,nosuid,nodev,_netdev,nofail,noauto,user,users,x-systemd.automount,x-a=b,defaults,allow_other,uid=5,gid=6,umask=027,fmask=1,dmask=2,timeout=5s,memory=64M,cache_dir=/c,cache_size=2G,offline,noexec,verify=crc,symlinks=none,owner=archive,encoding=cp866";
        let options = parse(all).expect("all are known");
        assert!(options.allow_other && options.noexec && !options.nonempty);
        assert_eq!((options.uid, options.gid), (Some(5), Some(6)));
        assert_eq!(options.umask, Some(0o27));
        assert_eq!((options.fmask, options.dmask), (Some(1), Some(2)));
        assert_eq!(options.timeout, Some(Duration::from_secs(5)));
        assert_eq!(options.memory, Some(64 << 20));
        assert_eq!(options.cache_dir.as_deref(), Some("/c".as_ref()));
        assert_eq!((options.cache_size, options.offline), (Some(2 << 30), true));
        assert_eq!(options.verify, Some(Verify::Crc));
        assert!(matches!(options.symlinks, Some(Symlinks::None)));
        assert!(matches!(options.owners, Some(Owners::Archive)));
        let encoding = options.encoding.map(|encoding| encoding.to_string());
        assert_eq!(encoding.as_deref(), Some("cp866"));
    }

    #[test]
    fn what_is_unknown_or_wrong_is_an_error_that_names_it() {
        for wrong in [
            "suid",
            "frobnicate",
            "uid=x",
            "umask=9",
            "memory=lots",
            "a=b",
            "playlists=yes",
            "owner=root",
            "encoding=klingon",
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn the_later_one_wins() {
        assert!(!parse("noexec,exec").expect("known").noexec);
        let lists = parse("playlists=playable,playlists=stored").expect("known");
        assert_eq!(lists.stored_playlists, Some(true));
        assert_eq!(parse("uid=1,uid=2").expect("known").uid, Some(2));
    }
}

//! Options of `-o` that are meant for mount(8), systemd, file managers or libfuse. A mount accepts them, and they
//! change nothing.

/// Options without a value that are accepted and have no effect.
pub(super) fn is_ignored(option: &str) -> bool {
    /// Options of every filesystem (mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS"). A mount is always
    /// `ro`, `nosuid`, `nodev` and `noatime`, and is never written to. By default, mount(8) adds `rw`, and
    /// mount.fuse3(8) `dev` and `suid`.
    const COMMON: &str = "\
        defaults ro rw suid nosuid dev nodev atime noatime diratime nodiratime relatime \
        norelatime strictatime nostrictatime lazytime nolazytime sync async dirsync mand nomand \
        iversion noiversion silent loud symfollow loop helper";
    /// Options that say to mount(8) and systemd when to mount, and which users may. mount(8) sets
    /// propagation after mounting.
    const OF_MOUNT: &str = "\
        auto noauto nofail user nouser users nousers owner noowner group nogroup _netdev \
        _rnetdev private rprivate shared rshared slave rslave unbindable runbindable";
    /// Options of libfuse (mount.fuse(8)), versions 2 and 3.
    const OF_LIBFUSE: &str = "\
        auto_unmount blkdev big_writes large_read async_read sync_read atomic_o_trunc \
        no_remote_lock no_remote_flock no_remote_posix_lock kernel_cache auto_cache noauto_cache \
        direct_io hard_remove use_ino readdir_ino intr clone_fd splice_read splice_write \
        splice_move writeback_cache noforget";
    let mut known = [COMMON, OF_MOUNT, OF_LIBFUSE]
        .into_iter()
        .flat_map(str::split_whitespace);
    option.is_empty() || is_private(option) || known.any(|known| known == option)
}

/// Options with a value that are accepted and have no effect.
pub(super) fn is_ignored_with_value(name: &str) -> bool {
    const NAMES: &str = "\
        comment user helper uhelper loop offset sizelimit subtype blksize max_read max_write \
        max_readahead max_background max_threads max_idle_threads congestion_threshold \
        attr_timeout ac_attr_timeout entry_timeout negative_timeout intr_signal";
    is_private(name) || NAMES.split_whitespace().any(|known| known == name)
}

/// Comments of other programs: `x-systemd.automount`, `x-gvfs-hide`, and `X-` of mount(8) itself.
fn is_private(name: &str) -> bool {
    name.starts_with("x-") || name.starts_with("X-")
}

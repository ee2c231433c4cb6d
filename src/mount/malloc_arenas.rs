//! How the process of a mount allocates.

/// Lets all threads allocate from two arenas. By default glibc has eight for each core and returns
/// little of what was freed in one: twelve readers of a mount with `--memory 16M` were seen to take
/// 104 MB, and 67 MB so, at no more CPU time. (A fixed threshold for mmap gets it to 31 MB, and
/// three times the CPU time.)
pub fn share_memory() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "glibc's settings have no safe interface")]
    // SAFETY: mallopt may be called at any time; it takes and returns plain numbers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

//! The number of malloc arenas.

/// Limits all threads to two malloc arenas. By default glibc has eight for each core, and returns little
/// of the memory that was freed in one. Twelve readers of a mount with `--memory 16M` took 104 MB by
/// default and 67 MB with two arenas, at the same CPU time. (A fixed threshold for mmap: 31 MB, at three
/// times the CPU time.)
pub fn share_memory() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "glibc's settings have no safe interface")]
    // SAFETY: mallopt may be called at any time; it takes and returns plain numbers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

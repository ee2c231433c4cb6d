//! The number of malloc arenas.

/// Limits all threads to two malloc arenas. By default glibc has eight for each core, and returns little
/// of the memory that was freed in one. Two take a third less memory at the same CPU time. A fixed threshold for mmap
/// would take less still, at three times the CPU time.
pub fn share_memory() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "glibc's settings have no safe interface")]
    // SAFETY: mallopt may be called at any time; it takes and returns plain numbers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

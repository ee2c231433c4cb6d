//! The memory of the process: the arenas of malloc, and what only the start of the program needs.

use std::fs;

/// Limits all threads to two malloc arenas. By default glibc has eight for each core, and returns little of the memory
/// that was freed in one. What this saves: doc/decisions/0020-size-of-the-program.md.
pub fn limit_arenas() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "glibc's settings have no safe interface")]
    // SAFETY: mallopt may be called at any time; it takes and returns plain numbers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Gives back the memory that only the start of the program needed: free memory of malloc, and the pages that have the
/// program's code. The kernel maps a page of code again when the code runs; the page cache still has it.
pub fn give_back_startup() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "glibc's heap has no safe interface")]
    // SAFETY: malloc_trim may be called at any time, by any thread; it takes and returns plain numbers.
    unsafe {
        libc::malloc_trim(0);
    }
    if let Some((start, end)) = code() {
        #[allow(unsafe_code, reason = "no safe interface names memory by its address")]
        // SAFETY: nobody writes to a mapping that is not writable, so each of its pages is as in the program's file, which
        // the kernel reads again.
        unsafe {
            libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED);
        }
    }
}

/// Where the program's code is: the first address and the one behind it.
fn code() -> Option<(usize, usize)> {
    let here = code as *const () as usize;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| mapping_with(here, line))
}

/// The range of a mapping, if it has an address, and if it is code of a file that nobody can write to. A line is that of
/// proc(5), `/proc/pid/maps`: range, permissions, offset, device, inode, path.
fn mapping_with(address: usize, line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split(' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let parse = |text| usize::from_str_radix(text, 16).ok();
    let (start, end) = (parse(start)?, parse(end)?);
    let is_code = fields.next()? == "r-xp";
    let is_of_file = fields.nth(2)? != "0";
    (is_code && is_of_file && (start..end).contains(&address)).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_nobody_writes_to_is_given_back() {
        let line = "1000-3000 r-xp 00000000 fe:00 17 /usr/bin/aiozfs";
        assert_eq!(mapping_with(0x1000, line), Some((0x1000, 0x3000)));
        assert_eq!(mapping_with(0x3000, line), None);
        for permissions in ["r--p", "rw-p", "rwxp", "r-xs"] {
            let line = line.replace("r-xp", permissions);
            assert_eq!(mapping_with(0x1000, &line), None, "{permissions}");
        }
        assert_eq!(mapping_with(0x1000, ""), None);
        let without_file = "1000-3000 r-xp 00000000 00:00 0 ";
        assert_eq!(mapping_with(0x1000, without_file), None);
    }

    #[test]
    fn code_that_was_given_back_is_not_resident_and_still_runs() {
        let before = resident();
        give_back_startup();
        let after = resident();
        assert!(after < before, "{after} of {before} kB");
    }

    /// How much of the program's code is resident, in kB.
    fn resident() -> u64 {
        let (start, _) = code().expect("this function is mapped");
        let smaps = fs::read_to_string("/proc/self/smaps").expect("procfs");
        let (_, mapping) = smaps
            .split_once(&format!("{start:x}-"))
            .expect("the mapping");
        let (_, rss) = mapping.split_once("Rss:").expect("its size");
        let kilobytes = rss.split_whitespace().next().expect("a number");
        kilobytes.parse().expect("a number")
    }
}

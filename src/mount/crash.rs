//! Detaches the mount when this process crashes.
//!
//! A process that dies leaves a dead mount behind, on which every call fails until it is unmounted. The
//! signals of a fault (SIGSEGV and others) end the process at once, so their handler detaches the mount
//! first. It replaces the standard library's handler, which only reports a stack overflow by name.

use std::ffi::{CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Faults of a program (signal(7)).
const FAULTS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];

/// Where fusermount3 may be, which unmounts for users other than root. A handler cannot search PATH.
const FUSERMOUNT: [&std::ffi::CStr; 2] = [c"/usr/bin/fusermount3", c"/bin/fusermount3"];

/// The path of the mount, null if there is none. The path is never freed, since a handler may be reading
/// it.
static MOUNTPOINT: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// Makes a fault detach the mount on `mountpoint`, from now on.
pub(super) fn detach_on_fault(mountpoint: &Path) {
    let Ok(path) = CString::new(mountpoint.as_os_str().as_bytes()) else {
        return; // A path with a NUL cannot be a mount point.
    };
    MOUNTPOINT.store(path.into_raw(), Ordering::Release);
    for number in FAULTS {
        #[allow(unsafe_code, reason = "no safe interface catches faults")]
        // SAFETY: all zeros is a valid value of the sigaction(2) structure `action`, and `on_fault` does only what
        // signal-safety(7) allows. It runs on the alternate stack of the thread, if there is one, because the fault may
        // be a stack overflow.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as extern "C" fn(c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK | libc::SA_RESETHAND;
            libc::sigaction(number, &action, ptr::null_mut());
        }
    }
}

/// Must be called when the mount is gone, before another mount may take its place.
pub(super) fn forget() {
    MOUNTPOINT.store(ptr::null_mut(), Ordering::Release);
}

/// Detaches the mount. Then the process dies as it would have without a handler: the kernel has restored
/// the default action (SA_RESETHAND), and delivers the signal again when this returns.
extern "C" fn on_fault(number: c_int) {
    let path = MOUNTPOINT.swap(ptr::null_mut(), Ordering::AcqRel);
    #[allow(unsafe_code, reason = "a signal handler can only make system calls")]
    // SAFETY: all calls are async-signal-safe: they are system calls, and none of them allocates
    // or locks. `path` is a C string that is never freed.
    unsafe {
        let flags = libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW;
        if !path.is_null() && libc::umount2(path, flags) != 0 {
            // Not fork(3), which runs handlers and takes the locks of the allocator.
            let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
            if child == 0 {
                for program in FUSERMOUNT {
                    let arguments = [
                        program.as_ptr(),
                        c"-uz".as_ptr(),
                        c"--".as_ptr(),
                        path.cast_const(),
                        ptr::null(),
                    ];
                    let environment = [ptr::null::<c_char>()];
                    libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
                }
                libc::_exit(1);
            }
            if child > 0 {
                libc::waitpid(child as libc::pid_t, ptr::null_mut(), 0);
            }
        }
        libc::raise(number);
    }
}

//! What a service manager (systemd) is told (sd_notify(3)). Without a service manager, nothing happens.

use std::path::Path;

use sd_notify::NotifyState;
use tokio::runtime::Handle;

/// Says that the mount is usable. If the service manager has a watchdog, tells it regularly that the mount
/// answers: statfs, which is never cached, goes through the kernel to this process and back.
pub(super) fn ready(mountpoint: &Path, source: &str, runtime: &Handle) {
    let status = format!("{source} is mounted on {}", mountpoint.display());
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mountpoint = mountpoint.to_owned();
    runtime.spawn(async move {
        let mut pause = tokio::time::interval(limit / 2);
        loop {
            pause.tick().await;
            let path = mountpoint.clone();
            let asked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&path));
            if matches!(asked.await, Ok(Ok(_))) {
                tell(&[NotifyState::Watchdog]);
            }
        }
    });
}

/// Whether a service manager started this process. It has no terminal that could hang up.
pub(super) fn is_manager() -> bool {
    ["NOTIFY_SOCKET", "INVOCATION_ID"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Says that the process ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState]) {
    if let Err(e) = sd_notify::notify(state) {
        log::debug!("the service manager cannot be told {state:?}: {e}");
    }
}

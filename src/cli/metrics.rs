//! `--metrics`: where the statistics of a mount can be scraped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::runtime::Handle;

use super::Failure;
use super::directories;
use super::mount_options::MountOptions;
use crate::metrics::{self, Listener};
use crate::mount::Mounted;

/// How a Unix socket is written.
const UNIX: &str = "unix:";

#[derive(Debug, Args)]
pub(super) struct MetricsArgs {
    /// Serve statistics for Prometheus on http://ADDRESS/metrics: IP:PORT, or unix:PATH for a Unix socket
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<String>,
    /// Let --metrics listen on an address that other machines reach. Everybody who reaches it sees the source,
    /// the names of the gateways, and all counters, but no names of files and no secrets
    #[arg(long, requires = "metrics")]
    metrics_remote: bool,
}

/// The open listener of a mount that is not served yet.
pub(super) struct Metrics {
    listener: Listener,
    /// As it was given.
    address: String,
    /// The Unix socket, which is removed in the end.
    socket: Option<PathBuf>,
}

impl MetricsArgs {
    /// Listens, if that is wanted. Mount options take precedence.
    pub(super) fn listen(&self, options: &MountOptions) -> Result<Option<Metrics>, Failure> {
        let Some(address) = options.metrics.as_ref().or(self.metrics.as_ref()) else {
            return Ok(None);
        };
        let failed = |e| Failure::new(format!("metrics: cannot listen on {address}: {e}"));
        let (listener, socket) = match address.strip_prefix(UNIX) {
            Some("") => {
                return Err(Failure::usage(format!(
                    "metrics: '{UNIX}' has no path; write it like {UNIX}/run/aiozfs.sock"
                )));
            }
            Some(path) => {
                let path = directories::socket(Path::new(path)).map_err(failed)?;
                (Listener::unix(&path).map_err(failed)?, Some(path))
            }
            None => {
                let wanted = parse(address, self.metrics_remote || options.metrics_remote)?;
                (Listener::tcp(wanted).map_err(failed)?, None)
            }
        };
        Ok(Some(Metrics {
            listener,
            address: address.clone(),
            socket,
        }))
    }
}

fn parse(address: &str, may_be_remote: bool) -> Result<SocketAddr, Failure> {
    let parsed: SocketAddr = address.parse().map_err(|_| {
        Failure::usage(format!(
            "metrics: '{address}' is no address; write it like 127.0.0.1:9184, [::1]:9184 or unix:/run/aiozfs.sock"
        ))
    })?;
    if parsed.ip().is_loopback() || may_be_remote {
        return Ok(parsed);
    }
    Err(Failure::usage(format!(
        "metrics: other machines reach {address}, and would see the source, the gateways and all counters; give 127.0.0.1:{} or, if that is meant, also --metrics-remote",
        parsed.port()
    )))
}

impl Metrics {
    /// Answers scrapes from now on. Returns what is to be removed when the mount ends.
    pub(super) fn serve(self, mounted: &Mounted, runtime: &Handle) -> Option<PathBuf> {
        let _runtime = runtime.enter();
        match metrics::serve(self.listener, mounted.reporter()) {
            Ok(served) => {
                runtime.spawn(served);
                log::info!("metrics are served on {}", self.address);
            }
            Err(e) => log::error!("metrics: cannot listen on {}: {e}", self.address),
        }
        self.socket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served_unasked() {
        for address in ["127.0.0.1:9184", "[::1]:0", "127.8.0.1:1"] {
            parse(address, false).expect(address);
        }
        for address in ["0.0.0.0:9184", "[::]:9184", "192.0.2.1:80"] {
            let error = parse(address, false).expect_err(address).to_string();
            assert!(error.contains("--metrics-remote"), "{error}");
            assert!(error.contains(address), "{error}");
            parse(address, true).expect(address);
        }
        for wrong in ["9184", "localhost:9184", "127.0.0.1", ":1", ""] {
            let error = parse(wrong, true).expect_err(wrong).to_string();
            assert!(error.contains("127.0.0.1:9184"), "{error}");
        }
    }
}

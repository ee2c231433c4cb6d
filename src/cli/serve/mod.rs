//! `aiozfs serve`: a node over local files.

mod files;
mod publisher;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

use super::directories::CacheDirArgs;
use super::known_cids::KnownCids;
use super::{Failure, logging, runtime, units};
use crate::content::Profile;
use crate::serve::Node;
use publisher::{Hasher, Publisher};

/// Serve files under their CIDs over HTTP, with ranges.
///
/// Listens at once. When the CID of a file is known, the file is served and a line is printed: CID, size in
/// bytes, name and URL, separated by tabs. A file that changes is no longer served under its old CID, and
/// appears under its new one. At / is a page for browsers, which looks into archives and plays them; the
/// list for programs is at /index.json. Also serves raw blocks, with which clients verify what they receive.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// Files, and directories whose files are served: at any depth, without those whose names
    /// begin with a dot, links to directories, and links that lead out of the directory
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Where to listen; port 0 means any free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = units::host_and_port)]
    listen: String,
    /// How files are split into blocks, which determines their CIDs
    #[arg(long, value_name = "NAME", default_value = Profile::default().name, value_parser = units::profile())]
    profile: Profile,
    /// Print each line as a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cache: CacheDirArgs,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs serve holiday.zip
  aiozfs serve --listen 0.0.0.0:8080 /srv/archives
  aiozfs mount --gateway http://127.0.0.1:8080 CID /mnt/holiday";

pub(super) fn serve(args: &ServeArgs) -> Result<ExitCode, Failure> {
    logging::init(args.verbose);
    files::check(&args.files)?;
    allow_many_connections();
    let runtime = runtime::new()?;
    let stop = Arc::new(AtomicBool::new(false));
    let served = runtime.block_on(run(args, stop.clone()));
    // Ends the hashing of a file, whose thread checks this between blocks.
    stop.store(true, Ordering::Relaxed);
    runtime.shutdown_timeout(Duration::from_secs(1));
    served?;
    Ok(ExitCode::SUCCESS)
}

async fn run(args: &ServeArgs, stop: Arc<AtomicBool>) -> Result<(), Failure> {
    let listener = TcpListener::bind(&args.listen).await;
    let listener = listener.map_err(|e| explain_bind(&args.listen, &e))?;
    let failed = |e: io::Error| Failure::new(format!("cannot listen on {}: {e}", args.listen));
    let base = base_url(listener.local_addr().map_err(failed)?);
    let ended = runtime::end_on_signals()?;
    tell!("aiozfs: listening on {base}/ (a page for browsers; Ctrl-C ends)");
    let node = Node::new();
    let hasher = Hasher {
        cids: KnownCids::new(Some(args.cache.dir())),
        stop,
        profile: args.profile,
    };
    let publisher = Publisher::new(node.clone(), args.files.clone(), base, args.json, hasher);
    let publisher = tokio::spawn(publisher.run());
    let served = node.serve(listener, ended).await;
    publisher.abort();
    served.map_err(failed)
}

/// The URL for a browser on this machine.
fn base_url(addr: SocketAddr) -> String {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, addr.port()))
}

fn explain_bind(listen: &str, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; end it, or choose another place with --listen (port 0 is any free one)"
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied => "choose a port above 1023",
        _ => "is the name of the host right?",
    };
    Failure::new(format!("cannot listen on {listen}: {error}; {remedy}"))
}

/// Raises the limit of open files: each client needs two descriptors. The usual soft limit of 1024 is for
/// programs that use select(2).
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(e) = setrlimit(Resource::Nofile, raised) {
        log::info!("the limit of open files stays as it is: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_url_can_be_used() {
        for (addr, expected) in [
            ("127.0.0.1:80", "http://127.0.0.1:80"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
            ("192.0.2.1:1", "http://192.0.2.1:1"),
        ] {
            let addr = addr.parse().expect("an address");
            assert_eq!(base_url(addr), expected);
        }
    }
}

//! `aiozfs demo`: everything from a node to a player, with this binary alone.
//!
//! A node inside the process serves an archive that is built into the binary, on a loopback port. The
//! archive is mounted through the node by its CID, as with `aiozfs serve` and `aiozfs mount --gateway`.

mod check;
mod guide;
mod node;
mod place;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use clap::{Args, ValueHint};
use tokio::runtime::Runtime;

use super::access::Access;
use super::runtime;
use super::{Failure, job, logging, show};
use crate::mount::{Hangup, KernelOptions, Stopper};
use crate::volume::Location;
use place::Place;

/// A few seconds of video as an HLS package, made by mount-scripts/make-demo-archive.
static ARCHIVE: &[u8] = include_bytes!("holiday.zip");

/// Mount a built-in archive from a built-in node.
///
/// Runs until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  aiozfs demo\n  aiozfs demo --check")]
pub(super) struct DemoArgs {
    /// An empty directory [default: a temporary one]
    #[arg(value_hint = ValueHint::DirPath)]
    mountpoint: Option<PathBuf>,
    /// Read everything through the kernel, compare it, and end
    #[arg(long)]
    check: bool,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

pub(super) fn demo(args: &DemoArgs) -> Result<ExitCode, Failure> {
    logging::init(args.verbose);
    let place = Place::new(args.mountpoint.as_deref())?;
    let runtime = runtime::new()?;
    let done = run(args.check, &place.path, &runtime);
    // Dropping it would wait for its tasks, and the node's never end.
    runtime.shutdown_background();
    done
}

fn run(check: bool, mountpoint: &Path, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let served = node::serve(runtime, ARCHIVE)?;
    let access = Access::through(&served.node, Location::Cid(served.cid));
    let kernel = KernelOptions {
        fs_name: access.location.shown().1,
        source_hash: Some(access.location.identity()),
        ..KernelOptions::default()
    };
    let mounted = job::mount_archive(&access, mountpoint, &kernel, runtime, |_| Hangup::Unmount)?;
    let stop = StopAtEnd(mounted.stopper());
    let path = mountpoint.to_owned();
    // This thread serves the mount while another one reads it.
    let visitor = thread::spawn(move || {
        let said = if check {
            check::read_back(&path, ARCHIVE)?
        } else {
            guide::text(&path, &served)
                .map_err(|e| Failure::new(format!("cannot read the mount: {e}")))?
        };
        show::print(|out| out.write_all(said.as_bytes()))?;
        if !check {
            // The mount stays until a signal ends it.
            std::mem::forget(stop);
        }
        Ok(())
    });
    let ended = mounted.wait();
    visitor
        .join()
        .unwrap_or_else(|_| Err(Failure::new("the demo failed; this is a bug")))?;
    ended.map_err(|e| Failure::new(format!("the mount ended with an error: {e}")))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends the mount when dropped, also by a panic.
struct StopAtEnd(Stopper);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

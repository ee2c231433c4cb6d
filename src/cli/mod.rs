//! The command line: arguments in, exit code out.
//!
//! Each command is a module with its arguments (`Args`) and one function, `run`. A command
//! composes the other rooms; what can go wrong comes back as a [`Failure`], which is one line
//! that says what failed and what to do about it.

mod access;
mod arguments;
mod background;
mod cache;
mod cache_dir;
mod caching;
mod cat;
mod cid;
mod cid_cache;
mod config;
mod demo;
mod explain;
mod failure;
mod fetch;
mod gateways;
mod glob;
mod helper;
mod home;
mod info;
mod job;
mod location;
mod logging;
mod ls;
mod mount;
mod mount_options;
mod pack;
mod progress;
mod serve;
mod servers;
mod show;
mod status;
mod units;
mod unmounted;
mod verify;

use explain::explain_open;
pub use failure::Failure;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// How long the end of a command may be put off, so that what it read is kept.
const SETTLE: Duration = Duration::from_millis(700);

/// Mount a remote archive of stored entries as a read-only directory.
#[derive(Debug, Parser)]
#[command(name = "aiozfs", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Mount(mount::MountArgs),
    #[command(visible_alias = "unmount")]
    Umount(mount::UmountArgs),
    Status(status::StatusArgs),
    Ls(ls::LsArgs),
    Info(info::InfoArgs),
    Cat(cat::CatArgs),
    Fetch(fetch::FetchArgs),
    Cache(cache::CacheCommand),
    Serve(serve::ServeArgs),
    Cid(cid::CidArgs),
    Pack(pack::PackArgs),
    Verify(verify::VerifyArgs),
    Gateways(gateways::GatewaysArgs),
    Demo(demo::DemoArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = match arguments::read()
        .map_err(Failure::new)
        .and_then(helper::translate)
    {
        Ok(arguments) => arguments,
        Err(failure) => {
            eprintln!("aiozfs: {failure}");
            return ExitCode::from(helper::MISUSED);
        }
    };
    if let Err(e) = arguments::hide(&arguments) {
        eprintln!("aiozfs: warning: others see the secrets in the arguments of this command: {e}");
    }
    let cli = Cli::parse_from(&arguments);
    let helps_mount = matches!(&cli.command, Command::Mount(args) if args.helps_mount());
    let done: Result<ExitCode, Failure> = match cli.command {
        Command::Mount(args) => mount::mount(args, &arguments),
        Command::Umount(args) => mount::umount(&args),
        Command::Status(args) => status::status(&args),
        Command::Ls(args) => ls::ls(&args),
        Command::Info(args) => info::info(&args),
        Command::Cat(args) => cat::cat(&args),
        Command::Fetch(args) => fetch::fetch(&args),
        Command::Cache(args) => cache::cache(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Cid(args) => cid::cid(&args),
        Command::Pack(args) => pack::pack(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Gateways(args) => gateways::gateways(&args),
        Command::Demo(args) => demo::demo(&args),
    };
    caching::settle(SETTLE);
    match done {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("aiozfs: {failure}");
            if helps_mount {
                failure.exit_code_of_mount()
            } else {
                failure.exit_code()
            }
        }
    }
}

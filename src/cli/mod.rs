//! The command line: arguments in, exit code out.
//!
//! Each command is a module with its arguments and one function of the command's name. It turns arguments
//! and configuration into the plain structs of other rooms, and their results into text. A [`Failure`] is
//! one line that says what failed and what to do about it.

#[macro_use]
mod tell;

mod access;
mod archives;
mod arguments;
mod atomic_write;
mod background;
mod cache;
mod cat;
mod cid;
mod completions;
mod config;
mod demo;
mod directories;
mod du;
mod explain;
mod extract;
mod failure;
mod fetch;
mod fetch_index;
mod gateways;
mod glob;
mod helper;
mod ignored_options;
mod index;
mod info;
mod job;
mod known_cids;
mod library;
mod library_list;
mod logging;
mod ls;
mod man;
mod metrics;
mod mount;
mod mount_options;
mod mounts;
mod named_file;
mod pack;
mod paint;
mod password;
mod patterns;
mod progress;
mod publish;
mod reload;
mod runtime;
mod serve;
mod servers;
mod service;
mod settings;
mod show;
mod status;
mod storage;
mod store_table;
mod stores;
mod trace;
mod tree;
mod umount;
mod units;
mod unmounted;
mod verification;
mod verify;
mod walk_progress;

pub use failure::Failure;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Mount a remote archive as a read-only directory, and read it without downloading it first.
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
    Umount(umount::UmountArgs),
    Mounts(mounts::MountsArgs),
    Reload(library::ReloadArgs),
    Status(status::StatusArgs),
    Trace(trace::TraceArgs),
    Ls(ls::LsArgs),
    Tree(tree::TreeArgs),
    Du(du::DuArgs),
    Info(info::InfoArgs),
    Cat(cat::CatArgs),
    Extract(extract::ExtractArgs),
    Fetch(fetch::FetchArgs),
    Index(index::IndexArgs),
    Cache(cache::CacheCommand),
    Serve(serve::ServeArgs),
    Cid(cid::CidArgs),
    Pack(pack::PackArgs),
    Publish(publish::PublishArgs),
    Verify(verify::VerifyArgs),
    Gateways(gateways::GatewaysArgs),
    Demo(demo::DemoArgs),
    Man(man::ManArgs),
    Completions(completions::CompletionsArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    completions::answer(Cli::command);
    let arguments = match arguments::read()
        .map_err(Failure::new)
        .and_then(helper::translate)
    {
        Ok(arguments) => arguments,
        Err(failure) => {
            tell!("aiozfs: {failure}");
            return ExitCode::from(failure::MOUNT_MISUSED);
        }
    };
    if let Err(e) = arguments::hide(&arguments) {
        tell!("aiozfs: warning: others see the secrets in the arguments of this command: {e}");
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(answer) => return print_answer(&answer, &arguments),
    };
    let helps_mount = matches!(&cli.command, Command::Mount(args) if args.helps_mount());
    let done: Result<ExitCode, Failure> = match cli.command {
        Command::Mount(args) => mount::mount(args, &arguments),
        Command::Umount(args) => umount::umount(&args),
        Command::Reload(args) => library::reload(&args),
        Command::Mounts(args) => mounts::mounts(&args),
        Command::Status(args) => status::status(&args),
        Command::Trace(args) => trace::trace(&args),
        Command::Ls(args) => ls::ls(&args),
        Command::Tree(args) => tree::tree(&args),
        Command::Du(args) => du::du(&args),
        Command::Info(args) => info::info(&args),
        Command::Cat(args) => cat::cat(&args),
        Command::Extract(args) => extract::extract(&args),
        Command::Fetch(args) => fetch::fetch(&args),
        Command::Index(args) => index::index(&args),
        Command::Cache(args) => cache::cache(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Cid(args) => cid::cid(&args),
        Command::Pack(args) => pack::pack(&args),
        Command::Publish(args) => publish::publish(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Gateways(args) => gateways::gateways(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Man(args) => man::man(&args, Cli::command()),
        Command::Completions(args) => completions::completions(&args),
    };
    storage::settle();
    match done {
        Ok(code) => code,
        Err(failure) => {
            tell!("aiozfs: {failure}");
            if helps_mount {
                failure.exit_code_of_mount()
            } else {
                failure.exit_code()
            }
        }
    }
}

/// Prints what clap answers to `arguments`: help or a version on standard output, else what is wrong with them.
fn print_answer(answer: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let printed = answer.print().and_then(|()| io::stdout().flush());
    if answer.use_stderr() {
        let helps_mount = arguments
            .iter()
            .any(|argument| argument == mount::FOR_HELPER);
        return ExitCode::from(if helps_mount {
            failure::MOUNT_MISUSED
        } else {
            failure::MISUSED
        });
    }
    match show::printed(printed) {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            tell!("aiozfs: {failure}");
            failure.exit_code()
        }
    }
}

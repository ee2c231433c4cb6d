//! `aiozfs cid`: the CID of a file here, or of a path of IPFS.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::config::Config;
use super::explain::explain_open;
use super::progress::{Progress, Waiting};
use super::servers::ServerArgs;
use super::{Failure, runtime, show, units};
use crate::content::{Cid, Profile, import_reader};
use crate::volume::{self, Location, Options};

/// Print the CID of a file, or of a path below another CID.
///
/// `aiozfs serve` serves the file under this CID. Other implementations of IPFS compute the same CID with
/// the same profile.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CidArgs {
    /// The file; - for standard input. Or a path of IPFS: CID/PATH, ipfs://CID/PATH, /ipns/NAME or its
    /// URL at a gateway
    file: PathBuf,
    /// How the file is split into blocks, which determines its CID
    #[arg(long, value_name = "NAME", default_value = Profile::default().name, value_parser = units::profile())]
    profile: Profile,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ServerArgs,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs cid holiday.zip
  aiozfs cid bafybei.../videos/holiday.zip
  aiozfs cid /ipns/k51qzi5uqu5d...";

pub(super) fn cid(args: &CidArgs) -> Result<ExitCode, Failure> {
    let (cid, size) = match remote(args)? {
        Some(location) => (resolve(args, location)?, None),
        None => import(args)?,
    };
    let cid = cid.to_string();
    let json = Json { cid: &cid, size };
    show::print_result(args.json, &json, |out| writeln!(out, "{cid}"))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Json<'a> {
    cid: &'a str,
    /// Of a file here, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

/// The path of IPFS that is meant; `None` for a file.
fn remote(args: &CidArgs) -> Result<Option<Location>, Failure> {
    let Some(text) = args.file.to_str().filter(|text| text.contains('/')) else {
        return Ok(None);
    };
    let location = Location::parse(text).map_err(Failure::usage)?;
    match location.clone().by_cid(true).0 {
        Location::File(_) => Ok(None),
        meant if meant.is_verifiable() => Ok(Some(location)),
        other => {
            let shown = other.shown().1;
            Err(Failure::usage(format!(
                "{shown} has no CID; fetch it, and give the file"
            )))
        }
    }
}

fn resolve(args: &CidArgs, location: Location) -> Result<Cid, Failure> {
    let (location, gateway) = location.by_cid(true);
    let options = Options {
        servers: args.servers.resolve(&Config::load()?, &location, gateway)?,
        ..Options::default()
    };
    let _waiting = Waiting::for_("resolving the path");
    runtime::run(async {
        let cid = volume::cid_of(&location, &options).await;
        cid.map_err(|error| explain_open(&location, &error))
    })
}

/// The CID of a file, and its size in bytes.
fn import(args: &CidArgs) -> Result<(Cid, Option<u64>), Failure> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(format!("there is no file {}", args.file.display()))
        }
        io::ErrorKind::IsADirectory => Failure::new(format!(
            "{} is a directory; a CID is given to a single file (a folder becomes one with 'aiozfs pack')",
            args.file.display()
        )),
        _ => Failure::new(format!("cannot read {}: {e}", args.file.display())),
    };
    let (reader, total): (Box<dyn Read>, _) = if args.file == Path::new("-") {
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(&args.file).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let total = meta.is_file().then_some(meta.len());
        (Box::new(file), total)
    };
    let progress = Progress::bytes(&args.file.to_string_lossy(), total);
    let hashed = import_reader(reader, args.profile, |bytes| {
        progress.add(bytes);
        true
    });
    drop(progress);
    let (cid, size) = hashed.map_err(failed)?;
    Ok((cid, Some(size)))
}

//! `aiozfs cid`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::progress::Progress;
use super::{Failure, units};
use crate::content::{Profile, import_reader};

/// Print the CID of a file.
///
/// `aiozfs serve` serves the file under this CID. Other implementations of IPFS compute the same CID with
/// the same profile.
#[derive(Debug, Args)]
pub(super) struct CidArgs {
    /// The file; - for standard input
    file: PathBuf,
    /// How the file is split into blocks, which determines its CID
    #[arg(long, value_name = "NAME", default_value = Profile::default().name(), value_parser = units::profile())]
    profile: Profile,
}

pub(super) fn cid(args: &CidArgs) -> Result<ExitCode, Failure> {
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
    let (cid, _) = hashed.map_err(failed)?;
    let printed = writeln!(io::stdout(), "{cid}");
    printed.map_err(|e| Failure::new(format!("cannot print: {e}")))?;
    Ok(ExitCode::SUCCESS)
}

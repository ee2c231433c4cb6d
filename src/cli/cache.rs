//! `aiozfs cache`: shows and manages the cache.

use std::io;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use indicatif::{HumanBytes, HumanDuration};
use serde::Serialize;

use super::config::{self, Config};
use super::progress::Progress;
use super::show::{self, printable, table};
use super::storage::StorageArgs;
use super::{Failure, completions, logging, units};
use crate::cache::{Cache, CachedBlob, Content, Verified};
use crate::volume::Location;

/// The fewest characters of an id that name a blob.
const SHORTEST_ID: usize = 6;

/// Show what is in the cache; pin, remove or check it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct CacheCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs cache                             # its archives, the most recently used first
  aiozfs cache pin bafybei...              # protects its bytes from eviction
  aiozfs cache prune --unused 30d          # removes archives that were not used for a month
  aiozfs cache prune --to 2G               # evicts the least valuable until 2G are left
  aiozfs cache ls --json | jq -r '.blobs[] | select(.pinned > 0) | .name'

An archive is named as it was when it was mounted, or by the first characters of its id.";

#[derive(Debug, Clone, Args)]
struct Common {
    #[command(flatten)]
    storage: StorageArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the archives in it, the most recently used first
    #[command(after_help = "Examples:\n  aiozfs cache ls --json | jq .taken")]
    Ls(Common),
    /// Protect archives from eviction: the bytes in the cache, and those still to come
    #[command(after_help = "Examples:\n  aiozfs cache pin bafybei...")]
    Pin(Named),
    /// Allow their eviction again
    #[command(after_help = "Examples:\n  aiozfs cache unpin bafybei...")]
    Unpin(Named),
    /// Remove archives, pinned or not
    #[command(after_help = "Examples:\n  aiozfs cache rm https://example.com/holiday.zip")]
    Rm(Named),
    /// Free space; pinned archives stay
    #[command(after_help = "Examples:\n  aiozfs cache prune --unused 30d")]
    Prune(PruneArgs),
    /// Compare everything with its checksums, and remove what is damaged
    #[command(after_help = "Examples:\n  aiozfs cache verify")]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct Named {
    /// A CID, a URL, id:TEXT, or the first characters of an id that 'aiozfs cache' prints
    #[arg(required = true, add = completions::cached())]
    archives: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct PruneArgs {
    /// Evict until at most this much is used [default: 0, so all that is not pinned]
    #[arg(long, value_name = "SIZE", value_parser = units::size, conflicts_with = "unused")]
    to: Option<u64>,
    /// Remove archives that were not used for this long
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    unused: Option<Duration>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Only these archives, named as in 'aiozfs cache' [default: all]
    #[arg(add = completions::cached())]
    archives: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// The result of a removal, in bytes on disk.
#[derive(Serialize)]
struct Freed {
    freed: u64,
}

pub(super) fn cache(args: &CacheCommand) -> Result<ExitCode, Failure> {
    match &args.action {
        None => list(&args.common),
        Some(Action::Ls(common)) => list(common),
        Some(Action::Pin(named)) => each(named, |cache, blob| cache.pin(blob)),
        Some(Action::Unpin(named)) => each(named, |cache, blob| cache.unpin(blob)),
        Some(Action::Rm(named)) => remove(named),
        Some(Action::Prune(prune)) => make_room(prune),
        Some(Action::Verify(verify)) => check(verify),
    }
}

impl Common {
    /// The cache and what is in it. `None` if there is none, which the user was told.
    fn open(&self) -> Result<Option<(Cache, Content)>, Failure> {
        logging::init(self.verbose);
        let Some(cache) = self.storage.open_to_manage(&Config::load()?)? else {
            return Ok(None);
        };
        let content = cache.content().map_err(unreadable)?;
        Ok(Some((cache, content)))
    }
}

impl Named {
    /// The cache and what is in it. Without a cache, no archive is in it.
    fn open(&self) -> Result<(Cache, Content), Failure> {
        let opened = self.common.open()?;
        opened.ok_or_else(|| absent(&self.archives[0]))
    }
}

fn absent(name: &str) -> Failure {
    Failure::new(format!(
        "'{name}' is not in the cache; 'aiozfs cache' lists the archives in it"
    ))
}

fn unreadable(e: io::Error) -> Failure {
    Failure::new(format!("the cache cannot be read: {e}"))
}

fn list(common: &Common) -> Result<ExitCode, Failure> {
    match common.open()? {
        Some((_, content)) => print(common, &content, || text(&content)),
        None => print(common, &Content::default(), String::new),
    }
}

/// Applies `work` to each of the named archives.
fn each(
    named: &Named,
    work: impl Fn(&Cache, &CachedBlob) -> io::Result<()>,
) -> Result<ExitCode, Failure> {
    let (cache, content) = named.open()?;
    for blob in find_all(&content, &named.archives)? {
        work(&cache, blob).map_err(|e| Failure::new(format!("{}: {e}", blob.name)))?;
    }
    let content = cache.content().map_err(unreadable)?;
    if named.common.json {
        print(&named.common, &content, String::new)
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

fn remove(named: &Named) -> Result<ExitCode, Failure> {
    let (cache, content) = named.open()?;
    let mut freed = 0;
    for blob in find_all(&content, &named.archives)? {
        let removed = cache.remove(blob);
        freed += removed.map_err(|e| Failure::new(format!("{}: {e}", blob.name)))?;
    }
    tell_freed(&named.common, freed)
}

fn make_room(args: &PruneArgs) -> Result<ExitCode, Failure> {
    let Some((cache, content)) = args.common.open()? else {
        return tell_freed(&args.common, 0);
    };
    let freed = match args.unused {
        None => cache.prune(args.to.unwrap_or(0)).map_err(unreadable)?,
        Some(unused) => {
            let then = now() - i64::try_from(unused.as_secs()).unwrap_or(i64::MAX);
            let old = content.blobs.iter();
            let old = old.filter(|blob| blob.used < then && blob.pinned == 0);
            let freed: io::Result<u64> = old.map(|blob| cache.remove(blob)).sum();
            freed.map_err(unreadable)?
        }
    };
    tell_freed(&args.common, freed)
}

fn tell_freed(common: &Common, freed: u64) -> Result<ExitCode, Failure> {
    print(common, &Freed { freed }, || {
        format!("{} freed\n", HumanBytes(freed))
    })
}

fn check(args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let Some((cache, content)) = args.common.open()? else {
        find_all(&Content::default(), &args.archives)?;
        return tell_verified(&args.common, &Verified::default());
    };
    let blobs = if args.archives.is_empty() {
        content.blobs.iter().collect()
    } else {
        find_all(&content, &args.archives)?
    };
    let progress = Progress::bytes("checking", Some(blobs.iter().map(|b| b.taken).sum()));
    let mut all = Verified::default();
    for blob in blobs {
        let told = |bytes| progress.add(bytes);
        let verified = cache.verify(blob, &told).map_err(unreadable)?;
        if verified.damaged > 0 && !args.common.json {
            let (name, damaged) = (&blob.name, verified.damaged);
            progress.aside(|| tell!("aiozfs: {name}: {damaged} damaged files were removed"));
        }
        all.good += verified.good;
        all.damaged += verified.damaged;
    }
    drop(progress);
    tell_verified(&args.common, &all)
}

fn tell_verified(common: &Common, all: &Verified) -> Result<ExitCode, Failure> {
    print(common, all, || {
        let good = HumanBytes(all.good);
        format!(
            "{good} are intact; {} damaged files were removed\n",
            all.damaged
        )
    })?;
    Ok(ExitCode::from(u8::from(all.damaged > 0)))
}

fn find_all<'a>(content: &'a Content, names: &[String]) -> Result<Vec<&'a CachedBlob>, Failure> {
    let mut found = Vec::new();
    for name in names {
        let known = found.len();
        found.extend(content.blobs.iter().filter(|blob| is_named(blob, name)));
        if found.len() == known {
            return Err(absent(name));
        }
    }
    Ok(found)
}

fn is_named(blob: &CachedBlob, name: &str) -> bool {
    if name.len() >= SHORTEST_ID && blob.id.starts_with(name) {
        return true;
    }
    match config::locate(name) {
        Ok(Location::Cid(cid)) => config::locate(&blob.name)
            .is_ok_and(|known| matches!(known, Location::Cid(known) if known.names_same(&cid))),
        Ok(location) => location.shown().1 == blob.name,
        Err(_) => false,
    }
}

fn print<T: Serialize>(
    common: &Common,
    value: &T,
    text: impl FnOnce() -> String,
) -> Result<ExitCode, Failure> {
    let text = if common.json {
        show::json(value) + "\n"
    } else {
        text()
    };
    show::print(|out| out.write_all(text.as_bytes()))?;
    Ok(ExitCode::SUCCESS)
}

fn text(content: &Content) -> String {
    let head = ["ID", "KEPT", "OF", "PINNED", "HITS", "USED", "NAME"].map(str::to_owned);
    let rows = content.blobs.iter().map(row);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let text = table(&rows, &[1, 2, 3, 4]);
    let (taken, size) = (HumanBytes(content.taken), HumanBytes(content.size));
    text + &format!("{taken} of {size} are used\n")
}

fn row(blob: &CachedBlob) -> [String; 7] {
    let read = blob.hits + blob.misses;
    let hits = match read {
        0 => "-".to_owned(),
        read => format!("{} %", (u128::from(blob.hits) * 100 / u128::from(read))),
    };
    let pinned = match blob.pinned {
        0 => "-".to_owned(),
        bytes if bytes >= blob.size => "all".to_owned(),
        bytes => HumanBytes(bytes).to_string(),
    };
    let age = u64::try_from(now() - blob.used).unwrap_or(0);
    [
        blob.id[..blob.id.len().min(12)].to_owned(),
        HumanBytes(blob.taken).to_string(),
        HumanBytes(blob.size).to_string(),
        pinned,
        hits,
        format!("{} ago", HumanDuration(Duration::from_secs(age))),
        if blob.kind == "believed" {
            printable(&format!("{} (not verified)", blob.name))
        } else {
            printable(&blob.name)
        },
    ]
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

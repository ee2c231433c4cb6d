//! What to say about a directory where an archive is wanted: which archives it has.

use std::time::Duration;

use super::Failure;
use super::show::quoted;
use crate::http::display_url;
use crate::volume::{self, Location, OpenError, Options, Root, Server};

/// How long a directory is listed to name its archives in an error.
const BRIEFLY: Duration = Duration::from_secs(5);

/// How many archives an error names.
const NAMED: usize = 5;

/// The ends of names of archives.
const ARCHIVES: [&str; 5] = [".zip", ".tar", ".cbz", ".epub", ".jar"];

/// Whether a file is named like an archive.
pub(super) fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ARCHIVES.iter().any(|end| name.ends_with(end))
}

/// Why the directory at `location` cannot be opened as an archive, and which archives it has.
/// `is_by_gateway`: the location was given as the URL of a gateway.
pub(super) async fn explain_directory(
    location: &Location,
    options: &Options,
    is_by_gateway: bool,
) -> Failure {
    let shown = location.shown().1;
    let gateway = options.servers.servers.first();
    let gateway = gateway.filter(|_| is_by_gateway);
    let here = given(location, gateway, &[]);
    let list = format!("'aiozfs ls {here}' lists it");
    let archives = archives_in(location, options, gateway);
    let (count, archives) = match tokio::time::timeout(BRIEFLY, archives).await {
        Ok(Ok(listed)) => listed,
        Ok(Err(error)) if location.content().is_none() => {
            return Failure::new(format!(
                "{shown} is a directory that cannot be listed: {error}"
            ));
        }
        _ => {
            return Failure::new(format!(
                "{shown} is a directory; give the path of an archive in it; {list}"
            ));
        }
    };
    let commands = archives.iter().take(NAMED);
    let commands = commands.map(|source| format!("aiozfs mount {} DIR", quoted(source.as_bytes())));
    let commands = commands.collect::<Vec<_>>().join("; ");
    let pack = match location {
        Location::File(_) => "; 'aiozfs pack' makes an archive of it",
        _ => "",
    };
    Failure::new(match archives.len() {
        0 => {
            let entries = count.map_or("without archives".into(), |count| {
                format!("of {count} entries, none of them named like an archive")
            });
            format!("{shown} is a directory {entries}; {list}{pack}")
        }
        1 => format!("{shown} is a directory with an archive in it: {commands}"),
        n if n <= NAMED => format!("{shown} is a directory with {n} archives in it: {commands}"),
        n => format!(
            "{shown} is a directory with {n} archives in it: {commands}; and {} more; {list}",
            n - NAMED
        ),
    })
}

/// The number of entries of a directory, if it is one of IPFS, and what to give as SOURCE for each archive in it.
async fn archives_in(
    location: &Location,
    options: &Options,
    gateway: Option<&Server>,
) -> Result<(Option<usize>, Vec<String>), OpenError> {
    if location.content().is_none() {
        let archives = volume::listing(location, options).await?.archives;
        let sources = archives.iter().map(|archive| archive.location.shown().1);
        return Ok((None, sources.collect()));
    }
    let entries = volume::list(location, options).await?.entries;
    let archives = entries.iter().filter(|entry| is_archive(&entry.name));
    let sources = archives.map(|entry| given(location, gateway, std::slice::from_ref(&entry.name)));
    Ok((Some(entries.len()), sources.collect()))
}

/// What to give as SOURCE for `names` below the location, at this gateway if it was given with a gateway.
fn given(location: &Location, gateway: Option<&Server>, names: &[String]) -> String {
    let Some(path) = location.content() else {
        return location.shown().1;
    };
    let path = path.join(names);
    let url = path.url();
    let at_gateway = gateway.and_then(|server| {
        let (_, rest) = url.split_once("://")?;
        let (root, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let root = match path.root {
            Root::Cid(_) => server.content_url(root),
            Root::Name(_) => server.ipns_url(root)?,
        };
        Some(format!(
            "{}{below}",
            display_url(&root).trim_end_matches('/')
        ))
    });
    at_gateway.unwrap_or(url)
}

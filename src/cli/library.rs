//! Libraries of archives: their arguments, and how their archives are opened.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::access::AccessArgs;
use super::config::Config;
use super::mount_options::MountOptions;
use super::named_file::NamedFile;
use super::settings::Settings;
use super::{Failure, completions, explain, library_list, show, storage, units};
use crate::cache::Cache;
use crate::content::parse_cid;
use crate::decode::Decoding;
use crate::fs::TreeOptions;
use crate::http::Clients;
use crate::library::{Archives, Item, ListError, OpenRequest, Reloaded, Unopened};
use crate::mount;
use crate::ranges::hex;
use crate::reader::{ReaderOptions, SharedMemory};
use crate::volume::{self, Fresh, Listing, Location, Volume};

/// An archive that is not used for this long is closed.
const IDLE: Duration = Duration::from_secs(600);

const REFRESH: Duration = Duration::from_secs(300);

/// The archives to mount, if they are many.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct LibraryArgs {
    /// Mount many archives below one directory: show SOURCE as the directory NAME, which may have '/' in it. May be
    /// given more than once
    #[arg(long = "add", value_name = "NAME=SOURCE", add = completions::added())]
    add: Vec<String>,
    /// Mount the archives of a list: a file with NAME, a tab and SOURCE a line, or a .toml file with a table
    /// [archives]; or the name of a [library.NAME] in the configuration. 'aiozfs reload' and SIGHUP read it again
    #[arg(long, value_name = "NAME|FILE", add = completions::libraries())]
    library: Option<String>,
    /// Show any archive under the directory of its CID, when a program first looks for it, and archives in
    /// directories of IPFS below
    #[arg(long)]
    any: bool,
    /// Mount each archive in a directory: of a store (s3://BUCKET/films/), of a web server's index, of a node
    /// (http://NODE/), of IPFS or of this machine. It is listed again every 5 minutes
    #[arg(long, value_name = "SOURCE", add = completions::sources())]
    each: Option<String>,
    /// Close an archive of a library that was not used for this long [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    idle: Option<Duration>,
}

impl LibraryArgs {
    pub(super) fn is_given(&self, options: &MountOptions) -> bool {
        !self.add.is_empty()
            || self.any
            || self.each.is_some()
            || self.library.is_some()
            || options.library.is_some()
    }

    pub(super) fn idle(&self, options: &MountOptions) -> Duration {
        options.idle.or(self.idle).unwrap_or(IDLE)
    }

    /// Which archives there are. The files are read later.
    pub(super) fn lists(&self, options: &MountOptions) -> Result<Lists, Failure> {
        let config = Config::load()?;
        let library = match (&options.library, &self.library) {
            (Some(given), _) => Some(Library::of(given, "-o library=", &config)?),
            (None, Some(given)) => Some(Library::of(given, "--library ", &config)?),
            (None, None) => None,
        };
        let each = self.each.as_ref().map(|each| {
            let located = config.locate(each);
            let located = located.and_then(|location| library_list::absolute(location, None));
            located.map_err(|failure| failure.of("--each"))
        });
        let added = self.add.iter().map(|added| {
            let (name, source) = added
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--add '{added}': write NAME=SOURCE")))?;
            let item = library_list::item(name, source, None, &config);
            item.map_err(|failure| failure.of(format!("--add {name}")))
        });
        Ok(Lists {
            added: added.collect::<Result<_, _>>()?,
            library,
            any: self.any,
            each: each.transpose()?,
        })
    }
}

/// A library that `--library` names.
#[derive(Debug, Clone)]
enum Library {
    /// `by`: what named it, for [`NamedFile::named_by`].
    File {
        path: PathBuf,
        by: &'static str,
    },
    Configured(String),
}

impl Library {
    fn of(given: &str, by: &'static str, config: &Config) -> Result<Self, Failure> {
        if config.library(given).is_some() {
            return Ok(Library::Configured(given.to_owned()));
        }
        let path = Path::new(given);
        if !given.contains('/') && !path.exists() {
            return Err(Failure::usage(format!(
                "--library {given}: there is no such file, and the configuration has no [library.{given}]"
            )));
        }
        // The working directory changes in the background.
        let path = std::path::absolute(path);
        Ok(Library::File {
            path: path.map_err(Failure::new)?,
            by,
        })
    }

    fn name(&self) -> String {
        match self {
            Library::File { path, .. } => path.display().to_string(),
            Library::Configured(name) => name.clone(),
        }
    }
}

/// The lists that say which archives there are.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    added: Vec<Item>,
    library: Option<Library>,
    any: bool,
    /// A directory of archives.
    each: Option<Location>,
}

impl Lists {
    pub(super) fn refresh(&self) -> Option<Duration> {
        self.each.as_ref().map(|_| REFRESH)
    }

    /// The text for the table of mounts, without secrets.
    pub(super) fn name(&self) -> String {
        match (&self.library, &self.each, &self.added[..]) {
            (Some(library), _, _) => library.name(),
            (None, Some(each), _) => each.shown().1,
            (None, None, []) => "ipfs".to_owned(),
            (None, None, added) => show::count(added.len() as u64, "archive", "archives"),
        }
    }

    /// A hash that differs for different lists.
    pub(super) fn identity(&self) -> String {
        let mut hash = Sha256::new();
        for item in &self.added {
            hash.update(item.name());
            hash.update([0]);
            hash.update(item.location().identity());
        }
        hash.update([u8::from(self.any)]);
        let each = self.each.as_ref().map(Location::identity);
        hash.update(each.unwrap_or_default());
        hash.update(self.library.as_ref().map(Library::name).unwrap_or_default());
        hex(hash.finalize())
    }

    /// The archives that there are now.
    fn items(&self, config: &Config) -> Result<Vec<Item>, Failure> {
        let mut items = match &self.library {
            None => Vec::new(),
            Some(Library::File { path, by }) => {
                library_list::read(&NamedFile::named_by(by, path), config)?
            }
            Some(Library::Configured(name)) => {
                let gone = || Failure::usage(format!("the configuration has no [library.{name}]"));
                let table = config.library(name).ok_or_else(gone)?;
                if table.list.as_ref().is_some_and(|list| list.is_relative()) {
                    return Err(Failure::usage(format!(
                        "[library.{name}]: the path of 'list' must be absolute"
                    )));
                }
                let listed = table.list.as_ref().map(|path| {
                    let file = NamedFile::of_key(&format!("library.{name}"), "list", path);
                    library_list::read(&file, config)
                });
                let mut items = listed.transpose()?.unwrap_or_default();
                for (archive, source) in &table.archives {
                    let item = library_list::item(archive, source, Some(Path::new("/")), config);
                    let item = item.map_err(|failure| failure.of(format!("[library.{name}]")));
                    items.push(item?);
                }
                items
            }
        };
        items.extend(self.added.iter().cloned());
        Ok(items)
    }
}

/// Lists and opens the archives of a mount. They share connections, cache and memory.
pub(super) struct Sources {
    lists: Lists,
    access: AccessArgs,
    options: MountOptions,
    tree: TreeOptions,
    stored_playlists: bool,
    pub(super) clients: Clients,
    memory: SharedMemory,
    decoding: Decoding,
    cache: Option<Cache>,
    config: Mutex<Arc<Config>>,
}

impl Sources {
    pub(super) fn new(
        lists: Lists,
        access: &AccessArgs,
        options: &MountOptions,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let config = Config::load()?;
        access.check(options)?;
        let memory = settings.memory.unwrap_or(ReaderOptions::default().memory);
        Ok(Self {
            lists,
            access: access.clone(),
            options: options.clone(),
            tree: settings.tree(),
            stored_playlists: settings.playlists.unwrap_or(false),
            clients: access.servers.clients(&config)?,
            memory: SharedMemory::new(memory, settings.read_ahead.unwrap_or(u64::MAX)),
            decoding: Decoding::default(),
            cache: storage::open(settings, access.is_offline(options)),
            config: Mutex::new(Arc::new(config)),
        })
    }

    /// Where an archive is, and how it is opened.
    fn access_of(&self, location: &Location) -> Result<(Location, volume::Options), Failure> {
        let args = self.access.for_one_of_many(location);
        let mut options = self.options.clone();
        if !matches!(location, Location::Object(_)) {
            options.store_name = None;
            options.store = Default::default();
        }
        let config = self.config.lock().clone();
        let mut access = args.resolve_with(&config, location.clone(), &options)?;
        access.options.tree = self.tree;
        access.options.stored_playlists = self.stored_playlists;
        access.options.reader.shared = Some(self.memory.clone());
        access.options.decoding = Some(self.decoding.clone());
        access.options.servers.clients = self.clients.clone();
        access.options.cache = match access.location {
            Location::File(_) => None,
            _ => self.cache.clone(),
        };
        Ok((access.location, access.options))
    }

    /// The directories and the archives in a directory of IPFS.
    async fn archives_in(&self, item: &Item) -> Result<Vec<Item>, Unopened> {
        let opening = self.access_of(item.location());
        let (location, options) = opening.map_err(Failure::into_unopened)?;
        let listing = volume::listing(&location, &options).await?;
        Ok(items(Some(item.name()), listing))
    }

    /// The archives that there are now.
    async fn items(&self) -> Result<Vec<Item>, Failure> {
        let config = Arc::new(Config::load()?);
        let mut items = self.lists.items(&config)?;
        *self.config.lock() = config;
        if let Some(location) = &self.lists.each {
            let listed = self.each(location).await;
            items.extend(listed.map_err(|failure| failure.of("--each"))?);
        }
        Ok(items)
    }

    /// The archives and directories in the directory that `--each` names.
    async fn each(&self, location: &Location) -> Result<Vec<Item>, Failure> {
        if let Location::File(path) = location
            && path.is_file()
        {
            return Err(Failure::new(format!(
                "{} is a file, not a directory; mount it without --each",
                path.display()
            )));
        }
        let (location, options) = self.access_of(location)?;
        let listing = volume::listing(&location, &options).await;
        let listing = listing.map_err(|e| explain::explain_open(&location, &e))?;
        Ok(items(None, listing))
    }
}

impl Archives for Sources {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Item>, ListError>> {
        self.items().map_err(Failure::into_list_error).boxed()
    }

    fn open<'a>(
        &'a self,
        item: &'a Item,
        request: OpenRequest,
    ) -> BoxFuture<'a, Result<Volume, Unopened>> {
        async move {
            let opening = self.access_of(item.location());
            let (location, mut options) = opening.map_err(Failure::into_unopened)?;
            let listed = item.version().map(str::to_owned);
            options.fresh = (!request.asks).then_some(Fresh { listed });
            options.opening = request.urgency;
            options.reader.trace = request.trace;
            Ok(volume::open(&location, &options).await?)
        }
        .boxed()
    }

    fn directory<'a>(
        &'a self,
        item: &'a Item,
    ) -> BoxFuture<'a, Option<Result<Vec<Item>, Unopened>>> {
        async {
            if !self.lists.any && self.lists.each.is_none() {
                return None;
            }
            Some(self.archives_in(item).await)
        }
        .boxed()
    }

    fn named(&self, name: &str) -> Option<Item> {
        if !self.lists.any {
            return None;
        }
        let cid = parse_cid(name).ok()?;
        Item::new(name, Location::Cid(cid)).ok()
    }
}

/// What a directory has, with names below `above`.
fn items(above: Option<&str>, listing: Listing) -> Vec<Item> {
    let listed = listing.archives.into_iter().chain(listing.directories);
    let items = listed.filter_map(|listed| {
        let name = match above {
            Some(above) => format!("{above}/{}", listed.name),
            None => listed.name,
        };
        let item = Item::new(&name, listed.location).ok()?;
        Some(item.with_version(listed.version))
    });
    items.collect()
}

/// Read the list of a mounted library again.
///
/// Archives that are new, or have another source, are shown at once. Those that are no longer in the list
/// disappear; files of them that are open can be read until they are closed. If the list is wrong, nothing changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  aiozfs mount --library films.tsv /mnt/films
  printf 'holiday\\thttps://example.com/holiday.zip\\n' >> films.tsv
  aiozfs reload /mnt/films")]
pub(super) struct ReloadArgs {
    /// The directory it is mounted on
    #[arg(add = completions::mountpoints())]
    mountpoint: PathBuf,
    /// Print the result as JSON: one object
    #[arg(long)]
    json: bool,
}

pub(super) fn reload(args: &ReloadArgs) -> Result<ExitCode, Failure> {
    let done = mount::reload(&args.mountpoint).map_err(Failure::new)?;
    show::print(|out| {
        if args.json {
            return writeln!(out, "{}", show::json(&done));
        }
        let Reloaded {
            archives,
            added,
            removed,
        } = done;
        writeln!(
            out,
            "{}, {added} of them new; {removed} removed",
            show::count(archives as u64, "archive", "archives")
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

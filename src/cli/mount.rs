//! `aiozfs mount`.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueHint};
use tokio::runtime::{Handle, Runtime};

use super::access::AccessArgs;
use super::config::{self, Config};
use super::job;
use super::library::{LibraryArgs, Lists, Sources};
use super::metrics::MetricsArgs;
use super::mount_options::{self, MountOptions};
use super::named_file::NamedFile;
use super::reload::Reload;
use super::runtime;
use super::settings::Settings;
use super::unmounted::IndexArg;
use super::{Failure, background, completions, directories, logging};
use super::{service, storage, units};
use crate::library::{Library, LibraryOptions};
use crate::mount::{self, Hangup, KernelOptions, Mounted, Unfit};
use crate::volume::Location;

/// The option that says that mount(8) is the caller.
pub(super) const FOR_HELPER: &str = "--mount-helper";

/// Mount an archive as a read-only directory.
///
/// Returns when the directory is usable; the mount continues in the background. Unmount it with
/// `aiozfs umount MOUNTPOINT`.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "aiozfs mount [OPTIONS] <SOURCE> <MOUNTPOINT>\n       aiozfs mount [OPTIONS] --add <NAME=SOURCE>... | --library <NAME|FILE> | --each <SOURCE> | --any <MOUNTPOINT>"
)]
pub(super) struct MountArgs {
    /// The archive: a file, an http(s) URL, an object (s3://BUCKET/KEY, gs:// or az://), a CID or a path
    /// below one, id:TEXT for an id of another network, or the name of an archive in the configuration
    #[arg(required = true, add = completions::sources())]
    source: Option<String>,
    /// An empty directory
    #[arg(required_unless_present_any = ["add", "library", "any", "each"], value_hint = ValueHint::DirPath)]
    mountpoint: Option<PathBuf>,
    #[command(flatten)]
    library: LibraryArgs,
    /// Stay in the foreground; Ctrl-C unmounts
    #[arg(short, long)]
    foreground: bool,
    #[command(flatten)]
    access: AccessArgs,
    /// The most that is fetched ahead of readers, all together; 0 fetches only what is read. For programs
    /// that read little of many files: media servers, thumbnailers, indexers [default: by the link, within --memory]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    read_ahead: Option<u64>,
    #[command(flatten)]
    index: IndexArg,
    /// Give other users access; permissions are then checked
    #[arg(long)]
    allow_other: bool,
    /// Owner of all files [default: you]
    #[arg(long, value_name = "ID", value_parser = units::id)]
    uid: Option<u32>,
    /// Group of all files [default: yours]
    #[arg(long, value_name = "ID", value_parser = units::id)]
    gid: Option<u32>,
    /// Permission bits to remove, in octal
    #[arg(long, value_name = "MASK", value_parser = units::mask)]
    umask: Option<u16>,
    /// Extended attributes. Without them 'cp -a' and 'rsync -X' of many small files are faster: they ask for a dozen
    /// attributes of each file, and each is a request to this process [default: yes; no for many archives]
    #[arg(long, value_name = "yes|no", value_parser = mount_options::yes_or_no, add = completions::yes_or_no())]
    xattrs: Option<bool>,
    /// Options as mount(8) passes them, separated by commas: allow_other, allow_root,
    /// default_permissions, nonempty, noexec, uid=, gid=, umask=, fmask=, dmask=, timeout=, memory=,
    /// read_ahead=, connections=, cache_dir=, cache_size=, offline, password-file=, symlinks=all|inside|none,
    /// playlists=playable|stored, owner=archive|mounter, xattrs=yes|no, encoding=, verify=trustless|crc|none, store=,
    /// profile=, region=, endpoint_url=, anonymous, requester_pays, metrics=, metrics_remote, index=, library=, idle=,
    /// fsname=, X-mount.mkdir. Options that only concern
    /// mount(8), systemd or libfuse are ignored
    #[arg(short = 'o', value_name = "OPTIONS", add = completions::mount_options())]
    options: Vec<String>,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// Write log lines to this file; in a systemd service, a relative path is below its LogsDirectory [default: in the background, the system's log]
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Called by mount(8): use its exit codes, and do not report a source that is already mounted
    #[arg(long, hide = true)]
    mount_helper: bool,
    /// mount -s: ignore unknown options
    #[arg(long, hide = true)]
    sloppy: bool,
    /// mount -f: do everything except the mount
    #[arg(long, hide = true)]
    fake: bool,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs mount bafybei... /mnt/video
  aiozfs mount bafybei.../videos/holiday.zip /mnt/video
  aiozfs mount --gateway http://127.0.0.1:8080 bafybei... /mnt/video
  aiozfs mount https://gateway.example/ipfs/bafybei... /mnt/video
  aiozfs mount --verify crc --gateway https://files.example bafybei... /mnt/video
  aiozfs mount https://example.com/holiday.zip /mnt/holiday
  aiozfs mount --profile work s3://bucket/holiday.zip /mnt/holiday
  aiozfs mount ./holiday.zip /mnt/holiday -o uid=1000,umask=022
Many archives below one directory, each opened when a program first looks into it:
  aiozfs mount --add holiday=bafybei... --add 2024/trip=https://example.com/trip.zip /mnt/films
  aiozfs mount --library films.tsv /mnt/films
  aiozfs mount --each s3://bucket/films/ /mnt/films
  aiozfs mount --any /mnt/ipfs";

/// `arguments` are those that were parsed; the background process gets them.
pub(super) fn mount(args: MountArgs, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    background::tie_to_parent();
    let options = MountOptions::parse(&args.options, args.sloppy)?;
    let (what, mountpoint) = args.what(&options)?;
    let mut named = args.options.iter().flat_map(|list| list.split(','));
    // mount(8) adds it to all that it passes on.
    if !args.mount_helper && !background::is_child() && named.any(|option| option == "rw") {
        tell!("aiozfs: warning: option 'rw' has no effect: a mount is read-only");
    }
    if args.fake {
        return Ok(ExitCode::SUCCESS);
    }
    // First, so that common mistakes are reported at once.
    let mountpoint = match prepare_mountpoint(&mountpoint, &options)? {
        Ok(checked) => checked,
        Err(unfit) => return args.already_mounted(&what, &mountpoint, unfit),
    };
    if !args.foreground {
        return background::start(arguments);
    }
    logging::init(args.verbose);
    logging::limit();
    let log_file = args
        .log_file
        .as_deref()
        .map(directories::log_file)
        .transpose();
    let log_file = log_file.map_err(Failure::new)?;
    if let Some(path) = &log_file {
        let file = NamedFile::of_option("--log-file", path);
        logging::to_file(path).map_err(|e| file.unwritable(&e))?;
    }
    let runtime = runtime::new()?;
    let config = Config::load()?;
    let settings = args.settings(&options).or(config.settings());
    logging::configure(settings.log.as_deref());
    let kernel = kernel_options(&options, &settings, &what);
    logging::describe(&kernel.fs_name, &mountpoint);
    let metrics = args.metrics.listen(&options)?;
    let mounted = match what {
        What::Archive(location) => {
            args.mount_archive(options, &settings, location, &kernel, &mountpoint, &runtime)?
        }
        What::Library(lists) => {
            args.mount_library(&options, &settings, lists, &kernel, &mountpoint, &runtime)?
        }
    };
    let socket = metrics.and_then(|metrics| metrics.serve(&mounted, runtime.handle()));
    service::ready(&mountpoint, &kernel.fs_name, runtime.handle());
    go_on(mounted, log_file.is_some(), socket)
}

enum What {
    Archive(Location),
    Library(Lists),
}

impl What {
    /// The text for the table of mounts, without secrets.
    fn shown(&self) -> String {
        match self {
            What::Archive(location) => location.shown().1,
            What::Library(lists) => lists.name(),
        }
    }

    fn identity(&self) -> String {
        match self {
            What::Archive(location) => location.identity(),
            What::Library(lists) => lists.identity(),
        }
    }
}

impl MountArgs {
    /// Whether mount(8) is the caller.
    pub(super) fn helps_mount(&self) -> bool {
        self.mount_helper
    }

    /// Whether there may be no user who sees an error and tries again, as at boot.
    fn is_unattended(&self) -> bool {
        self.mount_helper || survives_hangup()
    }

    /// Succeeds if the directory is a mount of the same source. `mount -a` relies on it: mount(8)
    /// compares sources with the kernel's table of mounts, which has no secrets in it, and so calls
    /// the helper for what is mounted already. With `--foreground` it is an error, because the caller
    /// expects a process that stays.
    fn already_mounted(
        &self,
        what: &What,
        mountpoint: &Path,
        unfit: Unfit,
    ) -> Result<ExitCode, Failure> {
        let is_mounted = matches!(unfit, Unfit::Mounted(..));
        if self.foreground || !is_mounted || !mount::is_source(mountpoint, &what.identity()) {
            return Err(Failure::new(unfit));
        }
        if !self.mount_helper || self.verbose > 0 {
            let (source, mountpoint) = (what.shown(), mountpoint.display());
            tell!("aiozfs: {source} is already mounted on {mountpoint}; nothing to do");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What to mount, and where. With a library, the only argument is the mountpoint, except from mount(8): fstab has
    /// a source in every line, which is then just a label.
    fn what(&self, options: &MountOptions) -> Result<(What, PathBuf), Failure> {
        let is_library = self.library.is_given(options);
        let lists = || self.library.lists(options).map(What::Library);
        match (&self.source, &self.mountpoint) {
            (Some(source), Some(mountpoint)) if !is_library => {
                Ok((What::Archive(config::locate(source)?), mountpoint.clone()))
            }
            (Some(_), Some(mountpoint)) if options.library.is_some() => {
                Ok((lists()?, mountpoint.clone()))
            }
            (Some(source), Some(_)) => Err(Failure::usage(format!(
                "a library has no other source; leave '{source}' out, or add it with --add NAME={source}"
            ))),
            (Some(mountpoint), None) if is_library => Ok((lists()?, mountpoint.into())),
            _ => Err(Failure::usage(
                "give SOURCE and MOUNTPOINT; see 'aiozfs mount --help'",
            )),
        }
    }

    fn mount_archive(
        &self,
        options: MountOptions,
        settings: &Settings,
        location: Location,
        kernel: &KernelOptions,
        mountpoint: &Path,
        runtime: &Runtime,
    ) -> Result<Mounted, Failure> {
        let mut access = self.access.resolve(location.clone(), &options)?;
        if self.is_unattended() {
            access.options.servers.clients.wait_for_servers();
        }
        access = match &options.index {
            Some(given) => access.with_index("-o index=", Some(given))?,
            None => access.with_index("--index ", self.index.given.as_deref())?,
        };
        access.options.tree = settings.tree();
        access.options.reader.read_ahead = settings.read_ahead.unwrap_or(u64::MAX);
        access.options.stored_playlists = settings.playlists.unwrap_or(false);
        job::mount_archive(&access, mountpoint, kernel, runtime, |mounted| {
            let volume = mounted.library().single().cloned();
            let Some(volume) = volume.filter(|_| survives_hangup()) else {
                return Hangup::Unmount;
            };
            let reload = Reload {
                args: self.access.clone(),
                options,
                location,
                servers: access.options.servers.servers.clone(),
                volume,
            };
            Hangup::Run(vec![
                Box::new(logging::reopen),
                Box::new(move || reload.run()),
            ])
        })
    }

    fn mount_library(
        &self,
        options: &MountOptions,
        settings: &Settings,
        lists: Lists,
        kernel: &KernelOptions,
        mountpoint: &Path,
        runtime: &Runtime,
    ) -> Result<Mounted, Failure> {
        if let Some(index) = options.index.as_ref().or(self.index.given.as_ref()) {
            return Err(Failure::usage(format!(
                "the index {index} belongs to one archive, and a library has many"
            )));
        }
        let refresh = lists.refresh();
        let sources = Sources::new(lists, &self.access, options, settings)?;
        if self.is_unattended() {
            sources.clients.wait_for_servers();
        }
        let library = Library::many(
            Arc::new(sources),
            LibraryOptions {
                tree: settings.tree(),
                idle: self.library.idle(options),
                refresh,
            },
            runtime.handle().clone(),
        );
        runtime
            .block_on(library.reload())
            .map_err(Failure::of_list)?;
        let (list, handle) = (library.clone(), runtime.handle().clone());
        job::mount_library(library, mountpoint, kernel, runtime, |_| {
            if !survives_hangup() {
                return Hangup::Unmount;
            }
            Hangup::Run(vec![
                Box::new(logging::reopen),
                Box::new(move || reload_list(&list, &handle)),
            ])
        })
    }

    /// What `-o` and the arguments say.
    fn settings(&self, options: &MountOptions) -> Settings {
        let own = Settings {
            allow_other: self.allow_other.then_some(true),
            uid: self.uid,
            gid: self.gid,
            umask: self.umask,
            xattrs: self.xattrs,
            read_ahead: self.read_ahead,
            ..self.access.settings()
        };
        options.settings.clone().or(own)
    }
}

fn kernel_options(options: &MountOptions, settings: &Settings, what: &What) -> KernelOptions {
    let is_archive = matches!(what, What::Archive(_));
    KernelOptions {
        fs_name: options.fs_name.clone().unwrap_or_else(|| what.shown()),
        allow_other: settings.allow_other == Some(true),
        default_permissions: settings.default_permissions == Some(true),
        allow_root: options.allow_root,
        noexec: settings.noexec == Some(true),
        labels: options.labels_for_kernel(),
        source_hash: Some(what.identity()),
        short_reads: settings.read_ahead.is_some(),
        no_xattrs: !settings.xattrs.unwrap_or(is_archive),
    }
}

/// Makes the mountpoint if the options ask for it, clears a dead mount from it, and checks it. A supervisor
/// that restarts a killed mount relies on both.
fn prepare_mountpoint(
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<Result<PathBuf, Unfit>, Failure> {
    let check = || mount::check_mountpoint(mountpoint, options.nonempty);
    let shown = mountpoint.display();
    match (check(), options.mkdir) {
        (Err(Unfit::Dead(dead)), _) if mount::unmount(&dead).is_ok() => {
            tell!("aiozfs: {shown} held a dead mount, whose process is gone; it is cleared");
        }
        (Err(Unfit::Missing(missing)), Some(mode)) => {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(mode.into()).create(&missing);
            made.map_err(|e| Failure::new(format!("cannot make the mountpoint {shown}: {e}")))?;
        }
        (checked, _) => return Ok(checked),
    }
    Ok(check())
}

/// Whether SIGHUP does not mean that the terminal is gone.
fn survives_hangup() -> bool {
    background::is_child() || service::is_manager()
}

fn reload_list(library: &Library, runtime: &Handle) {
    if let Ok(config) = Config::load() {
        logging::configure(config.settings().log.as_deref());
    }
    match runtime.block_on(library.reload()) {
        Ok(done) => log::info!(
            "SIGHUP: {} archives, {} of them new; {} removed",
            done.archives,
            done.added,
            done.removed
        ),
        Err(why) => log::error!("SIGHUP: cannot reload the list, so the previous one stays: {why}"),
    }
}

/// Serves until the mount ends, and then ends the process: a mount that was detached while files were open
/// stays in the kernel until then.
fn go_on(
    mounted: Mounted,
    has_log_file: bool,
    socket: Option<PathBuf>,
) -> Result<ExitCode, Failure> {
    if background::is_child() {
        if !has_log_file {
            logging::to_system();
        }
        if let Err(e) = background::report_ready() {
            mounted.stopper().stop();
            log::error!("cannot continue in the background: {e}");
        }
    }
    let ended = mounted.wait();
    service::stopping();
    if let Err(e) = &ended {
        log::error!("the mount ended with an error: {e}");
    }
    if let Some(socket) = socket {
        let _ = std::fs::remove_file(socket);
    }
    storage::settle();
    logging::finish();
    // Returning would wait for the tasks of the runtime.
    std::process::exit(i32::from(ended.is_err()));
}

//! `aiozfs publish`: an archive into an object store.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

use super::config::Config;
use super::explain::explain_open;
use super::mount_options::MountOptions;
use super::progress::Progress;
use super::servers::clients;
use super::show::{self, quoted};
use super::stores::StoreArgs;
use super::{Failure, logging, runtime};
use crate::content::{Cid, Importer, Profile};
use crate::pack::{Control, PackOptions, Plan};
use crate::publish::{self, Existing, Hashes, Object, PartHashes, Sent, Upload, part_len};
use crate::stores::{ObjectAddress, Service, Store};
use crate::volume::{self, Location, Options};

/// How much of a file is read at once, in bytes.
const BUFFER: u64 = 1 << 20;

/// Upload an archive, or a folder that is packed on the way, to an object store.
///
/// The object appears when it is complete. After an interruption, the same command continues: parts that are
/// in the store are not sent again. An object with the same content is left alone.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PublishArgs {
    /// An archive, or a folder to pack, as 'aiozfs pack' does without options
    #[arg(value_name = "DIR|ZIP")]
    source: PathBuf,
    /// s3://BUCKET/KEY; if it ends in '/', the archive is named by its CID: CID.zip
    destination: String,
    /// Replace an object of that name with other content
    #[arg(long)]
    overwrite: bool,
    /// Only say what would be done; asks the store whether the object exists, and sends nothing
    #[arg(long)]
    dry_run: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
    /// Certificates to trust in addition to the system's, in PEM format
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs publish ./movie s3://films/
  aiozfs publish movie.zip s3://films/2026/movie.zip
  aiozfs publish --endpoint-url https://s3.example.com --dry-run ./movie s3://films/";

/// What to upload.
#[derive(Clone)]
enum Content {
    File(PathBuf, u64),
    Folder(Arc<Plan>),
}

/// What was done, in JSON.
#[derive(Serialize)]
struct Report {
    status: Status,
    cid: String,
    size: u64,
    /// What to mount.
    source: String,
    url: String,
    /// Bytes that were sent.
    sent: u64,
    /// Bytes that an earlier run had sent.
    found: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Published,
    Present,
    DryRun,
}

pub(super) fn publish(args: &PublishArgs) -> Result<ExitCode, Failure> {
    logging::init(args.verbose);
    let mut address = destination(&args.destination)?;
    let content = Content::open(&args.source)?;
    let mut known = None;
    if address.key.is_empty() || address.key.ends_with('/') {
        let (cid, _) = content.hash(false).map_err(Failure::new)?;
        address.key.push_str(&format!("{cid}.zip"));
        known = Some(cid);
    }
    let config = Config::load()?;
    let location = Location::Object(address.clone());
    let settings = args
        .store
        .resolve(&config, &location, &MountOptions::default())?;
    let clients = clients(args.ca_file.as_deref(), &config)?;
    let object = |address: ObjectAddress| {
        let store = Store::new(address, settings.clone(), &clients).map_err(Failure::usage)?;
        Ok::<_, Failure>(Object::new(Arc::new(store), clients.clone()))
    };
    let bucket = object(ObjectAddress {
        key: String::new(),
        ..address.clone()
    })?;
    let transfer = Transfer {
        args,
        object: object(address.clone())?,
        bucket,
        address,
        content,
        known,
    };
    // If it is stopped, a thread may still be reading.
    let report = runtime::run(async {
        tokio::select! {
            done = transfer.run() => done,
            stopped = stopped() => Err(stopped),
        }
    })?;
    show::print_result(args.json, &report, |out| report.write(args, out))?;
    Ok(ExitCode::SUCCESS)
}

/// Waits for a signal to stop. Not for SIGHUP, which `nohup` turns off.
async fn stopped() -> Failure {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(e) => return Failure::new(format!("cannot watch for signals: {e}")),
    };
    tokio::select! {
        Ok(()) = ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Failure::new("interrupted; the same command continues the upload")
}

fn destination(text: &str) -> Result<ObjectAddress, Failure> {
    let form = "the destination has the form s3://BUCKET/KEY or s3://BUCKET/PREFIX/";
    let instead = |service| match service {
        Service::S3 => "",
        Service::Gs => {
            "; Google's stores speak it, too, with an HMAC key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: --endpoint-url https://storage.googleapis.com s3://BUCKET/KEY"
        }
        Service::Az => "; for Azure, make the archive with 'aiozfs pack' and upload it with azcopy",
    };
    let address = ObjectAddress::parse(text).ok_or_else(|| Failure::usage(form))?;
    let address = address.map_err(|e| Failure::usage(format!("{text}: {e}")))?;
    if address.service != Service::S3 {
        return Err(Failure::usage(format!(
            "only stores of the S3 protocol can be written to{}",
            instead(address.service)
        )));
    }
    Ok(address)
}

/// One archive on its way to one object.
struct Transfer<'a> {
    args: &'a PublishArgs,
    object: Object,
    bucket: Object,
    address: ObjectAddress,
    content: Content,
    /// The CID, if the name of the object needed it.
    known: Option<Cid>,
}

impl Transfer<'_> {
    /// Sends the content unless the object has it already.
    async fn run(&self) -> Result<Report, Failure> {
        let mut known = self.known;
        if let Some(existing) = self.existing().await? {
            let (cid, is_same) = self.compare(&existing).await?;
            known = cid;
            if let Some(cid) = cid.filter(|_| is_same) {
                return Ok(self.report(Status::Present, cid, 0, 0));
            }
            if !self.args.overwrite {
                return Err(Failure::new(format!(
                    "{} exists and has other content ({}); choose another name, or replace it with --overwrite",
                    self.address,
                    HumanBytes(existing.size)
                )));
            }
        }
        if self.args.dry_run {
            let cid = match known {
                Some(cid) => cid,
                None => self.hash(false).await?.0,
            };
            return Ok(self.report(Status::DryRun, cid, 0, 0));
        }
        self.send(known).await
    }

    /// Sends the content, and checks that the object has it then. `known`: the CID of the content.
    async fn send(&self, known: Option<Cid>) -> Result<Report, Failure> {
        let size = self.content.size();
        // Only a name that follows from the CID can be kept with the object: an upload that is continued may have
        // been begun for other content under the same name.
        let (key, cid) = (&self.address.key, self.known.map(|cid| cid.to_string()));
        let (bucket, overwrite) = (&self.bucket, self.args.overwrite);
        let upload = Upload::begin(&self.object, bucket, key, cid.as_deref(), size, overwrite);
        let upload = upload.await.map_err(|e| self.failed(&e))?;
        if upload.found() > 0 {
            let found = HumanBytes(upload.found());
            tell!(
                "aiozfs: {found} are in the store from an earlier run; they are compared, not sent"
            );
        }
        let progress = Progress::bytes("publishing", Some(size));
        let content = self.content.clone();
        let write = move |out: &mut dyn Write| {
            let mut importer = Importer::new(Profile::default());
            content.write(out, &mut |bytes| importer.push(bytes))?;
            let cid = importer.finish();
            match known {
                Some(known) if known != cid => {
                    Err("the archive changed while it was read".to_owned())
                }
                _ => Ok(cid),
            }
        };
        let sent = upload.send(write, |bytes| progress.add(bytes)).await;
        drop(progress);
        let sent = sent.map_err(|e| self.failed(&e))?.map_err(Failure::new)?;
        match (sent, self.existing().await?) {
            (Sent::Complete(done, cid), Some(existing)) if existing.size == size => {
                return Ok(self.report(Status::Published, cid, done.sent, done.found));
            }
            (Sent::ByOther, Some(existing)) => {
                if let (Some(cid), true) = self.compare(&existing).await? {
                    return Ok(self.report(Status::Present, cid, 0, 0));
                }
            }
            _ => {}
        }
        Err(Failure::new(format!(
            "{}: the store has other content than was sent; does another program write to this name? --overwrite replaces it",
            self.address
        )))
    }

    /// The object, if it exists.
    async fn existing(&self) -> Result<Option<Existing>, Failure> {
        let existing = self.object.existing().await;
        existing.map_err(|e| self.failed(&e))
    }

    fn failed(&self, e: &publish::Error) -> Failure {
        Failure::new(format!("{}: {e}", self.address))
    }

    /// The content's CID if it is known, and whether the object has the same content.
    async fn compare(&self, existing: &Existing) -> Result<(Option<Cid>, bool), Failure> {
        if existing.size != self.content.size() {
            return Ok((self.known, false));
        }
        if let Some(known) = self.known
            && existing.has_cid(&known.to_string())
        {
            return Ok((Some(known), true));
        }
        let (cid, hashes) = self.hash(true).await?;
        let is_same = hashes.is_some_and(|hashes| existing.has(&hashes));
        Ok((Some(cid), is_same))
    }

    /// The content's CID, and the ETags that it may have.
    async fn hash(&self, with_etags: bool) -> Result<(Cid, Option<Hashes>), Failure> {
        let content = self.content.clone();
        let hashed = tokio::task::spawn_blocking(move || content.hash(with_etags)).await;
        hashed.map_err(Failure::new)?.map_err(Failure::new)
    }

    fn report(&self, status: Status, cid: Cid, sent: u64, found: u64) -> Report {
        Report {
            status,
            cid: cid.to_string(),
            size: self.content.size(),
            source: self.address.to_string(),
            url: self.object.url(),
            sent,
            found,
        }
    }
}

impl Content {
    fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let meta = path.metadata();
        let meta = meta.map_err(|e| Failure::new(format!("cannot read {shown}: {e}")))?;
        if meta.is_dir() {
            let plan = Plan::of(path, PackOptions::default()).map_err(Failure::new)?;
            let warnings = plan.warnings().len();
            if warnings > 0 {
                tell!(
                    "aiozfs: warning: {warnings} links of playlists need attention; 'aiozfs pack --dry-run {}' lists them",
                    quoted(path.as_os_str().as_encoded_bytes())
                );
            }
            return Ok(Content::Folder(Arc::new(plan)));
        }
        // What is not an archive should not become an object that cannot be mounted.
        let location = Location::File(path.to_owned());
        runtime::run(async {
            let opened = volume::open_archive(&location, &Options::default()).await;
            opened.map(drop).map_err(|e| explain_open(&location, &e))
        })?;
        Ok(Content::File(path.to_owned(), meta.len()))
    }

    fn size(&self) -> u64 {
        match self {
            Content::File(_, size) => *size,
            Content::Folder(plan) => plan.size(),
        }
    }

    /// Writes the archive. `tap` gets all bytes, too. An error says in one line why the content could not be read.
    fn write(
        &self,
        out: &mut dyn Write,
        tap: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), String> {
        match self {
            Content::Folder(plan) => {
                let control = Control {
                    tap,
                    progress: &mut |_| {},
                    cancelled: &AtomicBool::new(false),
                };
                plan.write(out, control).map_err(|e| e.to_string())
            }
            Content::File(path, _) => {
                let mut copy = || -> io::Result<()> {
                    let file = File::open(path)?;
                    let mut buffer = Vec::with_capacity(BUFFER as usize);
                    while (&file).take(BUFFER).read_to_end(&mut buffer)? > 0 {
                        tap(&buffer);
                        out.write_all(&buffer)?;
                        buffer.clear();
                    }
                    Ok(())
                };
                copy().map_err(|e| format!("cannot read {}: {e}", path.display()))
            }
        }
    }

    /// The CID, and with `with_etags` the ETags that it may have as an object.
    fn hash(&self, with_etags: bool) -> Result<(Cid, Option<Hashes>), String> {
        let progress = Progress::bytes("hashing", Some(self.size()));
        let mut importer = Importer::new(Profile::default());
        let mut hashes = with_etags.then(|| PartHashes::new(part_len(self.size())));
        let mut tap = |bytes: &[u8]| {
            importer.push(bytes);
            if let Some(hashes) = &mut hashes {
                hashes.push(bytes);
            }
            progress.add(bytes.len() as u64);
        };
        self.write(&mut io::sink(), &mut tap)?;
        Ok((importer.finish(), hashes.map(PartHashes::finish)))
    }
}

impl Report {
    fn write(&self, args: &PublishArgs, out: &mut dyn Write) -> io::Result<()> {
        let source = quoted(self.source.as_bytes());
        let status = match self.status {
            Status::Published => "published",
            Status::Present => "there already; nothing was sent",
            Status::DryRun => "would be published",
        };
        writeln!(out, "{source}: {} {status}", HumanBytes(self.size))?;
        writeln!(out, "CID:   {}", self.cid)?;
        writeln!(out, "URL:   {}", self.url)?;
        writeln!(out, "mount: aiozfs mount {}{source} DIR", args.store.line())
    }
}

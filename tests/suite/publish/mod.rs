//! `aiozfs publish`: an archive in an object store, whole or not at all, and no part sent twice.

mod conflicts;
mod link;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::tree::TempDir;
use md5::{Digest, Md5};
use serde_json::Value;

use crate::common::emulators;
use crate::common::rclone::{self, Rclone};
use crate::common::run::Finished;
use crate::common::scripted::{Asked, Reply, Scripted};
use crate::common::signatures::check_s3;
use crate::common::zips::{Item, Zip};
use crate::common::{run, tree};

/// The length of a part.
const PART: usize = 8 << 20;

/// Three parts and a bit.
const SIZE: usize = 3 * PART + 12_345;

const KEY: &str = "AKPUBLISH";
const SECRET: &str = "secret/of+publish";

/// A folder with files of about `SIZE` bytes.
fn folder() -> TempDir {
    let dir = tree::temp();
    tree::write(dir.path(), "media.bin", &tree::bytes(4, SIZE));
    tree::write(dir.path(), "sub/notes.txt", b"notes");
    dir
}

/// An archive of about `SIZE` bytes.
fn archive(seed: u64) -> Vec<u8> {
    let items = [
        Item::new("notes.txt", "notes"),
        Item::new("media.bin", tree::bytes(seed, SIZE)),
    ];
    Zip::of(items).finish()
}

#[derive(Default)]
struct Upload {
    key: String,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Default)]
struct Stored {
    objects: HashMap<String, Vec<u8>>,
    uploads: BTreeMap<String, Upload>,
    begun: u32,
    /// How many requests there were.
    requests: usize,
    /// How many parts were sent.
    sent: usize,
    /// What another program puts under a name when the first part arrives.
    rival: Option<(String, Vec<u8>)>,
    /// Whether the store knows no conditions, as older ones do.
    is_old: bool,
    /// For how long from the first request on it answers 500.
    broken_for: Duration,
    asked_first: Option<Instant>,
    /// No part is answered before this number of them has arrived at once.
    gathered: usize,
    /// The number of a part, and how many parts must have arrived before that part is answered.
    late: Option<(u32, usize)>,
    /// How many parts arrive at once, and the most so far.
    at_once: usize,
    most_at_once: usize,
}

/// A store in memory that checks signatures, the hashes of bodies, and ETags.
struct S3 {
    server: Scripted,
    stored: Arc<Mutex<Stored>>,
}

fn etag(bytes: &[u8]) -> String {
    let digits = Md5::digest(bytes);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// The value of a parameter of the query.
fn parameter<'a>(asked: &'a Asked, name: &str) -> Option<&'a str> {
    let (_, query) = asked.target.split_once('?')?;
    let mut pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

fn answer(stored: &mut Stored, asked: &Asked) -> Reply {
    let path = asked.target.split('?').next().unwrap_or_default();
    let key = path.strip_prefix("/films/").unwrap_or_default().to_owned();
    let upload = parameter(asked, "uploadId").unwrap_or_default();
    let gone = || Reply::refusal(404, "NoSuchUpload", "The upload does not exist.", "");
    match (asked.method.as_str(), parameter(asked, "uploads"), upload) {
        ("POST", Some(_), _) => {
            stored.begun += 1;
            let id = format!("upload-{:03}", stored.begun);
            let parts = BTreeMap::new();
            stored.uploads.insert(id.clone(), Upload { key, parts });
            Reply::text(format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ))
        }
        ("GET", Some(_), _) => {
            let each = stored.uploads.iter().map(|(id, Upload { key, .. })| {
                format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>")
            });
            let each: String = each.collect();
            Reply::text(format!(
                "<ListMultipartUploadsResult>{each}<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
            ))
        }
        ("GET", None, "") => match stored.objects.get(&key) {
            None => Reply::refusal(404, "NoSuchKey", "The key does not exist.", ""),
            Some(object) => {
                let mut reply = Reply::range(object, asked);
                reply.headers.retain(|(name, _)| *name != "etag");
                let parts = object.chunks(PART).map(Md5::digest);
                let (hashes, count) = (parts.clone().flatten().collect::<Vec<u8>>(), parts.count());
                let whole = etag(&hashes);
                reply
                    .headers
                    .push(("etag", format!("{}-{count}\"", whole.trim_end_matches('"'))));
                reply
            }
        },
        ("GET", None, id) => {
            let Some(upload) = stored.uploads.get(id) else {
                return gone();
            };
            let each = upload.parts.iter().map(|(number, bytes)| {
                let (etag, size) = (etag(bytes), bytes.len());
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><Size>{size}</Size></Part>")
            });
            let each: String = each.collect();
            Reply::text(format!(
                "<ListPartsResult>{each}<IsTruncated>false</IsTruncated></ListPartsResult>"
            ))
        }
        ("PUT", _, id) => {
            stored.objects.extend(stored.rival.take());
            let number = parameter(asked, "partNumber").and_then(|n| n.parse().ok());
            let Some(upload) = stored.uploads.get_mut(id) else {
                return gone();
            };
            upload
                .parts
                .insert(number.expect("a number"), asked.body.clone());
            let mut reply = Reply::text("");
            reply.headers.push(("etag", etag(&asked.body)));
            reply
        }
        ("POST", None, _) if stored.is_old && !asked.header("if-none-match").is_empty() => {
            Reply::refusal(501, "NotImplemented", "A header is not implemented.", "")
        }
        ("POST", None, _)
            if asked.header("if-none-match") == "*" && stored.objects.contains_key(&key) =>
        {
            let message = "At least one of the pre-conditions did not hold";
            Reply::refusal(412, "PreconditionFailed", message, "")
        }
        ("POST", None, id) => {
            let Some(upload) = stored.uploads.get(id) else {
                return gone();
            };
            let told = String::from_utf8_lossy(&asked.body).replace("&quot;", "\"");
            let all = upload.parts.iter().map(|(number, bytes)| {
                let etag = etag(bytes);
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            });
            let all: String = all.collect();
            if told != format!("<CompleteMultipartUpload>{all}</CompleteMultipartUpload>") {
                return Reply::refusal(
                    400,
                    "InvalidPart",
                    "A part is missing or has another ETag.",
                    "",
                );
            }
            let upload = stored.uploads.remove(id).expect("it was there");
            let whole = upload.parts.into_values().flatten().collect();
            stored.objects.insert(upload.key, whole);
            Reply::text("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
        }
        _ => Reply::refusal(405, "MethodNotAllowed", "No.", ""),
    }
}

impl S3 {
    /// Parts arrive one after the other, and each takes `pause`.
    fn new(pause: Duration) -> Self {
        let stored: Arc<Mutex<Stored>> = Arc::default();
        let (shared, link) = (stored.clone(), Mutex::new(()));
        let server = Scripted::start(move |asked| {
            if let Err(why) = check_s3(asked, |key| (key == KEY).then(|| SECRET.to_owned())) {
                return Reply::refusal(403, "SignatureDoesNotMatch", &why, "");
            }
            let is_part = asked.method == "PUT";
            {
                let mut stored = shared.lock().expect("the store");
                stored.requests += 1;
                stored.sent += usize::from(is_part);
                let since = *stored.asked_first.get_or_insert_with(Instant::now);
                if since.elapsed() < stored.broken_for {
                    return Reply::refusal(500, "InternalError", "Try again.", "");
                }
                stored.at_once += usize::from(is_part);
                stored.most_at_once = stored.most_at_once.max(stored.at_once);
            }
            if is_part {
                let _link = link.lock().expect("never poisoned: nobody fails within");
                thread::sleep(pause);
            }
            let number = parameter(asked, "partNumber").and_then(|n| n.parse().ok());
            let holds = |what: &dyn Fn(&Stored) -> bool| {
                run::wait_until(Duration::from_secs(10), || {
                    what(&shared.lock().expect("the store"))
                })
            };
            if is_part {
                holds(&|stored| stored.most_at_once >= stored.gathered);
            }
            let late = shared.lock().expect("the store").late;
            if let Some((_, parts)) = late.filter(|(late, _)| is_part && Some(*late) == number)
                && holds(&|stored| stored.sent >= parts)
            {
                shared.lock().expect("the store").late = None;
            }
            let mut stored = shared.lock().expect("the store");
            stored.at_once -= usize::from(is_part);
            answer(&mut stored, asked)
        });
        Self { server, stored }
    }

    fn publish(&self, source: &Path, destination: &str, more: &[&str]) -> Command {
        let mut command = run::aiozfs();
        command
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.arg("publish").arg(source).arg(destination);
        command
            .args(["--endpoint-url", &self.server.base()])
            .args(more);
        command
    }

    fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.stored().objects.get(key).cloned()
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().expect("the store")
    }

    /// How many parts were sent.
    fn sent(&self) -> usize {
        self.stored().sent
    }
}

fn report(done: &Finished) -> Value {
    serde_json::from_str(&done.stdout).expect("JSON")
}

#[test]
fn a_folder_is_packed_on_the_way_and_named_by_its_cid() {
    let (source, s3) = (folder(), S3::new(Duration::ZERO));
    let plan =
        run::run(&mut s3.publish(source.path(), "s3://films/new/", &["--dry-run", "--json"]));
    let plan = report(&plan.ok("--dry-run"));
    assert_eq!(plan["status"], "dry-run");
    assert_eq!(s3.sent(), 0);
    let done = run::run(&mut s3.publish(source.path(), "s3://films/new/", &[])).ok("publish");
    let packed = tree::temp();
    let archive = packed.path().join("a.zip");
    let mut pack = run::aiozfs();
    let packed = run::run(pack.arg("pack").arg(source.path()).arg(&archive)).ok("pack");
    let cid = packed.stdout.split(' ').next().expect("a CID");
    assert_eq!(plan["cid"], cid);
    let object = s3
        .object(&format!("new/{cid}.zip"))
        .expect("an object of that name");
    assert!(object == fs::read(&archive).expect("the archive"));
    let line = format!(
        "aiozfs mount --endpoint-url {} s3://films/new/{cid}.zip DIR",
        s3.server.base()
    );
    for part in [
        cid,
        &line,
        &format!("{}/films/new/{cid}.zip", s3.server.base()),
    ] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    // As the object's readers see it.
    let log = s3.server.log();
    let begun = log
        .iter()
        .find(|asked| asked.method == "POST")
        .expect("an upload");
    assert_eq!(begun.header("content-type"), "application/zip");
    assert_eq!(
        begun.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(begun.header("x-amz-meta-cid"), cid);
    // The body of each part is signed.
    let parts = log.iter().filter(|asked| asked.method == "PUT");
    for part in parts {
        let hash = part.header("x-amz-content-sha256");
        let digest = sha2::Sha256::digest(&part.body);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, digest);
    }
    // The same once more is left alone.
    let sent = s3.sent();
    let again = run::run(&mut s3.publish(source.path(), "s3://films/new/", &["--json"]));
    assert_eq!(report(&again.ok("again"))["status"], "present");
    assert_eq!(s3.sent(), sent);
}

#[test]
fn other_content_is_not_replaced_unasked() {
    let (dir, s3) = (tree::temp(), S3::new(Duration::ZERO));
    let (first, second) = (archive(1), archive(2));
    tree::write(dir.path(), "1.zip", &first);
    tree::write(dir.path(), "2.zip", &second);
    let publish = |name: &str, more: &[&str]| {
        run::run(&mut s3.publish(&dir.path().join(name), "s3://films/movie.zip", more))
    };
    publish("1.zip", &[]).ok("the first");
    let same = publish("1.zip", &["--json"]).ok("the same");
    assert_eq!(report(&same)["status"], "present");
    let other = publish("2.zip", &[]);
    assert_eq!(other.code(), Some(1));
    assert!(other.stderr.contains("--overwrite"), "{}", other.stderr);
    assert!(s3.object("movie.zip") == Some(first));
    publish("2.zip", &["--overwrite"]).ok("--overwrite");
    assert!(s3.object("movie.zip") == Some(second));
    tree::write(dir.path(), "3.zip", b"no archive");
    let none = publish("3.zip", &["--overwrite"]);
    assert!(none.stderr.contains("ZIP archive"), "{}", none.stderr);
    for (destination, part) in [
        ("gs://films/a.zip", "https://storage.googleapis.com"),
        ("az://films/a.zip", "azcopy"),
        ("films/a.zip", "s3://BUCKET/KEY"),
    ] {
        let done = run::run(&mut s3.publish(&dir.path().join("1.zip"), destination, &[]));
        assert_eq!(done.code(), Some(2), "{destination}");
        assert!(done.stderr.contains(part), "{}", done.stderr);
    }
}

/// After SIGKILL at any moment, no object is visible that is not whole, and the next run sends what is missing.
#[test]
fn killed_at_any_moment_it_continues() {
    let (dir, s3) = (tree::temp(), S3::new(Duration::from_millis(60)));
    let bytes = archive(3);
    tree::write(dir.path(), "a.zip", &bytes);
    let path = dir.path().join("a.zip");
    let mut spared = 0;
    for round in 0..20 {
        let key = format!("{round}.zip");
        let destination = format!("s3://films/{key}");
        let mut command = s3.publish(&path, &destination, &[]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let begun = s3.stored().requests;
        let mut child = command.spawn().expect("aiozfs");
        // By requests, since a busy machine takes longer: a run makes nine.
        let requests = begun + fastrand::usize(0..9);
        run::wait_until(Duration::from_secs(30), || {
            s3.stored().requests >= requests || child.try_wait().expect("a child of ours").is_some()
        });
        thread::sleep(Duration::from_millis(fastrand::u64(0..100)));
        let _ = child.kill();
        let _ = child.wait();
        // What was under way arrives, or not.
        s3.server.settle();
        let is_whole = s3.object(&key).is_none_or(|object| object == bytes);
        assert!(is_whole, "half an object is visible");
        let before = s3.sent();
        let done = run::run(&mut s3.publish(&path, &destination, &["--json"]));
        let report = report(&done.ok(&key));
        assert!(s3.object(&key).as_ref() == Some(&bytes), "{key}");
        let sent = report["sent"].as_u64().expect("a number");
        assert_eq!(s3.sent() - before, sent.div_ceil(PART as u64) as usize);
        if report["status"] == "published" {
            let found = report["found"].as_u64().expect("a number");
            assert_eq!(sent + found, bytes.len() as u64, "{report}");
            spared += found;
        }
        s3.stored().objects.clear();
        s3.server.clear();
    }
    assert!(spared > 0, "no part was found again");
    // An upload without parts is not continued: another run may have begun it. So some may be left.
}

#[test]
fn two_at_once_end_with_one_object() {
    let (dir, s3) = (tree::temp(), S3::new(Duration::from_millis(30)));
    let bytes = archive(5);
    tree::write(dir.path(), "a.zip", &bytes);
    let path = dir.path().join("a.zip");
    thread::scope(|scope| {
        for wait in [0, 150] {
            let (s3, path) = (&s3, &path);
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(wait));
                run::run(&mut s3.publish(path, "s3://films/", &[])).ok("both succeed");
            });
        }
    });
    let stored = s3.stored();
    let objects: Vec<_> = stored.objects.values().collect();
    assert!(objects == [&bytes]);
}

/// With stores of other makers, to the mount and back.
#[test]
fn other_stores_have_it_as_it_was_packed() {
    let served = [tree::temp(), tree::temp()];
    for folder in &served {
        fs::create_dir(folder.path().join("films")).expect("a bucket");
    }
    let rclone = Rclone::serve(served[0].path());
    let said = has_it_as_it_was_packed(&rclone.base);
    // It answers 404 to a list of unfinished uploads that is empty, which was a warning.
    assert!(!said.contains("unfinished"), "{said}");
    let s3s = emulators::s3s_fs(served[1].path());
    has_it_as_it_was_packed(&s3s.base);
}

/// Returns what the upload said on stderr. s3s-fs cannot list unfinished uploads, which is a warning.
fn has_it_as_it_was_packed(endpoint: &str) -> String {
    let source = folder();
    let with_keys = |args: &[&str]| {
        let mut command = run::aiozfs();
        command.env("AWS_ACCESS_KEY_ID", rclone::KEY);
        command.env("AWS_SECRET_ACCESS_KEY", rclone::SECRET);
        command.args(args).args(["--endpoint-url", endpoint]);
        run::run(&mut command)
    };
    let folder = source.path().to_str().expect("plain");
    let done = with_keys(&["publish", "--json", folder, "s3://films/2026/"]).ok("publish");
    let report = report(&done);
    let address = report["source"].as_str().expect("an address");
    let notes = with_keys(&["cat", address, "sub/notes.txt"]).ok("cat");
    assert_eq!(notes.stdout, "notes");
    with_keys(&["verify", address]).ok("verify");
    let again = with_keys(&["publish", "--json", folder, "s3://films/2026/"]).ok("again");
    assert_eq!(
        self::report(&again)["status"],
        "present",
        "{}",
        again.stdout
    );
    done.stderr
}

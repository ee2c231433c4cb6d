//! Other programs that write to the same name, other content under it, and stores that list without end.

use super::*;

/// An archive of one part.
fn small(seed: u64) -> Vec<u8> {
    Zip::of([Item::new("media.bin", tree::bytes(seed, 100_000))]).finish()
}

fn file(dir: &TempDir, name: &str, content: &[u8]) -> std::path::PathBuf {
    tree::write(dir.path(), name, content);
    dir.path().join(name)
}

/// An object that another program had written during an upload was replaced without a word.
#[test]
fn an_object_that_appears_during_the_upload_is_not_replaced() {
    let (dir, ours, theirs) = (tree::temp(), small(6), small(7));
    let path = file(&dir, "a.zip", &ours);
    for is_old in [false, true] {
        let s3 = S3::new(Duration::ZERO);
        let publish = |rival: &[u8], more: &[&str]| {
            *s3.stored() = Stored {
                is_old,
                rival: Some(("a.zip".into(), rival.to_vec())),
                ..Stored::default()
            };
            run::run(&mut s3.publish(&path, "s3://films/a.zip", more))
        };
        let other = publish(&theirs, &[]);
        assert_eq!(other.code(), Some(1), "{other:?}");
        assert!(other.stderr.contains("other content"), "{}", other.stderr);
        assert!(s3.object("a.zip").as_ref() == Some(&theirs));
        let same = publish(&ours, &["--json"]).ok("the same content");
        assert_eq!(report(&same)["status"], "present");
        publish(&theirs, &["--overwrite"]).ok("--overwrite");
        assert!(s3.object("a.zip").as_ref() == Some(&ours));
        // Without a rival, also a store that knows no conditions gets the object.
        s3.stored().objects.clear();
        run::run(&mut s3.publish(&path, "s3://films/b.zip", &[])).ok("alone");
        assert!(s3.object("b.zip").as_ref() == Some(&ours));
    }
}

/// The CID of an object is kept in its metadata, which an upload gets when it begins. One that had been begun for
/// other content of the same size was continued, and the object then told the CID of that content.
#[test]
fn only_an_object_that_is_named_by_its_cid_tells_it() {
    let (dir, s3) = (tree::temp(), S3::new(Duration::from_millis(100)));
    let (first, second) = (archive(8), archive(9));
    assert_eq!(first.len(), second.len());
    let paths = [file(&dir, "1.zip", &first), file(&dir, "2.zip", &second)];
    run::run(&mut s3.publish(&paths[1], "s3://films/a.zip", &[])).ok("before");
    let mut interrupted = s3.publish(&paths[0], "s3://films/a.zip", &["--overwrite"]);
    interrupted.stdout(Stdio::null()).stderr(Stdio::null());
    let mut interrupted = interrupted.spawn().expect("aiozfs");
    run::wait_until(Duration::from_secs(30), || {
        s3.stored()
            .uploads
            .values()
            .any(|upload| !upload.parts.is_empty())
    });
    let _ = interrupted.kill();
    let _ = interrupted.wait();
    s3.stored().objects.clear();
    run::run(&mut s3.publish(&paths[1], "s3://films/a.zip", &["--overwrite"])).ok("after");
    assert!(s3.object("a.zip").as_ref() == Some(&second));
    let log = s3.server.log();
    let begun = log.iter().filter(|asked| asked.target.contains("uploads="));
    let begun = begun.filter(|asked| asked.method == "POST");
    let cids: Vec<&str> = begun.map(|asked| asked.header("x-amz-meta-cid")).collect();
    assert!(
        !cids.is_empty() && cids.iter().all(|cid| cid.is_empty()),
        "{cids:?}"
    );
}

/// A store whose listings of parts lead in a circle was asked for ever.
#[test]
fn endless_listings_of_parts_end() {
    let (dir, bytes) = (tree::temp(), small(10));
    let path = file(&dir, "a.zip", &bytes);
    let (stored, size): (Mutex<Stored>, _) = (Mutex::default(), bytes.len());
    let s3 = Scripted::start(move |asked| {
        let mut stored = stored.lock().expect("the store");
        let is_list = asked.method == "GET" && asked.target.contains("uploadId=");
        if is_list {
            let next = 1 + asked.target.contains("part-number-marker=1") as u32;
            return Reply::text(format!(
                "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag><Size>{size}</Size></Part>\
                 <IsTruncated>true</IsTruncated><NextPartNumberMarker>{next}</NextPartNumberMarker>\
                 </ListPartsResult>"
            ));
        }
        if stored.uploads.is_empty() && stored.objects.is_empty() {
            let parts = BTreeMap::new();
            let key = "a.zip".to_owned();
            stored.uploads.insert("old".into(), Upload { key, parts });
        }
        answer(&mut stored, asked)
    });
    let mut command = run::aiozfs();
    command.env("AWS_ACCESS_KEY_ID", KEY);
    command.env("AWS_SECRET_ACCESS_KEY", SECRET);
    command.arg("publish").arg(&path).arg("s3://films/a.zip");
    command.args(["--endpoint-url", &s3.base()]);
    run::run(&mut command).ok("publish");
    let log = s3.log();
    let lists = log
        .iter()
        .filter(|asked| asked.method == "GET" && asked.target.contains("uploadId="));
    assert_eq!(lists.count(), 100);
}

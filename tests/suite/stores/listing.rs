//! The archives in a directory: a prefix of a store, the index of a web server, a directory of this machine.

use std::path::Path;

use crate::common::tree::TempDir;
use aiozfs::http::Secrets;
use aiozfs::stores::StoreSettings;
use aiozfs::volume::{self, Listing, Location, Options, Server, Servers};

use super::*;
use crate::common::listening::Listening;
use crate::common::nginx::Nginx;
use crate::common::rclone::{KEY, Rclone, SECRET};
use crate::common::signatures::check_azure;

/// Names that servers write in different ways.
const NAMES: [&str; 5] = [
    "A.ZIP",
    "a&b;c.tar",
    "film+é (1) ~%20.zip",
    "quote\"'<b>.zip",
    "what?#x.zip",
];

/// Directories, as they are listed.
const DIRECTORIES: [&str; 2] = ["empty", "sub & more"];

/// `films/` with archives, other files and directories.
fn folder() -> TempDir {
    let folder = tree::temp();
    for name in NAMES {
        tree::write(folder.path(), &format!("films/{name}"), &archive());
    }
    tree::write(folder.path(), "films/notes.txt", b"notes");
    tree::write(folder.path(), "films/sub & more/deep.zip", &archive());
    tree::write(folder.path(), "films/empty/x", b"x");
    tree::write(folder.path(), "above.zip", &archive());
    folder
}

fn try_list(source: &str, servers: Servers) -> Result<Listing, String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let location = Location::parse(source).expect(source);
    let options = Options {
        servers,
        ..Options::default()
    };
    let listed = runtime.block_on(volume::listing(&location, &options));
    listed.map_err(|e| e.to_string())
}

fn list(source: &str) -> Listing {
    try_list(source, Servers::default()).expect(source)
}

/// Fails unless `source` has exactly the archives and directories of [`folder`]. Returns the listing.
fn assert_lists(source: &str) -> Listing {
    let listing = list(source);
    let names = |of: &[volume::Listed]| of.iter().map(|l| l.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&listing.archives), NAMES, "{source}");
    assert_eq!(names(&listing.directories), DIRECTORIES, "{source}");
    listing
}

/// Fails unless each listed archive can be opened, and the directory with a difficult name be listed.
fn assert_opens(listing: &Listing) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = Options::default();
    for archive in &listing.archives {
        let opened = volume::open(&archive.location, &options);
        let opened = runtime.block_on(opened);
        assert!(opened.is_ok(), "{archive:?}: {:?}", opened.err());
    }
    let below = volume::listing(&listing.directories[1].location, &options);
    let below = runtime.block_on(below).expect("a listing");
    assert_eq!(below.archives[0].name, "deep.zip");
}

#[test]
fn a_prefix_of_rclone_s_store_is_listed() {
    let folder = folder();
    let store = Rclone::serve(folder.path());
    let aiozfs = |args: &[&str]| {
        let mut command = run::aiozfs();
        command.env("AWS_ACCESS_KEY_ID", KEY);
        command.env("AWS_SECRET_ACCESS_KEY", SECRET);
        run::run(command.args(args).args(["--endpoint-url", &store.base]))
    };
    let shown = aiozfs(&["ls", "s3://films/"]).ok("ls").stdout;
    let mut lines: Vec<&str> = shown.lines().collect();
    lines.sort_unstable();
    let mut expected = [&NAMES[..], &["empty/", "sub & more/"]].concat();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(aiozfs(&["ls", "s3://films"]).ok("ls").stdout, shown);
    let json = aiozfs(&["ls", "--json", "-R", "s3://films/"])
        .ok("ls")
        .stdout;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
    let row = |path: &str| rows.iter().find(|row| row["path"] == path).expect(path);
    assert_eq!(row("A.ZIP")["size"], archive().len());
    assert_eq!(
        row("sub & more/deep.zip")["source"],
        "s3://films/sub & more/deep.zip"
    );
    // What is listed can be opened.
    let info = aiozfs(&["ls", &format!("s3://films/{}", NAMES[2])]).ok("ls");
    assert!(info.stdout.contains("a.txt"), "{}", info.stdout);
    // Where an archive is wanted, an error names those that are there.
    let refused = aiozfs(&["info", "s3://films/sub & more/"]).stderr;
    let command = "aiozfs mount 's3://films/sub & more/deep.zip' DIR";
    assert!(refused.contains(command), "{refused}");
    let absent = aiozfs(&["ls", "s3://music/"]).stderr;
    assert!(absent.contains("NoSuchBucket"), "{absent}");
}

/// A page of a listing of keys.
fn page(keys: &[String], next: Option<usize>) -> Reply {
    let mut text = String::from("<ListBucketResult><EncodingType>url</EncodingType>");
    for key in keys {
        text += &format!("<Contents><Key>{key}</Key><Size>9</Size><ETag>\"e\"</ETag></Contents>");
    }
    if let Some(next) = next {
        text += &format!("<NextContinuationToken>{next}=+/</NextContinuationToken>");
    }
    Reply::text(text + "</ListBucketResult>")
}

fn settings(endpoint: String) -> Servers {
    Servers {
        store: StoreSettings {
            endpoint: Some(endpoint),
            anonymous: true,
            ..StoreSettings::default()
        },
        ..Servers::default()
    }
}

#[test]
fn all_pages_of_a_listing_are_read() {
    let store = Scripted::start(|asked| {
        let (path, query) = asked.target.split_once('?').expect("a query");
        assert_eq!(path, "/films/");
        assert!(query.contains("prefix=a%20b%2F&delimiter=%2F"), "{query}");
        let token = query.split("continuation-token=").nth(1);
        let first: usize = token.map_or(0, |token| {
            assert!(token.ends_with("%3D%2B%2F"), "{token}");
            token[..token.len() - 9].parse().expect("a number")
        });
        let keys: Vec<_> = (first..first + 1000)
            .map(|n| format!("a+b/{n:05}.zip"))
            .collect();
        page(&keys, (first < 4000).then_some(first + 1000))
    });
    for source in ["s3://films/a b/", "s3://films/a b", "gs://films/a b/"] {
        let listing = try_list(source, settings(store.base())).expect(source);
        assert_eq!(listing.archives.len(), 5000);
        let last = &listing.archives[4999];
        let found = (&*last.name, last.size, last.version.as_deref());
        assert_eq!(found, ("04999.zip", Some(9), Some("\"e\"")));
        let scheme = &source[..2];
        assert_eq!(
            last.location.shown().1,
            format!("{scheme}://films/a b/04999.zip")
        );
    }
    assert_eq!(store.log().len(), 15);
}

/// Each page is signed, and the names of blobs and prefixes come mixed.
#[test]
fn a_container_of_azure_is_listed() {
    let (account, key) = ("devstoreaccount1", "c2VjcmV0IG9mIHRoZSBhY2NvdW50");
    let store = Scripted::start(move |asked| {
        if let Err(why) = check_azure(asked, account, key) {
            return Reply::refusal(403, "AuthenticationFailed", &why, "");
        }
        let begin =
            format!("/{account}/films?prefix=2026%2F&delimiter=%2F&restype=container&comp=list");
        assert!(asked.target.starts_with(&begin), "{}", asked.target);
        let blob = |name: &str| {
            format!(
                "<Blob><Name>2026/{name}</Name><Properties><Etag>0x8D</Etag>\
                 <Content-Length>7</Content-Length></Properties></Blob>"
            )
        };
        let (items, next) = if asked.target.ends_with("&marker=2%21next") {
            (blob("z.tar"), "")
        } else {
            let prefix = "<BlobPrefix><Name>2026/more/</Name></BlobPrefix>";
            (blob("a.zip") + prefix + &blob("notes.txt"), "2!next")
        };
        Reply::text(format!(
            "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{items}</Blobs>\
             <NextMarker>{next}</NextMarker></EnumerationResults>"
        ))
    });
    let mut ls = run::aiozfs();
    ls.env("AZURE_STORAGE_ACCOUNT", account);
    ls.env("AZURE_STORAGE_KEY", key);
    ls.args([
        "ls",
        "--endpoint-url",
        &format!("{}/{account}", store.base()),
    ]);
    let shown = run::run(ls.arg("az://films/2026/")).ok("ls").stdout;
    assert_eq!(shown, "a.zip\nmore/\nz.tar\n");
}

/// A store that never ends a listing, and one with names that lead out of the directory.
#[test]
fn hostile_listings_of_a_store_are_bounded_and_refused() {
    let endless = Scripted::start(|_| {
        let keys: Vec<_> = (0..1000)
            .map(|_| format!("f/{}.zip", fastrand::u64(..)))
            .collect();
        page(&keys, Some(1))
    });
    let error = try_list("s3://b/f/", settings(endless.base())).expect_err("endless");
    assert!(error.contains("more than 100000 archives"), "{error}");
    let hostile = Scripted::start(|_| {
        let long = format!("f/{}.zip", "x".repeat(300));
        let keys = [
            "f/good.zip",
            "f/..",
            "f/%01.zip",
            "f/a%2Fb.zip",
            "g/x.zip",
            "f/%FF.zip",
            &long,
        ];
        page(&keys.map(str::to_owned), None)
    });
    let listing = try_list("s3://b/f/", settings(hostile.base())).expect("one good");
    assert_eq!(listing.archives.len(), 1, "{listing:?}");
    assert!(listing.directories.is_empty());
    let page = Scripted::start(|_| Reply::text("<html>log in</html>"));
    let error = try_list("s3://b/f/", settings(page.base())).expect_err("a page");
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn indexes_of_nginx_are_listed() {
    let folder = folder();
    let html = Nginx::with(folder.path(), "autoindex on;");
    let base = format!("{}/films/", html.base);
    assert_opens(&assert_lists(&base));
    // A redirect adds the slash.
    assert_lists(base.trim_end_matches('/'));
    let json = Nginx::with(folder.path(), "autoindex on; autoindex_format json;");
    let listing = assert_lists(&format!("{}/films/", json.base));
    assert_eq!(listing.archives[0].size, Some(archive().len() as u64));
    assert!(listing.archives[0].version.is_some());
    assert_opens(&listing);
    for base in [&base, base.trim_end_matches('/')] {
        let shown = run::run(run::aiozfs().args(["ls", base])).ok("ls").stdout;
        assert!(
            shown.contains("what?#x.zip\n") && shown.contains("empty/\n"),
            "{shown}"
        );
        let refused = run::run(run::aiozfs().args(["info", base])).stderr;
        assert!(
            refused.contains("is a directory with 5 archives"),
            "{refused}"
        );
    }
}

#[test]
fn indexes_of_rclone_and_python_are_listed() {
    let folder = folder();
    let rclone = Rclone::web(folder.path(), &["--user", "me", "--pass", "s3cret"]);
    let base = rclone.base.replace("://", "://me:s3cret@");
    let listing = assert_lists(&format!("{base}/films/"));
    assert_opens(&listing);
    assert!(!listing.archives[0].location.shown().1.contains("s3cret"));
    let refused = try_list(&format!("{}/films/", rclone.base), Servers::default());
    assert!(refused.expect_err("no login").contains("401"));
    let python = Listening::start(|address| {
        let (host, port) = address.rsplit_once(':').expect("a port");
        let mut command = run::tool("python3");
        command.args(["-m", "http.server", "--bind", host, port, "--directory"]);
        command.arg(folder.path());
        command
    });
    assert_lists(&format!("{}/films/", python.base));
}

/// The secrets of a server are sent with requests for what it lists. So an index must not lead to another.
#[test]
fn an_index_cannot_lead_to_another_server() {
    let other = Scripted::start(|_| {
        let mut reply = Reply::text("<a href=\"d.zip\">d</a>");
        reply.headers = vec![("content-type", "text/html".into())];
        reply
    });
    let away = other.base();
    let index = Scripted::start(move |asked| {
        let mut reply = Reply::text(format!(
            "<a href=\"{away}/f/a.zip\">a</a><a href=\"b.zip\">b</a><a href=\"../c.zip\">c</a>"
        ));
        reply.headers = vec![("content-type", "text/html".into())];
        if asked.target == "/away/" {
            reply.status = 302;
            reply.headers = vec![("location", format!("{away}/f/"))];
        }
        reply
    });
    let secret = || Servers {
        servers: vec![Server {
            secrets: Secrets::default().with_token("t0ken").expect("a token"),
            ..Server::new(index.base())
        }],
        ..Servers::default()
    };
    let listing = try_list(&format!("{}/f/", index.base()), secret()).expect("an index");
    assert_eq!(listing.archives.len(), 1, "{listing:?}");
    assert_eq!(
        listing.archives[0].location.shown().1,
        format!("{}/f/b.zip", index.base())
    );
    assert_eq!(index.log()[0].header("authorization"), "Bearer t0ken");
    let error = try_list(&format!("{}/away/", index.base()), secret());
    let error = error.expect_err("another server");
    assert!(
        error.contains("redirects to") && error.contains(&other.base()),
        "{error}"
    );
    assert!(
        !other
            .log()
            .iter()
            .any(|asked| asked.headers.contains_key("authorization"))
    );
}

#[test]
fn what_is_no_index_is_told() {
    // Its content, which may be large, is not read.
    let zip = Scripted::start(|_| {
        let mut reply = Reply::text("x".repeat(64 << 20));
        reply.headers = vec![("content-type", "application/zip".into())];
        reply
    });
    let error = try_list(&format!("{}/f/", zip.base()), Servers::default());
    assert!(error.expect_err("a file").contains("application/zip"));
    let long = Scripted::start(|_| {
        let mut reply = Reply::text("x".repeat(33 << 20));
        reply.headers = vec![("content-type", "text/html".into())];
        reply
    });
    let error = try_list(&format!("{}/f/", long.base()), Servers::default());
    assert!(error.expect_err("a long page").contains("sends more than"));
    assert!(try_list("id:abc", Servers::default()).is_err());
}

#[test]
fn a_directory_of_this_machine_is_listed() {
    let folder = folder();
    let films = folder.path().join("films");
    std::os::unix::fs::symlink("/nowhere", films.join("dangling.zip")).expect("a link");
    let listing = assert_lists(films.to_str().expect("plain"));
    assert_opens(&listing);
    let first = listing.archives[0].version.clone();
    std::fs::write(films.join("A.ZIP"), b"other").expect("a file");
    let again = list(films.to_str().expect("plain"));
    assert_ne!(again.archives[0].version, first);
    let shown = run::run(run::aiozfs().arg("ls").arg(&films))
        .ok("ls")
        .stdout;
    assert!(shown.starts_with("A.ZIP\n"), "{shown}");
    let file: &Path = &films.join("A.ZIP");
    assert!(try_list(file.to_str().expect("plain"), Servers::default()).is_err());
}

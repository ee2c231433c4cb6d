//! Libraries of many archives.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::archive_server::{Answer, ArchiveServer, archive, control, write_list};
use crate::common::mount::Mount;
use crate::common::zips::{Item, Zip};
use crate::common::{run, tree};

fn number(mount: &Mount, name: &str) -> u64 {
    let status = control(mount, "status");
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    status[name].as_u64().expect(name)
}

#[test]
fn ten_thousand_archives_cost_nothing_until_they_are_looked_into() {
    let server = ArchiveServer::new(archive("any"));
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    let names: Vec<String> = (0..10_000)
        .map(|n| format!("{:02}/film {n:05}", n % 100))
        .collect();
    let entries = names.iter().map(|name| {
        let url = server.url(&format!("/any/{}", name.replace(' ', "_")));
        (name.as_str(), url)
    });
    write_list(&list, &entries.collect::<Vec<_>>());
    let library = format!("--library={}", list.display());
    let mount = Mount::library(&[&library]);
    assert_eq!(fs::read_dir(mount.path()).expect("the root").count(), 100);
    assert_eq!(
        fs::read_dir(mount.join("07")).expect("a directory").count(),
        100
    );
    assert_eq!(server.requests(), 0);
    let read = |name: &str| fs::read_to_string(mount.join(name).join("a.txt"));
    assert_eq!(read(&names[4711]).expect("a file"), "any");
    assert_eq!(server.asked().len(), 1);
    // A walk opens the next ones ahead, and never more than a bounded number stays open.
    for part in ["03", "04", "05"] {
        let mut walk: Vec<_> = fs::read_dir(mount.join(part))
            .expect("a directory")
            .collect();
        walk.sort_by_key(|entry| entry.as_ref().expect("an entry").file_name());
        for entry in walk {
            let path = entry.expect("an entry").path();
            assert_eq!(fs::read_dir(path).expect("an archive").count(), 2);
        }
    }
    assert!(number(&mount, "archives_open") <= 256);
    assert_eq!(number(&mount, "archives"), 10_000);
    let archives =
        run::run(run::aiozfs().args(["status", "--json"]).arg(mount.path())).ok("status");
    let status: serde_json::Value = serde_json::from_str(&archives.stdout).expect("JSON");
    let lines = status["library"].as_array().expect("archives");
    assert_eq!(lines.len(), 10_000);
    let opened = lines
        .iter()
        .filter(|line| line["opened"].as_u64() > Some(0))
        .count();
    assert!((301..=301 + 3 * 16).contains(&opened), "{opened}");
    mount.assert_no_complaint();
}

/// A program that walks waits for one archive after the other. While the server takes 50 ms for an answer, the next
/// archives are asked for. How many requests are under way at once shows it, whatever else the machine does.
#[test]
fn walk_through_archives_opens_the_next_ones_ahead() {
    let (served, counted) = (archive("any"), Arc::new(Mutex::new((0, 0))));
    let counter = counted.clone();
    let server = crate::common::scripted::Scripted::start(move |asked| {
        {
            let mut counted = counter.lock().expect("counts");
            counted.0 += 1;
            counted.1 = counted.1.max(counted.0);
        }
        std::thread::sleep(Duration::from_millis(50));
        counter.lock().expect("counts").0 -= 1;
        crate::common::scripted::Reply::range(&served, asked)
    });
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    let names: Vec<String> = (0..60).map(|n| format!("film {n:02}")).collect();
    let entries = names.iter().map(|name| {
        let url = format!("{}/{}", server.base(), name.replace(' ', "_"));
        (name.as_str(), url)
    });
    write_list(&list, &entries.collect::<Vec<_>>());
    let library = format!("--library={}", list.display());
    let mount = Mount::library(&[&library]);
    run::run(run::tool("ls").arg("-lR").arg(mount.path())).ok("ls");
    // One archive takes two requests at once at the most.
    let (_, most) = *counted.lock().expect("counts");
    assert!(most > 4, "{most} at once");
}

#[test]
fn two_mounts_of_one_library_share_the_cache() {
    let server = ArchiveServer::new(archive("any"));
    let (dir, cache) = (tree::temp(), tree::temp());
    let list = dir.path().join("films.tsv");
    let entries: Vec<(String, String)> = (0..8)
        .map(|n| (format!("f{n}"), server.url(&format!("/any/{n}"))))
        .collect();
    let entries: Vec<(&str, String)> = entries
        .iter()
        .map(|(n, s)| (n.as_str(), s.clone()))
        .collect();
    write_list(&list, &entries);
    let args = [
        format!("--library={}", list.display()),
        format!("--cache-dir={}", cache.path().display()),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let walk = |root: &Path| {
        for n in 0..8 {
            let text = fs::read_to_string(root.join(format!("f{n}/a.txt")));
            assert_eq!(text.expect("a file"), "any");
        }
    };
    let first = Mount::library(&args);
    walk(first.path());
    let second = Mount::library(&args);
    walk(second.path());
    first.end();
    second.end();
}

#[test]
fn one_bad_archive_among_good_ones_does_not_stop_a_walk() {
    let server = ArchiveServer::new(archive("any"));
    server.set("/any/3", Answer::Status(500));
    let entries: Vec<String> = (0..8)
        .map(|n| format!("--add=f{n}={}", server.url(&format!("/any/{n}"))))
        .collect();
    let mut args: Vec<&str> = entries.iter().map(String::as_str).collect();
    args.push("--timeout=1s");
    let mount = Mount::library(&args);
    let done = run::run(run::tool("find").arg(mount.path()).args(["-name", "a.txt"]));
    assert_eq!(done.stdout.lines().count(), 7, "{}", done.stdout);
    assert!(done.stderr.contains("f3"), "{}", done.stderr);
    assert_eq!(mount.log_lines("cannot open f3:").len(), 1);
}

/// Requests and servers were those of the archives that are open: a counter fell when one was closed, which monitoring
/// takes for a restart.
#[test]
fn counters_do_not_fall_when_archives_are_closed() {
    // Too large to come with the index.
    let film = Item::new("a.txt", vec![7; 3 << 20]);
    let server = ArchiveServer::new(Zip::of([film]).finish());
    let adds = ["a", "b"].map(|n| format!("--add={n}={}", server.url(&format!("/any/{n}"))));
    let mount = Mount::library(&["--idle=300ms", &adds[0], &adds[1]]);
    for name in ["a", "b"] {
        fs::read(mount.join(name).join("a.txt")).expect("a file");
    }
    let counted = || {
        let status: serde_json::Value =
            serde_json::from_str(&control(&mount, "status")).expect("JSON");
        let gateway = &status["gateways"][0];
        let served = |of: &serde_json::Value| of["count"].as_u64().expect("a count");
        (
            served(&gateway["requests"][0]),
            gateway["bytes"].as_u64().expect("bytes"),
            status["request_times"]["count"].as_u64().expect("a count"),
            served(&status["requests_ended"][0]),
        )
    };
    let before = counted();
    assert!(before.0 >= 2, "{before:?}");
    let is_closed = || number(&mount, "archives_open") == 0;
    assert!(run::wait_until(Duration::from_secs(10), is_closed));
    assert_eq!(counted(), before);
}

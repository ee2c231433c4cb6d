//! The parser's table of archives, through a mount of the real binary: each shows exactly its tree, or is refused with
//! the same message.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use crate::common::mount::{Mount, MountPoint};
use crate::common::run::{self, run};
use crate::common::zip_cases::{Case, Content, Expected};
use crate::common::{needs, tree, zip_cases};

/// What is wrong with a case, if anything.
fn check(case: &Case, archive: &Path) -> Result<(), String> {
    fs::write(archive, &case.blob).expect("a file");
    let options = match case.encoding {
        "" => vec![],
        encoding => vec!["--encoding", encoding],
    };
    match &case.expected {
        Expected::Refused(why) => {
            let point = MountPoint::new();
            let mut mount = run::aiozfs();
            mount.arg("mount").args(&options).arg(archive);
            let failed = run(mount.arg(point.path()));
            let said = &failed.stderr;
            if failed.code() == Some(1) && said.contains(why) && said.lines().count() == 1 {
                Ok(())
            } else {
                Err(format!("{}, and says {said}", failed.status))
            }
        }
        Expected::Tree(entries, hidden) => {
            let mount = Mount::with(archive, &options);
            check_tree(entries, mount.path())?;
            let mut info = run::aiozfs();
            let info = run(info.args(["info", "--json"]).args(&options).arg(archive)).ok("info");
            let info: serde_json::Value = serde_json::from_str(&info.stdout).expect("JSON");
            let told = info["hidden"]["first"].as_array().expect("a list");
            let mut pairs = told.iter().zip(hidden);
            let is_why = |(told, why): (&serde_json::Value, &&str)| {
                told["why"].as_str().is_some_and(|told| told.contains(why))
            };
            if told.len() == hidden.len() && pairs.all(is_why) {
                Ok(())
            } else {
                Err(format!("hidden: {told:?}, not {hidden:?}"))
            }
        }
    }
}

fn check_tree(entries: &[(String, Content)], root: &Path) -> Result<(), String> {
    // What the directory of the archive does not list by itself.
    let mut expected: BTreeMap<PathBuf, &Content> = BTreeMap::new();
    for (path, content) in entries {
        let path = PathBuf::from(path);
        for above in path.ancestors().skip(1).filter(|a| *a != Path::new("")) {
            expected.insert(above.to_owned(), &Content::Dir);
        }
        // Two entries with one name and equal content.
        let is_second = *content != Content::Dir && expected.get(&path) == Some(&content);
        if is_second {
            expected.insert(format!("{} (1)", path.display()).into(), content)
        } else {
            expected.insert(path, content)
        };
    }
    let names = tree::names(root);
    if !names.iter().eq(expected.keys()) {
        let shown = &names[..names.len().min(20)];
        return Err(format!("shows {shown:?}"));
    }
    for (path, content) in expected {
        let read = fs::read(root.join(&path));
        let is_right = match content {
            Content::Dir => root.join(&path).is_dir(),
            Content::Bytes(bytes) => read.as_ref().is_ok_and(|read| read == bytes),
            Content::Bad(_) => read.is_err(),
        };
        if !is_right {
            let read = read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            return Err(format!("{} is {read:?}", path.display()));
        }
    }
    Ok(())
}

#[test]
fn each_archive_of_the_table_is_mounted_or_refused() {
    needs::fuse();
    let cases = zip_cases::all();
    assert!(cases.len() > 100);
    let (left, wrong) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let dir = tree::temp();
                let next = || left.lock().expect("the table").next();
                while let Some(case) = next() {
                    if let Err(why) = check(case, &dir.path().join("case.zip")) {
                        let wrong = &mut wrong.lock().expect("a list");
                        wrong.push(format!("{}: {why}", case.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("a list");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

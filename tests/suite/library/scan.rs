//! What a media server does at night: it looks at every film of every archive.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use super::archive_server::{ArchiveServer, write_list};
use crate::common::mount::Mount;
use crate::common::run::{self, run, tool};
use crate::common::zips::{Item, Zip};
use crate::common::{made, tree};

/// Of each, one of the films is looked at.
const ARCHIVES: usize = 200;

/// How many programs look at once.
const AT_ONCE: usize = 8;

/// The names of films in an archive, which lie in it as they are named: with the index at the end, and at the start.
const FILMS: [&str; 2] = ["end.mp4", "extras/start.mp4"];

/// A folder of films of a second.
fn films() -> std::path::PathBuf {
    made::once("small-films", "small-films-1", |dir| {
        fs::create_dir(dir.join("extras")).expect("a directory");
        for (name, flags) in FILMS.into_iter().zip(["+empty_moov", "+faststart"]) {
            let mut ffmpeg = tool("ffmpeg");
            ffmpeg.current_dir(dir).args(["-v", "error", "-f", "lavfi"]);
            ffmpeg.args(["-i", "testsrc2=size=320x180:rate=25:duration=1"]);
            ffmpeg.args(["-f", "lavfi", "-i", "sine=frequency=440:duration=1"]);
            ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "5"]);
            if flags == "+faststart" {
                ffmpeg.args(["-movflags", flags]);
            }
            run(ffmpeg.args(["-c:a", "aac", name])).ok("ffmpeg");
        }
    })
}

/// What ffprobe says of a film. The name in it is the same for all.
fn ffprobe(folder: &Path, name: &str) -> String {
    let mut ffprobe = tool("ffprobe");
    ffprobe
        .current_dir(folder)
        .args(["-v", "error", "-of", "json"]);
    ffprobe.args(["-show_format", "-show_streams", "-count_packets", name]);
    run(&mut ffprobe).ok("ffprobe").stdout
}

#[test]
fn scan_of_every_film_says_what_it_says_of_the_files_unpacked() {
    let folder = films();
    let films = FILMS.map(|name| Item::new(name, fs::read(folder.join(name)).expect("a film")));
    let server = ArchiveServer::new(Zip::of(films).finish());
    let expected: BTreeMap<&str, String> = FILMS.map(|name| (name, ffprobe(&folder, name))).into();
    assert!(
        expected
            .values()
            .all(|text| text.contains("\"nb_read_packets\": \"25\""))
    );
    let dir = tree::temp();
    let list = dir.path().join("films.tsv");
    let names: Vec<String> = (0..ARCHIVES)
        .map(|n| format!("{}/film {n:03}", n % 7))
        .collect();
    let entries = names.iter().enumerate();
    let entries = entries.map(|(n, name)| (name.as_str(), server.url(&format!("/any/{n}"))));
    write_list(&list, &entries.collect::<Vec<_>>());
    let library = format!("--library={}", list.display());
    let mount = Mount::library(&["--read-ahead=0", &library]);
    let films = FILMS.into_iter().cycle();
    let all: Vec<(String, &str)> = names.into_iter().zip(films).collect();
    let looked = Mutex::new(0);
    run::each(all, AT_ONCE, |(name, film)| {
        let said = ffprobe(&mount.join(&name), film);
        assert_eq!(said, expected[film], "{name}/{film}");
        *looked.lock().expect("a number") += 1;
    });
    assert_eq!(looked.into_inner().expect("a number"), ARCHIVES);
    mount.assert_no_complaint();
    mount.end();
}

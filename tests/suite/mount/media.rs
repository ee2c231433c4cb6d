//! Players and copying programs see a mounted video package as they see the folder that it was packed from.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::common::mount::Mount;
use crate::common::run::{python, run, tool};
use crate::common::way::Way;
use crate::common::{media, tree};

fn each_way(test: impl Fn(&str, &Mount)) {
    let archive = media::archive();
    for way in Way::ALL {
        test(&format!("by {way:?}"), &way.mount(&archive));
    }
}

/// `ffprobe` of a file, without what names the place.
fn probe(folder: &Path, name: &str) -> String {
    let mut ffprobe = tool("ffprobe");
    ffprobe.current_dir(folder).args([
        "-v",
        "error",
        "-show_format",
        "-show_streams",
        "-of",
        "json",
        name,
    ]);
    let probed = run(&mut ffprobe).ok("ffprobe");
    assert_eq!(probed.stderr, "", "{name}");
    probed.stdout
}

#[test]
fn a_mount_equals_its_folder() {
    let folder = media::folder();
    each_way(|way, mount| tree::assert_same(way, &folder, mount.path()));
}

#[test]
fn ffprobe_reports_the_same_as_locally() {
    let folder = media::folder();
    each_way(|way, mount| {
        for name in [
            "master_playlist.m3u8",
            "movie.mp4",
            "270p_0007.ts",
            "cover.jpg",
        ] {
            let (want, have) = (probe(&folder, name), probe(mount.path(), name));
            assert!(want.contains("codec_name"), "{want}");
            assert_eq!(have, want, "{way}: {name}");
        }
    });
}

#[test]
fn ffmpeg_decodes_a_rendition_and_seeks_in_a_movie_without_an_error() {
    let folder = media::folder();
    let md5 = |folder: &Path, before: &[&str], name: &str| {
        let mut ffmpeg = tool("ffmpeg");
        ffmpeg
            .current_dir(folder)
            .args(["-v", "error"])
            .args(before)
            .args([
                "-i", name, "-map", "0:v:0", "-map", "0:a:0", "-f", "md5", "-",
            ]);
        let decoded = run(&mut ffmpeg).ok("ffmpeg");
        assert_eq!(decoded.stderr, "", "{name}");
        decoded.stdout
    };
    each_way(|way, mount| {
        for (before, name) in [
            (&[][..], "136p_playlist.m3u8"),
            (&["-ss", "31"], "master_playlist.m3u8"),
            (&["-ss", "42"], "movie.mp4"),
        ] {
            let want = md5(&folder, before, name);
            assert_eq!(md5(mount.path(), before, name), want, "{way}: {name}");
        }
    });
}

#[test]
fn eight_readers_at_random_get_the_right_bytes() {
    let content = fs::read(media::folder().join("movie.mp4")).expect("the movie");
    each_way(|_, mount| tree::assert_random_reads(&mount.join("movie.mp4"), &content, 40));
}

#[test]
fn many_readers_of_one_file_and_one_reader_of_many_files() {
    let folder = media::folder();
    let content = fs::read(folder.join("movie.mp4")).expect("the movie");
    each_way(|way, mount| {
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let got = fs::read(mount.join("movie.mp4")).expect("the movie");
                    assert_eq!(tree::differs(&content, &got), None, "{way}");
                });
            }
            scope.spawn(|| {
                for i in (0..15).rev() {
                    let name = format!("270p_{i:04}.ts");
                    let want = fs::read(folder.join(&name)).expect("a segment");
                    let got = fs::read(mount.join(&name)).expect("a segment");
                    assert_eq!(tree::differs(&want, &got), None, "{way}: {name}");
                }
            });
        });
    });
}

#[test]
fn tar_and_rsync_copy_it_whole() {
    let folder = media::folder();
    each_way(|way, mount| {
        let copies = tree::temp();
        let (by_tar, by_rsync) = (copies.path().join("tar"), copies.path().join("rsync"));
        let tarball = copies.path().join("all.tar");
        fs::create_dir(&by_tar).expect("a directory");
        let ok = |command: &mut Command| {
            let done = run(command).ok(way);
            assert_eq!(done.stderr, "", "{way}");
            done.stdout
        };
        ok(tool("tar")
            .arg("-C")
            .arg(mount.path())
            .arg("-cf")
            .arg(&tarball)
            .arg("."));
        ok(tool("tar").arg("-C").arg(&by_tar).arg("-xf").arg(&tarball));
        tree::assert_same(&format!("{way}, by tar"), &folder, &by_tar);

        let from = format!("{}/", mount.path().display());
        ok(tool("rsync")
            .args(["-a", "--checksum", &from])
            .arg(&by_rsync));
        tree::assert_same(&format!("{way}, by rsync"), &folder, &by_rsync);
        // It finds no difference from its own copy, nor from the source, except for times of directories
        // in the source, because the archive has no time for the root.
        let compare = [
            "-a",
            "--checksum",
            "--dry-run",
            "--itemize-changes",
            "--delete",
        ];
        assert_eq!(
            ok(tool("rsync").args(compare).arg(&from).arg(&by_rsync)),
            ""
        );
        let to_source = ok(tool("rsync").args(compare).args(["-O", &from]).arg(&folder));
        assert_eq!(to_source, "", "{way}");
    });
}

/// Four processes that map the movie and look at it in places, a page and a read at a time.
#[test]
fn mapped_files_have_the_right_bytes() {
    let folder = media::folder();
    let program = r#"
import mmap, random, sys
want = open(sys.argv[1], 'rb').read()
with open(sys.argv[2], 'rb') as file:
    pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    assert len(pages) == len(want), (len(pages), len(want))
    chance = random.Random(int(sys.argv[3]))
    for _ in range(100):
        at = chance.randrange(len(want))
        end = at + chance.choice((1, 5000, 100000))
        assert pages[at:end] == want[at:end], (at, end)
    assert pages[:] == want
"#;
    each_way(|_, mount| {
        thread::scope(|scope| {
            for seed in ["1", "2", "3", "4"] {
                let (local, mounted) = (folder.join("movie.mp4"), mount.join("movie.mp4"));
                scope.spawn(move || {
                    let (local, mounted) = (local.as_os_str(), mounted.as_os_str());
                    python(program, &[local, mounted, seed.as_ref()])
                });
            }
        });
    });
}

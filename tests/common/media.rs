//! A video package as a packager makes it, by the real ffmpeg: an HLS ladder of 60 s with two
//! renditions, and a movie file.
//!
//! It takes some seconds to make, so it is made once and kept below target/.

use std::fs;
use std::path::{Path, PathBuf};

use super::run::{run, tool};
use super::{archives, made};

/// Made anew when what is made here changes.
const VERSION: &str = "media-1";

/// The folder: `master_playlist.m3u8`, playlists and segments of two renditions, `movie.mp4` with
/// its moov at the end, subtitles and a still.
pub fn folder() -> PathBuf {
    made().join("folder")
}

/// The folder as Info-ZIP packs it.
pub fn archive() -> PathBuf {
    made().join("media.zip")
}

fn made() -> PathBuf {
    made::once("media", VERSION, |dir| {
        let folder = dir.join("folder");
        fs::create_dir(&folder).expect("a directory");
        make(&folder);
        archives::info_zip(&folder, &dir.join("media.zip"));
    })
}

fn make(folder: &Path) {
    let picture = "testsrc2=size=480x270:rate=15:duration=60";
    let scale = "[0:v]split=2[large][s];[s]scale=240:136[small]";
    let mut ladder = tool("ffmpeg");
    ladder
        .current_dir(folder)
        .args(["-v", "error", "-f", "lavfi", "-i", picture])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:duration=60"])
        .args(["-filter_complex", scale])
        .args(["-map", "[large]", "-map", "1:a"])
        .args(["-map", "[small]", "-map", "1:a"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "60"])
        .args(["-c:a", "aac", "-b:a", "64k"])
        .args(["-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod"])
        .args(["-master_pl_name", "master_playlist.m3u8"])
        .args(["-hls_segment_filename", "%v_%04d.ts"])
        .args(["-var_stream_map", "v:0,a:0,name:270p v:1,a:1,name:136p"])
        .arg("%v_playlist.m3u8");
    run(&mut ladder).ok("ffmpeg, the ladder");
    // ffmpeg puts the moov at the end unless told otherwise.
    let mut movie = tool("ffmpeg");
    movie
        .current_dir(folder)
        .args(["-v", "error", "-i", "270p_playlist.m3u8", "-c", "copy"])
        .args(["-bsf:a", "aac_adtstoasc", "movie.mp4"]);
    run(&mut movie).ok("ffmpeg, the movie");
    let mut still = tool("ffmpeg");
    still
        .current_dir(folder)
        .args(["-v", "error", "-i", "movie.mp4", "-frames:v", "1"])
        .arg("cover.jpg");
    run(&mut still).ok("ffmpeg, the still");
    let subtitles = "WEBVTT\n\n00:00.000 --> 00:04.000\nA test, in colours\n";
    fs::write(folder.join("subtitles.vtt"), subtitles).expect("a file");
}

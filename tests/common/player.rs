//! Packages made by a real ffmpeg, and played by an unmodified one.

use std::path::Path;
use std::process::Command;

use super::mount::{Mount, xattr};
use super::node::Node;
use super::{run, tree};

/// Six seconds, small, with a key frame each second.
pub fn encode(folder: &Path, args: &[&str]) {
    let mut ffmpeg = run::tool("ffmpeg");
    ffmpeg
        .current_dir(folder)
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=192x108:rate=12:duration=6",
        ])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:duration=5.5"])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-g",
            "12",
            "-bf",
            "0",
        ])
        .args(["-c:a", "aac", "-b:a", "64k"])
        .args(args);
    run::run(&mut ffmpeg).ok("ffmpeg, encoding");
}

/// What ffmpeg wants to be told before it reads local files that are not called like media, such as
/// keys and archives. Over HTTP it needs nothing.
const ANY_NAME: [&str; 6] = [
    "-allowed_extensions",
    "ALL",
    "-allowed_segment_extensions",
    "ALL",
    "-extension_picky",
    "0",
];

/// All frames of all streams, each by its hash.
pub fn frames(input: &str) -> String {
    let mut ffmpeg = run::tool("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin"]);
    ffmpeg.args(["-protocol_whitelist", "file,http,tcp,crypto"]);
    match (input.starts_with("http"), input.ends_with(".mpd")) {
        (true, _) => &mut ffmpeg,
        (false, true) => ffmpeg.args(&ANY_NAME[..2]),
        (false, false) => ffmpeg.args(ANY_NAME),
    };
    decoded(ffmpeg.args(["-i", input, "-map", "0:v", "-map", "0:a"]))
}

pub fn decoded(ffmpeg: &mut Command) -> String {
    let said = run::run(ffmpeg.args(["-f", "framemd5", "-"])).ok("ffmpeg, decoding");
    let frames = said.stdout.lines().filter(|line| !line.starts_with('#'));
    frames.map(|line| format!("{line}\n")).collect()
}

/// Packs a folder and plays an entry of it from everywhere. Returns its text as it is stored.
pub fn plays(folder: &Path, name: &str, whole: bool) -> String {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    run::run(run::aiozfs().arg("pack").arg(folder).arg(&archive)).ok("pack");
    run::run(run::tool("unzip").arg("-tqq").arg(&archive)).ok("unzip -t");

    let local = folder.join(name);
    let expected = frames(local.to_str().expect("a plain path"));
    // 72 of video, and the audio's.
    assert!(expected.lines().count() > 72 + 150, "{expected}");

    let mount = Mount::new(&archive);
    let mounted = mount.join(name);
    if whole {
        tree::assert_same("mounted", folder, mount.path());
    }
    assert_eq!(
        frames(mounted.to_str().expect("a plain path")),
        expected,
        "from the mount"
    );

    let served = Node::of(&archive);
    let range = xattr(&mounted, "range").expect("an attribute");
    let url = format!("{}/ipfs/{}/{name}?range={range}", served.base, served.cid);
    assert_eq!(frames(&url), expected, "from the node");

    // The node without range links is a server of ranges like any other. ffmpeg takes no segments
    // from 'a.zip'; under another name the node gives ranges alone, so the link is of all bytes.
    let len = std::fs::metadata(&archive).expect("an archive").len();
    let lists = out.path().join("lists");
    let mut pack = run::aiozfs();
    pack.arg("pack")
        .arg(folder)
        .arg(out.path().join("again.zip"));
    pack.arg("--byterange-playlists").arg(&lists);
    pack.args([
        "--archive-url",
        &format!("{}/ipfs/{}/a.mp4?range=0,{len}", served.base, served.cid),
    ]);
    run::run(&mut pack).ok("pack");
    let list = lists.join(name);
    let list = list.to_str().expect("a plain path");
    assert_eq!(frames(list), expected, "by byte ranges");

    let stored = run::run(run::tool("unzip").arg("-p").arg(&archive).arg(name)).ok("unzip -p");
    stored.stdout
}

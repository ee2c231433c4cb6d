//! Packages made by a real ffmpeg, packed, and played by an unmodified one: from a node by range
//! links, from a mount, and from a server of ranges by byte ranges of the archive. What is decoded
//! must be, frame by frame, what the folder gives.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::mount::{Mount, xattr};
use common::node::Node;
use common::run::{aiozfs, run, tool};
use common::tree;

/// Six seconds, small, with a key frame each second.
fn encode(folder: &Path, args: &[&str]) {
    let mut ffmpeg = tool("ffmpeg");
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
    run(&mut ffmpeg).ok("ffmpeg, encoding");
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
fn frames(input: &str) -> String {
    let mut ffmpeg = tool("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin"]);
    ffmpeg.args(["-protocol_whitelist", "file,http,tcp,crypto"]);
    match (input.starts_with("http"), input.ends_with(".mpd")) {
        (true, _) => &mut ffmpeg,
        (false, true) => ffmpeg.args(&ANY_NAME[..2]),
        (false, false) => ffmpeg.args(ANY_NAME),
    };
    decoded(ffmpeg.args(["-i", input, "-map", "0:v", "-map", "0:a"]))
}

fn decoded(ffmpeg: &mut Command) -> String {
    let said = run(ffmpeg.args(["-f", "framemd5", "-"])).ok("ffmpeg, decoding");
    let frames = said.stdout.lines().filter(|line| !line.starts_with('#'));
    frames.map(|line| format!("{line}\n")).collect()
}

/// Packs a folder and plays an entry of it from everywhere. Returns its text as it is stored.
fn plays(folder: &Path, name: &str, whole: bool) -> String {
    let out = tree::temp();
    let archive = out.path().join("a.zip");
    run(aiozfs().arg("pack").arg(folder).arg(&archive)).ok("pack");
    run(tool("unzip").arg("-tqq").arg(&archive)).ok("unzip -t");

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

    // The node without range links is a server of ranges like any other.
    let lists = out.path().join("lists");
    let mut pack = aiozfs();
    pack.arg("pack")
        .arg(folder)
        .arg(out.path().join("again.zip"));
    pack.arg("--byterange-playlists").arg(&lists);
    pack.args([
        "--archive-url",
        &format!("{}/ipfs/{}/a.mp4", served.base, served.cid),
    ]);
    run(&mut pack).ok("pack");
    let list = lists.join(name);
    let list = list.to_str().expect("a plain path");
    assert_eq!(frames(list), expected, "by byte ranges");

    let stored = run(tool("unzip").arg("-p").arg(&archive).arg(name)).ok("unzip -p");
    stored.stdout
}

const HLS: [&str; 6] = ["-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"];

#[test]
fn hls_of_transport_streams() {
    let folder = tree::temp();
    encode(folder.path(), &[&HLS[..], &["list.m3u8"]].concat());
    let stored = plays(folder.path(), "list.m3u8", true);
    assert_eq!(stored.matches(".ts?range=").count(), 3);
}

#[test]
fn hls_of_fragments_with_an_init_segment() {
    let folder = tree::temp();
    encode(
        folder.path(),
        &[&HLS[..], &["-hls_segment_type", "fmp4", "list.m3u8"]].concat(),
    );
    let stored = plays(folder.path(), "list.m3u8", true);
    assert!(
        stored.contains("#EXT-X-MAP:URI=\"init.mp4?range="),
        "{stored}"
    );
}

#[test]
fn hls_in_a_single_file() {
    for kind in ["mpegts", "fmp4"] {
        let folder = tree::temp();
        let args = [
            "-hls_flags",
            "single_file",
            "-hls_segment_type",
            kind,
            "list.m3u8",
        ];
        encode(folder.path(), &[&HLS[..], &args].concat());
        let stored = plays(folder.path(), "list.m3u8", false);
        assert!(
            !stored.contains("BYTERANGE") && stored.contains("?range="),
            "{stored}"
        );
    }
}

#[test]
fn hls_encrypted_with_its_key_inside() {
    let folder = tree::temp();
    let key = folder.path().join("media.key");
    fs::write(&key, tree::bytes(7, 16)).expect("a key");
    let info = tree::temp();
    let info = info.path().join("info");
    fs::write(&info, format!("media.key\n{}\n", key.display())).expect("a file");
    let args = [
        "-hls_key_info_file",
        info.to_str().expect("a plain path"),
        "list.m3u8",
    ];
    encode(folder.path(), &[&HLS[..], &args].concat());
    let stored = plays(folder.path(), "list.m3u8", true);
    assert!(stored.contains("URI=\"media.key?range="), "{stored}");
}

/// Two renditions of video in folders of their own, audio and subtitles apart.
#[test]
fn hls_with_renditions_audio_and_subtitles() {
    let folder = tree::temp();
    let scale = "[0:v]split=2[a][b];[b]scale=96:54[c]";
    let map = "v:0,agroup:sound,name:large v:1,agroup:sound,name:small a:0,agroup:sound,name:sound";
    encode(
        folder.path(),
        &[
            &[
                "-filter_complex",
                scale,
                "-map",
                "[a]",
                "-map",
                "[c]",
                "-map",
                "1:a",
            ],
            &HLS[..],
            &[
                "-master_pl_name",
                "master.m3u8",
                "-var_stream_map",
                map,
                "%v/list.m3u8",
            ],
        ]
        .concat(),
    );
    tree::write(
        folder.path(),
        "text/en.vtt",
        b"WEBVTT\n\n00:00.000 --> 00:05.000\nText\n",
    );
    tree::write(
        folder.path(),
        "text/en.m3u8",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nen.vtt\n#EXT-X-ENDLIST\n",
    );
    let master = folder.path().join("master.m3u8");
    let text = fs::read_to_string(&master).expect("a playlist");
    let subtitles =
        "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"English\",URI=\"text/en.m3u8\"\n";
    let text = text.replacen(
        "#EXT-X-STREAM-INF:",
        &format!("{subtitles}#EXT-X-STREAM-INF:"),
        1,
    );
    fs::write(&master, text).expect("a playlist");
    let stored = plays(folder.path(), "master.m3u8", true);
    assert!(stored.matches("list.m3u8?range=").count() >= 3, "{stored}");
    assert!(stored.contains("URI=\"text/en.m3u8?range="), "{stored}");
}

const DASH: [&str; 4] = ["-f", "dash", "-seg_duration", "2"];

#[test]
fn dash_with_a_template_and_a_timeline() {
    let folder = tree::temp();
    encode(folder.path(), &[&DASH[..], &["show.mpd"]].concat());
    let stored = plays(folder.path(), "show.mpd", false);
    assert!(
        stored.contains("<SegmentTimeline>") && !stored.contains("SegmentTemplate"),
        "{stored}"
    );
}

#[test]
fn dash_with_a_template_and_numbers() {
    let folder = tree::temp();
    encode(
        folder.path(),
        &[&DASH[..], &["-use_timeline", "0", "show.mpd"]].concat(),
    );
    let stored = plays(folder.path(), "show.mpd", false);
    assert!(
        stored.contains("<SegmentURL media=") && !stored.contains("SegmentTemplate"),
        "{stored}"
    );
}

/// ffmpeg 5.1 hangs over its own manifest of single files on a disk (it asks the file protocol for
/// byte ranges, which knows none), so the files themselves are what the node's is compared with.
#[test]
fn dash_in_single_files() {
    let (folder, out) = (tree::temp(), tree::temp());
    encode(
        folder.path(),
        &[&DASH[..], &["-single_file", "1", "show.mpd"]].concat(),
    );
    let archive = out.path().join("a.zip");
    run(aiozfs().arg("pack").arg(folder.path()).arg(&archive)).ok("pack");
    let mount = Mount::new(&archive);
    let served = Node::of(&archive);
    let range = xattr(&mount.join("show.mpd"), "range").expect("an attribute");
    let url = format!("{}/ipfs/{}/show.mpd?range={range}", served.base, served.cid);
    // One stream at a time: ffmpeg ends all with the one that ends first.
    for (stream, file) in [("0:v", "show-stream0.mp4"), ("0:a", "show-stream1.mp4")] {
        let frames = |input: &str| {
            let mut ffmpeg = tool("ffmpeg");
            ffmpeg.current_dir(folder.path());
            ffmpeg.args(["-v", "error", "-nostdin", "-i", input, "-map", stream]);
            decoded(&mut ffmpeg)
        };
        assert_eq!(frames(&url), frames(file), "from the node: {stream}");
    }
    // In the mount the same parts of the same files.
    let ranges = |path: &Path| -> Vec<String> {
        let text = fs::read_to_string(path.join("show.mpd")).expect("a manifest");
        let values = text
            .match_indices("ange=\"")
            .map(|(at, _)| text[at..].split('"').nth(1));
        values
            .flatten()
            .map(str::to_owned)
            .filter(|range| range.contains('-'))
            .collect()
    };
    let (mut mounted, mut local) = (ranges(mount.path()), ranges(folder.path()));
    mounted.sort();
    local.sort();
    assert!(local.len() >= 14, "{local:?}");
    assert_eq!(mounted, local);
}

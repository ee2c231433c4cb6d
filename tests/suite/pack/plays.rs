//! HLS packages made by a real ffmpeg, packed, and played by an unmodified one: from a node by range links, from a mount,
//! and from a server of ranges by byte ranges of the archive. Each decoded frame equals that of the folder.

use std::fs;

use crate::common::player::{encode, plays};
use crate::common::tree;

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

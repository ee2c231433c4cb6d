//! Children: a process for each measurement, which says on its standard output what came of it.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};

use crate::store::{ALL, Content, Kind, Store};

/// After this many bytes, a store is asked to finish all writes.
const SETTLE: usize = 16 << 20;

/// How many read at once.
const READERS: u64 = 4;

/// Every other block.
#[derive(Debug, Clone, Copy)]
pub enum Half {
    Even,
    Odd,
}

/// What a child is to do: a word, a store, its directory, the size of blocks and how many.
pub struct Job(Vec<String>);

impl Job {
    pub fn write(kind: Kind, dir: &Path, size: usize, count: u64) -> Self {
        Self::new("write", kind, dir, size, count)
    }

    pub fn read(kind: Kind, dir: &Path, size: usize, count: u64) -> Self {
        Self::new("read", kind, dir, size, count)
    }

    /// Opens the store, waits to be told, and writes the blocks of even numbers, or the others.
    pub fn half(half: Half, kind: Kind, dir: &Path, size: usize, count: u64) -> Self {
        let what = match half {
            Half::Even => "even",
            Half::Odd => "odd",
        };
        Self::new(what, kind, dir, size, count)
    }

    /// Opens the store, waits to be told, and reads.
    pub fn wait(kind: Kind, dir: &Path, size: usize, count: u64) -> Self {
        Self::new("wait", kind, dir, size, count)
    }

    fn new(what: &str, kind: Kind, dir: &Path, size: usize, count: u64) -> Self {
        let dir = dir.display().to_string();
        let numbers = [size.to_string(), count.to_string()];
        Self(
            [what.into(), kind.name().into(), dir]
                .into_iter()
                .chain(numbers)
                .collect(),
        )
    }

    /// What this process was started for, if it is a child.
    pub fn from_arguments() -> Option<Self> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        (arguments.len() == 5).then_some(Self(arguments))
    }

    pub fn run(&self) -> anyhow::Result<()> {
        let kind = ALL.into_iter().find(|kind| kind.name() == self.0[1]);
        let kind = kind.context("no such store")?;
        let (size, count) = (self.0[3].parse()?, self.0[4].parse()?);
        let content = Content::new(size);
        let (cpu, begun) = (cpu(), Instant::now());
        let store = kind.open(&PathBuf::from(&self.0[2]), size)?;
        let mut told = Told {
            open: begun.elapsed().as_secs_f64(),
            ..Told::default()
        };
        say("open");
        if matches!(self.0[0].as_str(), "wait" | "even" | "odd") {
            std::io::stdin().read_line(&mut String::new())?;
        }
        let begun = Instant::now();
        let is_mine: Option<fn(u64) -> bool> = match self.0[0].as_str() {
            "write" => Some(|_| true),
            "even" => Some(|number| number.is_multiple_of(2)),
            "odd" => Some(|number| !number.is_multiple_of(2)),
            _ => None,
        };
        match is_mine {
            Some(is_mine) => write_some(&*store, &content, size, count, is_mine),
            None => told.count = read_all(&*store, &content, size, count),
        }
        told.seconds = begun.elapsed().as_secs_f64();
        told.cpu = self::cpu() - cpu;
        if is_mine.is_some() {
            let begun = Instant::now();
            sync();
            told.to_disk = begun.elapsed().as_secs_f64();
        }
        told.say();
        // What a store does when it is dropped is not measured.
        std::process::exit(0);
    }
}

fn write_some(
    store: &dyn Store,
    content: &Content,
    size: usize,
    count: u64,
    is_mine: fn(u64) -> bool,
) {
    for number in (0..count).filter(|number| is_mine(*number)) {
        store.put(number, content.block(number));
        say(&format!("put {number}"));
        if (number + 1).is_multiple_of((SETTLE / size) as u64) {
            store.settle();
        }
    }
    store.settle();
}

fn read_all(store: &dyn Store, content: &Content, size: usize, count: u64) -> Count {
    let next = AtomicU64::new(0);
    let read_some = || {
        let mut found = Count::default();
        loop {
            let number = next.fetch_add(1, Relaxed);
            if number >= count {
                return found;
            }
            let (mut at, mut is_right) = (0, true);
            let is_there = store.get(number, &mut |bytes| {
                is_right &= content.is_right(number, at, bytes);
                at += bytes.len();
            });
            match (is_there, is_right && at == size) {
                (true, true) => found.right += 1,
                (true, false) => found.wrong += 1,
                (false, _) => found.missing += 1,
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..READERS).map(|_| scope.spawn(read_some)).collect();
        let mut all = Count::default();
        for thread in threads {
            all.add(&thread.join().expect("a reader does not panic"));
        }
        all
    })
}

/// What came of reading blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count {
    pub right: u64,
    pub wrong: u64,
    pub missing: u64,
}

impl Count {
    pub fn add(&mut self, other: &Count) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missing += other.missing;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.right, self.wrong, self.missing)
    }
}

/// What a child has to say in the end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    pub open: f64,
    pub seconds: f64,
    pub to_disk: f64,
    pub cpu: f64,
    pub count: Count,
}

impl Told {
    fn say(&self) {
        let Self {
            open,
            seconds,
            to_disk,
            cpu,
            count,
        } = self;
        let Count {
            right,
            wrong,
            missing,
        } = count;
        say(&format!(
            "done {open} {seconds} {to_disk} {cpu} {right} {wrong} {missing}"
        ));
    }

    fn parse(line: &str) -> Option<Self> {
        let numbers: Option<Vec<f64>> = line.split(' ').map(|word| word.parse().ok()).collect();
        let [open, seconds, to_disk, cpu, right, wrong, missing] = numbers?[..] else {
            return None;
        };
        let count = Count {
            right: right as u64,
            wrong: wrong as u64,
            missing: missing as u64,
        };
        Some(Self {
            open,
            seconds,
            to_disk,
            cpu,
            count,
        })
    }
}

/// A child that was started.
pub struct Child {
    process: std::process::Child,
    lines: std::cell::RefCell<BufReader<std::process::ChildStdout>>,
}

impl Child {
    pub fn start(job: &Job) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(&job.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(process.stdout.take().context("a pipe")?).into();
        Ok(Self { process, lines })
    }

    /// Waits until its store is open.
    pub fn is_open(&self) -> anyhow::Result<()> {
        let mut line = String::new();
        self.lines.borrow_mut().read_line(&mut line)?;
        if line != "open\n" {
            bail!("the store was not opened");
        }
        Ok(())
    }

    /// Tells it to go on, if it waits.
    pub fn go_on(&mut self) {
        if let Some(mut input) = self.process.stdin.take() {
            // One that does not wait may have ended.
            let _ = input.write_all(b"\n");
        }
    }

    /// Waits for what it has to say.
    pub fn finish(mut self) -> anyhow::Result<Told> {
        self.go_on();
        let mut told = None;
        for line in self.lines.borrow_mut().by_ref().lines() {
            told = line?.strip_prefix("done ").and_then(Told::parse).or(told);
        }
        let status = self.process.wait()?;
        told.with_context(|| format!("the child ended with {status}"))
    }

    /// Kills it this long after its first block. Returns how many blocks it had put.
    pub fn kill(&mut self, after: Duration) -> anyhow::Result<u64> {
        let mut lines = self.lines.borrow_mut();
        let mut line = String::new();
        while line != "put 0\n" {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                bail!("nothing was put");
            }
        }
        std::thread::sleep(after);
        self.process.kill()?;
        self.process.wait()?;
        let puts = lines.by_ref().lines().map_while(Result::ok);
        Ok(1 + puts.filter(|line| line.starts_with("put ")).count() as u64)
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // If the reader is gone, there is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Has all written to the disk.
pub fn sync() {
    rustix::fs::sync();
}

/// Has the system forget what it keeps of files; false if that is not permitted.
pub fn drop_memory() -> bool {
    sync();
    fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// What a directory takes of the disk, in bytes.
pub fn taken(dir: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        bytes += match entry.metadata() {
            Ok(meta) if meta.is_dir() => taken(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        };
    }
    bytes
}

//! Compares our store of blocks with two well-kept libraries, `foyer` and `cacache`: how fast, what is left
//! after a kill, and how two processes disturb each other in one directory. `doc/decisions` has the
//! results.
//!
//! ```text
//! cd benches/stores
//! cargo run --release              # some minutes; 3 GB of disk below TMPDIR; best as root
//! cargo run --release -- aiozfs    # only these stores
//! ```
//!
//! Each measurement is a process of its own, so that nothing is in its memory; as root the system's
//! memory is dropped before reading. All stores get and give back the same blocks, four threads at once
//! when reading, and all verify what they read.

mod aiozfs_store;
mod cacache_store;
mod children;
mod files;
mod foyer_store;
mod store;

use std::time::Duration;

use children::{Child, Count, Half, Job};
use store::Kind;

/// Bytes that are written and read for a rate.
const TOTAL: usize = 256 << 20;

/// Sizes of blocks.
const SIZES: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];

/// Times that each rate is taken; the table has the middle one.
const ROUNDS: usize = 3;

/// When a writer is killed, after its first block.
const KILLED_AFTER: [u64; 5] = [20, 45, 80, 125, 180];

fn main() -> anyhow::Result<()> {
    if let Some(job) = Job::from_arguments() {
        return job.run();
    }
    let names: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |kind: &Kind| names.is_empty() || names.iter().any(|name| name == kind.name());
    let stores: Vec<Kind> = store::ALL.into_iter().filter(is_wanted).collect();
    let how = match children::drop_memory() {
        true => "from disk",
        false => "from memory (not root)",
    };
    println!(
        "Two processes in one directory, 64 blocks of 1 MiB: right/wrong/missing after each wrote half at \
         once; and as seen by one that had opened it before another wrote.\n"
    );
    println!("| store | after two writers | seen by a third |");
    println!("|---|---|---|");
    for &kind in &stores {
        shared(kind)?;
    }
    println!(
        "\nA writer killed (-9) at {} moments, blocks of 1 MiB: those that were put, and what is left.\n",
        KILLED_AFTER.len()
    );
    println!("| store | put | right | wrong | missing | MB of other things |");
    println!("|---|---|---|---|---|---|");
    for &kind in &stores {
        killed(kind)?;
    }
    println!(
        "\n256 MiB, medians of {ROUNDS}. Written: until the store says so, and until it is on the disk. \
         Read {how}, by another process.\n"
    );
    println!(
        "| store | block | written MB/s | on disk MB/s | CPU s | open ms | read MB/s | CPU s | right/wrong/missing |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for kind in stores {
        for size in SIZES.into_iter().filter(|size| kind.takes(*size)) {
            rates(kind, size)?;
        }
    }
    Ok(())
}

fn rates(kind: Kind, size: usize) -> anyhow::Result<()> {
    let count = (TOTAL / size) as u64;
    let mut rounds = Vec::new();
    let mut found = Count::default();
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir()?;
        children::sync();
        let write = Child::start(&Job::write(kind, dir.path(), size, count))?.finish()?;
        children::drop_memory();
        let read = Child::start(&Job::read(kind, dir.path(), size, count))?.finish()?;
        found = read.count;
        let rate = |seconds: f64| TOTAL as f64 / 1e6 / seconds;
        rounds.push([
            rate(write.seconds),
            rate(write.seconds + write.to_disk),
            write.cpu,
            1e3 * read.open,
            rate(read.seconds),
            read.cpu,
        ]);
    }
    let middle = |at: usize| {
        let mut all: Vec<f64> = rounds.iter().map(|round| round[at]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!(
        "| {} | {} KiB | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.2} | {found} |",
        kind.name(),
        size >> 10,
        middle(0),
        middle(1),
        middle(2),
        middle(3),
        middle(4),
        middle(5),
    );
    Ok(())
}

fn killed(kind: Kind) -> anyhow::Result<()> {
    const SIZE: usize = 1 << 20;
    let mut all = Count::default();
    let (mut told, mut left) = (0, 0);
    for after in KILLED_AFTER {
        let dir = tempfile::tempdir()?;
        let mut writer = Child::start(&Job::write(kind, dir.path(), SIZE, 512))?;
        let put = writer.kill(Duration::from_millis(after))?;
        let read = Child::start(&Job::read(kind, dir.path(), SIZE, put))?.finish()?;
        told += put;
        all.add(&read.count);
        left += children::taken(dir.path()).saturating_sub(read.count.right * SIZE as u64);
    }
    let Count {
        right,
        wrong,
        missing,
    } = all;
    println!(
        "| {} | {told} | {right} | {wrong} | {missing} | {} |",
        kind.name(),
        left / 1_000_000
    );
    Ok(())
}

fn shared(kind: Kind) -> anyhow::Result<()> {
    const SIZE: usize = 1 << 20;
    let dir = tempfile::tempdir()?;
    let half = |which| Child::start(&Job::half(which, kind, dir.path(), SIZE, 64));
    let mut both = [half(Half::Even)?, half(Half::Odd)?];
    for child in &both {
        child.is_open()?;
    }
    both.iter_mut().for_each(Child::go_on);
    let mut errors = Vec::new();
    for child in both {
        if let Err(e) = child.finish() {
            errors.push(e.to_string());
        }
    }
    let count = Child::start(&Job::read(kind, dir.path(), SIZE, 64))?
        .finish()?
        .count;

    let dir = tempfile::tempdir()?;
    let waits = Child::start(&Job::wait(kind, dir.path(), SIZE, 64))?;
    waits.is_open()?;
    Child::start(&Job::write(kind, dir.path(), SIZE, 64))?.finish()?;
    let sees = waits.finish()?.count;
    println!(
        "| {} | {count} {} | {sees} |",
        kind.name(),
        errors.join("; ")
    );
    Ok(())
}

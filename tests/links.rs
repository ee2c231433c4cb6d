//! The reader over links that it was not made for, by a clock that stands still.

mod common;

use std::time::Duration;

use aiozfs::reader::{Line, LineOptions};
use common::link::{Link, Shape};
use tokio::time::Instant;

const MB: u64 = 1 << 20;

fn on_paused_clock<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// Reads the first 256 MiB of a gigabyte in steps of `step`.
async fn read_in_sequence(shape: Shape, step: u64) -> (Duration, common::link::Carried) {
    let link = Link::plain(shape, 1 << 30);
    let line = Line::open(link.clone(), 128 << 10, LineOptions::default())
        .await
        .expect("a calm link");
    tokio::time::sleep(Duration::from_millis(200)).await;
    link.carried();
    let since = Instant::now();
    let mut at = 0;
    while at < 256 * MB {
        let got = line.read(at..at + step, 1 << 30).await;
        assert_eq!(got.expect("a calm link").len() as u64, step);
        if std::env::var("TL").is_ok() && at % (8 * MB) == 0 {
            println!("{:6.3} {}", since.elapsed().as_secs_f64(), at / MB);
        }
        at += step;
    }
    (since.elapsed(), link.carried())
}

#[test]
fn a_sequence_over_all_links() {
    for rtt in [10, 50, 100, 200] {
        for connection in [2.0, 10.0, 50.0] {
            for total in [20.0, 100.0, 300.0] {
                let shape = Shape::new(rtt, connection, total);
                if let Ok(only) = std::env::var("SHAPE")
                    && only != format!("{rtt},{connection},{total}")
                {
                    continue;
                }
                let (took, carried) = on_paused_clock(read_in_sequence(shape, MB));
                let limit = shape.limit(256 * MB, 16, 1);
                let ratio = took.as_secs_f64() / limit.as_secs_f64();
                println!(
                    "{rtt:4} {connection:4} {total:4}: {ratio:.2} {:.2} s {carried:?}",
                    took.as_secs_f64()
                );
            }
        }
    }
}

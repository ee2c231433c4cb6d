//! IPNS records from several gateways.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::open::next_until;
use crate::http::{HttpOptions, ipns_record};
use crate::source::{BlockCheck, Chunk, Result};

/// After the first record, the other gateways get the same time again, within these bounds. One of them may have a
/// newer record.
const GRACE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// Asks all `gateways` at once, each given as the URL of the record and its options. After the first record that
/// `is_valid` accepts, waits for the others within `GRACE`. Returns all records that have come. A record has at most
/// `most` bytes.
pub async fn ipns_records(
    gateways: Vec<(String, HttpOptions)>,
    most: usize,
    is_valid: BlockCheck,
) -> Vec<Result<Chunk>> {
    let begun = Instant::now();
    let requests = gateways
        .iter()
        .map(|(url, options)| ipns_record(url, options, most));
    let mut requests: FuturesUnordered<_> = requests.collect();
    let mut answers = Vec::new();
    let mut until: Option<Instant> = None;
    while let Some(answer) = next_until(&mut requests, until).await {
        if answer.as_ref().is_ok_and(|record| is_valid(&record.bytes)) {
            let grace = begun.elapsed().clamp(GRACE.0, GRACE.1);
            until.get_or_insert(Instant::now() + grace);
        }
        answers.push(answer);
    }
    answers
}

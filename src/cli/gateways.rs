//! `aiozfs gateways`: lists and tests gateways.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::StreamExt;
use futures_util::future::join_all;
use serde::Serialize;

use super::config::Config;
use super::progress::Waiting;
use super::servers::ServerArgs;
use super::{Failure, logging, runtime, show};
use crate::content::{Cid, Verified, parse_cid};
use crate::http::{HttpOptions, display_url};
use crate::source::{BlockCheck, Error, Fact, Offline, Priority, Retry, Source};
use crate::volume::{Server, Servers};

/// The empty block under its identity CID, with which the specification of trustless gateways probes.
const PROBE: &str = "bafkqaaa";

/// How much is read to measure a rate, in bytes.
const SAMPLE: u64 = 4 << 20;

/// How long a request is repeated after a transient error.
const BRIEFLY: Duration = Duration::from_secs(2);

/// How long to wait for bytes of a gateway.
const PATIENCE: Duration = Duration::from_secs(10);

/// Print a table of the gateways that would be asked: reachable, ranges, raw blocks, latency, rate.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GatewaysArgs {
    /// Read from this blob, to test ranges and to measure rates
    #[arg(long, value_name = "CID")]
    check: Option<String>,
    /// Print a JSON array, one gateway a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ServerArgs,
    /// Log more; may be given more than once
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const EXAMPLES: &str = "\
Examples:
  aiozfs gateways
  aiozfs gateways --check bafybei...
  aiozfs gateways --gateway https://ipfs.io --json | jq '.[] | select(.reachable) | .url'";

/// What was found of one gateway, as it is in JSON. What was not tried is left out.
#[derive(Debug, Default, Serialize)]
struct Row {
    url: String,
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<u64>,
    errors: Vec<String>,
}

pub(super) fn gateways(args: &GatewaysArgs) -> Result<ExitCode, Failure> {
    logging::init(args.verbose);
    let cid = args.check.as_deref().map(|text| {
        parse_cid(text).map_err(|e| Failure::usage(format!("'{text}' is not a CID: {e}")))
    });
    let cid = cid.transpose()?;
    let servers = args.servers.resolve_gateways(&Config::load()?)?;
    let runtime = runtime::new()?;
    let waiting = Waiting::for_("asking gateways");
    let rows = runtime.block_on(join_all(
        servers
            .servers
            .iter()
            .map(|server| look_at(&servers, server, cid)),
    ));
    drop(waiting);
    show::print(|out| {
        if args.json {
            show::json_array(rows.iter(), out)
        } else {
            out.write_all(table(&rows).as_bytes())
        }
    })?;
    if !args.json {
        for error in rows.iter().flat_map(|row| &row.errors) {
            tell!("aiozfs: {error}");
        }
    }
    let is_any_reachable = rows.iter().any(|row| row.reachable);
    Ok(ExitCode::from(u8::from(!is_any_reachable)))
}

async fn look_at(servers: &Servers, server: &Server, cid: Option<Cid>) -> Row {
    let mut row = Row {
        url: display_url(&server.template),
        ..Row::default()
    };
    if let Err(error) = fill_in(&mut row, &servers.only(server), cid).await {
        row.errors.push(error.to_string());
    }
    if row.reachable {
        row.blocks.get_or_insert(false);
    }
    row
}

async fn fill_in(row: &mut Row, server: &Servers, cid: Option<Cid>) -> Result<(), Error> {
    // The options of a mount.
    let options = server.http(HttpOptions {
        idle_timeout: PATIENCE,
        pinned: false,
        verified: true,
        ..HttpOptions::default()
    });
    let id = cid.map_or_else(|| PROBE.to_owned(), |cid| cid.to_string());
    let data = server.data(&options, |server| server.content_url(&id));
    let data = data.map_err(|e| Error::Unsupported {
        what: e.to_string(),
    })?;
    let blocks = server.blocks(&options, data.set().clone(), BRIEFLY);
    let Some(cid) = cid else {
        let is_empty: BlockCheck = Arc::new(|bytes: &[u8]| bytes.is_empty());
        let asked = Instant::now();
        let probed = blocks.block(PROBE, 0, is_empty).await.map(drop);
        row.of_blocks(probed, asked.elapsed());
        return Ok(());
    };
    let content = Verified::new(cid, Arc::new(Offline), blocks);
    let asked = Instant::now();
    let opened = content.open(0).await;
    let size = opened.as_ref().ok().map(|opened| opened.size);
    row.of_blocks(opened.map(drop), asked.elapsed());
    let data = Retry::new(Arc::new(data), BRIEFLY);
    if let Err(error) = row.of_data(&data, size).await {
        row.ranges = (!is_silent(&error)).then_some(false);
        row.failed(error);
    }
    if row.ranges == Some(false)
        && let Some(size) = size.filter(|size| *size > 0)
    {
        // Without ranges, a mount needs leaves as blocks too.
        let mut leaf = content.read(size - 1..size, Priority::Demand);
        if let Some(Err(_)) = leaf.next().await {
            row.blocks = Some(false);
        }
    }
    Ok(())
}

impl Row {
    /// Records the result of a request for a block, and how long it took.
    fn of_blocks(&mut self, block: Result<(), Error>, took: Duration) {
        // A directory has blocks too.
        let is_given = matches!(block, Ok(()) | Err(Error::Unsupported { .. }));
        if let Err(error) = block {
            self.failed(error);
        }
        if is_given {
            self.reachable = true;
            self.latency_ms = Some(took.as_secs_f64() * 1e3);
        }
        self.blocks = is_given.then_some(true);
    }

    /// Reads some of the data, by ranges. An error tells that the gateway gives none.
    async fn of_data(&mut self, data: &Retry, size: Option<u64>) -> Result<(), Error> {
        let asked = Instant::now();
        let size = match size {
            // A verified mount knows the size, too.
            Some(size) => {
                data.learn(Fact::Size(size));
                size
            }
            None => data.open(0).await?.size,
        };
        let (mut begun, mut bytes) = (None, 0);
        let mut stream = data.read(0..size.min(SAMPLE), Priority::Demand);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            if begun.is_some() {
                bytes += chunk.bytes.len();
                continue;
            }
            // The first chunk arrived with the answer, so it does not count for the rate.
            begun = Some(Instant::now());
            (self.reachable, self.ranges) = (true, Some(true));
            self.latency_ms = Some(asked.elapsed().as_secs_f64() * 1e3);
        }
        if let Some(begun) = begun.filter(|_| bytes > 0) {
            let took = begun.elapsed().as_secs_f64().max(1e-6);
            self.bytes_per_second = Some((bytes as f64 / took) as u64);
        }
        Ok(())
    }

    fn failed(&mut self, error: Error) {
        self.reachable |= !is_silent(&error);
        let error = error.to_string();
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }
}

/// Whether the gateway did not answer.
fn is_silent(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreachable { .. }
            | Error::Untrusted { .. }
            | Error::NoNetwork { .. }
            | Error::Timeout { .. }
    )
}

fn table(rows: &[Row]) -> String {
    let said = |yes: Option<bool>| yes.map_or("-", |yes| if yes { "yes" } else { "no" });
    let header = [
        "gateway",
        "reachable",
        "ranges",
        "raw blocks",
        "latency",
        "rate",
    ];
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        let latency = row.latency_ms.map(|ms| format!("{} ms", ms as u64));
        let rate = row.bytes_per_second;
        let rate = rate.map(|rate| format!("{:.1} MB/s", rate as f64 / 1e6));
        [
            row.url.clone(),
            said(Some(row.reachable)).into(),
            said(row.ranges).into(),
            said(row.blocks).into(),
            latency.unwrap_or_else(|| "-".into()),
            match (rate, row.ranges, row.blocks) {
                (Some(rate), _, _) => rate,
                (None, Some(false), Some(true)) => "blocks only".into(),
                (None, _, _) => "-".into(),
            },
        ]
    }));
    show::table(&lines, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_untried_probes_are_dashes() {
        let rows = [
            Row {
                url: "http://a/".into(),
                reachable: true,
                ranges: Some(true),
                blocks: Some(false),
                latency_ms: Some(52.9),
                bytes_per_second: Some(25_040_000),
                errors: Vec::new(),
            },
            Row {
                url: "http://longer/".into(),
                ..Row::default()
            },
        ];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "gateway         reachable  ranges  raw blocks  latency  rate"
        );
        assert_eq!(
            lines[1],
            "http://a/       yes        yes     no          52 ms    25.0 MB/s"
        );
        assert_eq!(
            lines[2],
            "http://longer/  no         -       -           -        -"
        );
    }
}

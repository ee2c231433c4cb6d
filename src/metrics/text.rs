//! A report as text.
//!
//! Labels have few values: gateways of the mount, kinds and results of requests, kinds of failures. None has
//! a path of a file, or a secret.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::mount::{CacheReport, GatewayReport, Histogram, Report};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// That of the OpenMetrics specification.
    OpenMetrics,
    /// The older one of Prometheus, for tools that do not ask for the other.
    Prometheus,
}

impl Format {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The metrics of a mount.
///
/// # Errors
/// None that is known; the encoder's interface has them.
pub(super) fn text_of(report: Report, format: Format) -> Result<String, Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics(report)));
    let mut out = String::new();
    match format {
        Format::OpenMetrics => text::encode(&mut out, &registry)?,
        Format::Prometheus => prometheus_text::encode(&mut out, &registry)?,
    }
    Ok(out)
}

#[derive(Debug)]
struct Metrics(Report);

/// Writes metrics one after another.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn describe<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, unit, kind)
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: u64,
    ) -> Result<(), Error> {
        let mut metric = self.describe(name, help, unit.as_ref(), MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    fn gauge<T: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: T,
    ) -> Result<(), Error> {
        let mut metric = self.describe(name, help, unit.as_ref(), MetricType::Gauge)?;
        metric.encode_gauge(&value)
    }

    fn histogram(&mut self, name: &str, help: &str, times: &Histogram) -> Result<(), Error> {
        let unit = Some(&Unit::Seconds);
        let mut metric = self.describe(name, help, unit, MetricType::Histogram)?;
        // The encoder adds the counts up, and wants the last bound to be infinite.
        let mut below = 0;
        let mut buckets = Vec::with_capacity(times.within.len() + 1);
        for (bound, count) in &times.within {
            buckets.push((*bound, count.saturating_sub(below)));
            below = *count;
        }
        buckets.push((f64::INFINITY, times.count.saturating_sub(below)));
        metric.encode_histogram::<NoLabelSet>(times.sum_s, times.count, &buckets, None)
    }

    /// A counter with a value for each set of labels.
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> Result<(), Error> {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self.describe(name, help, unit.as_ref(), MetricType::Counter)?;
        values.try_for_each(|(labels, value)| {
            let mut metric = family.encode_family(&labels)?;
            metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)
        })
    }

    /// A gauge with a value for each set of labels.
    fn gauges<L: EncodeLabelSet, T: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl IntoIterator<Item = (L, T)>,
    ) -> Result<(), Error> {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self.describe(name, help, unit.as_ref(), MetricType::Gauge)?;
        values.try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut out = Out(encoder);
        mount(&mut out, &self.0)?;
        reads(&mut out, &self.0)?;
        requests(&mut out, &self.0)?;
        gateways(&mut out, &self.0.gateways)?;
        match &self.0.cache {
            Some(found) => cache(&mut out, found),
            None => Ok(()),
        }
    }
}

fn mount(out: &mut Out, report: &Report) -> Result<(), Error> {
    let bytes = || Some(Unit::Bytes);
    let labels: [(&str, &str); 2] = [("version", &report.version), ("source", report.origin())];
    out.gauges("aiozfs_mount_info", "The mount", None, [(labels, 1u64)])?;
    out.gauge(
        "aiozfs_uptime",
        "Time since it was mounted",
        Some(Unit::Seconds),
        report.uptime_s,
    )?;
    out.gauge(
        "aiozfs_archives",
        "Archives that are mounted",
        None,
        report.archives.unwrap_or(1),
    )?;
    out.gauge(
        "aiozfs_archive_size",
        "Size of the archive",
        bytes(),
        report.blob_size,
    )?;
    out.gauge(
        "aiozfs_archive_entries",
        "Entries of the archive",
        None,
        report.entries,
    )?;
    out.gauge(
        "aiozfs_open_files",
        "Files that programs have open",
        None,
        report.open_files,
    )?;
    out.gauge(
        "aiozfs_memory_used",
        "Memory that holds file content",
        bytes(),
        report.memory_used,
    )?;
    out.gauge(
        "aiozfs_memory_limit",
        "The limit of that memory",
        bytes(),
        report.memory_limit,
    )?;
    out.gauge(
        "process_resident_memory",
        "Resident memory of the process",
        bytes(),
        report.resident_bytes,
    )
}

fn reads(out: &mut Out, report: &Report) -> Result<(), Error> {
    let bytes = || Some(Unit::Bytes);
    out.counter(
        "aiozfs_read",
        "Bytes given to programs",
        bytes(),
        report.bytes_read,
    )?;
    out.counter(
        "aiozfs_read_from_memory",
        "Bytes given to programs without waiting",
        bytes(),
        report.bytes_from_memory,
    )?;
    out.histogram(
        "aiozfs_read_duration",
        "Time from a read request of the kernel to its answer",
        &report.read_times,
    )?;
    let failures = report.failures.iter();
    let failures = failures.map(|(kind, count)| ([("kind", kind.as_str())], *count));
    out.counters(
        "aiozfs_read_errors",
        "Failed requests of programs",
        None,
        failures,
    )
}

fn requests(out: &mut Out, report: &Report) -> Result<(), Error> {
    let bytes = || Some(Unit::Bytes);
    out.counter(
        "aiozfs_fetched",
        "Bytes that came from servers, or from the file",
        bytes(),
        report.bytes_fetched,
    )?;
    out.counter(
        "aiozfs_disk_read",
        "Bytes that came from the cache on disk",
        bytes(),
        report.bytes_from_disk,
    )?;
    out.counter(
        "aiozfs_unread",
        "Bytes that came and left memory unread",
        bytes(),
        report.bytes_unread,
    )?;
    let ended = report.requests_ended.iter();
    let ended = ended.map(|r| {
        (
            [("kind", r.kind.as_str()), ("result", r.result.as_str())],
            r.count,
        )
    });
    out.counters(
        "aiozfs_requests",
        "Requests for ranges that have ended",
        None,
        ended,
    )?;
    out.gauge(
        "aiozfs_requests_in_flight",
        "Requests for ranges under way",
        None,
        report.requests_in_flight,
    )?;
    out.histogram(
        "aiozfs_request_first_byte",
        "Time from a request to its first byte",
        &report.request_times,
    )
}

fn gateways(out: &mut Out, gateways: &[GatewayReport]) -> Result<(), Error> {
    fn name(gateway: &GatewayReport) -> (&str, &str) {
        ("gateway", &gateway.name)
    }
    let states = gateways.iter().flat_map(|gateway| {
        let states = GatewayReport::STATES.into_iter();
        states.map(move |state| {
            (
                [name(gateway), ("state", state)],
                u64::from(gateway.state == state),
            )
        })
    });
    out.gauges(
        "aiozfs_gateway_state",
        "1 for the state that a gateway is in",
        None,
        states,
    )?;
    let serving = gateways.iter().map(|g| ([name(g)], u64::from(g.serving)));
    out.gauges(
        "aiozfs_gateway_serving",
        "1 for the gateway that ranges are asked of",
        None,
        serving,
    )?;
    let latencies = gateways
        .iter()
        .filter_map(|g| Some(([name(g)], g.latency_ms? / 1e3)));
    out.gauges(
        "aiozfs_gateway_latency",
        "Average time to the first byte",
        Some(Unit::Seconds),
        latencies,
    )?;
    let received = gateways.iter().map(|g| ([name(g)], g.bytes));
    out.counters(
        "aiozfs_gateway_received",
        "Bytes that a gateway sent",
        Some(Unit::Bytes),
        received,
    )?;
    let ended = gateways.iter().flat_map(|g| {
        let all = g.requests.iter();
        all.map(move |r| ([name(g), ("kind", &r.kind), ("result", &r.result)], r.count))
    });
    out.counters(
        "aiozfs_gateway_requests",
        "Requests to a gateway that have ended",
        None,
        ended,
    )?;
    let failures = gateways.iter().flat_map(|g| {
        let all = g.failures.iter();
        all.map(move |(kind, count)| ([name(g), ("kind", kind.as_str())], *count))
    });
    out.counters(
        "aiozfs_gateway_errors",
        "Failures of a gateway",
        None,
        failures,
    )
}

fn cache(out: &mut Out, cache: &CacheReport) -> Result<(), Error> {
    let bytes = || Some(Unit::Bytes);
    out.counter(
        "aiozfs_cache_hit",
        "Bytes read from the cache on disk",
        bytes(),
        cache.hit_bytes,
    )?;
    out.counter(
        "aiozfs_cache_miss",
        "Bytes that the cache did not have",
        bytes(),
        cache.missed_bytes,
    )?;
    out.counter(
        "aiozfs_cache_written",
        "Bytes written to the cache",
        bytes(),
        cache.written_bytes,
    )?;
    out.counter(
        "aiozfs_cache_evicted",
        "Bytes that were removed to make room",
        bytes(),
        cache.evicted_bytes,
    )?;
    out.counter(
        "aiozfs_cache_evicted_files",
        "Files that were removed to make room",
        None,
        cache.evicted_files,
    )?;
    out.counter(
        "aiozfs_cache_failures",
        "Failures of the cache's disk",
        None,
        cache.failures,
    )?;
    out.gauge(
        "aiozfs_cache_limit",
        "The size limit of the cache",
        bytes(),
        cache.size,
    )
}

//! What is known of the members, for the status of a mount.

use std::collections::BTreeMap;

use super::health::Want;
use super::member::Availability;
use crate::source::{Error, Origin};

/// A member of a set of gateways at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberStatus {
    /// Its host and port. No two members of a set have the same name.
    pub name: String,
    /// Whether it is asked for ranges.
    pub state: Availability,
    /// Whether it serves ranges now.
    pub is_serving: bool,
    /// The average time to the first byte, in seconds; `None` while nothing was measured.
    pub latency: Option<f64>,
    /// Bytes that it sent, of ranges and of blocks.
    pub bytes: u64,
    /// Answers to requests for ranges.
    pub ranges: AnswerCounts,
    /// Answers to requests for raw blocks.
    pub blocks: AnswerCounts,
    /// Failures by [kind](Error::kind).
    pub errors: BTreeMap<&'static str, u64>,
}

impl MemberStatus {
    /// Adds the counts of another status of the same server, and takes over the rest of it.
    pub fn add(&mut self, other: Self) {
        let old = std::mem::replace(self, other);
        self.bytes += old.bytes;
        self.ranges.add(old.ranges);
        self.blocks.add(old.blocks);
        self.is_serving |= old.is_serving;
        self.latency = self.latency.or(old.latency);
        for (kind, count) in old.errors {
            *self.errors.entry(kind).or_default() += count;
        }
    }
}

/// How requests of one kind ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct AnswerCounts {
    /// With all their bytes.
    pub served: u64,
    /// With an error.
    pub failed: u64,
}

impl AnswerCounts {
    fn add(&mut self, other: Self) {
        self.served += other.served;
        self.failed += other.failed;
    }
}

/// The totals of one member.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) bytes: u64,
    pub(super) ranges: AnswerCounts,
    pub(super) blocks: AnswerCounts,
    pub(super) errors: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn served(&mut self, want: Want) {
        self.counts(want).served += 1;
    }

    pub(super) fn failed(&mut self, want: Want, error: &Error) {
        self.counts(want).failed += 1;
        *self.errors.entry(error.kind()).or_default() += 1;
    }

    /// Bytes that came turned out to be wrong.
    pub(super) fn forged(&mut self) {
        *self.errors.entry("forged").or_default() += 1;
    }

    fn counts(&mut self, want: Want) -> &mut AnswerCounts {
        match want {
            Want::Data => &mut self.ranges,
            Want::Block => &mut self.blocks,
        }
    }
}

/// The hosts of members, made different by numbers if two gateways have the same.
pub(super) fn hosts(names: &[Origin]) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for name in names {
        let name = name.to_string();
        let rest = name.split_once("://").map_or(&*name, |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or_default();
        let same = |number: usize| match number {
            1 => host.to_owned(),
            number => format!("{host} ({number})"),
        };
        let free = (1..).map(same).find(|name| !hosts.contains(name));
        hosts.extend(free);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_short_and_different() {
        let names = [
            "http://a:8080/ipfs/x",
            "https://b/ipfs/x",
            "http://a:8080/y",
            "gateway 1",
        ];
        let names = names.map(Origin::new);
        assert_eq!(hosts(&names), ["a:8080", "b", "a:8080 (2)", "gateway 1"]);
    }
}

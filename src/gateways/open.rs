//! Finds out the size of a blob. Without a CID, the size that a server tells cannot be verified, so the servers vote.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use tokio::time::Instant;

use super::health::Want;
use super::member::Member;
use super::set::GatewaySet;
use crate::source::{Error, Fact, Opened, Origin, Result};

/// After the first answer, the other members have three times its latency to answer, within these bounds.
const GRACE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(3));

/// After the size is known, the tail has the same time again to arrive, but at least this.
const TAIL_GRACE: Duration = Duration::from_millis(50);

/// Opens all members. Members that disagree with the majority are never asked again.
///
/// # Errors
/// If no member answers, or if there is no majority.
pub(super) async fn open(members: &[Member], set: &Arc<GatewaySet>, tail: u64) -> Result<Opened> {
    let (ballot, opened) = vote(members, set, tail).await?;
    let size = ballot.decide().map_err(|differing| {
        let said = |(index, size): &(usize, u64)| format!("{} says {size}", set.name(*index));
        let said: Vec<String> = differing.iter().map(said).collect();
        Error::Unsupported {
            what: format!(
                "gateways disagree on how many bytes it has: {}; give only gateways that are right",
                said.join(", ")
            ),
        }
    })?;
    for (index, said) in &ballot.0 {
        if *said != size {
            let name: &Origin = set.name(*index);
            log::warn!(
                "{name} is not used: it reports {said} bytes, and most others report {size}"
            );
            set.exclude(*index);
        }
    }
    for member in members {
        member.source.learn(Fact::Size(size));
    }
    let tail = opened.tail.filter(|_| opened.size == size);
    Ok(Opened { size, tail })
}

/// Opens all members at once, and collects the sizes that they tell. Returns when a majority agrees, or when it is not
/// worth waiting for the rest. Also returns the best answer: of the serving member, else one with a tail.
///
/// # Errors
/// If no member answers.
async fn vote(members: &[Member], set: &GatewaySet, tail: u64) -> Result<(Ballot, Opened)> {
    let current = set.current();
    let begun = Instant::now();
    let mut opening: FuturesUnordered<_> = members
        .iter()
        .enumerate()
        .map(|(index, member)| {
            // Only one member is asked for the tail: it would come once from each.
            let tail = if index == current { tail } else { 0 };
            member.source.open(tail).map(move |opened| (index, opened))
        })
        .collect();
    let mut ballot = Ballot::default();
    let mut errors = Vec::new();
    let mut found: Option<Opened> = None;
    let mut until: Option<Instant> = None;
    loop {
        let Some((index, opened)) = next_until(&mut opening, until).await else {
            break;
        };
        match opened {
            Ok(opened) => {
                let took = begun.elapsed();
                set.began(index, took);
                ballot.0.push((index, opened.size));
                if found.as_ref().is_none_or(|known| known.tail.is_none()) || index == current {
                    found = Some(opened);
                }
                let grace = (took * 3).clamp(GRACE.0, GRACE.1);
                until.get_or_insert(Instant::now() + grace);
            }
            Err(error) => {
                set.failed(index, &error, Want::Data);
                errors.push(error);
            }
        }
        let voters = members.len() - errors.len();
        if ballot.majority(voters).is_some() {
            if found.as_ref().is_some_and(|known| known.tail.is_some()) || tail == 0 {
                break;
            }
            // Another request for the tail would take as long as this one, so it is worth a wait.
            let worth = begun.elapsed().max(TAIL_GRACE);
            until = Some(until.map_or(begun + 2 * worth, |until| until.min(begun + 2 * worth)));
        }
    }
    match found {
        Some(opened) => Ok((ballot, opened)),
        None => Err(set.final_error(errors, Want::Data)),
    }
}

/// The next of several answers; `None` after the last one, or when `until` has passed.
pub(super) async fn next_until<S: Stream + Unpin>(
    answers: &mut S,
    until: Option<Instant>,
) -> Option<S::Item> {
    let next = answers.next();
    match until {
        None => next.await,
        Some(until) => tokio::time::timeout_at(until, next).await.ok().flatten(),
    }
}

/// The members that have answered, and the size that each of them says.
#[derive(Debug, Default)]
struct Ballot(Vec<(usize, u64)>);

impl Ballot {
    /// The size that more than half of `voters` name.
    fn majority(&self, voters: usize) -> Option<u64> {
        let votes = |size: u64| self.0.iter().filter(|(_, said)| *said == size).count();
        let sizes = self.0.iter().map(|(_, size)| *size);
        let mut sizes = sizes.filter(|size| votes(*size) * 2 > voters);
        sizes.next()
    }

    /// The size, after all votes are in. If there is no majority, a member for each size that was named.
    fn decide(&self) -> std::result::Result<u64, Vec<(usize, u64)>> {
        let majority = self.majority(self.0.len());
        majority.ok_or_else(|| {
            let mut differing: Vec<(usize, u64)> = Vec::new();
            for (member, size) in &self.0 {
                if !differing.iter().any(|(_, known)| known == size) {
                    differing.push((*member, *size));
                }
            }
            differing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot(sizes: &[u64]) -> Ballot {
        Ballot(sizes.iter().copied().enumerate().collect())
    }

    #[test]
    fn a_majority_decides_and_a_tie_does_not() {
        assert_eq!(ballot(&[5, 6, 5]).decide(), Ok(5));
        assert_eq!(ballot(&[5]).decide(), Ok(5));
        assert_eq!(ballot(&[5, 6]).decide(), Err(vec![(0, 5), (1, 6)]));
        assert_eq!(ballot(&[5, 5, 6, 6]).decide(), Err(vec![(0, 5), (2, 6)]));
        // Two votes are a majority of three before the third has answered.
        assert_eq!(ballot(&[5, 5]).majority(3), Some(5));
        assert_eq!(ballot(&[5]).majority(3), None);
    }
}

//! How long is it? Without a CID nothing proves what servers say, so they vote.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::FutureExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::health::Want;
use super::roster::Roster;
use super::{Member, most_hopeful};
use crate::source::{Error, Opened, Origin, Result};

/// Once one has answered, how long the others are waited for: several times as long as it took,
/// within these bounds.
const GRACE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(3));

/// The end of the blob is waited for as long again as it took to find out the size, and so long at
/// least.
const TAIL_GRACE: Duration = Duration::from_millis(50);

/// What each member that answered says the size is.
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

    /// What holds when no more votes come; else two members that differ.
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

/// Opens all members at once. Returns as soon as a majority of them agrees, or when those that
/// have not answered are not worth waiting for. Those that disagree are never asked again.
pub(super) async fn open(members: &[Member], roster: &Arc<Roster>, tail: u64) -> Result<Opened> {
    let current = roster.current();
    let begun = Instant::now();
    let mut opening: FuturesUnordered<_> = members
        .iter()
        .enumerate()
        .map(|(index, member)| {
            // One brings the end: from all of them it would take that many times as long.
            let tail = if index == current { tail } else { 0 };
            member.source.open(tail).map(move |opened| (index, opened))
        })
        .collect();
    let mut ballot = Ballot::default();
    let mut errors = Vec::new();
    let mut found: Option<Opened> = None;
    let mut until: Option<Instant> = None;
    loop {
        let next = match until {
            None => opening.next().await,
            Some(until) => match tokio::time::timeout_at(until, opening.next()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        let Some((index, opened)) = next else { break };
        match opened {
            Ok(opened) => {
                let took = begun.elapsed();
                roster.began(index, took);
                ballot.0.push((index, opened.size));
                if found.as_ref().is_none_or(|known| known.tail.is_none()) || index == current {
                    found = Some(opened);
                }
                let grace = (took * 3).clamp(GRACE.0, GRACE.1);
                until.get_or_insert(Instant::now() + grace);
            }
            Err(error) => {
                roster.failed(index, &error, Want::Data);
                errors.push(error);
            }
        }
        let voters = members.len() - errors.len();
        if ballot.majority(voters).is_some() {
            if found.as_ref().is_some_and(|known| known.tail.is_some()) || tail == 0 {
                break;
            }
            // The end is worth some waiting: to ask for it again would take as long once more.
            let worth = begun.elapsed().max(TAIL_GRACE);
            until = Some(until.map_or(begun + 2 * worth, |until| until.min(begun + 2 * worth)));
        }
    }
    let Some(opened) = found else {
        return Err(most_hopeful(errors).unwrap_or_else(|| roster.refusal(Want::Data)));
    };
    let size = ballot.decide().map_err(|differing| {
        let said = |(index, size): &(usize, u64)| format!("{} says {size}", roster.name(*index));
        let said: Vec<String> = differing.iter().map(said).collect();
        Error::Unsupported {
            what: format!(
                "gateways disagree on how many bytes it has: {}; give one that is right",
                said.join(", ")
            ),
        }
    })?;
    for (index, said) in &ballot.0 {
        if *said != size {
            let name: &Origin = roster.name(*index);
            log::warn!("{name} is not used: it says {said} bytes, most others {size}");
            roster.expel(*index);
        }
    }
    for member in members {
        member.source.expect_size(size);
    }
    let tail = opened.tail.filter(|_| opened.size == size);
    Ok(Opened { size, tail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot(sizes: &[u64]) -> Ballot {
        Ballot(sizes.iter().copied().enumerate().collect())
    }

    #[test]
    fn the_majority_decides_and_two_that_differ_do_not() {
        assert_eq!(ballot(&[5, 6, 5]).decide(), Ok(5));
        assert_eq!(ballot(&[5]).decide(), Ok(5));
        assert_eq!(ballot(&[5, 6]).decide(), Err(vec![(0, 5), (1, 6)]));
        assert_eq!(ballot(&[5, 5, 6, 6]).decide(), Err(vec![(0, 5), (2, 6)]));
        // Enough for a majority of three before the third has answered.
        assert_eq!(ballot(&[5, 5]).majority(3), Some(5));
        assert_eq!(ballot(&[5]).majority(3), None);
    }
}

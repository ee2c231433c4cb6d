//! Many servers of one blob, as one that is better than each.
//!
//! Each member's health is learned (`health.rs`) and kept where all who ask the same servers share
//! it (`roster.rs`). A read asks the best, hedges what stalls and goes on with the next where one
//! fails, without its reader noticing (`reading.rs`). What size the blob has is the proof's to say,
//! or a vote (`open.rs`).

mod blocks;
mod health;
mod hedge;
mod limit;
mod open;
mod rate;
mod reading;
mod roster;

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};

pub use self::blocks::{HttpBlocks, UrlOf};
use self::health::Want;
use self::reading::{Ask, EarlyBy, Reading};
pub use self::roster::Roster;
use crate::source::{ChunkStream, Error, Opened, Origin, Priority, Result, Source};

/// A [`Source`] over several sources of the same blob.
#[derive(Clone)]
pub struct Gateways(Arc<Inner>);

/// One of the sources.
pub struct Member {
    /// By what name it goes in logs and errors; without secrets.
    pub name: Origin,
    /// How it is read.
    pub source: Arc<dyn Source>,
    /// How much it is preferred: one of weight 2 is taken for twice as fast as it is. Above 0.
    pub weight: f64,
}

/// How to use several members.
#[derive(Debug, Clone)]
pub struct GatewaysOptions {
    /// How many requests a member may get at once; fewer after it answered with 429.
    pub connections: usize,
    /// Whether read-ahead is spread over all members in proportion to their rates.
    pub stripe: bool,
}

impl Default for GatewaysOptions {
    fn default() -> Self {
        Self {
            connections: 16,
            stripe: false,
        }
    }
}

struct Inner {
    members: Vec<Member>,
    roster: Arc<Roster>,
    /// By what name each member's bytes come, once some have.
    origins: Vec<OnceLock<Origin>>,
    size: OnceLock<u64>,
}

impl Gateways {
    /// A source over `sources`, which are preferred in this order as long as nothing is known of
    /// them.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(sources: Vec<Arc<dyn Source>>) -> Self {
        let members = sources.into_iter().enumerate().map(|(at, source)| Member {
            name: Origin::new(format!("gateway {}", at + 1)),
            source,
            weight: 1.0,
        });
        Self::with(members.collect(), &GatewaysOptions::default())
    }

    /// A source over `members`.
    ///
    /// # Panics
    /// If there is none.
    pub fn with(members: Vec<Member>, options: &GatewaysOptions) -> Self {
        assert!(!members.is_empty(), "a blob needs a source");
        let known = members.iter().map(|m| (m.name.clone(), m.weight));
        let roster = Roster::new(known.collect(), options.connections, options.stripe);
        Self(Arc::new(Inner {
            origins: members.iter().map(|_| OnceLock::new()).collect(),
            members,
            roster,
            size: OnceLock::new(),
        }))
    }

    /// What is learned of the members, to be shared with others who ask them.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.0.roster
    }
}

impl Inner {
    async fn open(&self, tail: u64) -> Result<Opened> {
        let opened = open::open(&self.members, &self.roster, tail).await?;
        let known = *self.size.get_or_init(|| opened.size);
        match known == opened.size {
            true => Ok(opened),
            false => Err(Error::Changed {
                origin: self.members[self.roster.current()].name.clone(),
                what: format!("it had {known} bytes and now has {}", opened.size),
            }),
        }
    }
}

/// Of several failures, the one to go on with: a transient one may pass, the sooner the better,
/// and a "not found" tells less than any other.
fn most_hopeful(errors: Vec<Error>) -> Option<Error> {
    let rank = |e: &Error| match e {
        e if e.is_transient() => (0, e.retry_after()),
        Error::NotFound { .. } => (2, None),
        _ => (1, None),
    };
    errors.into_iter().min_by_key(rank)
}

impl Source for Gateways {
    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail).boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        if let Some(size) = self.0.size.get().copied()
            && range.end > size
        {
            return stream::once(ready(Err(Error::OutOfBlob { range, size }))).boxed();
        }
        if range.is_empty() {
            return stream::empty().boxed();
        }
        let inner = self.0.clone();
        let ask: Ask = Arc::new(move |index, range| {
            let inner = inner.clone();
            let stream = inner.members[index].source.read(range, priority);
            let noted = stream.inspect(move |chunk| {
                if let Ok(chunk) = chunk {
                    let _ = inner.origins[index].set(chunk.origin.clone());
                }
            });
            noted.boxed()
        });
        let (roster, inner) = (self.0.roster.clone(), self.0.clone());
        let early_by: EarlyBy = Arc::new(move |index| {
            let early_by = inner.members[index].source.early_by();
            early_by.unwrap_or(0)
        });
        Reading::new(roster, ask, early_by, Want::Data, range, priority).into_stream()
    }

    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        let current = self.0.roster.current();
        self.0.members[current].source.verification_unit(range)
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        for (index, member) in self.0.members.iter().enumerate() {
            if self.0.origins[index].get() == Some(origin) {
                self.0.roster.forged(index);
            }
            member.source.reject(origin, range.clone());
        }
    }

    fn warm_up(&self, reads: usize) -> usize {
        let members = &self.0.members;
        match self.0.roster.is_striped() {
            true => {
                let share = reads.div_ceil(members.len());
                members.iter().map(|m| m.source.warm_up(share)).sum()
            }
            false => members[self.0.roster.current()].source.warm_up(reads),
        }
    }

    fn early_by(&self) -> Option<u64> {
        let members = &self.0.members;
        match self.0.roster.is_striped() {
            // Whoever cannot lets requests wait, and hardly any longer than if they came later.
            true => members.iter().filter_map(|m| m.source.early_by()).max(),
            false => members[self.0.roster.current()].source.early_by(),
        }
    }

    fn at_once(&self) -> Option<usize> {
        let members = &self.0.members;
        match self.0.roster.is_striped() {
            // One that is not near may be asked for as much as there is.
            true => members.iter().map(|m| m.source.at_once()).sum(),
            false => members[self.0.roster.current()].source.at_once(),
        }
    }

    fn version(&self) -> Option<String> {
        match &self.0.members[..] {
            [one] => one.source.version(),
            // Several do not call one state by one name.
            _ => None,
        }
    }

    fn expect_size(&self, size: u64) {
        let _ = self.0.size.set(size);
        for member in &self.0.members {
            member.source.expect_size(size);
        }
    }

    fn trouble(&self, within: Duration) -> Option<Error> {
        self.0.roster.trouble(within)
    }
}

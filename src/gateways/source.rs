//! The [`Source`] over several members.

use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use futures_util::stream::{self, StreamExt};

use super::health::Want;
use super::member::{GatewaysOptions, Member};
use super::open::open;
use super::read::{Ask, EarlyBy, GatewayRead};
use super::set::GatewaySet;
use crate::source::{ChunkStream, Error, Opened, Origin, Priority, Result, Source};

/// A [`Source`] over several sources of the same blob.
#[derive(Clone)]
pub struct Gateways(Arc<Inner>);

struct Inner {
    members: Vec<Member>,
    set: Arc<GatewaySet>,
    /// The origin of each member's bytes, once some have come.
    origins: Vec<OnceLock<Origin>>,
    size: OnceLock<u64>,
}

impl Gateways {
    /// A source over `sources`. While nothing is known of them, the earlier ones are preferred.
    ///
    /// # Panics
    /// If `sources` is empty.
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
    /// If `members` is empty.
    pub fn with(members: Vec<Member>, options: &GatewaysOptions) -> Self {
        assert!(!members.is_empty(), "a blob needs a source");
        let known = members.iter().map(|m| (m.name.clone(), m.weight));
        let set = GatewaySet::new(known.collect(), options.connections, options.stripe);
        Self(Arc::new(Inner {
            origins: members.iter().map(|_| OnceLock::new()).collect(),
            members,
            set,
            size: OnceLock::new(),
        }))
    }

    /// What is learned of the members, to share it with other requests to them.
    pub fn set(&self) -> &Arc<GatewaySet> {
        &self.0.set
    }
}

impl Inner {
    async fn open(&self, tail: u64) -> Result<Opened> {
        let opened = open(&self.members, &self.set, tail).await?;
        let known = *self.size.get_or_init(|| opened.size);
        if known != opened.size {
            return Err(Error::Changed {
                origin: self.members[self.set.current()].name.clone(),
                what: format!("it had {known} bytes and now has {}", opened.size),
            });
        }
        Ok(opened)
    }
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
            let recorded = stream.inspect(move |chunk| {
                if let Ok(chunk) = chunk {
                    let _ = inner.origins[index].set(chunk.origin.clone());
                }
            });
            recorded.boxed()
        });
        let (set, inner) = (self.0.set.clone(), self.0.clone());
        let early_by: EarlyBy = Arc::new(move |index| {
            let early_by = inner.members[index].source.early_by();
            early_by.unwrap_or(0)
        });
        GatewayRead::new(set, ask, early_by, Want::Data, range, priority).into_stream()
    }

    fn verification_unit(&self, range: Range<u64>) -> Range<u64> {
        let current = self.0.set.current();
        self.0.members[current].source.verification_unit(range)
    }

    fn reject(&self, origin: &Origin, range: Range<u64>) {
        for (index, member) in self.0.members.iter().enumerate() {
            if self.0.origins[index].get() == Some(origin) {
                self.0.set.forged(index);
            }
            member.source.reject(origin, range.clone());
        }
    }

    fn warm_up(&self, reads: usize) -> usize {
        let members = &self.0.members;
        if self.0.set.is_striped() {
            let share = reads.div_ceil(members.len());
            members.iter().map(|m| m.source.warm_up(share)).sum()
        } else {
            members[self.0.set.current()].source.warm_up(reads)
        }
    }

    fn early_by(&self) -> Option<u64> {
        let members = &self.0.members;
        if self.0.set.is_striped() {
            // A member that cannot pipeline lets an early request wait, hardly longer than a later one.
            members.iter().filter_map(|m| m.source.early_by()).max()
        } else {
            members[self.0.set.current()].source.early_by()
        }
    }

    fn at_once(&self) -> Option<usize> {
        let members = &self.0.members;
        if self.0.set.is_striped() {
            // `None` if any member has no limit.
            members.iter().map(|m| m.source.at_once()).sum()
        } else {
            members[self.0.set.current()].source.at_once()
        }
    }

    fn version(&self) -> Option<String> {
        match &self.0.members[..] {
            [one] => one.source.version(),
            // Different servers give different versions to the same state.
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
        self.0.set.trouble(within)
    }
}

//! The [`Source`] over several members.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::StreamExt;

use super::health::Want;
use super::member::{GatewaysOptions, Member};
use super::open::open;
use super::read::{Ask, GatewayRead, PipelineWindow};
use super::set::GatewaySet;
use crate::source::{
    ChunkStream, Error, Fact, Hints, Opened, Origin, Priority, Result, Source, answer_without_bytes,
};

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

    /// The health of the members. Other requests to the same servers can share it.
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
    /// The member that serves.
    fn inner(&self) -> Option<&dyn Source> {
        Some(&*self.0.members[self.0.set.current()].source)
    }

    fn open(&self, tail: u64) -> BoxFuture<'_, Result<Opened>> {
        self.0.open(tail).boxed()
    }

    fn read(&self, range: Range<u64>, priority: Priority) -> ChunkStream {
        if let Some(answer) = answer_without_bytes(&range, self.0.size.get().copied()) {
            return answer;
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
        let window: PipelineWindow = Arc::new(move |index| {
            let hints = inner.members[index].source.hints();
            hints.pipelined_within.unwrap_or(0)
        });
        GatewayRead::new(set, ask, window, Want::Data, range, priority).into_stream()
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
        if self.0.set.stripe {
            let share = reads.div_ceil(members.len());
            members.iter().map(|m| m.source.warm_up(share)).sum()
        } else {
            members[self.0.set.current()].source.warm_up(reads)
        }
    }

    fn hints(&self) -> Hints {
        let hints = if self.0.set.stripe {
            let members = self.0.members.iter();
            members.map(|m| m.source.hints()).reduce(Hints::spread)
        } else {
            self.inner().map(Source::hints)
        };
        let mut hints = hints.unwrap_or_default();
        hints.trouble = self.0.set.trouble().or(hints.trouble);
        hints
    }

    fn version(&self) -> Option<String> {
        match &self.0.members[..] {
            [one] => one.source.version(),
            // Different servers give different versions to the same state.
            _ => None,
        }
    }

    fn learn(&self, fact: Fact<'_>) {
        match fact {
            Fact::Size(size) | Fact::Version(_, size) => drop(self.0.size.set(size)),
            Fact::NoRanges { error, pause } => self.0.set.pause_data(error, pause),
            Fact::Bytes(_) => {}
        }
        for member in &self.0.members {
            member.source.learn(fact);
        }
    }
}

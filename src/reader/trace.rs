//! What a mount does, as it happens, for those who watch.
//!
//! Events go into a ring of bounded size while somebody asks for them. Without that, an event costs one
//! comparison.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// The number of events that are kept. A watcher that asks ten times a second misses none below 40,000
/// events a second.
const KEPT: usize = 4096;

/// Without a question for this long, nobody watches any more.
const SILENCE: Duration = Duration::from_secs(5);

/// The longest path of a file that is kept, in bytes: PATH_MAX of Linux. The names of an archive may be longer, and the
/// memory of a trace is bounded.
const LONGEST_PATH: usize = 4096;

/// The recent events of a mount. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    events: Arc<Events>,
    archive: Arc<str>,
}

#[derive(Debug, Default)]
struct Events {
    is_watched: AtomicBool,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<(Arc<str>, Traced)>,
    /// The number of the event after the last one.
    next: u64,
    asked: Option<Instant>,
}

/// A kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TracedKind {
    /// An attempt to open an archive. The range is that of its blob.
    Open,
    /// A program's read of a file.
    Read,
    /// A request for bytes that a program waits for.
    Demand,
    /// A request for bytes that a program may need later.
    ReadAhead,
}

/// One event, which has ended.
#[derive(Debug, Clone)]
pub struct Traced {
    /// What it was.
    pub kind: TracedKind,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The path in the archive of the file that is read; for a request, of the one in which it begins.
    pub file: Option<Vec<u8>>,
    /// For a read, bytes of the file; for a request, bytes of the blob.
    pub range: Range<u64>,
    /// Where the bytes came from.
    pub from: String,
    /// Why it failed.
    pub error: Option<String>,
}

impl Trace {
    /// A handle for an archive of several. Its events are added with this name, which is empty for the only archive of
    /// a mount.
    pub fn of_archive(&self, name: &str) -> Self {
        Self {
            events: self.events.clone(),
            archive: name.into(),
        }
    }

    /// Whether events are wanted.
    pub fn is_watched(&self) -> bool {
        self.events.is_watched.load(Relaxed)
    }

    /// Adds an event, if events are wanted.
    pub fn add(&self, event: impl FnOnce() -> Traced) {
        if !self.is_watched() {
            return;
        }
        let mut event = event();
        if let Some(file) = &mut event.file {
            file.truncate(LONGEST_PATH);
        }
        let mut ring = self.events.ring.lock();
        if ring.asked.is_none_or(|asked| asked.elapsed() > SILENCE) {
            self.events.is_watched.store(false, Relaxed);
            *ring = Ring {
                next: ring.next,
                ..Ring::default()
            };
            return;
        }
        if ring.events.len() == KEPT {
            ring.events.pop_front();
        }
        ring.events.push_back((self.archive.clone(), event));
        ring.next += 1;
    }

    /// The events of all archives from number `from` on, at most `most`, with the number of the first, and each with
    /// the name of its archive. They are wanted from now on, for five seconds. Without `from`: none, and the number of
    /// the next.
    pub fn since(&self, from: Option<u64>, most: usize) -> (u64, Vec<(Arc<str>, Traced)>) {
        let mut ring = self.events.ring.lock();
        ring.asked = Some(Instant::now());
        self.events.is_watched.store(true, Relaxed);
        let oldest = ring.next - ring.events.len() as u64;
        let first = from.unwrap_or(ring.next).clamp(oldest, ring.next);
        let events = ring.events.iter().skip((first - oldest) as usize);
        (first, events.take(most).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(start: u64) -> Traced {
        Traced {
            kind: TracedKind::Demand,
            began: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            file: None,
            range: start..start + 1,
            from: "memory".into(),
            error: None,
        }
    }

    fn starts(found: (u64, Vec<(Arc<str>, Traced)>)) -> (u64, Vec<u64>) {
        let starts = found.1.iter().map(|(_, event)| event.range.start);
        (found.0, starts.collect())
    }

    #[test]
    fn only_a_watched_trace_keeps_events() {
        let trace = Trace::default();
        trace.add(|| unreachable!("nobody watches"));
        assert_eq!(starts(trace.since(None, 9)), (0, vec![]));
        for at in 0..3 {
            trace.add(|| event(at));
        }
        assert_eq!(starts(trace.since(Some(0), 2)), (0, vec![0, 1]));
        assert_eq!(starts(trace.since(Some(2), 9)), (2, vec![2]));
        assert_eq!(starts(trace.since(Some(99), 9)), (3, vec![]));
        assert_eq!(starts(trace.since(None, 9)), (3, vec![]));
    }

    #[test]
    fn archives_share_one_ring_and_each_event_names_its_archive() {
        let trace = Trace::default();
        let (a, b) = (trace.of_archive("a"), trace.of_archive("b"));
        trace.since(None, 0);
        let named = || Traced {
            file: Some(vec![b'x'; 2 * LONGEST_PATH]),
            ..event(2)
        };
        a.add(|| event(1));
        b.add(named);
        let (_, events) = trace.since(Some(0), 9);
        let names: Vec<&str> = events.iter().map(|(archive, _)| &**archive).collect();
        assert_eq!(names, ["a", "b"]);
        let length = events[1].1.file.as_ref().map(Vec::len);
        assert_eq!(
            length,
            Some(LONGEST_PATH),
            "a long path takes little memory"
        );
        (0..KEPT as u64).for_each(|at| a.add(|| event(at)));
        assert_eq!(
            b.since(Some(0), usize::MAX).1.len(),
            KEPT,
            "one bound for all"
        );
    }

    #[test]
    fn trace_is_bounded_and_says_where_it_goes_on() {
        let trace = Trace::default();
        trace.since(None, 0);
        let all = 2 * KEPT as u64;
        (0..all).for_each(|at| trace.add(|| event(at)));
        let (first, kept) = starts(trace.since(Some(5), usize::MAX));
        assert_eq!(first, all - KEPT as u64, "the events before are lost");
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0], first);
    }

    #[test]
    fn trace_without_watcher_ends_and_frees_its_memory() {
        let trace = Trace::default();
        trace.since(None, 0);
        trace.add(|| event(0));
        trace.events.ring.lock().asked = Instant::now().checked_sub(SILENCE * 2);
        trace.add(|| event(1));
        assert!(!trace.is_watched());
        assert_eq!(trace.events.ring.lock().events.capacity(), 0);
        assert_eq!(starts(trace.since(Some(0), 9)), (1, vec![]));
    }
}

//! How often messages of one kind are logged.
//!
//! Messages of one kind come from one place in the source. A server that fails for an hour, or a program
//! that reads a damaged file in a loop, must not fill a disk.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use log::{Level, Record};
use parking_lot::Mutex;

use super::sink;

/// The most messages of one kind within [`SPAN`].
const MAX_MESSAGES: u32 = 20;

const SPAN: Duration = Duration::from_secs(60);

/// The place in the source that logs messages of one kind.
type Kind = (String, u32);

/// What is done with a message.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is logged.
    Log,
    /// It is counted.
    Count,
    /// It is counted. After this time, a message says how many there were.
    Wait(Duration),
}

/// The messages of the last minute.
#[derive(Debug, Default)]
pub(super) struct Limit(Mutex<HashMap<Kind, Span>>);

#[derive(Debug)]
struct Span {
    since: Instant,
    logged: u32,
    left_out: u64,
    /// The last message that was left out.
    last: Option<Message>,
}

/// Its level, its module, its text.
type Message = (Level, String, String);

impl Limit {
    /// Whether a message with this text is logged now.
    pub(super) fn allows(&'static self, record: &Record, text: &str) -> bool {
        let kind = (
            record.file().unwrap_or_default().to_owned(),
            record.line().unwrap_or(0),
        );
        let message = (record.level(), record.target(), text);
        let verdict = self.judge(kind, message, Instant::now());
        if let Verdict::Wait(pause) = verdict {
            let teller = thread::Builder::new().name("aiozfs-log".into());
            // Without a thread, `finish` tells.
            let _ = teller.spawn(move || {
                thread::sleep(pause);
                self.tell(Instant::now());
            });
        }
        verdict == Verdict::Log
    }

    /// Logs how many messages were left out so far.
    pub(super) fn finish(&self) {
        self.tell(Instant::now() + SPAN);
    }

    fn judge(&self, kind: Kind, message: (Level, &str, &str), now: Instant) -> Verdict {
        let mut spans = self.0.lock();
        let span = spans.entry(kind).or_insert_with(|| Span::new(now));
        let age = now.saturating_duration_since(span.since);
        if age >= SPAN && span.left_out == 0 {
            *span = Span::new(now);
        }
        if span.logged < MAX_MESSAGES {
            span.logged += 1;
            return Verdict::Log;
        }
        span.left_out += 1;
        let (level, module, text) = message;
        span.last = Some((level, module.to_owned(), text.to_owned()));
        if span.left_out == 1 {
            Verdict::Wait(SPAN.saturating_sub(age))
        } else {
            Verdict::Count
        }
    }

    fn tell(&self, now: Instant) {
        for (level, module, text) in self.take_ended(now) {
            sink::write(level, &module, &text);
        }
    }

    /// Removes the spans that have ended. Returns the last message of each that was left out, with their number.
    fn take_ended(&self, now: Instant) -> Vec<Message> {
        let mut ended = Vec::new();
        self.0.lock().retain(|_, span| {
            let is_over = now.saturating_duration_since(span.since) >= SPAN;
            if is_over && let Some((level, module, mut text)) = span.last.take() {
                if span.left_out > 1 {
                    text += &format!(" … {} more of these", span.left_out - 1);
                }
                ended.push((level, module, text));
            }
            !is_over
        });
        ended
    }
}

impl Span {
    fn new(since: Instant) -> Self {
        Self {
            since,
            logged: 0,
            left_out: 0,
            last: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(limit: &Limit, now: Instant) -> Vec<String> {
        let ended = limit.take_ended(now).into_iter();
        let lines = ended.map(|(level, module, text)| format!("{level} {module} {text}"));
        lines.collect()
    }

    #[test]
    fn messages_of_one_kind_are_counted_beyond_the_limit() {
        let (limit, start) = (Limit::default(), Instant::now());
        let judge = |line: u32, text: &str, seconds: u64| {
            let kind = ("a.rs".to_owned(), line);
            let now = start + Duration::from_secs(seconds);
            limit.judge(kind, (Level::Warn, "m", text), now)
        };
        for _ in 0..MAX_MESSAGES {
            assert_eq!(judge(1, "first", 0), Verdict::Log);
        }
        let rest = SPAN - Duration::from_secs(10);
        assert_eq!(judge(1, "x", 10), Verdict::Wait(rest));
        assert_eq!(judge(1, "y", 20), Verdict::Count);
        assert_eq!(judge(1, "z", 30), Verdict::Count);
        assert_eq!(judge(2, "another kind", 30), Verdict::Log);
        assert!(told(&limit, start + SPAN / 2).is_empty());
        let all = told(&limit, start + SPAN);
        assert_eq!(all, ["WARN m z … 2 more of these"]);
        // The next minute.
        assert_eq!(judge(1, "again", 61), Verdict::Log);
        for _ in 1..MAX_MESSAGES {
            judge(1, "again", 61);
        }
        judge(1, "one", 62);
        assert_eq!(told(&limit, start + SPAN * 3), ["WARN m one"]);
    }

    #[test]
    fn a_quiet_minute_renews_the_number() {
        let (limit, start) = (Limit::default(), Instant::now());
        for minute in 0..3 {
            for _ in 0..MAX_MESSAGES {
                let now = start + SPAN * minute;
                let verdict = limit.judge(("a.rs".into(), 1), (Level::Info, "m", "x"), now);
                assert_eq!(verdict, Verdict::Log);
            }
        }
    }
}

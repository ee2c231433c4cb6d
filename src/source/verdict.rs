//! Decides what to do when a server does not give what it was asked for.
//!
//! [`judge`] is the table of decisions. `doc/SERVERS.md` has the same table with a reason for each line, and
//! a test compares the two. A status without a line of its own is treated as the first one of its class
//! (RFC 9110, section 15): 4xx as 400, 5xx as 500. Pure.

/// What a server did instead of giving the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A status that is neither success nor a redirect that can be followed.
    Status(u16),
    /// 200 with the whole file in answer to a request for a range.
    Whole,
    /// 200 with HTML or JSON in answer to a request for a range.
    Page,
    /// Another range or another length than asked for, or an encoded answer.
    Wrong,
    /// An answer that ended before its announced length.
    Cut,
    /// Nothing was sent until the timeout.
    Silence,
    /// No connection, or one that broke before an answer began.
    NoConnection,
    /// The certificate cannot be trusted.
    Untrusted,
}

/// What was asked for, and which server was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A range, from a server that has not given one yet.
    First,
    /// A range, from a server that has given others.
    Middle,
    /// Anything, from the address that a redirect led to earlier.
    Target,
    /// A raw block.
    Block,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The fault may pass. Other servers are asked, then this one again after a pause.
    Again,
    /// The same server is asked up to two times more. Then the verdict is [`Why::NoRanges`].
    LookAgain,
    /// The URL that redirected is asked for a new target at once. The answer is judged as if it had been the
    /// first.
    Anew,
    /// As [`Again`](Verdict::Again), but the next request goes to the URL that redirected.
    AgainAnew,
    /// The fault will not pass. Other servers are asked, and if there is none, the read fails.
    Final(Why),
}

/// The error that a final verdict leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The server refuses.
    Refused,
    /// The server does not have the content.
    NotThere,
    /// The server does not serve ranges.
    NoRanges,
    /// The server does not serve raw blocks.
    NoBlocks,
    /// The answer is wrong.
    Wrong,
}

/// What to do about `seen` at `stage`.
pub(crate) fn judge(seen: Seen, stage: Stage) -> Verdict {
    use Verdict::{Again, AgainAnew, Anew, Final, LookAgain};
    match (seen, stage) {
        // The address is good, but the server wants fewer requests.
        (Seen::Status(408 | 425 | 429) | Seen::Silence, Stage::Target) => AgainAnew,
        (Seen::Status(400..), Stage::Target) => Anew,
        (Seen::Status(_), Stage::Target) => Final(Why::Refused),
        (Seen::Whole | Seen::Page | Seen::Wrong, Stage::Target) => Anew,
        (Seen::NoConnection | Seen::Untrusted, Stage::Target) => Anew,

        (Seen::Status(408 | 421 | 425 | 429 | 499 | 511), _) => Again,
        (Seen::Status(404 | 410), _) => Final(Why::NotThere),
        (Seen::Status(400 | 405 | 406 | 415 | 501), Stage::Block) => Final(Why::NoBlocks),
        (Seen::Status(416), _) => Final(Why::Wrong),
        (Seen::Status(501), _) => Final(Why::NoRanges),
        (Seen::Status(505 | 506 | 508 | 510), _) => Final(Why::Refused),
        (Seen::Status(500..=599), _) => Again,
        (Seen::Status(_), _) => Final(Why::Refused),

        (Seen::Whole, Stage::First) => LookAgain,
        (Seen::Page, Stage::First) => Final(Why::NoRanges),
        (Seen::Whole | Seen::Page, Stage::Middle) => Again,
        (Seen::Whole | Seen::Page, Stage::Block) => Final(Why::NoBlocks),
        (Seen::Wrong, _) => Final(Why::Wrong),
        (Seen::Untrusted, _) => Final(Why::Refused),
        (Seen::Cut | Seen::Silence | Seen::NoConnection, _) => Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [Stage; 4] = [Stage::First, Stage::Middle, Stage::Target, Stage::Block];

    /// Parses the first column of the table: one or more answers.
    fn seen(cell: &str) -> Vec<Seen> {
        let words = cell.split(", ").flat_map(|word| match word {
            "whole file" => vec![Seen::Whole],
            "page" => vec![Seen::Page],
            "wrong answer" => vec![Seen::Wrong],
            "cut" => vec![Seen::Cut],
            "silence" => vec![Seen::Silence],
            "no connection" => vec![Seen::NoConnection],
            "bad certificate" => vec![Seen::Untrusted],
            statuses => {
                let (first, last) = statuses.split_once('-').unwrap_or((statuses, statuses));
                let number = |text: &str| text.parse::<u16>().expect("a status");
                (number(first)..=number(last)).map(Seen::Status).collect()
            }
        });
        words.collect()
    }

    /// Parses another column: the verdict.
    fn verdict(cell: &str) -> Verdict {
        match cell {
            "again" => Verdict::Again,
            "look again" => Verdict::LookAgain,
            "anew" => Verdict::Anew,
            "again, anew" => Verdict::AgainAnew,
            "refused" => Verdict::Final(Why::Refused),
            "not there" => Verdict::Final(Why::NotThere),
            "no ranges" => Verdict::Final(Why::NoRanges),
            "no blocks" => Verdict::Final(Why::NoBlocks),
            "wrong" => Verdict::Final(Why::Wrong),
            other => panic!("{other}: there is no such verdict"),
        }
    }

    #[test]
    fn the_table_matches_the_documentation() {
        let text = include_str!("../../doc/SERVERS.md");
        let rows = text.lines().filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            // An empty cell before the first bar, and one behind the last.
            let is_row = cells.len() == 8 && !cells[1].starts_with(['A', '-']);
            is_row.then_some(cells)
        });
        let mut told = Vec::new();
        for cells in rows {
            for seen in seen(cells[1]) {
                assert!(!told.contains(&seen), "{seen:?} has two lines");
                told.push(seen);
                for (stage, cell) in STAGES.into_iter().zip(&cells[2..]) {
                    assert_eq!(judge(seen, stage), verdict(cell), "{seen:?} at {stage:?}");
                }
                assert!(!cells[6].is_empty(), "{seen:?} has no reason");
            }
        }
        let statuses = (300..600).filter(|s| !matches!(s, 301..=303 | 307 | 308));
        for status in statuses {
            let is_told = told.contains(&Seen::Status(status));
            assert!(is_told, "{status} has no line");
        }
        for seen in [
            Seen::Whole,
            Seen::Page,
            Seen::Wrong,
            Seen::Cut,
            Seen::Silence,
            Seen::NoConnection,
            Seen::Untrusted,
        ] {
            assert!(told.contains(&seen), "{seen:?} has no line");
        }
    }
}

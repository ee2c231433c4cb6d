//! What to do when a server does not give what it was asked for: one table, in one place.
//!
//! [`judge`] is the table. `doc/SERVERS.md` has the same table with the reason for each line, and a
//! test below compares the two line by line. A status that has no line of its own means what the first
//! one of its class means (RFC 9110, section 15): 4xx is 400, 5xx is 500. Pure: no I/O, no clock.

/// What came instead of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A status that is neither success nor a redirect that can be followed.
    Status(u16),
    /// 200 with the whole file, or with a page, where a range was asked for.
    Whole,
    /// An answer to another question: another range, another length, an encoding.
    Wrong,
    /// An answer that ended before its announced length.
    Cut,
    /// Nothing, for as long as a server may keep silent.
    Silence,
    /// No connection, or one that broke before an answer began.
    NoConnection,
}

/// What was asked, and of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A range, of a server that has not given one yet.
    First,
    /// A range, of a server that has given others.
    Middle,
    /// Anything, of the address that a redirect led to earlier.
    Target,
    /// A raw block.
    Block,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may pass: other servers are asked, then this one again after a pause.
    Again,
    /// The same server is asked up to two times more, and then it is [`Why::NoRanges`].
    LookAgain,
    /// The redirect's origin is asked at once, which has a new target for whoever asks. What that one
    /// answers is judged as if it had been the first.
    Anew,
    /// As [`Again`](Verdict::Again), but the next request goes to the redirect's origin.
    AgainAnew,
    /// It will not pass: other servers are asked, and if there is none the read fails.
    Final(Why),
}

/// By which error a verdict is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The server refuses, by this status.
    Refused,
    /// It has no such content.
    NotThere,
    /// It does not serve ranges.
    NoRanges,
    /// It does not serve raw blocks.
    NoBlocks,
    /// Its answer is wrong.
    Wrong,
}

/// What to do about `seen` at `stage`.
pub(crate) fn judge(seen: Seen, stage: Stage) -> Verdict {
    use Verdict::{Again, AgainAnew, Anew, Final, LookAgain};
    match (seen, stage) {
        // "Not so often", "not now": the address is good, and is asked for less.
        (Seen::Status(408 | 425 | 429) | Seen::Silence, Stage::Target) => AgainAnew,
        (Seen::Status(400..), Stage::Target) => Anew,
        (Seen::Status(_), Stage::Target) => Final(Why::Refused),
        (Seen::Whole | Seen::Wrong | Seen::NoConnection, Stage::Target) => Anew,

        (Seen::Status(408 | 421 | 425 | 429 | 499 | 511), _) => Again,
        (Seen::Status(404 | 410), _) => Final(Why::NotThere),
        (Seen::Status(400 | 405 | 406 | 415 | 501), Stage::Block) => Final(Why::NoBlocks),
        (Seen::Status(416), _) => Final(Why::Wrong),
        (Seen::Status(501), _) => Final(Why::NoRanges),
        (Seen::Status(505 | 506 | 508 | 510), _) => Final(Why::Refused),
        (Seen::Status(500..=599), _) => Again,
        (Seen::Status(_), _) => Final(Why::Refused),

        (Seen::Whole, Stage::First) => LookAgain,
        (Seen::Whole, Stage::Middle) => Again,
        (Seen::Whole, Stage::Block) => Final(Why::NoBlocks),
        (Seen::Wrong, _) => Final(Why::Wrong),
        (Seen::Cut | Seen::Silence | Seen::NoConnection, _) => Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [Stage; 4] = [Stage::First, Stage::Middle, Stage::Target, Stage::Block];

    /// The first column of the table: one or more answers.
    fn seen(cell: &str) -> Vec<Seen> {
        let words = cell.split(", ").flat_map(|word| match word {
            "whole file" => vec![Seen::Whole],
            "wrong answer" => vec![Seen::Wrong],
            "cut" => vec![Seen::Cut],
            "silence" => vec![Seen::Silence],
            "no connection" => vec![Seen::NoConnection],
            statuses => {
                let (first, last) = statuses.split_once('-').unwrap_or((statuses, statuses));
                let number = |text: &str| text.parse::<u16>().expect("a status");
                (number(first)..=number(last)).map(Seen::Status).collect()
            }
        });
        words.collect()
    }

    /// Another column: what to do.
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
    fn the_table_is_as_it_is_written_down() {
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
            Seen::Wrong,
            Seen::Cut,
            Seen::Silence,
            Seen::NoConnection,
        ] {
            assert!(told.contains(&seen), "{seen:?} has no line");
        }
    }
}

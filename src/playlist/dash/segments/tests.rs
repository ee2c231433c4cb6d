//! Counts and time lines.

use super::*;

/// Number, place in the sequence, time, duration and how surely.
type Told = (u64, u64, u64, u64, Certainty);

/// At most 10 segments.
fn all(text: &str, timing: Timing) -> Result<Vec<Told>, &'static str> {
    let text = format!("<MPD><SegmentTimeline>{text}</SegmentTimeline></MPD>");
    let dom = Dom::parse(&text).expect("a manifest");
    let timing = Timing {
        timeline: timing.duration.is_none().then_some(1),
        ..timing
    };
    let mut found = Vec::new();
    let done = timing.each(&dom, &mut |s| {
        found.push((s.number, s.sub, s.time, s.duration, s.certainty));
        found.len() < 10
    });
    done.map(|()| found).map_err(|unclear| unclear.why)
}

fn timing(seconds: Option<u64>) -> Timing {
    let length = seconds.map(|seconds| seconds * SECOND);
    Timing {
        timescale: 1,
        start: 1,
        end: None,
        duration: None,
        timeline: None,
        offset: 0,
        later: (0, 0),
        presentation: None,
        sequence: 1,
        period: Period {
            longest: length,
            shortest: length,
        },
    }
}

use Certainty::{ByLength, Named, Possible};

#[test]
fn segments_are_counted_from_the_period_length() {
    let count = |seconds_tenths: u64, change: &dyn Fn(&mut Timing)| {
        let mut timing = Timing {
            timescale: 10,
            duration: Some(20),
            period: Period {
                longest: Some(seconds_tenths * SECOND / 10),
                shortest: Some(seconds_tenths * SECOND / 10),
            },
            ..timing(None)
        };
        change(&mut timing);
        let all = all("", timing).expect("segments");
        (
            all.iter().filter(|s| s.4 != Possible).count(),
            all.iter().filter(|s| s.4 == Possible).count(),
        )
    };
    assert_eq!(count(80, &|_| ()), (4, 1));
    assert_eq!(count(81, &|_| ()), (5, 1));
    assert_eq!(count(1, &|_| ()), (1, 1));
    assert_eq!(count(0, &|_| ()), (0, 0));
    assert_eq!(count(80, &|t| t.end = Some(3)), (3, 0));
    assert_eq!(count(80, &|t| t.later = (20, 0)), (3, 1));
    assert_eq!(count(80, &|t| t.later = (0, 20)), (5, 1));
    assert_eq!(count(80, &|t| t.presentation = Some(40)), (2, 1));
    // 10.0001 s of 2 s: the rest is a matter of digits.
    let billion = u128::from(SECOND);
    assert_eq!(Timing::count(10 * billion + billion / 10_000, 2), 5);
    assert_eq!(Timing::count(10 * billion + billion / 100, 2), 6);
}

#[test]
fn timelines() {
    let table = [
        (
            "<S d='2' r='1'/>",
            vec![(1, 0, 0, 2, Named), (2, 0, 2, 2, Named)],
        ),
        // A gap, and what follows it without @t.
        (
            "<S t='1' d='2'/><S t='4' d='1'/><S d='3'/>",
            vec![
                (1, 0, 1, 2, Named),
                (2, 0, 4, 1, Named),
                (3, 0, 5, 3, Named),
            ],
        ),
        // Up to the next one.
        (
            "<S d='2' r='-1'/><S t='5' d='4'/>",
            vec![
                (1, 0, 0, 2, Named),
                (2, 0, 2, 2, Named),
                (3, 0, 4, 2, Named),
                (4, 0, 5, 4, Named),
            ],
        ),
        // Up to the end of the Period of 7 s.
        (
            "<S d='3' r='-1'/>",
            vec![
                (1, 0, 0, 3, ByLength),
                (2, 0, 3, 3, ByLength),
                (3, 0, 6, 3, ByLength),
            ],
        ),
        // Behind the end of the Period.
        (
            "<S t='6' d='1' r='1'/>",
            vec![(1, 0, 6, 1, Named), (2, 0, 7, 1, Possible)],
        ),
        // On a time line of another origin.
        (
            "<S t='60' d='1' r='1'/>",
            vec![(1, 0, 60, 1, Named), (2, 0, 61, 1, Named)],
        ),
        // Numbers that jump, and segment sequences.
        (
            "<S d='4' k='2' n='7'/>",
            vec![(7, 0, 0, 2, Named), (7, 1, 2, 2, Named)],
        ),
        (
            "<S d='5' k='2'/>",
            vec![(1, 0, 0, 2, Named), (1, 1, 2, 3, Named)],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(all(text, timing(Some(7))), Ok(expected), "{text}");
    }
    let open = all("<S d='3' r='-1'/>", timing(None)).expect("segments");
    assert_eq!(open.len(), 10);
    assert_eq!((open[0].4, open[1].4), (Named, Possible));
    let ends = Timing {
        end: Some(2),
        ..timing(None)
    };
    assert_eq!(all("<S d='3' r='8'/>", ends).map(|all| all.len()), Ok(2));
    // The Period begins at 100 of the media's time.
    let offset = Timing {
        offset: 100,
        ..timing(Some(7))
    };
    let found = all("<S t='100' d='2' r='-1'/>", offset).expect("segments");
    assert_eq!(found.len(), 4);
}

#[test]
fn invalid_timelines_are_refused() {
    for wrong in [
        "<S t='1'/>",
        "<S d='0'/>",
        "<S d='-1'/>",
        "<S d='x'/>",
        "<S d='1' r='x'/>",
        "<S d='2' r='-1'/><S d='4'/>",
        "<S t='5' d='2' r='-1'/><S t='3' d='4'/>",
        "<S t='5' d='2'/><S t='5' d='2'/>",
        "<S t='18446744073709551615' d='1'/>",
        "<S n='18446744073709551615' d='1'/>",
        "<S d='99999' k='5000'/>",
        "<S d='2' k='3'/>",
        "<S d='2' p='1'/>",
    ] {
        assert!(all(wrong, timing(Some(100))).is_err(), "{wrong}");
    }
    let many = "<S d='18446744073709551615' r='2147483647'/>";
    assert_eq!(all(many, timing(None)), Err(OVERFLOW));
}

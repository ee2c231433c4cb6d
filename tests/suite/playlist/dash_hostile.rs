//! Hostile manifests cost bounded time and memory.

use super::dash_segments::{mpd, numbers, period, timeline};
use super::*;

/// Time lines that say of a short text that it has more segments than the world has: bounded by
/// how many files are looked for.
#[test]
fn hostile_numbers_cost_little() {
    let looked_for = std::cell::Cell::new(0u32);
    let try_all = |text: &str| {
        looked_for.set(0);
        let find = |path: &str| {
            looked_for.set(looked_for.get() + 1);
            (path == "a.m4s").then_some(Span { offset: 1, size: 1 })
        };
        with_links(Format::Dash, "x.mpd", text, &find)
    };
    let long = "mediaPresentationDuration='P99999D'";
    for (template, most) in [
        (numbers(""), 1100),
        (numbers("endNumber='18446744073709551615'"), 20_100),
        (numbers("startNumber='18446744073709551615'"), 1100),
        (timeline("", "<S d='1' r='2147483647'/>"), 20_100),
        (timeline("", "<S d='1' r='-1'/>"), 1100),
        (
            timeline("", "<S d='9223372036854775807' r='9223372036854775807'/>"),
            100,
        ),
        (
            timeline("", &"<S d='1' r='2147483647'/>".repeat(1000)),
            20_100,
        ),
        (
            timeline("", "<S d='1000' k='1000' r='2147483647'/>").replace("$.m", "$$SubNumber$.m"),
            20_100,
        ),
    ] {
        let linked = try_all(&mpd(long, &period("", &template)));
        assert!(looked_for.get() < most, "{template}: {}", looked_for.get());
        assert!(!linked.problems.is_empty(), "{template}");
        assert!(linked.problems.iter().all(|problem| problem.line == 1));
    }
    // All numbers lead to one file that is there.
    let text = numbers("").replace("$Number$", "$Number$/../a");
    let told = try_all(&mpd(long, &period("", &text))).problems;
    assert!(
        told[0].what.to_string().contains("the same address"),
        "{told:?}"
    );
    assert!(looked_for.get() < 100, "{}", looked_for.get());
    // The maximum number of representations, all of which inherit one SegmentTimeline.
    let entries = "<S d='1'/>".repeat(30_000);
    let representations = "<Representation/>".repeat(20_000);
    let text = format!(
        "<MPD><Period><AdaptationSet>{}{representations}</AdaptationSet></Period></MPD>",
        timeline("", &entries)
    );
    // All files are there.
    looked_for.set(0);
    let size_of = |_: &str| {
        looked_for.set(looked_for.get() + 1);
        Some(1)
    };
    references(Format::Dash, "x.mpd", &text, &size_of);
    assert!(
        (200_000..300_000).contains(&looked_for.get()),
        "{}",
        looked_for.get()
    );
}

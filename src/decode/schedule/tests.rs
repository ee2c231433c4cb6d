//! Plans of walks, driven without walks.

use super::*;

/// A walk gives blocks until it is to rest. Returns the blocks.
fn run(schedule: &mut Schedule<&'static str>, number: u64, wanted: u64) -> Vec<u64> {
    let mut given = Vec::new();
    loop {
        let Some(next) = schedule.plan(number).map(|plan| plan.next) else {
            return given;
        };
        if schedule
            .goal(number, |blocks| blocks.contains(&wanted))
            .is_none()
        {
            schedule.rest(number, "walk");
            return given;
        }
        schedule.gave(number, next);
        given.push(next);
    }
}

#[test]
fn a_walk_goes_ahead_of_a_reader_that_reads_in_sequence() {
    let mut schedule = Schedule::new(1000, 16);
    assert_eq!(schedule.want(0, 0), Task::Begin(1));
    assert_eq!(run(&mut schedule, 1, 0), [0], "one read is no sequence");
    let mut furthest = 0;
    for block in 0..100 {
        let next = match schedule.read(block..block + 1) {
            Some((plan, _)) => run(&mut schedule, plan, u64::MAX),
            None => Vec::new(),
        };
        furthest = next.last().copied().unwrap_or(furthest);
        assert!(
            furthest <= block + 16,
            "it is at {furthest} for a reader at {block}"
        );
        assert!(furthest > block, "the reader would wait at {block}");
    }
    assert!(furthest >= 107, "it is at {furthest}");
}

/// Reads at random places decoded up to two blocks more than they needed: a read of two blocks counted as a sequence.
#[test]
fn a_walk_does_not_go_ahead_of_one_read() {
    let mut schedule = Schedule::<&str>::new(1000, 16);
    schedule.want(500, 500 * BLOCK);
    schedule.want(501, 500 * BLOCK);
    assert_eq!(run(&mut schedule, 1, 501), [500, 501]);
    assert_eq!(schedule.read(500..502), None);
    let (number, _) = schedule.read(502..504).expect("the second one follows");
    assert_eq!(run(&mut schedule, number, u64::MAX), [502, 503, 504, 505]);
}

#[test]
fn a_read_far_ahead_begins_at_its_checkpoint() {
    let mut schedule = Schedule::<&str>::new(10_000, 16);
    assert_eq!(schedule.want(0, 0), Task::Begin(1));
    run(&mut schedule, 1, 0);
    // Close enough to go on.
    assert_eq!(schedule.want(9, 8 * BLOCK), Task::Begin(2));
    assert_eq!(schedule.want(2, 0), Task::GoOn(1, "walk"));
    run(&mut schedule, 1, 2);
    // The same walk serves both.
    assert_eq!(schedule.want(4000, 3 * BLOCK), Task::Coming);
    assert_eq!(schedule.want(3000, 3 * BLOCK), Task::Coming);
}

/// Two files were decoded at a fifth of the rate of one: the kernel asks for more than a walk goes ahead of its reader,
/// and each block beyond that got a walk of its own, which decoded again what the first one was decoding.
#[test]
fn reads_of_a_reader_that_asks_far_ahead_share_its_walk() {
    let mut schedule = Schedule::<&str>::new(10_000, 16);
    schedule.want(0, 0);
    run(&mut schedule, 1, 0);
    schedule.read(0..1);
    for block in 1..60 {
        let point = block / 8 * 8 * BLOCK;
        let task = schedule.want(block, point);
        assert!(!matches!(task, Task::Begin(_)), "{block}: {task:?}");
    }
    // Another reader has one walk, too.
    assert_eq!(schedule.want(5000, 4999 * BLOCK), Task::Begin(2));
    for block in 5001..5100 {
        assert_eq!(schedule.want(block, 4999 * BLOCK), Task::Coming, "{block}");
    }
}

/// A reader got 200 blocks from memory, and the walk behind it counted as its own: its next read waited until all of
/// them were decoded again, although there was a checkpoint just before what it read.
#[test]
fn a_reader_far_ahead_of_its_walk_begins_at_a_checkpoint() {
    for is_running in [false, true] {
        let mut schedule = Schedule::<&str>::new(10_000, 16);
        schedule.want(99, 99 * BLOCK);
        run(&mut schedule, 1, 99);
        let mut walk = None;
        for block in 99..301 {
            walk = walk.or(schedule.read(block..block + 1));
        }
        assert!(walk.is_some(), "it goes on for its reader");
        if !is_running {
            schedule.rest(1, "walk");
        }
        assert_eq!(schedule.plan(1).map(|plan| plan.next), Some(100));
        assert_eq!(schedule.want(302, 300 * BLOCK), Task::Begin(2));
    }
}

#[test]
fn reads_before_the_first_block_came_share_a_walk_wherever_checkpoints_are() {
    let mut schedule = Schedule::<&str>::new(10_000, 16);
    assert_eq!(schedule.want(0, 0), Task::Begin(1));
    for block in 1..40 {
        let point = block / 8 * 8 * BLOCK;
        assert_eq!(schedule.want(block, point), Task::Coming, "{block}");
    }
}

#[test]
fn reads_that_end_in_any_order_are_a_sequence() {
    let mut schedule = Schedule::<&str>::new(1000, 16);
    schedule.want(0, 0);
    for block in 1..60 {
        assert_eq!(schedule.want(block, 0), Task::Coming);
    }
    run(&mut schedule, 1, 59);
    for block in (0..60).rev() {
        schedule.read(block..block + 1);
    }
    for block in 60..68 {
        schedule.read(block..block + 1);
    }
    assert_eq!(schedule.goal(1, |_| false), Some((84, true)));
}

#[test]
fn a_walk_does_not_leave_its_reader_for_another() {
    let mut schedule = Schedule::<&str>::new(10_000, 16);
    schedule.want(0, 0);
    run(&mut schedule, 1, 0);
    schedule.read(0..1);
    assert_eq!(schedule.want(9000, 0), Task::Begin(2));
    // Without a checkpoint near, it must.
    let mut schedule = Schedule::<&str>::new(10_000, 16);
    schedule.want(1000, 0);
    run(&mut schedule, 1, 1000);
    schedule.read(1000..1001);
    run(&mut schedule, 1, u64::MAX);
    assert_eq!(schedule.want(9000, 0), Task::GoOn(1, "walk"));
}

#[test]
fn the_number_of_walks_is_bounded() {
    let mut schedule = Schedule::<&str>::new(1 << 20, 16);
    let places: Vec<u64> = (0..=MOST as u64).map(|n| 100_000 - n * 10_000).collect();
    for at in &places[..MOST] {
        assert!(matches!(schedule.want(*at, at * BLOCK), Task::Begin(_)));
    }
    let last = places[MOST];
    assert_eq!(schedule.want(last, last * BLOCK), Task::Later);
    run(&mut schedule, 3, places[2]);
    assert!(
        matches!(schedule.want(last, last * BLOCK), Task::Begin(_)),
        "one rests"
    );
    assert_eq!(schedule.take_dropped(), Some("walk"));
    assert!(schedule.plan(3).is_none());
    assert_eq!(schedule.remove(1), places[0]..places[0] + 1);
}

/// When a walk failed, all reads in its plan failed, also those that another walk was to serve.
#[test]
fn what_another_walk_gives_is_not_lost_with_a_walk() {
    let mut schedule = Schedule::<&str>::new(1000, 16);
    schedule.want(200, 0);
    // Its reader has gone.
    schedule.gave(1, 0);
    schedule.rest(1, "walk");
    assert_eq!(schedule.want(150, 149 * BLOCK), Task::Begin(2));
    assert_eq!(schedule.want(1, 0), Task::GoOn(1, "walk"));
    assert_eq!(schedule.remove(1), 1..201);
    let coming: Vec<u64> = (1..201)
        .filter(|block| schedule.is_coming(*block))
        .collect();
    assert_eq!(coming, [149, 150]);
    schedule.rest(2, "walk");
    assert!(!schedule.is_coming(150), "it rests");
}

/// While others wait for memory, a walk is dropped whenever it rests.
#[test]
fn a_reader_whose_walk_was_dropped_still_reads_in_sequence() {
    let mut schedule = Schedule::<&str>::new(1000, 16);
    schedule.want(0, 0);
    run(&mut schedule, 1, 0);
    let (number, _) = schedule.read(0..1).expect("it goes on ahead");
    run(&mut schedule, number, u64::MAX);
    assert_eq!(schedule.drop_walk(1), Some("walk"));
    assert_eq!(schedule.want(500, 500 * BLOCK), Task::Begin(2));
    assert_eq!(schedule.goal(2, |_| true), Some((501, false)));
    assert_eq!(schedule.want(1, BLOCK), Task::Begin(3));
    schedule.gave(3, 1);
    schedule.read(1..2);
    let further = Some((4, false));
    assert_eq!(schedule.goal(3, |_| false), further, "it goes ahead");
}

#[test]
fn a_walk_that_nobody_waits_for_rests() {
    let mut schedule = Schedule::<&str>::new(1000, 16);
    schedule.want(500, 0);
    assert_eq!(schedule.goal(1, |_| true), Some((501, false)));
    assert_eq!(schedule.goal(1, |_| false), None);
}

//! The state of a server, driven without a connection or a clock.

use super::*;
use crate::source::Priority;

type Server = ServerState<(), (), &'static str>;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

const DEMAND: Claim = Claim {
    blob: None,
    urgency: Urgency::Fixed(Priority::Demand),
};

const AHEAD: Claim = Claim {
    blob: None,
    urgency: Urgency::Fixed(Priority::Prefetch),
};

fn part_of(blob: BlobId) -> Claim {
    Claim {
        blob: Some(blob),
        ..DEMAND
    }
}

/// A program that came to wait for an archive that was being opened ahead waited behind all read-ahead.
#[test]
fn request_that_becomes_urgent_while_it_waits_is_served_before_read_ahead() {
    let now = Instant::now();
    let mut server = with_connections(1, now);
    let mut busy = lent(server.take(1, DEMAND, now));
    let mut ahead = waits(server.take(1, AHEAD, now));
    let urgency = Urgency::from(Priority::Prefetch);
    let rising = Claim {
        blob: None,
        urgency: urgency.clone(),
    };
    let mut rising = waits(server.take(1, rising, now));
    urgency.raise();
    server.written(&mut busy);
    server.done(&mut busy, now);
    assert!(granted(&mut rising).is_some());
    assert!(granted(&mut ahead).is_none());
}

/// A server with `count` idle connections that were made at `now`.
fn with_connections(count: usize, now: Instant) -> Server {
    let mut server = Server::default();
    assert_eq!(server.announce(count, now), count);
    for _ in 0..count {
        server.opened(((), ()), now);
    }
    server
}

fn lent(taken: Taken<(), (), &'static str>) -> Loan<(), ()> {
    match taken {
        Taken::Loan(loan) => loan,
        Taken::Wait(_) => panic!("it would wait"),
        Taken::Open => panic!("it would open a connection"),
    }
}

type Waiting = oneshot::Receiver<Grant<(), (), &'static str>>;

fn waits(taken: Taken<(), (), &'static str>) -> Waiting {
    match taken {
        Taken::Wait(waiting) => waiting,
        _ => panic!("there is a connection"),
    }
}

fn granted(waiting: &mut Waiting) -> Option<Loan<(), ()>> {
    let grant = waiting.try_recv().ok()?;
    Some(grant.expect("a connection"))
}

/// Serves a request over a connection of `server`, whose link carries 1 MB in a round trip of 100 ms.
fn serve_one(server: &mut Server, now: Instant) {
    let mut loan = lent(server.take(16, DEMAND, now));
    server.written(&mut loan);
    server.answered(100 * MS, false, now);
    server.link.received(1_000_000, 100 * MS);
    server.done(&mut loan, now);
}

/// On a fresh mount, demand reads once queued behind all read-ahead as long as there were fewer
/// connections than requests: that cost one to three round trips.
#[test]
fn demand_gets_a_connection_before_readahead() {
    let (mut server, now) = (Server::default(), Instant::now());
    assert!(matches!(server.take(1, AHEAD, now), Taken::Open));
    let mut ahead = waits(server.take(1, AHEAD, now));
    let mut demand = [(); 2].map(|()| waits(server.take(1, DEMAND, now)));
    server.opened(((), ()), now);
    for at in 0..2 {
        let mut loans = demand.iter_mut().map(granted);
        let mut loan = loans.nth(at).flatten().expect("its turn");
        assert!(loans.all(|later| later.is_none()), "one connection");
        assert!(granted(&mut ahead).is_none(), "it can wait");
        server.unused(&mut loan, now);
    }
    assert!(granted(&mut ahead).is_some());
}

#[test]
fn idle_connections_are_unused_while_the_limit_is_reached() {
    let now = Instant::now();
    let mut server = with_connections(4, now);
    let three = [(); 3].map(|()| lent(server.take(3, AHEAD, now)));
    let mut ahead = waits(server.take(1, AHEAD, now));
    let mut demand = waits(server.take(1, DEMAND, now));
    let [mut first, mut second, mut third] = three;
    server.unused(&mut first, now);
    server.unused(&mut second, now);
    assert!(granted(&mut demand).is_none(), "one is busy, the limit");
    server.unused(&mut third, now);
    assert!(granted(&mut demand).is_some(), "its turn");
    assert!(granted(&mut ahead).is_none());
    let _behind = waits(server.take(2, AHEAD, now));
    assert!(granted(&mut ahead).is_some(), "the limit is two now");
    assert_eq!(server.count(now), (2, 2, 0));
}

#[test]
fn the_first_waiting_request_gets_the_error_and_the_others_ask_again() {
    let (mut server, now) = (Server::default(), Instant::now());
    assert!(matches!(server.take(1, DEMAND, now), Taken::Open));
    let given_up = waits(server.take(1, DEMAND, now));
    let mut first = waits(server.take(1, DEMAND, now));
    let mut second = waits(server.take(1, DEMAND, now));
    drop(given_up);
    server.not_opened(Some("refused"));
    assert_eq!(first.try_recv().map(Result::err), Ok(Some("refused")));
    let asks_again = Err(oneshot::error::TryRecvError::Closed);
    assert_eq!(second.try_recv().map(drop), asks_again);
    assert_eq!(server.count(now), (0, 0, 0));
}

#[test]
fn idle_connections_are_closed_when_the_server_closes_them() {
    let now = Instant::now();
    let mut server = with_connections(2, now);
    serve_one(&mut server, now);
    assert!(server.begin_to_close_idle());
    assert!(!server.begin_to_close_idle(), "one task is enough");
    assert!(server.close_idle(now + 19 * S));
    assert_eq!(server.count(now + 19 * S), (2, 0, 0));
    assert!(server.close_idle(now + 20 * S));
    assert_eq!(server.count(now + 20 * S), (1, 0, 0), "one has served");
    assert!(server.close_idle(now + 59 * S));
    assert!(!server.close_idle(now + 60 * S));
    assert_eq!(server.count(now + 60 * S), (0, 0, 0));
    assert!(server.begin_to_close_idle());
}

#[test]
fn only_a_new_connection_cannot_be_stale() {
    let now = Instant::now();
    let mut server = with_connections(2, now);
    assert!(!lent(server.take(16, DEMAND, now + S)).may_be_stale);
    assert!(lent(server.take(16, DEMAND, now + 2 * S)).may_be_stale);
    let mut server = with_connections(1, now);
    serve_one(&mut server, now);
    assert!(lent(server.take(16, DEMAND, now)).may_be_stale);
}

#[test]
fn connections_made_in_advance_are_closed_if_the_server_keeps_none() {
    let now = Instant::now();
    let mut server = with_connections(2, now);
    assert_eq!(server.announce(3, now), 1);
    server.close_unless_persistent();
    server.opened(((), ()), now);
    assert_eq!(server.count(now), (0, 0, 0));
    let mut server = with_connections(2, now);
    serve_one(&mut server, now);
    server.close_unless_persistent();
    assert_eq!(server.count(now), (2, 0, 0), "it keeps them");
}

#[test]
fn few_connections_are_busy_to_a_near_server_unless_they_are_slow() {
    let now = Instant::now();
    let mut server = with_connections(16, now);
    let busy = |server: &mut Server| {
        let mut loans = Vec::new();
        while let Taken::Loan(loan) = server.take(16, DEMAND, now) {
            loans.push(loan);
        }
        for loan in &mut loans {
            server.unused(loan, now);
        }
        loans.len()
    };
    server.answered(MS / 4, false, now);
    server.link.received(1_000_000, 10 * MS);
    assert_eq!(busy(&mut server), 6);
    server.link.received(1_000_000, 1000 * MS);
    assert_eq!(busy(&mut server), 16);
}

/// A server whose only connection carries an answer for blob 1.
fn answering(now: Instant) -> (Server, Loan<(), ()>) {
    let mut server = with_connections(1, now);
    serve_one(&mut server, now);
    let mut loan = lent(server.take(1, part_of(1), now));
    server.written(&mut loan);
    (server, loan)
}

#[test]
fn the_next_request_is_sent_a_round_trip_before_the_answer_ends() {
    let now = Instant::now();
    let (mut server, mut answer) = answering(now);
    let mut next = waits(server.take(1, part_of(1), now));
    let mut last = waits(server.take(1, part_of(1), now));
    assert!(!server.still_comes(&answer, 1_000_001, now));
    assert!(granted(&mut next).is_none());
    assert!(server.still_comes(&answer, 1_000_000, now));
    let mut next = granted(&mut next).expect("a round trip before");
    assert!(next.is_pipelined && next.is_trial && next.writer.is_some());
    assert!(granted(&mut last).is_none(), "one behind each answer");
    server.written(&mut next);
    let Turn::Later(mut turn) = std::mem::replace(&mut next.reader, Turn::Never) else {
        panic!("the answer before it still comes");
    };
    assert!(turn.try_recv().is_err());
    server.done(&mut answer, now);
    assert_eq!(turn.try_recv(), Ok(()));
    server.was_answered(&next);
    assert!(server.still_comes(&next, 0, now));
    assert!(granted(&mut last).is_some_and(|last| !last.is_trial));
}

#[test]
fn nothing_is_pipelined_behind_an_answer_for_another_blob() {
    let now = Instant::now();
    let (mut server, answer) = answering(now);
    assert!(server.still_comes(&answer, 1000, now));
    for claim in [part_of(2), DEMAND] {
        let mut waiting = waits(server.take(1, claim, now));
        assert!(server.still_comes(&answer, 500, now));
        assert!(granted(&mut waiting).is_none());
    }
    assert!(lent(server.take(1, part_of(1), now)).is_pipelined);
}

/// An answer that nobody waits for any more must reach no other request.
#[test]
fn a_connection_with_an_abandoned_answer_is_closed() {
    let now = Instant::now();
    let (mut server, mut answer) = answering(now);
    server.still_comes(&answer, 1000, now);
    let mut next = lent(server.take(1, part_of(1), now));
    server.written(&mut next);
    server.given_up(&next);
    let mut waiting = waits(server.take(1, part_of(1), now));
    server.still_comes(&answer, 500, now);
    assert!(granted(&mut waiting).is_none());
    server.done(&mut answer, now);
    server.given_up(&answer);
    assert_eq!(server.count(now), (0, 0, 0));
}

#[test]
fn lost_pipelined_requests_suspend_pipelining() {
    let now = Instant::now();
    let (mut server, answer) = answering(now);
    server.still_comes(&answer, 1000, now);
    let mut next = lent(server.take(1, part_of(1), now));
    server.written(&mut next);
    server.was_answered(&next);
    assert_eq!(server.pipeline_window(now), Some(1_000_000));
    server.broke_off(&answer, now);
    assert_eq!(server.pipeline_window(now), None);
    assert_eq!(server.pipeline_window(now + S), Some(1_000_000));
    server.was_answered(&next);
    server.was_lost(&next, now + 2 * S);
    assert_eq!(server.pipeline_window(now + 600 * S), None, "for good");
}

/// A gateway that needed more than 4 s for some answers lost its idle connections each time, though it answered others.
#[test]
fn idle_connections_are_closed_only_if_the_server_is_silent_since_a_request() {
    let now = Instant::now();
    let asked = now + 10 * S;
    for (answered, kept) in [(None, 0), (Some(asked - S), 0), (Some(asked + S), 2)] {
        let mut server = with_connections(2, now);
        if let Some(at) = answered {
            server.answered(100 * MS, false, at);
        }
        server.close_if_silent_since(asked);
        assert_eq!(server.count(asked), (kept, 0, 0), "{answered:?}");
    }
}

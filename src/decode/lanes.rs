//! Which decoder serves which read of a large entry. Pure: no I/O, no threads.
//!
//! An entry is divided into blocks. A **lane** is a decoder's way through them: the block that it gives
//! next, and how far it is to go. It goes on while a read waits for a block ahead of it, and a little
//! further ahead of a reader that reads in sequence. Then it rests, until its reader comes closer or
//! another read can use it.

use super::blocks::BLOCK;

/// The most lanes of an entry. A further reader waits until one of them rests.
const MOST: usize = 8;

/// A lane is used rather than a checkpoint ahead of it by up to this many bytes: to begin anew costs as
/// much as to decode them.
const RESTART: u64 = 256 * 1024;

/// A lane with a reader of its own does not leave it for a read that lies further ahead, unless a new lane
/// had to decode this many bytes more.
const DETOUR: u64 = 4 << 20;

/// How far a reader may jump ahead and still counts as one that reads in sequence, in blocks.
const JUMP: u64 = 4;

/// From this many blocks ahead on, a reader counts as one that goes on to the end.
const GOES_ON: u64 = 8;

/// A decoder's way. `D` is the decoder.
pub(super) struct Lane<D> {
    pub(super) number: u64,
    /// The block that it gives next.
    pub(super) next: u64,
    /// The end of the blocks that reads wait for.
    until: u64,
    /// The block after the one that its reader has read last, and how many blocks ahead of it the lane
    /// goes.
    read: u64,
    ahead: u64,
    used: u64,
    /// The decoder while it rests; `None` while it decodes.
    resting: Option<D>,
}

/// The lanes of an entry.
pub(super) struct Lanes<D> {
    lanes: Vec<Lane<D>>,
    /// The number of blocks of the entry.
    blocks: u64,
    /// The most blocks that a lane goes ahead of its reader.
    most_ahead: u64,
    numbers: u64,
    uses: u64,
}

/// What is to be done for a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task<D> {
    /// A lane will give it.
    Coming,
    /// A decoder that rested is to go on in this lane.
    GoOn(u64, D),
    /// A decoder is to begin in this lane, at the checkpoint.
    Begin(u64),
    /// All lanes are taken. Ask again when one of them rests.
    Later,
}

impl<D> Lane<D> {
    /// The end of the blocks that its reader will probably read soon.
    fn ahead_end(&self) -> u64 {
        match self.ahead {
            0 => 0,
            ahead => self.read + ahead,
        }
    }
}

impl<D> Lanes<D> {
    pub(super) fn new(blocks: u64, most_ahead: u64) -> Self {
        Self {
            lanes: Vec::new(),
            blocks,
            most_ahead,
            numbers: 0,
            uses: 0,
        }
    }

    /// Whether no decoder is here.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// A read waits for a block. `point` is the offset of the last checkpoint at or before it, 0 for the
    /// start of the entry.
    pub(super) fn want(&mut self, block: u64, point: u64) -> Task<D> {
        self.uses += 1;
        let uses = self.uses;
        let is_coming = |lane: &Lane<D>| {
            lane.resting.is_none() && lane.next <= block && block < lane.until.max(lane.ahead_end())
        };
        if let Some(lane) = self.lanes.iter_mut().find(|lane| is_coming(lane)) {
            lane.until = lane.until.max(block + 1);
            return Task::Coming;
        }
        let behind = self.lanes.iter_mut().filter(|lane| lane.next <= block);
        let nearest = behind.max_by_key(|lane| lane.next);
        if let Some(lane) = nearest {
            let at = lane.next * BLOCK;
            let is_far = lane.ahead > 0 && block > lane.read.max(lane.next) + self.most_ahead;
            let pays = at + RESTART >= point;
            let is_detour = is_far && at < point.saturating_add(DETOUR);
            if pays && !is_detour {
                (lane.until, lane.used) = (lane.until.max(block + 1), uses);
                return match lane.resting.take() {
                    Some(decoder) => Task::GoOn(lane.number, decoder),
                    None => Task::Coming,
                };
            }
        }
        if self.lanes.len() >= MOST && self.drop_resting().is_none() {
            return Task::Later;
        }
        self.numbers += 1;
        self.lanes.push(Lane {
            number: self.numbers,
            next: point.div_ceil(BLOCK),
            until: block + 1,
            read: block,
            ahead: 0,
            used: uses,
            resting: None,
        });
        Task::Begin(self.numbers)
    }

    /// A reader got a block. Returns a decoder that is to go on ahead of it, and the number of its lane.
    pub(super) fn read(&mut self, block: u64) -> Option<(u64, D)> {
        self.uses += 1;
        let follows = |lane: &&mut Lane<D>| (lane.read..=lane.read + JUMP).contains(&block);
        let lane = self.lanes.iter_mut().find(follows)?;
        lane.used = self.uses;
        lane.ahead = (lane.ahead * 2).clamp(1, self.most_ahead);
        lane.read = block + 1;
        let goal = lane.ahead_end().min(self.blocks);
        // Not for each block: to go on costs a change of threads.
        if lane.next < goal && lane.next <= lane.read + lane.ahead / 2 {
            let decoder = lane.resting.take()?;
            return Some((lane.number, decoder));
        }
        None
    }

    /// The next block of a lane, the block before which it is to stop, and whether its reader will probably
    /// go on to the end; `None` if it is to rest. `is_wanted`: whether reads wait for blocks of a range.
    pub(super) fn goal(
        &self,
        number: u64,
        is_wanted: impl Fn(std::ops::Range<u64>) -> bool,
    ) -> Option<(u64, bool)> {
        let lane = self.lane(number)?;
        let ahead = lane.ahead_end().min(self.blocks);
        let demand = lane.next..lane.until.min(self.blocks);
        let until = if !demand.is_empty() && is_wanted(demand.clone()) {
            demand.end.max(ahead)
        } else {
            ahead
        };
        (lane.next < until).then_some((until, lane.ahead >= GOES_ON))
    }

    /// Whether a lane's reader will probably read a block.
    pub(super) fn is_ahead(&self, number: u64, block: u64) -> bool {
        self.lane(number)
            .is_some_and(|lane| (lane.read..lane.ahead_end()).contains(&block))
    }

    /// A lane has given a block.
    pub(super) fn gave(&mut self, number: u64, block: u64) {
        if let Some(lane) = self.lane_mut(number) {
            lane.next = block + 1;
        }
    }

    /// A lane's decoder rests.
    pub(super) fn rest(&mut self, number: u64, decoder: D) {
        if let Some(lane) = self.lane_mut(number) {
            lane.resting = Some(decoder);
        }
    }

    /// Removes a lane. Returns the blocks that reads may wait for.
    pub(super) fn remove(&mut self, number: u64) -> std::ops::Range<u64> {
        let place = self.lanes.iter().position(|lane| lane.number == number);
        place.map_or(0..0, |place| {
            let lane = self.lanes.swap_remove(place);
            lane.next..lane.until.max(lane.next)
        })
    }

    /// Drops a lane if its decoder rests.
    pub(super) fn drop_lane(&mut self, number: u64) {
        self.lanes
            .retain(|lane| lane.number != number || lane.resting.is_none());
    }

    /// Drops the lane that has rested longest.
    fn drop_resting(&mut self) -> Option<()> {
        let resting = self.lanes.iter().filter(|lane| lane.resting.is_some());
        let number = resting.min_by_key(|lane| lane.used)?.number;
        self.drop_lane(number);
        Some(())
    }

    fn lane(&self, number: u64) -> Option<&Lane<D>> {
        self.lanes.iter().find(|lane| lane.number == number)
    }

    fn lane_mut(&mut self, number: u64) -> Option<&mut Lane<D>> {
        self.lanes.iter_mut().find(|lane| lane.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane's decoder gives blocks until it is to rest. Returns the blocks.
    fn run(lanes: &mut Lanes<&'static str>, number: u64, wanted: u64) -> Vec<u64> {
        let mut given = Vec::new();
        loop {
            let Some(next) = lanes.lane(number).map(|lane| lane.next) else {
                return given;
            };
            if lanes
                .goal(number, |blocks| blocks.contains(&wanted))
                .is_none()
            {
                lanes.rest(number, "decoder");
                return given;
            }
            lanes.gave(number, next);
            given.push(next);
        }
    }

    #[test]
    fn a_decoder_goes_ahead_of_a_reader_that_reads_in_sequence() {
        let mut lanes = Lanes::new(1000, 16);
        assert_eq!(lanes.want(0, 0), Task::Begin(1));
        assert_eq!(run(&mut lanes, 1, 0), [0], "one read is no sequence");
        let mut furthest = 0;
        for block in 0..100 {
            let next = match lanes.read(block) {
                Some((lane, _)) => run(&mut lanes, lane, u64::MAX),
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

    #[test]
    fn a_read_far_ahead_begins_at_its_checkpoint() {
        let mut lanes = Lanes::<&str>::new(10_000, 16);
        assert_eq!(lanes.want(0, 0), Task::Begin(1));
        run(&mut lanes, 1, 0);
        // Close enough to go on.
        assert_eq!(lanes.want(9, 8 * BLOCK), Task::Begin(2));
        assert_eq!(lanes.want(2, 0), Task::GoOn(1, "decoder"));
        run(&mut lanes, 1, 2);
        // The same decoder serves both.
        assert_eq!(lanes.want(4000, 3 * BLOCK), Task::Coming);
        assert_eq!(lanes.want(3000, 3 * BLOCK), Task::Coming);
    }

    #[test]
    fn a_decoder_does_not_leave_its_reader_for_another() {
        let mut lanes = Lanes::<&str>::new(10_000, 16);
        lanes.want(0, 0);
        run(&mut lanes, 1, 0);
        lanes.read(0);
        assert_eq!(lanes.want(9000, 0), Task::Begin(2));
        // Without a checkpoint near, it must.
        let mut lanes = Lanes::<&str>::new(10_000, 16);
        lanes.want(1000, 0);
        run(&mut lanes, 1, 1000);
        lanes.read(1000);
        run(&mut lanes, 1, u64::MAX);
        assert_eq!(lanes.want(9000, 0), Task::GoOn(1, "decoder"));
    }

    #[test]
    fn the_number_of_lanes_is_bounded() {
        let mut lanes = Lanes::<&str>::new(1 << 20, 16);
        let places: Vec<u64> = (0..=MOST as u64).map(|n| 100_000 - n * 10_000).collect();
        for at in &places[..MOST] {
            assert!(matches!(lanes.want(*at, at * BLOCK), Task::Begin(_)));
        }
        let last = places[MOST];
        assert_eq!(lanes.want(last, last * BLOCK), Task::Later);
        run(&mut lanes, 3, places[2]);
        assert!(
            matches!(lanes.want(last, last * BLOCK), Task::Begin(_)),
            "one rests"
        );
        assert!(lanes.lane(3).is_none());
        assert_eq!(lanes.remove(1), places[0]..places[0] + 1);
    }

    #[test]
    fn a_decoder_that_nobody_waits_for_rests() {
        let mut lanes = Lanes::<&str>::new(1000, 16);
        lanes.want(500, 0);
        assert_eq!(lanes.goal(1, |_| true), Some((501, false)));
        assert_eq!(lanes.goal(1, |_| false), None);
    }
}

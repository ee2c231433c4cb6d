//! Directories: the links of their blocks, and the way to a name in a directory of many blocks.
//!
//! A large directory is a hash array mapped trie (<https://specs.ipfs.tech/unixfs/>, "dag-pb
//! HAMTDirectory"). The bits of a name's hash choose a slot in each block, from the root on. A slot leads
//! to an entry or to a block below. Pure.

use super::Cid;
use crate::ranges::arrange_by_key;

/// The multicodec code of murmur3-x64-64, the only function that hashes names.
const MURMUR3: u64 = 0x22;

/// The numbers of slots that a block may have: a power of two, so that a slot is a number of bits.
const FANOUTS: std::ops::RangeInclusive<u64> = 8..=1024;

/// A link of a directory's block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedLink {
    /// The name of the entry.
    pub name: String,
    /// The CID of the entry.
    pub cid: Cid,
    /// The total size of all blocks of the entry ("Tsize"), if the link has it: an unchecked hint.
    pub tree_size: Option<u64>,
}

/// A block of a directory of many blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// How many bits of the hash choose a slot.
    bits: u32,
    /// By slot, ascending.
    slots: Vec<(u64, Slot)>,
}

/// Where a slot leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    /// To an entry.
    Entry(NamedLink),
    /// To a block below.
    Below(Cid),
}

/// The way of a name through the blocks of a directory: the bits of its hash that are not used yet.
#[derive(Debug, Clone)]
pub(super) struct Way {
    hash: u64,
    used: u32,
}

impl Way {
    pub(super) fn of(name: &str) -> Self {
        // The low half is the first of the two words. Reading a slice cannot fail.
        let hash = murmur3::murmur3_x64_128(&mut name.as_bytes(), 0).unwrap_or_default();
        Self {
            hash: hash as u64,
            used: 0,
        }
    }

    /// The next slot, by the highest bits first; `None` after the last bit.
    fn next(&mut self, bits: u32) -> Option<u64> {
        let used = self.used + bits;
        let rest = u64::BITS.checked_sub(used)?;
        self.used = used;
        Some(self.hash >> rest & ((1 << bits) - 1))
    }
}

impl Shard {
    /// The block with these links. `hash` and `fanout` come from its UnixFS message.
    ///
    /// # Errors
    /// What is malformed.
    pub(super) fn new(
        hash: Option<u64>,
        fanout: Option<u64>,
        links: impl IntoIterator<Item = NamedLink>,
    ) -> Result<Self, &'static str> {
        if hash != Some(MURMUR3) {
            return Err("directory: its names are hashed by an unknown function");
        }
        let fanout = fanout.filter(|n| FANOUTS.contains(n) && n.is_power_of_two());
        let fanout = fanout.ok_or("directory: a wrong number of slots")?;
        // The slot is written before the name, in as many digits as the last slot has.
        let digits = format!("{:X}", fanout - 1).len();
        let mut slots = Vec::new();
        for link in links {
            let (prefix, name) = link
                .name
                .split_at_checked(digits)
                .ok_or("directory: a link without the number of its slot")?;
            let slot = u64::from_str_radix(prefix, 16).ok();
            let slot = slot.filter(|slot| *slot < fanout && format!("{slot:0digits$X}") == prefix);
            let slot = slot.ok_or("directory: a link with a wrong number of its slot")?;
            let leads_to = match name {
                "" => Slot::Below(link.cid),
                name => Slot::Entry(NamedLink {
                    name: name.to_owned(),
                    ..link
                }),
            };
            slots.push((slot, leads_to));
        }
        arrange_by_key(&mut slots, |(slot, _)| *slot);
        if slots.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err("directory: two links of one slot");
        }
        Ok(Self {
            bits: fanout.trailing_zeros(),
            slots,
        })
    }

    /// Where the next slot of `way` leads; `None` if it is empty, or if no bit is left.
    pub(super) fn next(&self, way: &mut Way) -> Option<&Slot> {
        let slot = way.next(self.bits)?;
        let at = self.slots.binary_search_by_key(&slot, |(slot, _)| *slot);
        Some(&self.slots[at.ok()?].1)
    }

    /// How many bits of the hash choose a slot.
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    /// Where all its slots lead, with their numbers.
    pub(super) fn into_slots(self) -> impl Iterator<Item = (u64, Slot)> {
        self.slots.into_iter()
    }
}

/// A block's place below the root of its directory: the slots that lead to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    slots: u64,
    bits: u32,
}

impl Place {
    /// The place of what slot `slot` of a block with slots of `bits` bits leads to; `None` if the hash of
    /// a name has fewer bits.
    pub(super) fn below(self, slot: u64, bits: u32) -> Option<Self> {
        let total = self.bits + bits;
        (total <= u64::BITS).then(|| Self {
            slots: self.slots << bits | slot,
            bits: total,
        })
    }

    /// Whether the hash of `name` leads there.
    pub(super) fn is_of(self, name: &str) -> bool {
        let rest = u64::BITS - self.bits;
        Way::of(name).hash.checked_shr(rest).unwrap_or(0) == self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Codec, Version};

    fn link(name: &str) -> NamedLink {
        NamedLink {
            name: name.to_owned(),
            cid: Cid::of_block(Version::V1, Codec::Raw, name.as_bytes()),
            tree_size: None,
        }
    }

    fn shard(fanout: u64, names: &[&str]) -> Result<Shard, &'static str> {
        let links = names.iter().map(|name| link(name));
        Shard::new(Some(MURMUR3), Some(fanout), links)
    }

    /// The hash is that of npm murmurhash3js-revisited 3.0.0: `x64.hash128(Buffer.from('hello'))`.
    #[test]
    fn slots_are_the_high_bits_of_the_hash() {
        let mut way = Way::of("hello");
        assert_eq!(way.hash, 0xcbd8_a7b3_41bd_9b02);
        assert_eq!(way.next(8), Some(0xcb));
        assert_eq!(way.next(4), Some(0xd));
        assert_eq!(way.next(12), Some(0x8a7));
        let place = Place::default().below(0xcb, 8).expect("bits");
        assert!(place.is_of("hello") && !place.is_of("other"));
        assert!(Place::default().is_of("anything"));
    }

    #[test]
    fn names_end_when_the_bits_do() {
        let mut way = Way::of("x");
        assert_eq!((0..8).filter_map(|_| way.next(8)).count(), 8);
        assert_eq!(way.next(8), None);
        let mut way = Way::of("x");
        assert_eq!((0..100).filter_map(|_| way.next(10)).count(), 6);
        let mut place = Some(Place::default());
        for _ in 0..8 {
            place = place.and_then(|place| place.below(0xff, 8));
        }
        assert!(place.is_some() && place.and_then(|place| place.below(0, 8)).is_none());
    }

    #[test]
    fn a_slot_leads_to_an_entry_or_below() {
        let shard = shard(256, &["CBhello", "00", "FFz"]).expect("a shard");
        let found = shard.next(&mut Way::of("hello"));
        assert!(matches!(found, Some(Slot::Entry(entry)) if entry.name == "hello"));
        assert_eq!(shard.next(&mut Way::of("other name")), None);
        let below: Vec<u64> = shard
            .into_slots()
            .filter_map(|(slot, to)| matches!(to, Slot::Below(_)).then_some(slot))
            .collect();
        assert_eq!(below, [0]);
    }

    #[test]
    fn malformed_shards_are_refused() {
        for (fanout, names) in [
            (0, &[][..]),
            (4, &[]),
            (48, &[]),
            (2048, &[]),
            (256, &["C"]),
            (256, &["cbhello"]),
            (256, &["G0x"]),
            (256, &["+1x"]),
            (8, &["8x"]),
            (1024, &["400x"]),
            (256, &["00a", "00b"]),
            (256, &["0é"]),
        ] {
            assert!(shard(fanout, names).is_err(), "{fanout} {names:?}");
        }
        assert!(shard(1024, &["3FFx"]).is_ok() && shard(8, &["7x"]).is_ok());
        assert!(Shard::new(Some(0x12), Some(256), std::iter::empty()).is_err());
        assert!(Shard::new(None, Some(256), std::iter::empty()).is_err());
    }
}

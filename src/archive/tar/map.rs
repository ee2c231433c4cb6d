//! The maps of sparse members.

use super::TAR_BLOCK;
use crate::archive::sparse::Piece;

/// A map that is damaged, or has more pieces than there is room for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadMap;

/// The pieces of a member of `size` bytes with its holes, from pairs of offset and length. `stored`: the range of
/// its stored data in which the pieces lie, one behind the other.
pub(super) fn pieces(
    pairs: impl IntoIterator<Item = (u64, u64)>,
    size: u64,
    stored: std::ops::Range<u64>,
) -> Result<Vec<Piece>, BadMap> {
    let (mut reach, mut at) = (0, stored.start);
    let mut all = Vec::new();
    for (offset, len) in pairs {
        let end = offset.checked_add(len).ok_or(BadMap)?;
        let next = at.checked_add(len).ok_or(BadMap)?;
        if offset < reach || end > size || next > stored.end {
            return Err(BadMap);
        }
        if len > 0 {
            let stored = at;
            all.push(Piece {
                offset,
                stored,
                len,
            });
        }
        (reach, at) = (end, next);
    }
    Ok(all)
}

/// The map before the data of a member in version 1.0: lines with decimal numbers, the number of pieces first, filled
/// up to a whole block.
#[derive(Debug)]
pub(super) struct MapText {
    count: Option<u64>,
    numbers: Vec<u64>,
    digits: Option<u64>,
    /// The most pieces that it may have.
    most: u64,
    /// Length of the blocks so far, in bytes.
    pub(super) len: u64,
}

impl MapText {
    pub(super) fn new(most: usize) -> Self {
        Self {
            count: None,
            numbers: Vec::new(),
            digits: None,
            most: most as u64,
            len: 0,
        }
    }

    /// Takes the next block. Returns whether the map is complete.
    pub(super) fn take(&mut self, block: &[u8]) -> Result<bool, BadMap> {
        self.len += TAR_BLOCK;
        for byte in block {
            match byte {
                b'0'..=b'9' => {
                    let number = self.digits.unwrap_or(0).checked_mul(10);
                    let number =
                        number.and_then(|number| number.checked_add(u64::from(byte - b'0')));
                    self.digits = Some(number.ok_or(BadMap)?);
                }
                b'\n' => {
                    let number = self.digits.take().ok_or(BadMap)?;
                    match self.count {
                        None if number > self.most => return Err(BadMap),
                        None => self.count = Some(number),
                        Some(_) => self.numbers.push(number),
                    }
                    if self.is_complete() {
                        return Ok(true);
                    }
                }
                _ => return Err(BadMap),
            }
        }
        Ok(false)
    }

    fn is_complete(&self) -> bool {
        self.count
            .is_some_and(|count| self.numbers.len() as u64 == 2 * count)
    }

    /// Pairs of offset and length.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.numbers
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[at, len]| (*at, *len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Vec<u8> {
        let mut block = text.as_bytes().to_vec();
        block.resize(512, 0);
        block
    }

    #[test]
    fn map_before_data_is_read_over_blocks() {
        let mut map = MapText::new(10);
        let text = "2\n0\n".to_owned() + &"0".repeat(508);
        assert_eq!(map.take(text.as_bytes()), Ok(false));
        assert_eq!(map.take(&block("7\n1024\n5\n")), Ok(true));
        assert_eq!(map.pairs().collect::<Vec<_>>(), [(0, 7), (1024, 5)]);
        assert_eq!(map.len, 1024);
        for bad in [
            "11\n",
            "1\n-1\n",
            "99999999999999999999999\n",
            "18446744073709551616\n",
            "\n",
            "1\n0 5\n",
        ] {
            assert_eq!(MapText::new(10).take(&block(bad)), Err(BadMap), "{bad:?}");
        }
        assert_eq!(MapText::new(10).take(&block("0\n")), Ok(true));
    }

    #[test]
    fn pieces_lie_one_behind_the_other() {
        let good = pieces([(0, 7), (10, 0), (1024, 5)], 2048, 512..524);
        let expected = [(0, 512, 7), (1024, 519, 5)].map(|(offset, stored, len)| Piece {
            offset,
            stored,
            len,
        });
        assert_eq!(good, Ok(expected.to_vec()));
        let bad: [(&[(u64, u64)], u64); 4] = [
            (&[(0, 13)], 2048),
            (&[(5, 5), (9, 1)], 2048),
            (&[(2047, 2)], 2048),
            (&[(u64::MAX, 2)], u64::MAX),
        ];
        for (pairs, size) in bad {
            assert_eq!(
                pieces(pairs.iter().copied(), size, 512..524),
                Err(BadMap),
                "{pairs:?}"
            );
        }
    }
}

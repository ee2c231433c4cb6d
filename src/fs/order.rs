//! Natural order: `seg_9.ts` before `seg_10.ts`, as people and players count.
//!
//! Whoever plays or copies the files of a directory mostly goes through them in this order, so it
//! tells what will be read next in archives whose order on the line is another.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::attr::Ino;
use super::tree::{Node, Tree};
use crate::archive::Kind;

/// Directories of more files are not sorted: it would take longer than it could ever save.
const MOST_SORTED: usize = 100_000;

/// The files of those directories that were asked about, in natural order.
pub(super) type Orders = Mutex<HashMap<Node, Arc<[Node]>>>;

impl Tree {
    /// The file behind this one in the natural order of its directory.
    pub fn after(&self, file: Ino) -> Option<Ino> {
        let node = self.node(file)?;
        let order = self.order(self.names.parent(node))?;
        let name = |node: &Node| self.names.name(&self.index, *node);
        let at = order.binary_search_by(|other| natural(name(other), name(&node)));
        let next = order.get(at.ok()? + 1)?;
        Some(Ino(u64::from(*next) + 1))
    }

    fn order(&self, dir: Node) -> Option<Arc<[Node]>> {
        let children = self.children_of(dir);
        if children.len() > MOST_SORTED {
            return None;
        }
        // Sorted under the lock: whoever else asks wants the same directory, nearly always.
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let order = orders.entry(dir).or_insert_with(|| {
            let files = children.iter().copied();
            let mut files: Vec<Node> = files
                .filter(|n| self.names.kind(&self.index, *n) == Kind::File)
                .collect();
            let name = |node: &Node| self.names.name(&self.index, *node);
            files.sort_by(|a, b| natural(name(a), name(b)));
            files.into()
        });
        Some(order.clone())
    }
}

/// Compares names with their numbers as numbers; what is equal so far by the bytes.
pub fn natural(a: &[u8], b: &[u8]) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(x), Some(y)) = (left.first(), right.first()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (take_number(&mut left), take_number(&mut right));
            match m.len().cmp(&n.len()).then_with(|| m.cmp(n)) {
                Ordering::Equal => continue,
                unequal => return unequal,
            }
        }
        if x != y {
            return x.cmp(y);
        }
        (left, right) = (&left[1..], &right[1..]);
    }
}

/// The digits that `text` begins with, without leading zeros; `text` goes on behind them.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    let zeros = digits.iter().position(|b| *b != b'0');
    &digits[zeros.unwrap_or(digits.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let sorted: [&[u8]; 12] = [
            b"",
            b"1.ts",
            b"2.ts",
            b"10.ts",
            b"a",
            b"a1b2",
            b"a1b10",
            b"a01b10",
            b"a2",
            b"a99999999999999999999999",
            b"a100000000000000000000000",
            b"b",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                let expected = match (i, j) {
                    // Equal but for a zero: the bytes decide.
                    (6, 7) => Ordering::Greater,
                    (7, 6) => Ordering::Less,
                    _ => i.cmp(&j),
                };
                let shown = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
                assert_eq!(natural(a, b), expected, "{shown:?}");
            }
        }
    }
}

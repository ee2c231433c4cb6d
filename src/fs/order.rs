//! Natural order: `seg_9.ts` before `seg_10.ts`.
//!
//! Programs usually play or copy the files of a directory in this order, so it predicts the next file when
//! the layout of the archive does not.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::node::Node;

/// Directories with more files are not sorted: sorting would cost more than the prediction saves.
const MOST_SORTED: usize = 100_000;

/// Cached natural orders of directories.
#[derive(Debug, Default)]
pub(super) struct Orders(Mutex<HashMap<Node, Arc<[Node]>>>);

impl Orders {
    /// Those of `children` that are files, in the natural order of their names; `None` if the directory
    /// is too large to sort.
    pub(super) fn of<'a>(
        &self,
        dir: Node,
        children: &[Node],
        is_file: impl Fn(&Node) -> bool,
        name: impl Fn(Node) -> &'a [u8],
    ) -> Option<Arc<[Node]>> {
        if children.len() > MOST_SORTED {
            return None;
        }
        // Sorted under the lock: concurrent callers nearly always want the same directory.
        let mut orders = self.0.lock();
        let order = orders.entry(dir).or_insert_with(|| {
            let mut files: Vec<Node> = children.iter().copied().filter(is_file).collect();
            files.sort_by(|a, b| natural(name(*a), name(*b)));
            files.into()
        });
        Some(order.clone())
    }
}

/// Compares names, with runs of digits compared as numbers; ties are compared by bytes.
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

/// Takes the digits at the start of `text`; returns them without leading zeros.
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
    fn numbers_in_names_sort_by_value() {
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

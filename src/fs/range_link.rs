//! Names that carry a range link: `name?range=<offset>,<size>`.

use crate::archive::Extent;
use crate::ranges::decimal;

const MARK: &[u8] = b"?range=";

/// Splits `name?range=<offset>,<size>` (both decimal, in bytes) into the plain name and the range;
/// `None` if the name carries no range link.
pub fn range_link(name: &[u8]) -> Option<(&[u8], Extent)> {
    let at = name.windows(MARK.len()).rposition(|w| w == MARK)?;
    let (plain, link) = (&name[..at], &name[at + MARK.len()..]);
    let comma = link.iter().position(|b| *b == b',')?;
    let extent = Extent {
        offset: decimal(&link[..comma])?,
        len: decimal(&link[comma + 1..])?,
    };
    extent.offset.checked_add(extent.len)?;
    (!plain.is_empty()).then_some((plain, extent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_range_link_is_one() {
        let (plain, range) = range_link(b"720p_0000.ts?range=94,1500").expect("a link");
        assert_eq!(plain, b"720p_0000.ts");
        assert_eq!((range.offset, range.len), (94, 1500));
        let (plain, _) = range_link(b"a?range=1,2?range=3,4").expect("the last one counts");
        assert_eq!(plain, b"a?range=1,2");
        for name in [
            "a",
            "?range=1,2",
            "a?range=",
            "a?range=1",
            "a?range=1,",
            "a?range=,1",
            "a?range=+1,2",
            "a?range=1,2,3",
            "a?range=1,2 ",
            "a?range=18446744073709551615,1",
            "a?range=99999999999999999999,1",
        ] {
            assert_eq!(range_link(name.as_bytes()), None, "{name}");
        }
    }
}

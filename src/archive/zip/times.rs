//! Modification times in the three formats of ZIP.

use crate::archive::bytes::Fields;
use crate::archive::entry::Timestamp;

/// Windows counts 100 ns since 1601; this many seconds before 1970.
const NTFS_EPOCH: i64 = 11_644_473_600;

/// The year in which a signed 32-bit count of seconds overflows.
const OVERFLOW_YEAR: u16 = 2038;

/// MS-DOS date and time (section 4.4.6), taken as UTC. Invalid fields are clamped.
pub(super) fn dos(date: u16, time: u16) -> Timestamp {
    let year = i64::from(dos_year(date));
    let month = i64::from(date >> 5 & 15).clamp(1, 12);
    let day = i64::from(date & 31).max(1);
    let (hour, minute) = (
        i64::from(time >> 11).min(23),
        i64::from(time >> 5 & 63).min(59),
    );
    let second = i64::from(time & 31).min(29) * 2;
    // Days since 1970-01-01 of a date of the Gregorian calendar, counting years from March.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Timestamp::of_secs(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Seconds since 1970 as Info-ZIP and PKWARE store them: signed 32 bits (section 4.5.7 and Info-ZIP's
/// `proginfo/extrafld.txt`). Writers let it wrap after 2038; the DOS date tells whether it has.
pub(super) fn unix(secs: u32, dos_date: u16) -> Timestamp {
    if dos_year(dos_date) >= OVERFLOW_YEAR {
        Timestamp::of_secs(secs.into())
    } else {
        Timestamp::of_secs(secs.cast_signed().into())
    }
}

/// The body of an NTFS field (0x000a, section 4.5.5): a reserved number, then tagged attributes. Tag 1 has
/// three times, the modification time first. Zero is an unknown time.
pub(super) fn ntfs(body: &[u8]) -> Option<Timestamp> {
    let mut fields = Fields(body);
    fields.u32()?;
    loop {
        let (tag, len) = (fields.u16()?, fields.u16()?);
        let mut attribute = Fields(fields.take(len.into())?);
        if tag == 1 {
            let ticks = attribute.u64().filter(|ticks| *ticks != 0)?;
            return Some(Timestamp {
                secs: i64::try_from(ticks / 10_000_000).ok()? - NTFS_EPOCH,
                nanos: (ticks % 10_000_000) as u32 * 100,
            });
        }
    }
}

fn dos_year(date: u16) -> u16 {
    (date >> 9) + 1980
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(y: u16, m: u16, d: u16) -> u16 {
        (y - 1980) << 9 | m << 5 | d
    }

    #[test]
    fn dos_times_are_utc() {
        assert_eq!(dos(date(1980, 1, 1), 0).secs, 315_532_800);
        let leap_day = dos(date(2024, 2, 29), 12 << 11 | 34 << 5 | 28);
        assert_eq!(leap_day.secs, 1_709_210_096);
        assert_eq!(dos(date(2107, 12, 31), 0).secs, 4_354_732_800);
        assert_eq!(dos(0, 0).secs, 315_532_800, "no date is the first one");
        assert_eq!(
            dos(u16::MAX, u16::MAX).secs,
            dos(date(2107, 12, 31), 0xbf7d).secs
        );
    }

    #[test]
    fn unix_times_are_signed_until_2038() {
        assert_eq!(unix(u32::MAX, date(1980, 1, 1)).secs, -1);
        assert_eq!(unix(0x8000_0000, date(2038, 1, 19)).secs, 2_147_483_648);
        assert_eq!(unix(1_700_000_000, date(2023, 11, 14)).secs, 1_700_000_000);
    }

    #[test]
    fn ntfs_times_have_a_tenth_of_a_microsecond() {
        let ticks: u64 = (1_700_000_000 + 11_644_473_600) * 10_000_000 + 1_234_567;
        let mut body = vec![0; 4];
        body.extend([9, 0, 1, 0, 77]); // another attribute first
        body.extend([1, 0, 24, 0]);
        body.extend(ticks.to_le_bytes().iter().chain(&[0; 16]));
        let expected = Timestamp {
            secs: 1_700_000_000,
            nanos: 123_456_700,
        };
        assert_eq!(ntfs(&body), Some(expected));
        assert_eq!(ntfs(&body[..20]), None);
        assert_eq!(ntfs(&[]), None);
    }
}

//! The text forms of numbers and hashes.

use std::fmt::Write;

/// A decimal number that is written with digits alone. `None` for anything else, a sign among it
/// (`parse` would accept one), and for numbers beyond 64 bits.
pub fn decimal(digits: impl AsRef<[u8]>) -> Option<u64> {
    let digits = digits.as_ref();
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Bytes as lower-case hexadecimal digits, two a byte.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    let bytes = bytes.as_ref();
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_have_digits_alone() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for other in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1_0",
            "0x1",
            "18446744073709551616",
            "\u{661}",
        ] {
            assert_eq!(decimal(other), None, "{other:?}");
        }
    }

    #[test]
    fn hex_has_two_digits_a_byte() {
        assert_eq!(hex([]), "");
        assert_eq!(hex([0, 0xab, 255]), "00abff");
    }
}

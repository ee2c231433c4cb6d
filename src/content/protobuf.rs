//! The part of protobuf that dag-pb and UnixFS use.
//! <https://protobuf.dev/programming-guides/encoding/>

/// Appends a varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number field.
pub(super) fn put_number(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(field) << 3);
    put_varint(out, value);
}

/// Appends a bytes field.
pub(super) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_header(out, field, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends the header of a field of `len` bytes.
pub(super) fn put_header(out: &mut Vec<u8>, field: u32, len: u64) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, len);
}

/// One field of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A fixed field of 32 or 64 bits, which no message here uses.
    Fixed,
}

/// Iterates over the fields of a message. Yields `Err` at the first error and then ends.
pub(super) struct Fields<'a>(&'a [u8]);

/// The bytes are not a protobuf message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(len).map_err(|_| Malformed)?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let key = take_varint(&mut self.0)?;
        let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
        if number == 0 {
            return Err(Malformed);
        }
        let value = match key & 7 {
            0 => Value::Number(take_varint(&mut self.0)?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = take_varint(&mut self.0)?;
                Value::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Takes a varint of at most 64 bits off the front.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(Malformed);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints() {
        for value in [0, 1, 127, 128, 300, 1 << 32, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut rest = &out[..];
            assert_eq!(take_varint(&mut rest), Ok(value));
            assert!(rest.is_empty());
            for cut in 0..out.len() {
                assert_eq!(take_varint(&mut &out[..cut]), Err(Malformed));
            }
        }
        // 65 bits.
        let wide = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(take_varint(&mut &wide[..]), Err(Malformed));
        assert_eq!(take_varint(&mut &[0x80; 11][..]), Err(Malformed));
    }

    #[test]
    fn written_fields_parse_back() {
        let mut out = Vec::new();
        put_number(&mut out, 1, 300);
        put_bytes(&mut out, 2, b"ab");
        out.extend([0x1d, 0, 0, 0, 0]);
        let fields: Result<Vec<_>, _> = Fields::of(&out).collect();
        let expected = vec![
            (1, Value::Number(300)),
            (2, Value::Bytes(b"ab")),
            (3, Value::Fixed),
        ];
        assert_eq!(fields, Ok(expected));
        // A group (type 3), field 0, a length beyond the end.
        for wrong in [&[0x0b][..], &[0x00, 0x00], &[0x12, 0x05, 0x00]] {
            let fields: Result<Vec<_>, _> = Fields::of(wrong).collect();
            assert_eq!(fields, Err(Malformed), "{wrong:?}");
        }
    }
}

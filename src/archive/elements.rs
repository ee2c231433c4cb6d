//! Elements of fixed size as little-endian bytes: the parts of a stored index or tree.
//!
//! A count in the bytes is not trusted: it reserves bounded memory until its elements have come.

/// Fills a buffer with the next bytes; false if fewer are left.
pub type Pull<'a> = dyn FnMut(&mut [u8]) -> bool + 'a;

/// Takes the next bytes.
pub type Push<'a> = dyn FnMut(&[u8]) + 'a;

/// How many elements are read or written at once.
const STEP: usize = 4096;

/// The most elements that are reserved before they have come.
const RESERVED: u64 = 1 << 22;

/// A value with a fixed number of bytes.
pub trait Element: Sized {
    /// The number of bytes.
    const LEN: usize;

    /// Reads one from exactly [`LEN`](Self::LEN) bytes.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads elements from all of `bytes`.
    fn read_all(bytes: &[u8], all: &mut Vec<Self>) -> Option<()> {
        for element in bytes.chunks_exact(Self::LEN) {
            all.push(Self::read(element)?);
        }
        Some(())
    }
}

macro_rules! number {
    ($number:ty) => {
        impl Element for $number {
            const LEN: usize = size_of::<$number>();

            fn read(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }

            // One pass that compiles to a copy.
            fn read_all(bytes: &[u8], all: &mut Vec<Self>) -> Option<()> {
                let each = bytes.as_chunks::<{ Self::LEN }>().0.iter();
                all.extend(each.map(|bytes| Self::from_le_bytes(*bytes)));
                Some(())
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}

number!(u32);
number!(u64);

/// Reads `count` elements.
pub fn pull_all<T: Element>(count: u64, pull: &mut Pull) -> Option<Vec<T>> {
    let mut all = Vec::with_capacity(count.min(RESERVED) as usize);
    let mut left = usize::try_from(count).ok()?;
    let mut bytes = vec![0; STEP.min(left) * T::LEN];
    while left > 0 {
        let now = left.min(STEP);
        let bytes = &mut bytes[..now * T::LEN];
        if !pull(bytes) {
            return None;
        }
        T::read_all(bytes, &mut all)?;
        left -= now;
    }
    all.shrink_to_fit();
    Some(all)
}

/// Writes elements.
pub fn push_all<'a, T: Element + 'a>(elements: impl Iterator<Item = T>, push: &mut Push) {
    let mut bytes = Vec::with_capacity(STEP * T::LEN);
    for element in elements {
        element.write(&mut bytes);
        if bytes.len() >= STEP * T::LEN {
            push(&bytes);
            bytes.clear();
        }
    }
    push(&bytes);
}

/// Reads `count` bytes.
pub fn pull_bytes(count: u64, pull: &mut Pull) -> Option<Vec<u8>> {
    const AT_ONCE: usize = 1 << 20;
    let mut bytes = Vec::with_capacity(count.min(RESERVED * 8) as usize);
    let mut left = usize::try_from(count).ok()?;
    while left > 0 {
        let (from, now) = (bytes.len(), left.min(AT_ONCE));
        bytes.resize(from + now, 0);
        if !pull(&mut bytes[from..]) {
            return None;
        }
        left -= now;
    }
    bytes.shrink_to_fit();
    Some(bytes)
}

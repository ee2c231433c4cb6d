//! Elements of fixed size as little-endian bytes: the parts of a stored index or tree.
//!
//! A count in the bytes is not trusted: it reserves bounded memory until its elements have come.

/// Fills a buffer with the next bytes; false if fewer are left.
pub type Pull<'a> = dyn FnMut(&mut [u8]) -> bool + 'a;

/// Takes the next bytes.
pub type Push<'a> = dyn FnMut(&[u8]) + 'a;

/// How many bytes are read or written at once.
const STEP: usize = 128 * 1024;

/// The most elements that are reserved before they have come.
const RESERVED: u64 = 1 << 22;

/// A value with a fixed number of bytes.
pub trait Element {
    /// The number of bytes.
    const LEN: usize;

    /// Reads one from exactly [`LEN`](Self::LEN) bytes.
    fn read(bytes: &[u8]) -> Self;

    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Element for $number {
            const LEN: usize = size_of::<$number>();

            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("as many bytes as a number has"))
            }

            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64 i64);

impl<T: Element, const N: usize> Element for [T; N] {
    const LEN: usize = N * T::LEN;

    fn read(bytes: &[u8]) -> Self {
        std::array::from_fn(|at| T::read(&bytes[at * T::LEN..][..T::LEN]))
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|element| element.write(out));
    }
}

/// Takes an element off the beginning of some bytes, which must have it.
pub fn take<T: Element>(bytes: &mut &[u8]) -> T {
    let (element, rest) = bytes.split_at(T::LEN);
    *bytes = rest;
    T::read(element)
}

/// Reads an element.
pub fn pull_one<T: Element>(pull: &mut Pull) -> Option<T> {
    pull_all(1, pull)?.pop()
}

/// Reads `count` elements.
pub fn pull_all<T: Element>(count: u64, pull: &mut Pull) -> Option<Vec<T>> {
    let mut all = Vec::with_capacity(count.min(RESERVED) as usize);
    let mut left = usize::try_from(count).ok()?;
    let step = STEP / T::LEN;
    let mut bytes = vec![0; step.min(left) * T::LEN];
    while left > 0 {
        let now = left.min(step);
        let bytes = &mut bytes[..now * T::LEN];
        if !pull(bytes) {
            return None;
        }
        all.extend(bytes.chunks_exact(T::LEN).map(T::read));
        left -= now;
    }
    all.shrink_to_fit();
    Some(all)
}

/// Writes elements.
pub fn push_all<T: Element>(elements: impl Iterator<Item = T>, push: &mut Push) {
    let mut bytes = Vec::new();
    for element in elements {
        element.write(&mut bytes);
        if bytes.len() >= STEP {
            push(&bytes);
            bytes.clear();
        }
    }
    push(&bytes);
}

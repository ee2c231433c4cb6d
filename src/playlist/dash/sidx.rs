//! The segment index of a media file: `sidx` boxes (ISO/IEC 14496-12, 8.16.3).
//!
//! An index may point to further indexes (`reference_type` 1). They are followed in playback order. Files
//! are not trusted: no box is read beyond the end of the file, and at most [`MOST_BYTES`] are read in all,
//! so that indexes that point to the same index again and again come to an end.

use super::super::address::Span;

/// The maximum number of bytes of indexes that are read of one file. An index of 65,535 subsegments, the
/// most that a box can have, takes less than 800 KB.
const MOST_BYTES: u64 = 8 << 20;

/// The maximum number of boxes that are skipped in search of the index.
const MOST_BOXES: u32 = 16;

/// The content of a file's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Indexed {
    /// Units of time in a second; never zero.
    pub(super) timescale: u32,
    /// In playback order. They do not overlap.
    pub(super) subsegments: Vec<Subsegment>,
}

/// A subsegment (ISO/IEC 23009-1, 3.1): a byte range of the file with a begin and a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subsegment {
    pub(super) part: Span,
    /// When it begins, in units of the timescale.
    pub(super) time: u64,
    /// In the same units; never zero.
    pub(super) duration: u32,
}

/// Why there is no list of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// No list can be made of it: it has another format (such as the Cues of WebM), several timescales,
    /// or a size beyond the limits, or it could not be read.
    Other,
    /// It is a `sidx` box, and damaged.
    Damaged(&'static str),
}

/// The subsegments of a file of `size` bytes, by the first `sidx` box in its range `index`. `read` returns
/// bytes of the file.
pub(super) fn indexed(
    index: Span,
    size: u64,
    read: &dyn Fn(Span) -> Option<Vec<u8>>,
) -> Result<Indexed, Unlisted> {
    let mut boxes = Boxes {
        read,
        left: MOST_BYTES,
    };
    let first = boxes.find(index)?;
    let Sidx {
        timescale,
        references,
    } = boxes.sidx(first)?;
    let mut subsegments: Vec<Subsegment> = Vec::new();
    // The indexes under way. A stack on the heap, because chains may have any length.
    let mut open = vec![references.into_iter()];
    while let Some(references) = open.last_mut() {
        let Some(reference) = references.next() else {
            open.pop();
            continue;
        };
        let Reference {
            is_index,
            subsegment: next,
        } = reference;
        let part = next.part;
        if part.end() > size {
            return Err(Unlisted::Damaged("it reaches beyond the file"));
        }
        if is_index {
            let inner = boxes.header(part)?;
            let inner = boxes.sidx(inner)?;
            if inner.timescale != timescale {
                return Err(Unlisted::Other);
            }
            open.push(inner.references.into_iter());
            continue;
        }
        if let Some(last) = subsegments.last()
            && (part.offset < last.part.end() || next.time <= last.time)
        {
            return Err(Unlisted::Damaged("its segments overlap"));
        }
        if part.size == 0 || next.duration == 0 {
            return Err(Unlisted::Damaged("a segment is empty"));
        }
        subsegments.push(next);
    }
    if subsegments.is_empty() {
        Err(Unlisted::Damaged("it has no segments"))
    } else {
        Ok(Indexed {
            timescale,
            subsegments,
        })
    }
}

/// One `sidx` box.
struct Sidx {
    timescale: u32,
    references: Vec<Reference>,
}

struct Reference {
    /// Whether it points to another index.
    is_index: bool,
    subsegment: Subsegment,
}

/// A box: its type, and where it is.
struct Found {
    kind: [u8; 4],
    /// Length of its header.
    header: u64,
    whole: Span,
}

struct Boxes<'a> {
    read: &'a dyn Fn(Span) -> Option<Vec<u8>>,
    left: u64,
}

impl Boxes<'_> {
    fn bytes(&mut self, span: Span) -> Result<Vec<u8>, Unlisted> {
        self.left = self.left.checked_sub(span.size).ok_or(Unlisted::Other)?;
        let bytes = (self.read)(span).filter(|bytes| bytes.len() as u64 == span.size);
        bytes.ok_or(Unlisted::Other)
    }

    /// The index in a range: its first box of that type.
    fn find(&mut self, range: Span) -> Result<Found, Unlisted> {
        let mut rest = range;
        for _ in 0..MOST_BOXES {
            let found = self.header(rest)?;
            if found.kind == *b"sidx" {
                return Ok(found);
            }
            rest = Span {
                offset: found.whole.end(),
                size: rest.end().saturating_sub(found.whole.end()),
            };
        }
        Err(Unlisted::Other)
    }

    /// The box at the beginning of a range (4.2).
    fn header(&mut self, range: Span) -> Result<Found, Unlisted> {
        let first = |size| {
            if range.size < size {
                Err(Unlisted::Other)
            } else {
                Ok(Span {
                    offset: range.offset,
                    size,
                })
            }
        };
        let bytes = self.bytes(first(8)?)?;
        let mut fields = Fields(&bytes);
        let (short, kind) = (fields.u32()?, fields.take()?);
        let (header, size) = match short {
            // It extends to the end of the file (4.2), which no index does.
            0 => return Err(Unlisted::Other),
            1 => {
                let bytes = self.bytes(first(16)?)?;
                (16, Fields(&bytes[8..]).u64()?)
            }
            size => (8, u64::from(size)),
        };
        if size < header {
            return Err(Unlisted::Other);
        }
        if size > range.size {
            return Err(if kind == *b"sidx" {
                Unlisted::Damaged("it is longer than the place that is said to hold it")
            } else {
                Unlisted::Other
            });
        }
        Ok(Found {
            kind,
            header,
            whole: Span {
                offset: range.offset,
                size,
            },
        })
    }

    fn sidx(&mut self, found: Found) -> Result<Sidx, Unlisted> {
        let Found {
            kind,
            header,
            whole,
        } = found;
        if kind != *b"sidx" {
            return Err(Unlisted::Damaged("it points to an index that is none"));
        }
        let bytes = self.bytes(whole)?;
        let mut fields = Fields(bytes.get(header as usize..).unwrap_or_default());
        let [version, ..] = fields.take::<4>()?;
        if version > 1 {
            return Err(Unlisted::Other);
        }
        let _reference_id = fields.u32()?;
        let timescale = fields.u32()?;
        if timescale == 0 {
            return Err(Unlisted::Damaged("its timescale is zero"));
        }
        let (mut time, first_offset) = match version {
            0 => (fields.u32()?.into(), fields.u32()?.into()),
            _ => (fields.u64()?, fields.u64()?),
        };
        let [_, _, count @ ..] = fields.take::<4>()?;
        // Everything counts from the end of the box.
        let beyond = Unlisted::Damaged("its numbers are beyond all files");
        let mut at = whole.end().checked_add(first_offset).ok_or(beyond)?;
        let mut references = Vec::new();
        for _ in 0..u16::from_be_bytes(count) {
            let (reference, duration, _stream_access) =
                (fields.u32()?, fields.u32()?, fields.u32()?);
            let size = u64::from(reference & 0x7fff_ffff);
            references.push(Reference {
                is_index: reference >> 31 == 1,
                subsegment: Subsegment {
                    part: Span { offset: at, size },
                    time,
                    duration,
                },
            });
            at = at.checked_add(size).ok_or(beyond)?;
            time = time.checked_add(duration.into()).ok_or(beyond)?;
        }
        Ok(Sidx {
            timescale,
            references,
        })
    }
}

/// Big-endian numbers, one after another.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unlisted> {
        let (taken, rest) = (self.0.split_first_chunk())
            .ok_or(Unlisted::Damaged("it ends in the middle of a field"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, Unlisted> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, Unlisted> {
        Ok(u64::from_be_bytes(self.take()?))
    }
}

#[cfg(test)]
mod tests;

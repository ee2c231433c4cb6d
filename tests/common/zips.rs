//! Archives byte by byte, right or wrong in any way a test wants.
//!
//! [`Zip`] appends entries and writes the directory; every number of a record can be set to
//! something else than the truth. What is not set is what an honest writer would write.

/// Bit 3 of the general purpose flags: a data descriptor follows.
pub const DESCRIPTOR: u16 = 1 << 3;
/// Bit 11: the name is UTF-8.
pub const UTF8: u16 = 1 << 11;
/// Made by Unix, with st_mode in the external attributes.
pub const UNIX: u16 = 3 << 8 | 20;
/// Made by MS-DOS.
pub const DOS: u16 = 20;

/// One entry, as its two headers tell it.
#[derive(Clone, Debug)]
pub struct Item {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub made_by: u16,
    pub external: u32,
    /// DOS time, then date.
    pub dos: (u16, u16),
    pub crc: u32,
    pub local_extra: Vec<u8>,
    pub extra: Vec<u8>,
    pub comment: Vec<u8>,
    /// Size and compressed size in the directory.
    pub sizes: (u32, u32),
    /// CRC and sizes in the local header.
    pub local_numbers: (u32, u32, u32),
    pub local_name: Option<Vec<u8>>,
    pub local_flags: Option<u16>,
    pub local_method: Option<u16>,
    /// Offset in the directory, instead of the true one.
    pub offset: Option<u32>,
    pub disk: u16,
    /// What lies behind the data: a descriptor, padding.
    pub behind: Vec<u8>,
}

impl Item {
    /// A stored file.
    pub fn new(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        let (name, data) = (name.as_ref().to_vec(), data.as_ref().to_vec());
        let (crc, len) = (crc32fast::hash(&data), data.len() as u32);
        Self {
            name,
            data,
            flags: 0,
            method: 0,
            made_by: UNIX,
            external: 0,
            dos: (0, 0x5821), // 2024-01-01
            crc,
            local_extra: Vec::new(),
            extra: Vec::new(),
            comment: Vec::new(),
            sizes: (len, len),
            local_numbers: (crc, len, len),
            local_name: None,
            local_flags: None,
            local_method: None,
            offset: None,
            disk: 0,
            behind: Vec::new(),
        }
    }

    /// Changes something.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// With zeros in the local header and a data descriptor behind: its signature or not, 64-bit
    /// sizes or not.
    pub fn described(mut self, signature: bool, wide: bool) -> Self {
        self.flags |= DESCRIPTOR;
        self.local_numbers = (0, 0, 0);
        let len = self.data.len() as u64;
        if signature {
            self.behind.extend(0x0807_4b50u32.to_le_bytes());
        }
        self.behind.extend(self.crc.to_le_bytes());
        for _ in 0..2 {
            let bytes = len.to_le_bytes();
            let width = if wide { 8 } else { 4 };
            self.behind.extend(&bytes[..width]);
        }
        self
    }

    /// The local header, name and extra field.
    pub fn local(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let mut out = 0x0403_4b50u32.to_le_bytes().to_vec();
        let flags = self.local_flags.unwrap_or(self.flags);
        let method = self.local_method.unwrap_or(self.method);
        put16(&mut out, &[20, flags, method, self.dos.0, self.dos.1]);
        let (crc, compressed, size) = self.local_numbers;
        put32(&mut out, &[crc, compressed, size]);
        put16(
            &mut out,
            &[name.len() as u16, self.local_extra.len() as u16],
        );
        [out, name.clone(), self.local_extra.clone()].concat()
    }

    /// The record of the directory.
    pub fn central(&self, offset: u32) -> Vec<u8> {
        let mut out = 0x0201_4b50u32.to_le_bytes().to_vec();
        put16(&mut out, &[self.made_by, 20, self.flags, self.method]);
        put16(&mut out, &[self.dos.0, self.dos.1]);
        put32(&mut out, &[self.crc, self.sizes.1, self.sizes.0]);
        let lens = [&self.name, &self.extra, &self.comment].map(|part| part.len() as u16);
        put16(&mut out, &lens);
        put16(&mut out, &[self.disk, 0]);
        put32(&mut out, &[self.external, self.offset.unwrap_or(offset)]);
        out.extend(self.name.iter().chain(&self.extra).chain(&self.comment));
        out
    }
}

/// An archive as it grows: its bytes so far, and those of the directory to come.
#[derive(Clone, Debug, Default)]
pub struct Zip {
    pub bytes: Vec<u8>,
    pub directory: Vec<u8>,
    pub entries: u64,
    /// The offset that the writer takes for the beginning of the archive.
    pub base: u64,
}

/// The end of an archive.
#[derive(Clone, Debug, Default)]
pub struct End {
    pub comment: Vec<u8>,
    /// With a ZIP64 EOCD and locator before it, and all ones in it.
    pub zip64: bool,
    /// Extensible data of the ZIP64 EOCD.
    pub extensible: Vec<u8>,
    /// Entries, size and offset of the directory, instead of the true ones.
    pub entries: Option<u64>,
    pub size: Option<u64>,
    pub offset: Option<u64>,
    pub disk: u16,
}

impl Zip {
    /// These items one behind the other.
    pub fn of(items: impl IntoIterator<Item = Item>) -> Self {
        let mut zip = Self::default();
        items.into_iter().for_each(|item| zip.add(&item));
        zip
    }

    /// Bytes that are no entry's.
    pub fn gap(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    pub fn add(&mut self, item: &Item) {
        let offset = self.bytes.len() as u64 - self.base;
        self.directory.extend(item.central(offset as u32));
        self.entries += 1;
        self.bytes.extend(item.local());
        self.bytes.extend(item.data.iter().chain(&item.behind));
    }

    /// With the directory and a plain end.
    pub fn finish(self) -> Vec<u8> {
        self.end(&End::default())
    }

    pub fn end(mut self, end: &End) -> Vec<u8> {
        let start = self.bytes.len() as u64;
        self.bytes.append(&mut self.directory);
        let size = end.size.unwrap_or(self.bytes.len() as u64 - start);
        let offset = end.offset.unwrap_or(start - self.base);
        let entries = end.entries.unwrap_or(self.entries);
        if end.zip64 {
            let at = self.bytes.len() as u64 - self.base;
            self.bytes
                .extend(eocd64(entries, size, offset, &end.extensible));
            self.bytes.extend(locator(at));
            let ones = (u16::MAX, u32::MAX, u32::MAX);
            self.bytes.extend(eocd(ones, end.disk, &end.comment));
        } else {
            let numbers = (entries as u16, size as u32, offset as u32);
            self.bytes.extend(eocd(numbers, end.disk, &end.comment));
        }
        self.bytes
    }
}

/// A line of any bytes under a directory that is right: of an entry at its begin with these flags,
/// method and size, and of another one behind. What the fuzz target `local_header` reads.
pub fn under_a_right_directory(flags: u8, method: u8, size: u8, line: &[u8]) -> Vec<u8> {
    let mut first = Item::new("a/b.ts", []);
    first.flags = flags.into();
    first.method = method.into();
    first.sizes = (size.into(), size.into());
    let mut zip = Zip::default();
    zip.gap(line);
    zip.directory = first.central(0);
    zip.entries = 1;
    zip.add(&Item::new("c", "data"));
    zip.finish()
}

/// An end-of-central-directory record.
pub fn eocd((entries, size, offset): (u16, u32, u32), disk: u16, comment: &[u8]) -> Vec<u8> {
    let mut out = 0x0605_4b50u32.to_le_bytes().to_vec();
    put16(&mut out, &[disk, disk, entries, entries]);
    put32(&mut out, &[size, offset]);
    put16(&mut out, &[comment.len() as u16]);
    [&out, comment].concat()
}

/// A ZIP64 end-of-central-directory record.
pub fn eocd64(entries: u64, size: u64, offset: u64, extensible: &[u8]) -> Vec<u8> {
    let mut out = 0x0606_4b50u32.to_le_bytes().to_vec();
    put64(&mut out, &[44 + extensible.len() as u64]);
    put16(&mut out, &[45, 45]);
    put32(&mut out, &[0, 0]);
    put64(&mut out, &[entries, entries, size, offset]);
    [&out, extensible].concat()
}

/// A ZIP64 end-of-central-directory locator.
pub fn locator(at: u64) -> Vec<u8> {
    let mut out = 0x0706_4b50u32.to_le_bytes().to_vec();
    put32(&mut out, &[0]);
    put64(&mut out, &[at]);
    put32(&mut out, &[1]);
    out
}

/// An extra field.
pub fn extra(id: u16, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put16(&mut out, &[id, body.len() as u16]);
    [&out, body].concat()
}

/// A ZIP64 extra field of these numbers.
pub fn zip64(numbers: &[u64]) -> Vec<u8> {
    let mut body = Vec::new();
    put64(&mut body, numbers);
    extra(1, &body)
}

fn put16(out: &mut Vec<u8>, numbers: &[u16]) {
    numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
}

fn put32(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
}

fn put64(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|n| out.extend(n.to_le_bytes()));
}

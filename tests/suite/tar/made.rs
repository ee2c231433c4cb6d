//! Tars made by hand, for what no writer should make.

/// A header block with a right checksum.
#[derive(Clone)]
pub struct Header(pub [u8; 512]);

impl Header {
    pub fn new(name: &str, typeflag: u8, size: u64) -> Self {
        let mut header = Self([0; 512]);
        header.set(0, name.as_bytes());
        header.set(100, b"0000644\0");
        header.set(108, b"0001750\0");
        header.set(116, b"0001750\0");
        header.set(124, format!("{size:011o}\0").as_bytes());
        header.set(136, b"07346545000\0");
        header.0[156] = typeflag;
        header.set(257, b"ustar\x0000");
        header
    }

    /// Sets bytes at an offset; the checksum is made right in the end.
    pub fn set(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.set(at, bytes);
        self
    }

    pub fn block(mut self) -> [u8; 512] {
        self.set(148, b"        ");
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.set(148, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

/// A tar under construction.
#[derive(Default, Clone)]
pub struct Made(pub Vec<u8>);

impl Made {
    /// Adds a header and data, filled up to a block.
    pub fn member(mut self, header: Header, data: &[u8]) -> Self {
        self.0.extend_from_slice(&header.block());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, data: &[u8]) -> Self {
        self.member(Header::new(name, b'0', data.len() as u64), data)
    }

    /// Adds a pax extended header.
    pub fn pax(self, typeflag: u8, records: &[(&str, &str)]) -> Self {
        let records: String = records
            .iter()
            .map(|(key, value)| record(key, value))
            .collect();
        let header = Header::new("pax", typeflag, records.len() as u64);
        self.member(header, records.as_bytes())
    }

    pub fn link(self, name: &str, typeflag: u8, target: &str) -> Self {
        let header = Header::new(name, typeflag, 0).with(157, target.as_bytes());
        self.member(header, b"")
    }

    /// With the blocks of zeros at the end.
    pub fn ended(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A record of a pax extended header: its length counts itself.
pub fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut len = rest.len();
    while len != rest.len() + len.to_string().len() {
        len = rest.len() + len.to_string().len();
    }
    format!("{len}{rest}")
}

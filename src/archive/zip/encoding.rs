//! Encodings of names that are not flagged as UTF-8.
//!
//! The specification has two: UTF-8 with a flag, else CP437 (appendix D). Writers on Windows use the
//! machine's code page and do not record it, so the user can name or detect it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use oem_cp::code_table::{DECODING_TABLE_CP_MAP, DECODING_TABLE_CP437};
use oem_cp::code_table_type::TableType;

/// The encoding of names that are neither ASCII nor flagged as UTF-8.
#[derive(Clone, Copy, Default)]
pub struct Encoding(Table);

#[derive(Clone, Copy, Default)]
enum Table {
    /// UTF-8 where it is valid, else CP437.
    #[default]
    Usual,
    /// UTF-8 where it is valid, else one encoding that is guessed from all other names.
    Auto,
    /// An OEM code page, by its number.
    Oem(u16, &'static TableType),
    /// An encoding of the Encoding Standard, which has those of Windows and East Asia.
    Web(&'static encoding_rs::Encoding),
}

/// The label of an unknown encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown encoding '{0}'; known are {known}", known = Encoding::known().join(", "))]
pub struct UnknownEncoding(String);

/// The encodings of the Encoding Standard that are ASCII-compatible. Each also has other labels.
const WEB: [&encoding_rs::Encoding; 36] = [
    encoding_rs::UTF_8,
    encoding_rs::BIG5,
    encoding_rs::EUC_JP,
    encoding_rs::EUC_KR,
    encoding_rs::GB18030,
    encoding_rs::GBK,
    encoding_rs::SHIFT_JIS,
    encoding_rs::KOI8_R,
    encoding_rs::KOI8_U,
    encoding_rs::IBM866,
    encoding_rs::ISO_8859_2,
    encoding_rs::ISO_8859_3,
    encoding_rs::ISO_8859_4,
    encoding_rs::ISO_8859_5,
    encoding_rs::ISO_8859_6,
    encoding_rs::ISO_8859_7,
    encoding_rs::ISO_8859_8,
    encoding_rs::ISO_8859_8_I,
    encoding_rs::ISO_8859_10,
    encoding_rs::ISO_8859_13,
    encoding_rs::ISO_8859_14,
    encoding_rs::ISO_8859_15,
    encoding_rs::ISO_8859_16,
    encoding_rs::MACINTOSH,
    encoding_rs::X_MAC_CYRILLIC,
    encoding_rs::WINDOWS_874,
    encoding_rs::WINDOWS_1250,
    encoding_rs::WINDOWS_1251,
    encoding_rs::WINDOWS_1252,
    encoding_rs::WINDOWS_1253,
    encoding_rs::WINDOWS_1254,
    encoding_rs::WINDOWS_1255,
    encoding_rs::WINDOWS_1256,
    encoding_rs::WINDOWS_1257,
    encoding_rs::WINDOWS_1258,
    encoding_rs::X_USER_DEFINED,
];

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    /// `auto`; an OEM code page as `cp850`, `ibm850` or `850`; or a label of the Encoding Standard that is
    /// ASCII-compatible, since slashes are found in the raw name.
    fn from_str(label: &str) -> Result<Self, UnknownEncoding> {
        let label = label.trim().to_ascii_lowercase();
        if label == "auto" {
            return Ok(Self(Table::Auto));
        }
        let number = label.trim_start_matches("cp").trim_start_matches("ibm");
        let number = number.trim_start_matches(['-', '_']).parse::<u16>().ok();
        if let Some((page, table)) = number.and_then(|n| DECODING_TABLE_CP_MAP.get_entry(&n)) {
            return Ok(Self(Table::Oem(*page, table)));
        }
        let on_the_web = match number {
            Some(932) => Some(encoding_rs::SHIFT_JIS),
            Some(936) => Some(encoding_rs::GBK),
            Some(949) => Some(encoding_rs::EUC_KR),
            Some(950) => Some(encoding_rs::BIG5),
            Some(page) if label.starts_with("cp") => {
                encoding_rs::Encoding::for_label(format!("windows-{page}").as_bytes())
            }
            _ => encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()),
        };
        let found = on_the_web.filter(|encoding| encoding.is_ascii_compatible());
        found
            .map(|encoding| Self(Table::Web(encoding)))
            .ok_or(UnknownEncoding(label))
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Table::Usual => f.write_str("cp437"),
            Table::Auto => f.write_str("auto"),
            Table::Oem(page, _) => write!(f, "cp{page}"),
            Table::Web(encoding) => f.write_str(encoding.name()),
        }
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoding({self})")
    }
}

impl Encoding {
    /// Whether it is the default.
    pub fn is_usual(&self) -> bool {
        matches!(self.0, Table::Usual)
    }

    /// The names of all encodings: `auto`, OEM code pages, the Encoding Standard.
    pub fn known() -> Vec<String> {
        let mut pages: Vec<u16> = DECODING_TABLE_CP_MAP.keys().copied().collect();
        pages.sort_unstable();
        let pages = pages.into_iter().map(|page| format!("cp{page}"));
        let web = WEB.iter().map(|encoding| encoding.name().to_owned());
        ["auto".to_owned()]
            .into_iter()
            .chain(pages)
            .chain(web)
            .collect()
    }

    /// The name in UTF-8; `None` if the encoding must be guessed from all names. Bytes that are invalid in
    /// the encoding become U+FFFD.
    pub(in crate::archive) fn decode<'a>(&self, name: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        // Unix writers store the file's name, mostly UTF-8, without the flag. An encoding that the user
        // names takes precedence.
        let is_utf8 = || std::str::from_utf8(name).is_ok();
        Some(match self.0 {
            _ if name.is_ascii() => name.into(),
            Table::Usual | Table::Auto if is_utf8() => name.into(),
            Table::Auto => return None,
            Table::Usual => from_cp437(name).into_bytes().into(),
            Table::Oem(_, table) => table.decode_string_lossy(name).into_bytes().into(),
            Table::Web(encoding) => match encoding.decode_without_bom_handling(name).0 {
                Cow::Borrowed(same) => same.as_bytes().into(),
                Cow::Owned(text) => text.into_bytes().into(),
            },
        })
    }
}

/// The characters 128 to 255 of CP437, the encoding of names without the UTF-8 flag (appendix D).
fn from_cp437(bytes: &[u8]) -> String {
    oem_cp::decode_string_complete_table(bytes, &DECODING_TABLE_CP437)
}

/// How many bytes of names the detector sees: enough to be sure. A million names would take ten seconds.
const ENOUGH: usize = 64 * 1024;

/// Guesses one encoding for all names of an archive that are not UTF-8. A guess from a single name would
/// often be wrong.
///
/// It knows the encodings of the Encoding Standard, which has CP866 but no other OEM code page.
pub(super) struct Detector {
    detector: EncodingDetector,
    seen: usize,
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Detector")
    }
}

impl Detector {
    pub(super) fn new() -> Self {
        Self {
            detector: EncodingDetector::new(Iso2022JpDetection::Deny),
            seen: 0,
        }
    }

    pub(super) fn see(&mut self, name: &[u8]) {
        if self.seen < ENOUGH {
            self.detector.feed(name, false);
            self.detector.feed(b"\n", false);
            self.seen += name.len();
        }
    }

    pub(super) fn guess(mut self) -> Encoding {
        self.detector.feed(b"", true);
        Encoding(Table::Web(self.detector.guess(None, Utf8Detection::Deny)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let table = [
            ("cp437", Some("cp437")),
            ("CP850", Some("cp850")),
            ("ibm852", Some("cp852")),
            ("866", Some("cp866")),
            ("cp866", Some("cp866")),
            ("auto", Some("auto")),
            ("shift_jis", Some("Shift_JIS")),
            ("cp932", Some("Shift_JIS")),
            ("cp936", Some("GBK")),
            ("cp1251", Some("windows-1251")),
            ("latin1", Some("windows-1252")),
            ("utf-8", Some("UTF-8")),
            ("utf-16le", None),
            ("iso-2022-jp", None),
            ("replacement", None),
            ("klingon", None),
            ("cp0", None),
            ("", None),
        ];
        for (label, expected) in table {
            let found = label.parse::<Encoding>().ok().map(|e| e.to_string());
            assert_eq!(found.as_deref(), expected, "{label}");
        }
    }

    #[test]
    fn known_encodings_parse() {
        let known = Encoding::known();
        for name in &known {
            let encoding: Encoding = name.parse().expect(name);
            let shown = encoding.to_string();
            assert!(shown == *name || name == "IBM866", "{name} is {shown}");
        }
        let error = "klingon"
            .parse::<Encoding>()
            .expect_err("nobody's")
            .to_string();
        for name in ["auto", "cp437", "cp866", "Shift_JIS", "windows-1251"] {
            assert!(error.contains(name), "{error}");
        }
        // None of the web is left out.
        for label in [
            "tis-620", "gb2312", "x-sjis", "hebrew", "logical", "l9", "greek8",
        ] {
            let name = label.parse::<Encoding>().expect(label).to_string();
            assert!(known.contains(&name), "{name}");
        }
    }

    #[test]
    fn decoding() {
        let decode = |label: &str, bytes: &[u8]| {
            let encoding: Encoding = label.parse().expect("a known label");
            let name = encoding.decode(bytes).expect("not auto");
            String::from_utf8(name.into_owned()).expect("UTF-8")
        };
        assert_eq!(decode("cp437", b"\x81ber"), "über");
        assert_eq!(decode("cp866", b"\xac\xa8\xe0"), "мир");
        assert_eq!(decode("shift_jis", b"\x83\x5c\x83\x5c"), "ソソ");
        assert_eq!(
            decode("cp857", b"a\xd5"),
            "a\u{fffd}",
            "it has no such character"
        );
        let usual = Encoding::default();
        assert_eq!(
            usual.decode("ü".as_bytes()).as_deref(),
            Some("ü".as_bytes())
        );
        assert_eq!(usual.decode(b"\x81").as_deref(), Some("ü".as_bytes()));
    }

    #[test]
    fn detection_looks_at_all_names() {
        let mut detector = Detector::new();
        for name in ["Привет мир.txt", "Фильмы/Кино.mp4"] {
            let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode(name);
            detector.see(&bytes);
        }
        assert_eq!(detector.guess().to_string(), "windows-1251");
    }
}

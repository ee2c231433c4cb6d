//! What a decoder must know of an entry besides its method, in 16 bits of the table of rare fields.

use super::entry::{AesKey, Encryption};

/// Options and encryption. The low byte is ZipCrypto's check of the password; above it are two bits of options,
/// three of the kind of encryption, and two of the AES key's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Coding(pub(super) u16);

const OPTIONS_AT: u32 = 8;
const KIND_AT: u32 = 10;
const KEY_AT: u32 = 13;

const ZIP_CRYPTO: u16 = 1;
const AE1: u16 = 2;
const AE2: u16 = 3;
const UNKNOWN: u16 = 4;

impl Coding {
    pub(super) fn new(options: u8, encryption: Option<Encryption>) -> Self {
        let (kind, key, check) = match encryption {
            None => (0, 0, 0),
            Some(Encryption::ZipCrypto { check }) => (ZIP_CRYPTO, 0, check),
            Some(Encryption::Aes { key, is_ae2: false }) => (AE1, key as u16, 0),
            Some(Encryption::Aes { key, is_ae2: true }) => (AE2, key as u16, 0),
            Some(Encryption::Unknown) => (UNKNOWN, 0, 0),
        };
        let options = u16::from(options & 3);
        Self(options << OPTIONS_AT | kind << KIND_AT | key << KEY_AT | u16::from(check))
    }

    pub(super) fn options(self) -> u8 {
        (self.0 >> OPTIONS_AT & 3) as u8
    }

    pub(super) fn encryption(self) -> Option<Encryption> {
        let kind = self.0 >> KIND_AT & 7;
        let key = AesKey::of_number((self.0 >> KEY_AT & 3) as u8);
        Some(match (kind, key) {
            (0, _) => return None,
            (ZIP_CRYPTO, _) => Encryption::ZipCrypto {
                check: self.0 as u8,
            },
            (AE1 | AE2, Some(key)) => Encryption::Aes {
                key,
                is_ae2: kind == AE2,
            },
            _ => Encryption::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_coding_is_unpacked_as_packed() {
        let mut all = vec![None, Some(Encryption::Unknown)];
        all.extend((0..=255).map(|check| Some(Encryption::ZipCrypto { check })));
        for key in [AesKey::Bits128, AesKey::Bits192, AesKey::Bits256] {
            all.extend([false, true].map(|is_ae2| Some(Encryption::Aes { key, is_ae2 })));
        }
        for encryption in all {
            for options in 0..4 {
                let coding = Coding::new(options, encryption);
                assert_eq!(
                    (coding.options(), coding.encryption()),
                    (options, encryption)
                );
            }
        }
        assert_eq!(Coding::new(0, None), Coding::default());
    }
}

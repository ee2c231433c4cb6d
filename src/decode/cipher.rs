//! Decryption: an [`Input`] over the encrypted bytes of an entry.
//!
//! ZipCrypto is section 6.1 of the specification; everything it decrypts changes its three keys, which are
//! the state at a checkpoint. WinZip's AES is AES in counter mode, so any position can be decrypted:
//! `https://www.winzip.com/en/support/aes-encryption/`.

use std::io::{self, BufRead, Read};

use aes::{Aes128, Aes192, Aes256};
use ctr::Ctr128LE;
use ctr::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::codec::{Checkpoint, Decryption, Input, read_buffered};
use super::error::Error;
use super::password::Password;
use crate::archive::Encryption;

/// How much is decrypted at once, in bytes.
const STEP: usize = 32 * 1024;

/// Rounds of PBKDF2 for AES.
const ROUNDS: u32 = 1000;

/// The key of one entry.
pub struct Key {
    secret: Secret,
    /// Length of the compressed data in bytes, without what encryption adds.
    len: u64,
}

#[derive(Clone)]
enum Secret {
    ZipCrypto(ZipCrypto),
    Aes {
        key: Vec<u8>,
        /// The authentication code of no data.
        code: Hmac<Sha1>,
    },
}

impl Key {
    /// Derives the key of an entry, which takes milliseconds for AES. `header` is what precedes the entry's
    /// data, as long as [`Encryption::overhead`] says, and `stored` the length of all that the archive has
    /// of the entry, in bytes.
    ///
    /// # Errors
    /// If the password is wrong. This check accepts one wrong password in 256 with ZipCrypto, and one in 65,536 with
    /// AES.
    pub fn unlock(
        encryption: Encryption,
        header: &[u8],
        stored: u64,
        password: &[u8],
    ) -> Result<Self, Error> {
        let (before, behind) = encryption.overhead();
        let damaged = || Error::damaged(0, "its encryption header is cut off");
        let len = stored.checked_sub(before + behind).ok_or_else(damaged)?;
        let header = header.get(..before as usize).ok_or_else(damaged)?;
        let secret = match encryption {
            Encryption::ZipCrypto { check } => {
                let mut keys = ZipCrypto::new(password);
                let mut header = header.to_vec();
                keys.decrypt(&mut header);
                if header.last() != Some(&check) {
                    return Err(Error::WrongPassword);
                }
                Secret::ZipCrypto(keys)
            }
            Encryption::Aes { key, .. } => {
                let (salt, check) = header.split_at(key.salt_len());
                let mut derived = vec![0; 2 * key.bytes() + check.len()];
                pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, ROUNDS, &mut derived);
                let len = key.bytes();
                let (key, rest) = derived.split_at(len);
                let (authentication, derived_check) = rest.split_at(len);
                if derived_check != check {
                    return Err(Error::WrongPassword);
                }
                Secret::Aes {
                    key: key.to_vec(),
                    code: Hmac::new_from_slice(authentication)
                        .expect("HMAC takes keys of any length"),
                }
            }
            Encryption::Unknown => return Err(Error::UnsupportedEncryption),
        };
        Ok(Self { secret, len })
    }

    /// Decrypts a whole entry: `raw` begins with the header.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock), and if there is no password.
    pub fn open(
        encryption: Encryption,
        stored: u64,
        password: Option<&Password>,
        mut raw: Box<dyn Input>,
    ) -> Result<Box<dyn Input>, Error> {
        let password = password.ok_or(Error::NoPassword)?;
        let mut header = vec![0; encryption.overhead().0 as usize];
        raw.fill(&mut header)?;
        let key = Self::unlock(encryption, &header, stored, password.bytes())?;
        key.input(raw, None)
    }

    /// The decrypted data. `raw` begins at the offset of `from`, and ends behind the authentication code. The last
    /// bytes are returned only if the code is that of all data, wherever decryption began.
    ///
    /// # Errors
    /// If the checkpoint is damaged.
    pub fn input(
        &self,
        raw: Box<dyn Input>,
        from: Option<&Checkpoint>,
    ) -> Result<Box<dyn Input>, Error> {
        let position = from.map_or(0, |from| from.input);
        let wrong = || Error::damaged(position, "its checkpoint is damaged");
        let left = self.len.checked_sub(position).ok_or_else(wrong)?;
        let before = from.map(|from| &from.decryption);
        let state = match (&self.secret, before) {
            (Secret::ZipCrypto(keys), None) => State::ZipCrypto(keys.clone()),
            (Secret::ZipCrypto(_), Some(Decryption::ZipCrypto(keys))) => {
                State::ZipCrypto(ZipCrypto(*keys))
            }
            (Secret::Aes { key, code }, None)
            | (Secret::Aes { key, .. }, Some(Decryption::Aes(code))) => State::Aes {
                stream: counter_mode(key, position).ok_or_else(wrong)?,
                code: code.clone(),
                encrypted: Vec::new(),
            },
            (_, Some(_)) => return Err(wrong()),
        };
        Ok(Box::new(Decrypted {
            raw,
            has_code: matches!(state, State::Aes { .. }),
            state,
            left,
            bytes: Vec::new(),
            consumed: 0,
            position,
        }))
    }
}

/// AES with a key of any length.
type Stream = Box<dyn StreamCipher + Send>;

/// AES in counter mode, at a position of the data. WinZip counts blocks from 1, little-endian.
fn counter_mode(key: &[u8], position: u64) -> Option<Stream> {
    fn at<C>(key: &[u8], position: u64) -> Option<Stream>
    where
        C: KeyIvInit + StreamCipher + StreamCipherSeek + Send + 'static,
    {
        let mut first = [0; 16];
        first[0] = 1;
        let mut cipher = C::new_from_slices(key, &first).ok()?;
        cipher.try_seek(position).ok()?;
        Some(Box::new(cipher))
    }
    match key.len() {
        16 => at::<Ctr128LE<Aes128>>(key, position),
        24 => at::<Ctr128LE<Aes192>>(key, position),
        _ => at::<Ctr128LE<Aes256>>(key, position),
    }
}

enum State {
    /// The keys before the bytes in [`Decrypted::bytes`].
    ZipCrypto(ZipCrypto),
    Aes {
        stream: Stream,
        /// The authentication code of all data before [`Decrypted::bytes`].
        code: Hmac<Sha1>,
        /// [`Decrypted::bytes`], encrypted: what the code is of.
        encrypted: Vec<u8>,
    },
}

/// Decrypted data.
struct Decrypted {
    raw: Box<dyn Input>,
    state: State,
    /// Whether an authentication code lies behind the data and was not compared yet.
    has_code: bool,
    /// How many bytes of the data were not decrypted yet.
    left: u64,
    /// Decrypted bytes, of which the first were consumed.
    bytes: Vec<u8>,
    consumed: usize,
    /// Offset of `bytes` in the data.
    position: u64,
}

impl Decrypted {
    fn decrypt_next(&mut self) -> io::Result<()> {
        match &mut self.state {
            State::ZipCrypto(keys) => keys.pass(&self.bytes),
            State::Aes {
                code, encrypted, ..
            } => code.update(encrypted),
        }
        self.position += self.bytes.len() as u64;
        self.consumed = 0;
        self.bytes.clear();
        let encrypted = self.raw.fill_buf()?;
        let most = STEP.min(usize::try_from(self.left).unwrap_or(STEP));
        self.bytes
            .extend_from_slice(&encrypted[..encrypted.len().min(most)]);
        if self.bytes.is_empty() && self.left > 0 {
            let what = "its encrypted data ends in the middle";
            return Err(Error::damaged(self.position, what).into());
        }
        self.raw.consume(self.bytes.len());
        self.left -= self.bytes.len() as u64;
        match &mut self.state {
            State::ZipCrypto(keys) => keys.clone().decrypt(&mut self.bytes),
            State::Aes {
                stream, encrypted, ..
            } => {
                encrypted.clone_from(&self.bytes);
                stream.apply_keystream(&mut self.bytes);
            }
        }
        if self.left == 0 && self.has_code {
            self.compare_code()?;
        }
        Ok(())
    }

    /// Compares the authentication code, which follows the data.
    fn compare_code(&mut self) -> io::Result<()> {
        let State::Aes {
            code, encrypted, ..
        } = &self.state
        else {
            return Ok(());
        };
        let mut listed = [0; 10];
        self.raw.read_exact(&mut listed)?;
        let code = code.clone().chain_update(encrypted);
        if code.verify_truncated_left(&listed).is_err() {
            self.bytes.clear();
            return Err(Error::Forged.into());
        }
        self.has_code = false;
        Ok(())
    }
}

impl Read for Decrypted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

impl BufRead for Decrypted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        // The code of data without a byte is compared, too.
        if self.consumed == self.bytes.len() && (self.left > 0 || self.has_code) {
            self.decrypt_next()?;
        }
        Ok(&self.bytes[self.consumed..])
    }

    fn consume(&mut self, count: usize) {
        self.consumed = (self.consumed + count).min(self.bytes.len());
    }
}

impl Input for Decrypted {
    fn position(&self) -> u64 {
        self.position + self.consumed as u64
    }

    fn state(&self) -> Decryption {
        match &self.state {
            State::ZipCrypto(keys) => {
                let mut keys = keys.clone();
                keys.pass(&self.bytes[..self.consumed]);
                Decryption::ZipCrypto(keys.0)
            }
            State::Aes {
                code, encrypted, ..
            } => Decryption::Aes(code.clone().chain_update(&encrypted[..self.consumed])),
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        while self.has_code {
            let at = self.position;
            self.decrypt_next().map_err(|e| Error::of_io(e, at))?;
        }
        Ok(())
    }
}

/// The keys of ZipCrypto (section 6.1.5).
#[derive(Clone)]
struct ZipCrypto([u32; 3]);

impl ZipCrypto {
    fn new(password: &[u8]) -> Self {
        let mut keys = Self([0x1234_5678, 0x2345_6789, 0x3456_7890]);
        keys.pass(password);
        keys
    }

    /// Updates the keys with plain bytes.
    fn pass(&mut self, plain: &[u8]) {
        plain.iter().for_each(|byte| self.update(*byte));
    }

    fn update(&mut self, plain: u8) {
        let [first, second, third] = &mut self.0;
        *first = crc32(*first, plain);
        *second = second
            .wrapping_add(*first & 0xff)
            .wrapping_mul(134_775_813)
            .wrapping_add(1);
        *third = crc32(*third, (*second >> 24) as u8);
    }

    fn decrypt(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            let word = (self.0[2] | 2) & 0xffff;
            *byte ^= (word.wrapping_mul(word ^ 1) >> 8) as u8;
            self.update(*byte);
        }
    }
}

/// A step of CRC-32 without the inversions before and after, which crc32fast does not give.
fn crc32(crc: u32, byte: u8) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let (mut value, mut bit) = (at as u32, 0);
            while bit < 8 {
                value = value >> 1 ^ if value & 1 == 1 { 0xedb8_8320 } else { 0 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    crc >> 8 ^ TABLE[((crc ^ u32::from(byte)) & 0xff) as usize]
}

//! Entries encrypted as WinZip does it (`https://www.winzip.com/en/support/aes-encryption/`), so that a test can forge
//! any part of them.

use aes::Aes256;
use ctr::Ctr128LE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::coded::PASSWORD;
use super::zips::Item;

/// Length of the authentication code behind the data, in bytes.
pub const CODE: usize = 10;

/// Encrypts an entry with AES-256 as AE-2: it has no CRC-32.
pub fn sealed(item: Item) -> Item {
    const KEY: usize = 32;
    let salt = [7; KEY / 2];
    let mut derived = [0; 2 * KEY + 2];
    pbkdf2::pbkdf2_hmac::<Sha1>(PASSWORD.as_bytes(), &salt, 1000, &mut derived);
    let (key, rest) = derived.split_at(KEY);
    let (authentication, check) = rest.split_at(KEY);
    let mut first = [0; 16];
    first[0] = 1;
    let mut data = item.data.clone();
    let mut cipher = Ctr128LE::<Aes256>::new_from_slices(key, &first).expect("lengths of AES");
    cipher.apply_keystream(&mut data);
    let mut code = Hmac::<Sha1>::new_from_slice(authentication).expect("any length");
    code.update(&data);
    let code = code.finalize().into_bytes();
    item.with(|item| {
        item.data = [&salt[..], check, &data, &code[..CODE]].concat();
        item.extra = [
            &[1, 0x99, 7, 0, 2, 0][..],
            b"AE\x03",
            &item.method.to_le_bytes(),
        ]
        .concat();
        item.local_extra = item.extra.clone();
        (item.method, item.flags, item.crc) = (99, item.flags | 1, 0);
        item.sizes.1 = item.data.len() as u32;
        item.local_numbers = (0, item.sizes.1, item.sizes.0);
    })
}

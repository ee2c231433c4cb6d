//! Compressed and encrypted entries: what the index says of them, and where their data lies.

use aiozfs::archive::{AesKey, Encryption, EntryId, Index, Method};

use super::drive;
use crate::common::zips::{DESCRIPTOR, Item, Zip, extra};

/// The method of entries that are encrypted with AES.
const AES: u16 = 99;
const ENCRYPTED: u16 = 1;
const STRONG: u16 = 1 << 6;

/// An entry with this data, whose content has `size` bytes.
fn packed(method: u16, flags: u16, data: &[u8], size: u32) -> Item {
    Item::new("e", data).with(|item| {
        (item.method, item.flags) = (method, flags);
        item.sizes.0 = size;
        item.local_numbers.2 = size;
    })
}

fn aes(version: u16, key: u8, method: u16) -> Vec<u8> {
    let [version, method] = [version, method].map(u16::to_le_bytes);
    extra(0x9901, &[&version, &b"AE"[..], &[key], &method].concat())
}

fn encrypted_by_aes(key: u8, method: u16, data: &[u8], size: u32) -> Item {
    let mut item = packed(AES, ENCRYPTED, data, size);
    item.extra = aes(2, key, method);
    item.local_extra = item.extra.clone();
    item.crc = 0;
    item.local_numbers.0 = 0;
    item
}

/// An archive with another entry behind.
fn index_of(item: Item) -> (Index, EntryId, Vec<u8>) {
    let blob = Zip::of([item, Item::new("f", "behind")]).finish();
    let index = drive::index(&blob, "", || usize::MAX).expect("an index");
    let id = index.id(0).expect("an entry");
    (index, id, blob)
}

#[test]
fn the_data_of_every_kind_of_entry_is_found() {
    let salted = [7; 16 + 2 + 10 + 5];
    let items = [
        packed(8, 0, b"deflated", 900),
        packed(93, 0, b"of a large content", u32::MAX - 1),
        packed(14, 2, b"LZMA", 900).described(true, false),
        packed(0, ENCRYPTED, &[1; 12 + 5], 5),
        packed(8, ENCRYPTED | DESCRIPTOR, &[1; 12 + 5], 900).described(false, true),
        encrypted_by_aes(3, 0, &salted, 5),
        encrypted_by_aes(3, 8, &salted, 900),
    ];
    for item in items {
        let data = item.data.clone();
        let (index, id, blob) = index_of(item);
        assert_eq!(index.readable(id), Ok(()));
        index.stored(id).expect_err("its data is not its content");
        let check = index.header_check(id);
        let header = check.range().start as usize..check.range().end as usize;
        let extent = check.confirm(&blob[header]).expect("its header").range();
        assert_eq!(blob[extent.start as usize..extent.end as usize], data);
        assert!(check.allows(extent.start));
    }
}

#[test]
fn the_index_says_how_an_entry_is_compressed_and_encrypted() {
    let say = |item: Item| {
        let (index, id, _) = index_of(item);
        let entry = index.get(id);
        (entry.method, entry.flags, entry.encryption)
    };
    let methods = [
        (1, Method::Shrunk),
        (2, Method::Reduced(1)),
        (5, Method::Reduced(4)),
        (6, Method::Imploded),
        (8, Method::Deflated),
        (9, Method::Deflated64),
        (12, Method::Bzip2),
        (14, Method::Lzma),
        (20, Method::Zstd),
        (93, Method::Zstd),
        (95, Method::Xz),
        (98, Method::Ppmd),
        (97, Method::Other(97)),
        (999, Method::Other(999)),
    ];
    for (number, method) in methods {
        assert_eq!(say(packed(number, 0, b"data", 4)), (method, 0, None));
    }
    // Other methods have levels there, which no decoder needs.
    assert_eq!(say(packed(14, 2, b"data", 4)), (Method::Lzma, 2, None));
    assert_eq!(say(packed(6, 6, b"data", 4)), (Method::Imploded, 6, None));
    assert_eq!(say(packed(8, 6, b"data", 4)), (Method::Deflated, 0, None));

    let zip_crypto = |check| Some(Encryption::ZipCrypto { check });
    let item = packed(0, ENCRYPTED, &[0; 16], 4).with(|item| {
        (item.crc, item.dos.0) = (0xab00_0000, 0xcd00);
        item.local_numbers.0 = item.crc;
    });
    let described = item
        .clone()
        .with(|item| *item = item.clone().described(true, false));
    assert_eq!(say(item), (Method::Stored, 0, zip_crypto(0xab)));
    assert_eq!(say(described), (Method::Stored, 0, zip_crypto(0xcd)));

    let keys = [AesKey::Bits128, AesKey::Bits192, AesKey::Bits256];
    for (number, key) in (1..).zip(keys) {
        let is_ae2 = true;
        let expected = Some(Encryption::Aes { key, is_ae2 });
        let item = encrypted_by_aes(number, 95, &[0; 99], 4);
        assert_eq!(say(item), (Method::Xz, 0, expected));
    }
    let unknown = Some(Encryption::Unknown);
    let strong = packed(8, ENCRYPTED | STRONG, &[0; 99], 4);
    assert_eq!(say(strong), (Method::Deflated, 0, unknown));
    let bare = packed(AES, ENCRYPTED, &[0; 99], 4);
    assert_eq!(say(bare).2, unknown, "method 99 without WinZip's field");
}

#[test]
fn an_entry_of_ae_2_has_no_crc() {
    let item = encrypted_by_aes(1, 0, &[7; 8 + 2 + 10 + 5], 5);
    let (index, id, _) = index_of(item.clone());
    assert!(index.get(id).crc32.is_none());
    let of_ae_1 = item.with(|item| item.extra = aes(1, 1, 0));
    let (index, id, _) = index_of(of_ae_1);
    assert!(index.get(id).crc32.is_some());
}

#[test]
fn an_encrypted_entry_that_is_too_short_is_damaged() {
    let items = [
        packed(0, ENCRYPTED, &[1; 12 + 5], 6),
        packed(8, ENCRYPTED, &[1; 11], 0),
        encrypted_by_aes(3, 8, &[1; 16 + 2 + 9], 0),
        encrypted_by_aes(1, 0, &[1; 8 + 2 + 10 + 5], 6),
    ];
    for item in items {
        let (index, id, _) = index_of(item);
        let why = index.readable(id).expect_err("too short").to_string();
        assert!(why.contains("the archive has"), "{why}");
    }
}

#[test]
fn entries_that_share_data_must_be_encrypted_alike() {
    let one = packed(0, ENCRYPTED, &[1; 12 + 5], 5);
    let mut zip = Zip::of([one.clone()]);
    let other = one.with(|item| {
        item.name = b"g".to_vec();
        item.flags |= DESCRIPTOR;
    });
    zip.directory.extend(other.central(0));
    zip.entries += 1;
    let index = drive::index(&zip.finish(), "", || usize::MAX).expect("an index");
    for id in index.ids() {
        let why = index.readable(id).expect_err("unlike").to_string();
        assert!(why.contains("overlaps"), "{why}");
    }
}

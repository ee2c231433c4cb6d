//! Every method and encryption of every program, decoded from memory.

use std::collections::BTreeMap;
use std::fs;

use aiozfs::archive::Encryption;
use aiozfs::decode::{Checkpoint, Decryption, Error};

use super::input::{Data, read_all};
use crate::archive::drive;
use crate::common::coded::{self, Cipher, Coded};
use crate::common::tree;

type Contents = BTreeMap<String, Vec<u8>>;

/// Makes each archive, and passes its entries and the contents of the source to `check`.
fn each(check: impl Fn(&Coded, Vec<Data>, &Contents) + Sync) {
    let (source, out) = (tree::temp(), tree::temp());
    coded::sample(source.path());
    let files = fs::read_dir(source.path()).expect("the source");
    let contents: Contents = files
        .map(|file| {
            let file = file.expect("a file");
            let name = file.file_name().into_string().expect("text");
            (name, fs::read(file.path()).expect("content"))
        })
        .collect();
    for (at, coded) in coded::all().into_iter().enumerate() {
        let archive = out.path().join(format!("{at}.zip"));
        coded.make(source.path(), &archive);
        let blob = fs::read(&archive).expect("an archive");
        let index = drive::index(&blob, "", || usize::MAX).expect("an index");
        check(&coded, Data::all(&index, &blob), &contents);
    }
}

#[test]
fn each_kind_of_entry_has_its_content() {
    each(|coded, entries, contents| {
        let what = &coded.name;
        assert_eq!(entries.len(), contents.len(), "{what}");
        for mut data in entries {
            let (name, entry) = (data.name.clone(), data.entry);
            if name == "text.txt" {
                assert_eq!(entry.method, coded.method, "{what}");
                assert!(
                    coded.cipher.is_that_of(entry.encryption),
                    "{what}: {entry:?}"
                );
            }
            if !aiozfs::decode::is_supported(entry.method) {
                continue;
            }
            for step in [1 << 20, 1009] {
                data.step = step;
                let content = data.decode();
                let content = content.unwrap_or_else(|e| panic!("{what}, {name}: {e}"));
                assert!(
                    content == contents[&name],
                    "{what}, {name}: {} bytes",
                    content.len()
                );
            }
            if let Some(crc32) = entry.crc32 {
                assert_eq!(crc32, crc32fast::hash(&contents[&name]), "{what}, {name}");
            }
        }
    });
}

#[test]
fn decoding_restarts_at_every_checkpoint() {
    each(|coded, entries, contents| {
        let what = &coded.name;
        let mut random = fastrand::Rng::with_seed(5);
        for data in entries {
            let content = &contents[&data.name];
            if !aiozfs::decode::is_supported(data.entry.method) {
                continue;
            }
            let mut codec = data.open(None).expect("a codec");
            let mut found = Vec::new();
            let mut piece = vec![0; 40_000];
            let mut at = 0;
            loop {
                found.extend(codec.checkpoint());
                let len = random.usize(1..piece.len());
                let count = codec.read(&mut piece[..len]).expect("content");
                if count == 0 {
                    break;
                }
                at += count as u64;
            }
            assert_eq!(at, content.len() as u64, "{what}, {}", data.name);
            let step = found.len() / 12 + 1;
            for from in found.iter().step_by(step) {
                let rest = data.open(Some(from));
                let rest = rest.and_then(|mut codec| read_all(&mut *codec, data.entry.size));
                let rest = rest.unwrap_or_else(|e| panic!("{what}, from {}: {e}", from.output));
                let right = &content[from.output as usize..];
                assert!(rest == right, "{what}, {}, from {}", data.name, from.output);
            }
            let places = found
                .iter()
                .filter(|from| (1..data.entry.size).contains(&from.output))
                .count();
            if data.name == "text.txt" {
                let has_places = match (data.entry.method, &coded.name[..]) {
                    (_, "zstd, in frames" | "xz, in blocks") => true,
                    // All in one block.
                    (_, "zipfile, bzip2") => false,
                    (aiozfs::archive::Method::Zstd, _) => false,
                    (method, _) => {
                        use aiozfs::archive::Method as M;
                        matches!(method, M::Stored | M::Deflated | M::Deflated64 | M::Bzip2)
                    }
                };
                assert_eq!(places > 2, has_places, "{what}: {places} places");
            }
        }
    });
}

#[test]
fn wrong_password_is_found_out() {
    each(|coded, entries, contents| {
        for data in entries {
            if data.entry.encryption.is_none() || !aiozfs::decode::is_supported(data.entry.method) {
                continue;
            }
            let opened = data.open_with("wrong", None);
            let read = opened.and_then(|mut codec| read_all(&mut *codec, data.entry.size));
            let what = format!("{}, {}", coded.name, data.name);
            match (data.entry.encryption, read) {
                (_, Err(Error::WrongPassword)) => {}
                // One in 256 passes the check; the CRC-32 then finds it out.
                (Some(Encryption::ZipCrypto { .. }), Err(_)) => {}
                (Some(Encryption::ZipCrypto { .. }), Ok(content)) => {
                    let is_empty = data.entry.size == 0;
                    assert!(is_empty || content != contents[&data.name], "{what}");
                }
                (_, other) => panic!("{what}: {:?}", other.map(|content| content.len())),
            }
        }
    });
}

/// Damaged and cut data is an error or other content, which the CRC-32 finds out. With AES it is always
/// an error.
#[test]
fn damage_is_an_error_or_other_content() {
    each(|coded, entries, contents| {
        let mut random = fastrand::Rng::with_seed(7);
        for mut data in entries {
            if !aiozfs::decode::is_supported(data.entry.method) || data.stored.is_empty() {
                continue;
            }
            let whole = data.stored.clone();
            let content = &contents[&data.name];
            let what = format!("{}, {}", coded.name, data.name);
            for _ in 0..4 {
                let at = random.usize(..whole.len());
                data.stored[at] ^= 1 << random.u8(..8);
                let read = data.decode();
                if matches!(coded.cipher, Cipher::Aes(_)) && data.entry.encryption.is_some() {
                    let error = read.expect_err(&what);
                    let is_told = matches!(error, Error::Forged | Error::WrongPassword);
                    let is_told = is_told || matches!(error, Error::Damaged { .. });
                    assert!(is_told, "{what}: {error}");
                }
                data.stored.clone_from(&whole);
            }
            data.stored.truncate(random.usize(..whole.len()));
            if let Ok(read) = data.decode() {
                let is_whole = &read == content && !content.is_empty();
                // What is cut off may be a checksum or a marker that no decoder needs.
                let lost = whole.len() - data.stored.len();
                assert!(!is_whole || lost < 64, "{what}: whole without {lost} bytes");
            }
        }
    });
}

#[test]
fn damaged_checkpoints_are_harmless() {
    each(|_, entries, _| {
        let mut random = fastrand::Rng::with_seed(9);
        for data in entries.into_iter().filter(|data| data.name == "text.txt") {
            if !aiozfs::decode::is_supported(data.entry.method) {
                continue;
            }
            let Ok(mut codec) = data.open(None) else {
                continue;
            };
            let mut piece = vec![0; 150_000];
            let _ = codec.read(&mut piece);
            let Some(from) = codec.checkpoint() else {
                continue;
            };
            for _ in 0..6 {
                let mut bad: Checkpoint = from.clone();
                match random.u8(..4) {
                    0 => bad.input = random.u64(..data.stored.len() as u64 + 1),
                    1 => bad.decryption = Decryption::None,
                    2 => bad.state.truncate(random.usize(..bad.state.len() + 1)),
                    _ => {
                        if !bad.state.is_empty() {
                            let at = random.usize(..bad.state.len());
                            bad.state[at] ^= 1 << random.u8(..8);
                        }
                    }
                }
                if let Ok(mut codec) = data.open(Some(&bad)) {
                    let _ = read_all(&mut *codec, data.entry.size);
                }
            }
        }
    });
}

//! IPNS: names that are public keys, and the signed records that say what they stand for
//! (<https://specs.ipfs.tech/ipns/ipns-record/>).
//!
//! A record is taken from any server, since its signature proves it. Only Ed25519 keys are supported,
//! whose names contain the key. An old record is as well signed as a new one, so callers prefer the
//! highest sequence number, and a record ends with its validity.

use std::fmt;
use std::time::SystemTime;

use ::cid::multibase::Base;
use ::cid::multihash::Multihash;
use ::cid::{CidGeneric, multibase};
use bytes::Bytes;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use thiserror::Error;

use super::protobuf::{Fields, Malformed, Value};
use super::{Codec, parse_cid};

/// The largest record in bytes, by the specification ("Record size limit").
pub const MAX_RECORD: usize = 10 << 10;

/// What is signed before the data ("Record verification").
const SIGNED_PREFIX: &[u8] = b"ipns-signature:";

/// The codec of CIDs that are public keys.
const LIBP2P_KEY: u64 = 0x72;

/// The multihash code of a hash that is the content itself.
const IDENTITY: u64 = 0;

/// The encoding of an Ed25519 public key up to the key: field 1, the type, is 1; field 2 has 32 bytes.
const ED25519_PREFIX: [u8; 4] = [0x08, 0x01, 0x12, 0x20];

/// An IPNS name: an Ed25519 public key. Displayed as a CID in base36, `k51...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpnsName([u8; 32]);

/// Why a text is not an IPNS name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpnsNameError {
    /// A name of the DNS, whose answers nothing proves (DNSLink).
    DnsLink,
    /// A key of another kind, such as RSA.
    OtherKey,
    /// Neither a key nor a name of the DNS.
    NotAName,
}

impl std::str::FromStr for IpnsName {
    type Err = IpnsNameError;

    /// Parses a key as a CID (`k51...`, `bafz...`) or as a bare multihash in base58 (`12D3KooW...`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let multihash = match parse_cid(text) {
            Ok(cid) if cid.codec() == Codec::Other(LIBP2P_KEY) => cid.inlined().map(<[u8]>::to_vec),
            // The hash of an RSA key.
            Ok(cid) if text.starts_with("Qm") && cid.codec() == Codec::DagPb => None,
            Ok(_) => return Err(IpnsNameError::NotAName),
            Err(_) if text.contains('.') => return Err(IpnsNameError::DnsLink),
            Err(_) => {
                let bytes = (text.len() < 100).then(|| Base::Base58Btc.decode(text).ok());
                let bytes = bytes.flatten().ok_or(IpnsNameError::NotAName)?;
                let hash = Multihash::<64>::from_bytes(&bytes);
                let hash = hash.map_err(|_| IpnsNameError::NotAName)?;
                (hash.code() == IDENTITY).then(|| hash.digest().to_vec())
            }
        };
        let key = multihash.ok_or(IpnsNameError::OtherKey)?;
        let key = key.strip_prefix(&ED25519_PREFIX);
        let key = key.and_then(|key| key.try_into().ok());
        Ok(Self(key.ok_or(IpnsNameError::OtherKey)?))
    }
}

impl fmt::Display for IpnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&ED25519_PREFIX[..], &self.0].concat();
        let hash = Multihash::<64>::wrap(IDENTITY, &key).expect("36 bytes fit into 64");
        let cid = CidGeneric::new_v1(LIBP2P_KEY, hash).to_bytes();
        f.write_str(&multibase::encode(Base::Base36Lower, cid))
    }
}

/// What a verified record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpnsRecord {
    /// What the name stands for: a path, such as `/ipfs/CID`.
    pub value: String,
    /// It is higher in a newer record.
    pub sequence: u64,
    /// When the record ends.
    pub validity: SystemTime,
}

/// Why a record is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// It is longer than [`MAX_RECORD`], or it does not have the form of a record.
    #[error("the record is malformed: {0}")]
    Malformed(&'static str),
    /// It is not signed by the name's key.
    #[error("the record is not signed by the name's key")]
    Signature,
    /// Its validity has ended.
    #[error(
        "the record has expired at {}; its owner must publish it again",
        humantime::format_rfc3339_seconds(*.0)
    )]
    Expired(SystemTime),
}

/// The signed part of a record, in DAG-CBOR.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signed {
    value: Bytes,
    validity: Bytes,
    validity_type: u64,
    sequence: u64,
}

impl IpnsName {
    /// Verifies and decodes a record of this name.
    pub fn verify(&self, record: &[u8], now: SystemTime) -> Result<IpnsRecord, RecordError> {
        let malformed = RecordError::Malformed;
        if record.len() > MAX_RECORD {
            return Err(malformed("it is too long"));
        }
        let (mut value, mut key, mut signature, mut data) = (None, None, None, None);
        for field in Fields::of(record) {
            match field.map_err(|Malformed| malformed("it is no protobuf message"))? {
                (1, Value::Bytes(bytes)) => value = Some(bytes),
                (7, Value::Bytes(bytes)) => key = Some(bytes),
                (8, Value::Bytes(bytes)) => signature = Some(bytes),
                (9, Value::Bytes(bytes)) => data = Some(bytes),
                // The old signature and copies of what is signed.
                _ => {}
            }
        }
        let (Some(signature), Some(data)) = (signature, data) else {
            return Err(malformed("it has no signature of version 2"));
        };
        // A key that fits into the name need not be there, but may.
        if key.is_some_and(|key| key.strip_prefix(&ED25519_PREFIX) != Some(&self.0)) {
            return Err(RecordError::Signature);
        }
        let signed = [SIGNED_PREFIX, data].concat();
        let verified = UnparsedPublicKey::new(&ED25519, &self.0).verify(&signed, signature);
        verified.map_err(|_| RecordError::Signature)?;
        let told: Signed = serde_ipld_dagcbor::from_slice(data)
            .map_err(|_| malformed("its data is not what the specification says"))?;
        // The specification demands that the copy is the same: older readers see only that.
        if value.is_some_and(|value| value != told.value) {
            return Err(malformed("it says two things"));
        }
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).ok();
        let validity = text(&told.validity).filter(|_| told.validity_type == 0);
        let validity = validity.and_then(|text| humantime::parse_rfc3339(&text).ok());
        let validity = validity.ok_or(malformed("its validity is not a time"))?;
        if validity < now {
            return Err(RecordError::Expired(validity));
        }
        Ok(IpnsRecord {
            value: text(&told.value).ok_or(malformed("its value is not text"))?,
            sequence: told.sequence,
            validity,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;
    use crate::content::protobuf::put_bytes;

    /// A record as Kubo writes it, but for what is not signed.
    fn record(key: &Ed25519KeyPair, value: &str, validity: &str, sequence: u64) -> Vec<u8> {
        // DAG-CBOR: a map with keys in the order of their lengths.
        let mut data = vec![0xa5];
        let text = |data: &mut Vec<u8>, kind: u8, text: &str| {
            data.extend([kind | 24, text.len() as u8]);
            data.extend(text.as_bytes());
        };
        data.extend(b"\x63TTL\x00");
        data.extend(b"\x65Value");
        text(&mut data, 0x40, value);
        data.extend(b"\x68Sequence");
        data.push(sequence as u8);
        data.extend(b"\x68Validity");
        text(&mut data, 0x40, validity);
        data.extend(b"\x6cValidityType\x00");
        let signature = key.sign(&[SIGNED_PREFIX, &data].concat());
        let mut record = Vec::new();
        put_bytes(&mut record, 1, value.as_bytes());
        put_bytes(&mut record, 8, signature.as_ref());
        put_bytes(&mut record, 9, &data);
        record
    }

    #[test]
    fn records_are_accepted_only_from_the_key_and_in_time() {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let name = IpnsName(key.public_key().as_ref().try_into().expect("32 bytes"));
        assert_eq!(name.to_string().parse(), Ok(name));
        let value = "/ipfs/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        let good = record(&key, value, "2026-11-28T12:00:00.123456789Z", 7);
        let end = humantime::parse_rfc3339("2026-11-28T12:00:00Z").expect("a time");
        let told = name.verify(&good, end).expect("valid");
        assert_eq!((told.value.as_str(), told.sequence), (value, 7));
        let late = name.verify(&good, end + Duration::from_secs(1));
        assert!(matches!(late, Err(RecordError::Expired(_))));
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).expect("a key");
        let forged = record(&other, value, "2026-11-28T12:00:00Z", 7);
        assert_eq!(name.verify(&forged, end), Err(RecordError::Signature));
        // Any byte that differs.
        for at in 0..good.len() {
            let mut wrong = good.clone();
            wrong[at] ^= 1;
            assert!(name.verify(&wrong, end).is_err(), "byte {at}");
        }
        for cut in 0..good.len() {
            assert!(name.verify(&good[..cut], end).is_err(), "cut at {cut}");
        }
        let soon = record(&key, value, "soon", 7);
        assert!(matches!(
            name.verify(&soon, end),
            Err(RecordError::Malformed(_))
        ));
        let long = [&good[..], &vec![0; MAX_RECORD]].concat();
        assert!(matches!(
            name.verify(&long, end),
            Err(RecordError::Malformed(_))
        ));
    }

    #[test]
    fn names_are_parsed_in_all_forms() {
        // Made with npm @libp2p/crypto 5.1.23: generateKeyPairFromSeed('Ed25519', seed of 32 sevens).
        for (text, expected) in [
            ("docs.ipfs.tech", Err(IpnsNameError::DnsLink)),
            ("nonsense", Err(IpnsNameError::NotAName)),
            ("", Err(IpnsNameError::NotAName)),
            (
                "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
                Err(IpnsNameError::OtherKey),
            ),
            (
                "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
                Err(IpnsNameError::NotAName),
            ),
        ] {
            assert_eq!(text.parse::<IpnsName>(), expected, "{text}");
        }
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let name = IpnsName(key.public_key().as_ref().try_into().expect("32 bytes"));
        for text in SAME {
            assert_eq!(text.parse(), Ok(name), "{text}");
        }
        assert_eq!(name.to_string(), SAME[0]);
    }

    const SAME: [&str; 3] = [
        "k51qzi5uqu5dm0t4vbwri4lkg76q03b4x9tsvekgvbu4zli6454ff7w8wdosa4",
        "bafzaajaiaejcb2sknrr6fhcsbk7pkud3cmxml6mvi53k5pv6pojeehxknekenurm",
        "12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7",
    ];
}

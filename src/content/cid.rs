//! Content identifiers: parsing, and verifying blocks against them.

use std::fmt;

pub use ::cid::Version;
use ::cid::multihash::Multihash;
use ::cid::{CidGeneric, multibase};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Multihash codes (<https://github.com/multiformats/multicodec/blob/master/table.csv>).
const IDENTITY: u64 = 0x00;
pub(super) const SHA2_256: u64 = 0x12;
pub(super) const BLAKE3: u64 = 0x1e;

/// The longest text that is parsed. Useful CIDs are shorter (an identity CID has at most 64 bytes of
/// content), and decoding base58 takes quadratic time.
const MAX_TEXT: usize = 256;

/// A content identifier: version, codec and multihash.
///
/// Displayed in base58 for version 0 (`Qm...`), in base32 for version 1 (`baf...`). Two are equal if all
/// three parts are; [`Cid::names_same`] ignores the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid(CidGeneric<64>);

/// The format of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Plain bytes (0x55): a leaf.
    Raw,
    /// A dag-pb node (0x70): UnixFS files, directories and more.
    DagPb,
    /// Another format, by its multicodec code.
    Other(u64),
}

impl Codec {
    fn code(self) -> u64 {
        match self {
            Codec::Raw => 0x55,
            Codec::DagPb => 0x70,
            Codec::Other(code) => code,
        }
    }
}

impl Cid {
    /// The sha2-256 CID of a block. Only dag-pb can have version 0; other codecs get version 1, like raw
    /// leaves in a tree of version 0.
    pub fn of_block(version: Version, codec: Codec, block: &[u8]) -> Self {
        Self::from_sha256(version, codec, &Sha256::digest(block).into())
    }

    /// The CID of a block whose sha2-256 is known.
    pub fn from_sha256(version: Version, codec: Codec, digest: &[u8; 32]) -> Self {
        let hash = Multihash::wrap(SHA2_256, digest).expect("32 bytes fit into 64");
        if (version, codec) == (Version::V0, Codec::DagPb) {
            let v0 = CidGeneric::new_v0(hash);
            return Self(v0.expect("32 bytes of sha2-256 are what version 0 asks for"));
        }
        Self(CidGeneric::new_v1(codec.code(), hash))
    }

    /// Parses the binary form. Trailing bytes are an error.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, ParseCidError> {
        let cid = CidGeneric::read_bytes(&mut bytes).map_err(|e| ParseCidError::Binary {
            cause: e.to_string(),
        })?;
        match bytes.len() {
            0 => Ok(Self(cid)),
            extra => Err(ParseCidError::TrailingBytes { extra }),
        }
    }

    /// The binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.0.version()
    }

    /// The format of the block.
    pub fn codec(&self) -> Codec {
        match self.0.codec() {
            0x55 => Codec::Raw,
            0x70 => Codec::DagPb,
            code => Codec::Other(code),
        }
    }

    /// The same CID in version 1.
    pub fn to_v1(&self) -> Self {
        Self(CidGeneric::new_v1(self.0.codec(), *self.0.hash()))
    }

    /// Whether both are equal apart from the version, like `Qm...` and the `bafybei...` with its hash.
    pub fn names_same(&self, other: &Cid) -> bool {
        self.to_v1() == other.to_v1()
    }

    /// Verifies a block: sha2-256, blake3 (of 32 bytes) and identity.
    ///
    /// # Errors
    /// If it does not match, or the hash function is unknown.
    pub fn verify(&self, block: &[u8]) -> Result<(), Mismatch> {
        let hash = self.0.hash();
        let same = match hash.code() {
            SHA2_256 => hash.digest() == &Sha256::digest(block)[..],
            BLAKE3 => hash.digest() == blake3::hash(block).as_bytes(),
            IDENTITY => hash.digest() == block,
            code => return Err(Mismatch::UnknownHash { code }),
        };
        if same { Ok(()) } else { Err(Mismatch::Differs) }
    }

    /// The multihash code of its hash.
    pub(super) fn hash_code(&self) -> u64 {
        self.0.hash().code()
    }

    /// Its hash.
    pub(super) fn digest(&self) -> &[u8] {
        self.0.hash().digest()
    }

    /// The block itself, if the CID contains it (an identity hash).
    pub fn inlined(&self) -> Option<&[u8]> {
        let hash = self.0.hash();
        (hash.code() == IDENTITY).then(|| hash.digest())
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Cid {
    type Err = ParseCidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_cid(text)
    }
}

/// Parses a CID: version 0 (`Qm...`), or version 1 in any multibase encoding (`b` base32, `k`
/// base36, `z` base58, `f` base16, `u` base64url, ...). Upper case is accepted where the encoding
/// is the upper-case one (`B`, `K`, `F`).
///
/// Surrounding text is an error: no blanks, no `/ipfs/`, no path.
pub fn parse_cid(text: &str) -> Result<Cid, ParseCidError> {
    if text.is_empty() {
        return Err(ParseCidError::Empty);
    }
    if text.len() > MAX_TEXT {
        return Err(ParseCidError::TooLong { len: text.len() });
    }
    let encoding = |e: multibase::Error| ParseCidError::Encoding {
        cause: e.to_string(),
    };
    // CID specification, "Decoding algorithm": 46 characters that begin with Qm are version 0.
    let bytes = if text.starts_with("Qm") {
        if text.len() != 46 {
            return Err(ParseCidError::V0Length { len: text.len() });
        }
        multibase::Base::Base58Btc.decode(text).map_err(encoding)?
    } else {
        let (base, bytes) = multibase::decode(text).map_err(encoding)?;
        if base == multibase::Base::Identity {
            return Err(encoding(multibase::Error::InvalidBaseString));
        }
        // In some encodings the decoder accepts the other case, which the multibase table does not allow.
        if multibase::encode(base, &bytes) != text {
            return Err(encoding(multibase::Error::InvalidBaseString));
        }
        // "If the first decoded byte is 0x12, return an error": version 0 has no prefix.
        if bytes.first() == Some(&0x12) {
            return Err(ParseCidError::V0Prefixed);
        }
        bytes
    };
    Cid::from_bytes(&bytes)
}

/// Why text or bytes are not a CID.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum ParseCidError {
    #[error("it is empty")]
    Empty,
    /// The text is longer than any useful CID.
    #[error("{len} characters are too many")]
    TooLong {
        /// Length in bytes.
        len: usize,
    },
    #[error("a CID that begins with Qm has 46 characters, not {len}")]
    V0Length {
        /// Length in bytes.
        len: usize,
    },
    /// The specification forbids a multibase prefix before version 0.
    #[error("a CID of version 0 has no encoding prefix")]
    V0Prefixed,
    /// The text is invalid in the encoding that its first character names.
    #[error("wrong encoding: {cause}")]
    Encoding {
        /// The decoder's message.
        cause: String,
    },
    /// The bytes are not version, codec and multihash.
    #[error("wrong content: {cause}")]
    Binary {
        /// The decoder's message.
        cause: String,
    },
    /// Bytes follow the CID.
    #[error("{extra} bytes too many")]
    TrailingBytes { extra: usize },
}

/// Why a block does not match a CID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// Its hash differs.
    #[error("the block does not match its CID")]
    Differs,
    /// The CID has an unknown hash function.
    #[error("unknown hash function 0x{code:x}")]
    UnknownHash {
        /// Its multicodec code.
        code: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One CID in four encodings; made with npm multiformats 14.0.5:
    /// `CID.parse(x).toString(base36.encoder)` and the like.
    const SAME: [&str; 4] = [
        "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
        "BAFKREIGH2AKISCAILDCQABSYG3DFR6CHU3FGPREGIYMSCK7E7AQA4S52ZY",
        "k2cwuedmosc65hhh0bee97q5jx3fe55tiyqzep8vgds83agps9dof3da",
        "zb2rhk6GMPQF3hfzwXTaNYFLKomMeC6UXdUt6jZKPpeVirLtV",
    ];

    const V0: &str = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";

    #[test]
    fn equal_cids_in_all_encodings() {
        let first = parse_cid(SAME[0]).expect("base32");
        assert_eq!((first.version(), first.codec()), (Version::V1, Codec::Raw));
        for text in SAME {
            let cid = parse_cid(text).expect(text);
            assert_eq!(cid, first, "{text}");
            assert_eq!(cid.to_string(), SAME[0]);
        }
        let v0 = parse_cid(V0).expect("version 0");
        assert_eq!((v0.version(), v0.codec()), (Version::V0, Codec::DagPb));
        assert_eq!(v0.to_string(), V0);
        let v1 = parse_cid(&v0.to_v1().to_string()).expect("version 1");
        assert!(v1.names_same(&v0) && v1 != v0 && !v1.names_same(&first));
        assert_eq!(Cid::from_bytes(&v0.to_bytes()), Ok(v0));
    }

    #[test]
    fn invalid_cids_are_errors() {
        let longer = format!("{}aa", SAME[0]);
        let prefixed = format!("z{V0}");
        let table = [
            ("", "empty"),
            ("nonsense", "encoding"),
            ("Qmabc", "46 characters"),
            (&V0.to_lowercase(), "encoding"),
            (&V0.replace('A', "0"), "encoding"),
            (&SAME[0].to_uppercase().replacen('B', "b", 1), "encoding"),
            (&SAME[0][..SAME[0].len() - 4], "wrong"),
            (&longer, "too many"),
            (&prefixed, "prefix"),
            (" bafkqaaa", "encoding"),
            ("/ipfs/bafkqaaa", "encoding"),
            ("bafkqaaa/x", "encoding"),
            (&"b".repeat(10_000), "too many"),
            ("\0abc", "encoding"),
            ("b", "content"),
        ];
        for (text, says) in table {
            let error = parse_cid(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn blocks_are_verified() {
        // sha256("") and the identity CID of nothing are well known.
        let empty = parse_cid("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
        let empty = empty.expect("a CID");
        assert_eq!(empty, Cid::of_block(Version::V1, Codec::Raw, b""));
        assert_eq!(empty, Cid::of_block(Version::V0, Codec::Raw, b""));
        assert_eq!(empty.verify(b""), Ok(()));
        assert_eq!(empty.verify(b"x"), Err(Mismatch::Differs));
        assert_eq!(empty.inlined(), None);
        let nothing = parse_cid("bafkqaaa").expect("a CID");
        assert_eq!(nothing.inlined(), Some(&b""[..]));
        assert_eq!(nothing.verify(b"x"), Err(Mismatch::Differs));
        let blake3 = Multihash::wrap(BLAKE3, blake3::hash(b"x").as_bytes()).expect("32 bytes");
        let blake3 = Cid(CidGeneric::new_v1(0x55, blake3));
        assert_eq!(blake3.verify(b"x"), Ok(()));
        assert_eq!(blake3.verify(b"y"), Err(Mismatch::Differs));
        let other = Cid(CidGeneric::new_v1(
            0x55,
            Multihash::wrap(0xb220, &[0; 32]).expect("32 bytes"),
        ));
        let unknown = Mismatch::UnknownHash { code: 0xb220 };
        assert_eq!(other.verify(b"x"), Err(unknown));
    }

    proptest! {
        #[test]
        fn no_text_and_no_bytes_panic(text in ".{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_cid(&text);
            if let Ok(cid) = Cid::from_bytes(&bytes) {
                prop_assert_eq!(parse_cid(&cid.to_string()), Ok(cid));
            }
        }
    }
}

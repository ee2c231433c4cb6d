//! The values of `--verify`.

use std::str::FromStr;

use clap::ValueEnum;

use crate::volume::Verify;

/// What is verified, as users write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum VerifyArg {
    /// Every byte is verified against the CID before it is used. Bytes may come from any server, but
    /// one of the gateways must send raw blocks (a trustless gateway)
    Trustless,
    /// A file that is read from start to end is compared with its CRC-32. This finds accidents, not
    /// forgery
    Crc,
    /// Nothing is verified
    None,
}

impl FromStr for VerifyArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ValueEnum::from_str(text, false)
            .map_err(|_| format!("'{text}' is not trustless, crc or none"))
    }
}

impl From<VerifyArg> for Verify {
    fn from(verify: VerifyArg) -> Self {
        match verify {
            VerifyArg::Trustless => Verify::Trustless,
            VerifyArg::Crc => Verify::Crc,
            VerifyArg::None => Verify::None,
        }
    }
}

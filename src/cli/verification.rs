//! The values of `--verify`.

use clap::ValueEnum;

use crate::volume::Verify;

/// What is verified, as users write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum VerifyArg {
    /// Every byte is proven against the CID before it is used: any server will do, but one of
    /// the gateways must give raw blocks (a trustless gateway)
    Trustless,
    /// A file that is read from start to end is compared with its CRC-32: finds accidents, and
    /// keeps no forger out
    Crc,
    /// Nothing: the server is believed
    None,
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

//! Import profiles: the parameters that determine a file's CID.

use super::Version;

/// The parameters of an import. The same bytes have different CIDs under different profiles.
///
/// For the named ones, see IPIP-499 (<https://specs.ipfs.tech/ipips/ipip-0499/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// Bytes of the file in each leaf but the last.
    pub leaf_size: usize,
    /// The most children that a node has.
    pub width: usize,
    /// Whether leaves are raw blocks instead of dag-pb nodes.
    pub raw_leaves: bool,
    /// The version of its CIDs; raw leaves always have version 1.
    pub version: Version,
}

impl Profile {
    /// `unixfs-v1-2025`: CIDv1, raw leaves of 1 MiB, 1024 children per node. The default.
    pub const UNIXFS_V1_2025: Profile =
        Profile::new("unixfs-v1-2025", 1 << 20, 1024, true, Version::V1);

    /// `unixfs-v0-2015`: CIDv0, dag-pb leaves of 256 KiB, 174 children a node. Kubo's old default.
    pub const UNIXFS_V0_2015: Profile =
        Profile::new("unixfs-v0-2015", 1 << 18, 174, false, Version::V0);

    /// `kubo-1mib-174`: CIDv1, raw leaves of 1 MiB, 174 children a node; Kubo's `test-cid-v1`.
    pub const KUBO_1MIB_174: Profile =
        Profile::new("kubo-1mib-174", 1 << 20, 174, true, Version::V1);

    /// All named profiles.
    pub const ALL: [Profile; 3] = [
        Self::UNIXFS_V1_2025,
        Self::UNIXFS_V0_2015,
        Self::KUBO_1MIB_174,
    ];

    /// A custom profile: leaves of `leaf_size` bytes, `width` children per node.
    ///
    /// # Panics
    /// If `leaf_size` is 0 or `width` is below 2.
    pub const fn new(
        name: &'static str,
        leaf_size: usize,
        width: usize,
        raw_leaves: bool,
        version: Version,
    ) -> Self {
        assert!(leaf_size > 0 && width > 1, "a tree has leaves and branches");
        Self {
            name,
            leaf_size,
            width,
            raw_leaves,
            version,
        }
    }

    /// The named profile of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name == name)
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::UNIXFS_V1_2025
    }
}

//! Random trees, random ranges.

use std::sync::Arc;

use aiozfs::content::{Profile, Verified, Version};
use aiozfs::source::{Memory, Source};
use proptest::prelude::*;

use super::{blob, import, read};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_range_of_any_tree_is_right(
        leaf_size in 1usize..300,
        width in 2usize..9,
        raw in any::<bool>(),
        is_v0 in any::<bool>(),
        len in 0usize..8000,
        asked in prop::collection::vec((any::<u32>(), any::<u32>()), 1..8),
        wrong in any::<u32>(),
    ) {
        let version = if is_v0 { Version::V0 } else { Version::V1 };
        let profile = Profile::new("random", leaf_size, width, raw, version);
        // More than eight levels are refused, and are tested as that.
        prop_assume!((width as u64).pow(8) >= len.div_ceil(leaf_size) as u64);
        let good = blob(len);
        let (cid, blocks) = import(profile, &good);
        let mut bad = good.clone();
        let at = wrong as usize % len.max(1);
        if let Some(byte) = bad.get_mut(at) {
            *byte ^= 1;
        }
        let right = Verified::new(cid, Arc::new(Memory::new("right", good.clone())), blocks.clone());
        let lying = Verified::new(cid, Arc::new(Memory::new("wrong", bad)), blocks);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            for source in [&right, &lying] {
                prop_assert_eq!(source.open(0).await.expect("a tree").size, len as u64);
            }
            for (a, b) in asked {
                let (a, b) = (a as usize % (len + 1), b as usize % (len + 1));
                let range = a.min(b)..a.max(b);
                let wide = range.start as u64..range.end as u64;
                let got = read(&right, wide.clone()).await.expect("right bytes");
                prop_assert_eq!(&got, &good[range.clone()]);
                let unit = right.verification_unit(wide.clone());
                prop_assert_eq!(right.verification_unit(unit.clone()), unit.clone());
                // A file of one leaf is verified when it comes, so any range of it is a unit.
                if !range.is_empty() && len > leaf_size {
                    let full = leaf_size as u64;
                    prop_assert_eq!(unit.start, wide.start / full * full);
                    let end = wide.end.div_ceil(full) * full;
                    prop_assert_eq!(unit.end, end.min(len as u64));
                }
                // Right bytes or an error; an error only where the wrong byte's leaf is touched.
                let in_leaf = unit.contains(&(at as u64)) && !range.is_empty() && len > leaf_size;
                match read(&lying, wide).await {
                    Ok(got) => {
                        prop_assert_eq!(&got, &good[range]);
                        prop_assert!(!in_leaf);
                    }
                    Err(e) => prop_assert!(in_leaf, "{}", e),
                }
            }
            Ok(())
        })?;
    }
}

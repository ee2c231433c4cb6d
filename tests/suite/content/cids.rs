//! CIDs equal those of two other implementations. `tests/data/cids.tsv` says how it was made.

use aiozfs::content::{Importer, Profile, Version};

fn pattern(len: usize) -> Vec<u8> {
    (0..len.div_ceil(4) as u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(len)
        .collect()
}

fn profile(name: &str) -> Profile {
    match name {
        "tiny-raw-v1" => Profile::new("tiny-raw-v1", 8, 3, true, Version::V1),
        "tiny-pb-v0" => Profile::new("tiny-pb-v0", 8, 3, false, Version::V0),
        "tiny-pb-v1" => Profile::new("tiny-pb-v1", 8, 3, false, Version::V1),
        "kubo-v1-256k" => Profile::new("kubo-v1-256k", 256 << 10, 174, true, Version::V1),
        name => Profile::by_name(name).expect("a known profile"),
    }
}

#[test]
fn golden_cids() {
    const MIB: usize = 1 << 20;
    let block = pattern(MIB);
    let mut count = 0;
    for line in include_str!("../../data/cids.tsv").lines() {
        if line.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, content, size, expected] = fields[..] else {
            panic!("a line of four fields: {line}");
        };
        let size: usize = size.parse().expect("a size");
        let mut importer = Importer::new(profile(name));
        match content {
            "pattern" => importer.push(&pattern(size)),
            "repeat" => {
                for at in (0..size).step_by(MIB) {
                    importer.push(&block[..MIB.min(size - at)]);
                }
            }
            other => panic!("unknown content {other}"),
        }
        assert_eq!(importer.finish().to_string(), expected, "{line}");
        count += 1;
    }
    assert_eq!(count, 150, "the table is read");
}

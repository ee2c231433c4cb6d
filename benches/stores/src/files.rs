//! A file for each block, written under another name and renamed, with a checksum for each 64 KiB
//! in its first page: what our store does to a disk, without its accounting.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::store::Store;

const PAGE: usize = 64 << 10;
const HEAD: usize = 4096;

pub struct Files {
    dir: PathBuf,
    fsync: bool,
}

impl Files {
    pub fn open(dir: &Path, fsync: bool) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let dir = dir.to_owned();
        Ok(Self { dir, fsync })
    }

    fn write(&self, number: u64, block: &[u8]) -> std::io::Result<()> {
        let temporary = self
            .dir
            .join(format!("tmp-{}-{number}", std::process::id()));
        let mut file = File::create(&temporary)?;
        file.write_all(&head(number, block))?;
        file.write_all(block)?;
        if self.fsync {
            file.sync_data()?;
        }
        fs::rename(&temporary, self.dir.join(number.to_string()))?;
        if self.fsync {
            File::open(&self.dir)?.sync_data()?;
        }
        Ok(())
    }
}

impl Store for Files {
    fn put(&self, number: u64, block: Arc<[u8]>) {
        if let Err(e) = self.write(number, &block) {
            eprintln!("block {number}: {e}");
        }
    }

    fn get(&self, number: u64, see: &mut dyn FnMut(&[u8])) -> bool {
        let Ok(file) = File::open(self.dir.join(number.to_string())) else {
            return false;
        };
        let len = file.metadata().map_or(0, |meta| meta.len() as usize);
        let mut bytes = vec![0; len];
        if len <= HEAD || file.read_exact_at(&mut bytes, 0).is_err() {
            return false;
        }
        let (found, block) = bytes.split_at(HEAD);
        let is_good = found == head(number, block);
        if is_good {
            see(block);
        }
        is_good
    }
}

fn head(number: u64, block: &[u8]) -> Vec<u8> {
    let mut head = number.to_le_bytes().to_vec();
    head.extend((block.len() as u64).to_le_bytes());
    head.extend(
        block
            .chunks(PAGE)
            .flat_map(|page| xxh3_64(page).to_le_bytes()),
    );
    let sum = xxh3_64(&head);
    head.extend(sum.to_le_bytes());
    head.resize(HEAD, 0);
    head
}

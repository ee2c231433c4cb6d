//! `cacache`: a file for each content, named by its hash, and a journal that maps keys to hashes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::Store;

pub struct Cacache {
    dir: PathBuf,
    size: usize,
}

impl Cacache {
    pub fn open(dir: &Path, size: usize) -> Self {
        let dir = dir.to_owned();
        Self { dir, size }
    }
}

impl Store for Cacache {
    fn put(&self, number: u64, block: Arc<[u8]>) {
        let put = || {
            let mut writer = cacache::WriteOpts::new()
                .algorithm(cacache::Algorithm::Xxh3)
                .size(self.size)
                .open_sync(&self.dir, number.to_string())?;
            std::io::Write::write_all(&mut writer, &block)
                .map_err(|e| cacache::Error::IoError(e, "cannot write".into()))?;
            writer.commit()
        };
        if let Err(e) = put() {
            eprintln!("block {number}: {e}");
        }
    }

    fn get(&self, number: u64, see: &mut dyn FnMut(&[u8])) -> bool {
        // It verifies what it reads; a mismatch is an error.
        match cacache::read_sync(&self.dir, number.to_string()) {
            Ok(block) => {
                see(&block);
                true
            }
            Err(_) => false,
        }
    }
}

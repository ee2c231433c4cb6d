//! Artifacts of a blob, cached with its blocks: the parsed index and the tree.

use std::sync::Arc;

use super::cached::Cached;
use super::disk::Handle;
use super::job::Job;
use super::record::{Fill, Framed};
use super::shared::{Shared, damaged};

/// Fills a buffer with the next bytes of an artifact; false if fewer are left.
pub type Pull<'a> = dyn FnMut(&mut [u8]) -> bool + 'a;

impl Cached {
    /// Loads the artifact of this name, which `make` makes from its bytes; `None` if there is none. Only the end of the
    /// file shows whether it is damaged. If so, the result of `make` is dropped.
    pub async fn load<T: Send + 'static>(
        &self,
        name: String,
        make: impl FnOnce(&mut Pull) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let (cache, blob) = self.storage()?;
        let work = move |shared: &Shared| {
            let path = blob.file(&name);
            let file: Arc<dyn Handle> = shared.disk.open(&path).ok()?.into();
            let mut framed = Framed::open(file.clone(), &blob.key.hash);
            let made = framed
                .as_mut()
                .and_then(|framed| make(&mut |out| framed.pull(out)));
            let is_whole = framed.is_some_and(|framed| framed.is_whole());
            match made.filter(|_| is_whole) {
                Some(made) => {
                    shared.note_use(&*file);
                    Some(made)
                }
                None => {
                    shared.discard(&path, &damaged("it"));
                    None
                }
            }
        };
        cache.run_blocking(work).await?
    }

    /// Stores an artifact of about `size` bytes under this name. The writer's thread calls `fill`.
    pub fn keep(&self, name: &str, size: u64, fill: Fill) {
        if let Some((cache, blob)) = self.storage() {
            cache.send(Job::Artifact {
                path: blob.file(name),
                key: blob.key.hash,
                size,
                fill,
            });
        }
    }
}

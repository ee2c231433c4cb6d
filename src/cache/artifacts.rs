//! What was computed from a blob and is kept beside its blocks: the parsed index, the tree.

use std::sync::Arc;

use super::cached::Cached;
use super::disk::Handle;
use super::job::{Content, Job, Keep};
use super::record::{Fill, Framed};
use super::shared::{Shared, damaged};

/// Gives the next bytes of what was kept; false if there are not as many.
pub type Pull<'a> = dyn FnMut(&mut [u8]) -> bool + 'a;

impl Cached {
    /// Gets ready to be read: finds out which blob it is, for which a server may have to be asked.
    /// `tail` as in [`Source::open`](crate::source::Source::open), which then asks nobody.
    pub async fn get_ready(&self, tail: u64) -> crate::source::Result<()> {
        self.prepare(tail).await
    }

    /// What was kept under this name, as `make` makes it of its bytes; `None` if there is nothing,
    /// or if it is damaged, which is known only when all has been read: so it is dropped again.
    pub async fn load<T: Send + 'static>(
        &self,
        name: String,
        make: impl FnOnce(&mut Pull) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let (cache, blob) = self.kept_with()?;
        let work = move |shared: &Shared| {
            let path = blob.file(&name);
            let file: Arc<dyn Handle> = shared.disk.open(&path).ok()?.into();
            let mut framed = Framed::open(file.clone(), blob.key.hash());
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
        cache.off_the_runtime(work).await?
    }

    /// Keeps something of about `size` bytes under this name. It is made when its turn has come.
    pub fn keep(&self, name: String, size: u64, fill: Fill) {
        if let Some((cache, blob)) = self.kept_with() {
            cache.send(Job::Keep(Keep {
                blob,
                name,
                content: Content::Framed(size, fill),
            }));
        }
    }
}

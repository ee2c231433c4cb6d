//! One pass through a large entry, which makes all of its checkpoints.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Large;
use crate::decode::error::Error;
use crate::decode::walk::Goal;

impl Large {
    /// Decodes from the last checkpoint to the end, without keeping plain bytes. `progress` is called with
    /// the number of plain bytes that are behind it.
    pub(in crate::decode) async fn pass(
        self: &Arc<Self>,
        progress: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<(), Error> {
        self.get_ready().await;
        let (tell, told) = oneshot::channel();
        let this = self.clone();
        self.shared.workers.spawn(move || {
            let pass = || this.walk_through(&*progress);
            let result = catch_unwind(AssertUnwindSafe(pass));
            let _ = tell.send(result.unwrap_or_else(|_| Err(Error::panicked())));
        });
        let passed = told.await.unwrap_or(Err(Error::Cancelled));
        match &passed {
            Ok(()) => self.store_points(true),
            Err(error) if error.is_of_data() => {
                self.distrust(&mut self.state.lock(), error);
                // So that the next attempt gets other bytes.
                self.shared.archive.reject_stored(self.id);
                self.report_wrong();
            }
            Err(_) => {}
        }
        passed
    }

    fn walk_through(&self, progress: &(dyn Fn(u64) + Send + Sync)) -> Result<(), Error> {
        let goal = Goal {
            plain: self.entry.size,
            is_sequential: true,
        };
        // Before the checkpoint is looked up: it may be forgotten meanwhile.
        let epoch = self.state.lock().epoch;
        let point = self.shared.points.before(self.id, self.entry.size);
        let mut walk = self.begin(point.as_deref(), goal, epoch)?;
        let mut buffer = self.shared.blocks.buffer();
        loop {
            progress(walk.position());
            if walk.position() == self.entry.size {
                return Ok(());
            }
            if self.shared.closed.is_cancelled() {
                return Err(Error::Cancelled);
            }
            walk.expect(goal);
            self.fill(&mut walk, &mut buffer)?;
            self.store_points(false);
        }
    }
}

//! Tells a caller how far a long walk has come.

use std::fmt;
use std::sync::Arc;

/// Is called with the offset that a walk over an archive has reached, and with the archive's length, in bytes.
#[derive(Clone, Default)]
pub struct Watch(pub Option<Arc<dyn Fn(u64, u64) + Send + Sync>>);

impl Watch {
    pub(super) fn tell(&self, at: u64, size: u64) {
        if let Some(watch) = &self.0 {
            watch(at, size);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = self.0.is_some();
        f.debug_tuple("Watch").field(&is_set).finish()
    }
}

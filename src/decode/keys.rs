//! The keys of encrypted entries.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::cipher::Key;
use super::password::Password;
use crate::archive::EntryId;

/// The most keys that are remembered.
const MOST: usize = 16 * 1024;

/// Keys of entries whose password was right.
pub(super) struct Keys {
    pub(super) password: OnceLock<Password>,
    known: Mutex<HashMap<EntryId, Arc<Key>>>,
}

impl Keys {
    pub(super) fn new(password: Option<Password>) -> Self {
        let known = Mutex::default();
        let password = password.map(OnceLock::from).unwrap_or_default();
        Self { password, known }
    }

    pub(super) fn get(&self, id: EntryId) -> Option<Arc<Key>> {
        self.known.lock().get(&id).cloned()
    }

    pub(super) fn put(&self, id: EntryId, key: Arc<Key>) {
        let mut known = self.known.lock();
        if known.len() >= MOST
            && let Some(other) = known.keys().next().copied()
        {
            known.remove(&other);
        }
        known.insert(id, key);
    }
}

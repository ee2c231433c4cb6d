//! Sums over archives that are closed, so that the counters of a library never fall.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::reader::Status;
use crate::volume::{MemberStatus, Volume};

/// What archives did, and what servers did for them.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Only sums; the other fields are empty.
    pub sums: Status,
    /// The servers, each once. What is not a sum is that of the archive that was added last.
    pub servers: Vec<MemberStatus>,
}

impl Totals {
    /// Adds what an archive has done since it was opened.
    pub fn add(&mut self, status: &Status, servers: Vec<MemberStatus>) {
        self.sums.add(status);
        for server in servers {
            match self
                .servers
                .iter_mut()
                .find(|known| known.name == server.name)
            {
                Some(known) => known.add(server),
                None => self.servers.push(server),
            }
        }
    }
}

/// What the closed archives of a library did while they were open. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Past(Arc<Mutex<Totals>>);

impl Past {
    /// While this guard lives, no archive is closed.
    pub(super) fn lock(&self) -> MutexGuard<'_, Totals> {
        // After a panic one sum may lack an archive; that is better than no sums.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an archive that is being closed.
    pub(super) fn add(totals: &mut Totals, volume: &Volume) {
        totals.add(&volume.archive().status(), volume.servers());
    }
}

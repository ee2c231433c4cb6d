//! Sums over archives that are closed, so that the counters of a library never fall.

use parking_lot::Mutex;

use crate::reader::Status;
use crate::volume::{MemberStatus, Volume};

/// What the closed archives of a library did while they were open. While it is locked, no archive is closed.
pub(super) type Past = Mutex<Totals>;

/// What archives did, and what servers did for them.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Only sums; the other fields are empty.
    pub sums: Status,
    /// The servers, each once. What is not a sum is that of the archive that was added last.
    pub servers: Vec<MemberStatus>,
}

impl Totals {
    /// Adds what an archive has done since it was opened. `status` is its status now.
    pub fn add(&mut self, volume: &Volume, status: &Status) {
        self.sums.add(status);
        for server in volume.servers() {
            let mut known = self.servers.iter_mut();
            match known.find(|known| known.name == server.name) {
                Some(known) => known.add(server),
                None => self.servers.push(server),
            }
        }
    }
}

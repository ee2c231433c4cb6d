//! The scheduler's part in sharing memory and connections with other readers.

use super::Scheduler;

impl Scheduler {
    /// Updates how much memory and how many connections this reader may use for read-ahead.
    pub(super) fn update_share(&mut self) {
        self.capacity.readers = self.memory.touch();
        self.flow.set_memory(self.memory.for_read_ahead());
    }

    /// Event: another reader needs memory, until this many buffers are free.
    pub(crate) fn give_up(&mut self, buffers: usize) {
        self.make_room(buffers);
    }

    /// How many buffers read-ahead has lacked since the last call.
    pub(crate) fn take_lacking(&mut self) -> Option<usize> {
        self.memory.take_lacking()
    }
}

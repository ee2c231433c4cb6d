//! Adds the paths of entries to an index.

use super::error::{Hidden, hidden_reason};
use super::index::{Index, printable};
use super::names;

/// How many hidden entries are listed by name; all are counted.
const HIDDEN_TOLD: usize = 1000;

impl Index {
    /// Appends the path of a name to the arena. Appends nothing for an entry that is hidden, and records it,
    /// unless it is the root directory.
    pub(super) fn append_path(&mut self, name: &[u8], windows: bool, may_be_root: bool) {
        let start = self.names.len();
        match names::path(name, windows, &mut self.names) {
            Ok(()) if self.names.len() > start || may_be_root => {}
            Ok(()) => self.hide(name, hidden_reason::EMPTY),
            Err(why) => self.hide(name, why),
        }
    }

    /// Records an entry that is not shown.
    pub(super) fn hide(&mut self, name: &[u8], why: &'static str) {
        self.hidden_count += 1;
        if self.hidden.len() < HIDDEN_TOLD {
            let name = printable(name);
            self.hidden.push(Hidden { name, why });
        }
    }
}

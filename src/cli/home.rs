//! The home directory of the user who runs this process.

use std::path::PathBuf;

/// What HOME says, else the user's line in the system's list of users (passwd(5)): mount(8) takes
/// HOME away from the programs that it runs, and at boot there is none.
pub(super) fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_absolute())
}

//! What a library says about one archive: its name and where it is.

use std::sync::Arc;

use super::error::NameError;
use crate::volume::Location;

/// The longest name of a file on Linux, in bytes (NAME_MAX).
const LONGEST: usize = 255;

/// An archive of a library. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item(Arc<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    name: String,
    location: Location,
    version: Option<String>,
}

impl Item {
    /// An archive that is shown as the directory `name`, with `/` between the names of directories.
    ///
    /// # Errors
    /// If no directory can have this name.
    pub fn new(name: &str, location: Location) -> Result<Self, NameError> {
        let bad = |why| NameError::Bad {
            name: name.to_owned(),
            why,
        };
        for part in name.split('/') {
            match part {
                "" if name.is_empty() => return Err(bad("it is empty")),
                "" => return Err(bad("a '/' stands only between two names")),
                "." | ".." => return Err(bad("'.' and '..' have another meaning")),
                part if part.len() > LONGEST => {
                    return Err(bad("a name has at most 255 bytes"));
                }
                part if part.contains('\0') => return Err(bad("it has a NUL in it")),
                _ => {}
            }
        }
        Ok(Self(Arc::new(Inner {
            name: name.to_owned(),
            location,
            version: None,
        })))
    }

    /// The same with a text that differs if the archive is replaced by another of the same name.
    pub fn with_version(mut self, version: Option<String>) -> Self {
        Arc::make_mut(&mut self.0).version = version;
        self
    }

    /// The text that differs if the archive is replaced, if there is one.
    pub fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// Its path below the root of the library.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where the archive is.
    pub fn location(&self) -> &Location {
        &self.0.location
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_of_directories() {
        let item = |name: &str| Item::new(name, Location::File("a.zip".into()));
        for good in ["a", "a/b/c", "ü b", "...", &"x".repeat(255)] {
            assert_eq!(item(good).expect(good).name(), good);
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "a/../b",
            ".",
            "a\0",
            &"x".repeat(256),
        ] {
            let error = item(bad).expect_err(bad).to_string();
            assert!(error.contains("cannot be the name"), "{error}");
        }
    }
}

//! The names of a library: those of its list, those in directories of archives, and those that programs looked up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::error::NameError;
use super::inode::Part;
use super::item::Item;
use super::past::Past;
use super::shown::Shown;
use super::snapshot::{Changed, Snapshot};

/// The most archives that are shown only because programs looked them up, and the most such directories.
const MOST_LOOKED_UP: usize = 1024;

/// The names of a library. What they are made of changes under a lock; readers see what is shown before or after it.
pub(super) struct Names {
    given: Mutex<Given>,
    shown: RwLock<Arc<Shown>>,
    /// What archives did that are closed.
    pub(super) past: Past,
}

/// What is shown is made of this.
#[derive(Clone, Default)]
struct Given {
    listed: Arc<Listed>,
    /// Archives in the root that programs looked up, the oldest first.
    looked_up: Arc<Vec<Item>>,
}

/// The list, and directories of archives.
#[derive(Clone, Default)]
struct Listed {
    items: Vec<Item>,
    /// Names in the root that programs looked up and that turned out to be directories, the oldest first.
    found: Vec<Item>,
    /// Names that turned out to be directories of archives, with what is in them.
    directories: HashMap<String, (Item, Vec<Item>)>,
}

/// What a reload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// How many archives there are now.
    pub archives: usize,
    /// How many of them are new, or have another source.
    pub added: usize,
    /// How many are gone, or have another source.
    pub removed: usize,
}

struct Change {
    before: Arc<Shown>,
    after: Arc<Shown>,
    /// The names that the kernel must forget.
    names: Vec<Changed>,
}

/// A change returns the names that the kernel must forget.
impl Names {
    pub(super) fn new() -> Self {
        Self {
            given: Mutex::default(),
            shown: RwLock::new(Arc::new(Shown::empty())),
            past: Past::default(),
        }
    }

    pub(super) fn now(&self) -> Arc<Shown> {
        self.shown.read().clone()
    }

    /// The directories of archives that were found.
    pub(super) fn directories(&self) -> Vec<Item> {
        let given = self.given.lock();
        let directories = given.listed.directories.values();
        directories.map(|(item, _)| item.clone()).collect()
    }

    /// Shows this list, and what is in directories of archives now.
    pub(super) fn replace(
        &self,
        listed: Vec<Item>,
        directories: Vec<(Item, Vec<Item>)>,
    ) -> Result<(Reloaded, Vec<Changed>), NameError> {
        let change = self.change(|given, before| {
            // An archive that was there keeps its item, so that there is one copy of its name.
            let known = |item: Item| {
                let slot = before.listed.slot_of(item.name());
                let known = slot.map(|slot| &slot.item).filter(|known| **known == item);
                known.cloned().unwrap_or(item)
            };
            let known = |items: Vec<Item>| items.into_iter().map(known).collect();
            let list = Arc::make_mut(&mut given.listed);
            list.items = known(listed);
            for (item, items) in directories {
                list.expand(item, known(items));
            }
            list.forget_unreached();
        })?;
        let missing = |of: &Shown, other: &Shown| {
            let slots = of.slots();
            slots.filter(|slot| !other.is_named(slot.part)).count()
        };
        let reloaded = Reloaded {
            archives: change.after.slots().count(),
            added: missing(&change.after, &change.before),
            removed: missing(&change.before, &change.after),
        };
        Ok((reloaded, change.names))
    }

    /// Shows what is in a directory that seemed to be an archive.
    pub(super) fn expand(&self, item: &Item, items: Vec<Item>) -> Result<Vec<Changed>, NameError> {
        let change = self.change(|given, before| {
            let list = Arc::make_mut(&mut given.listed);
            let mut looked_up = given.looked_up.iter();
            // Directories may have many names, and a lookup makes all names anew that were looked up.
            if let Some(at) = looked_up.position(|known| known.name() == item.name()) {
                let found = Arc::make_mut(&mut given.looked_up).remove(at);
                list.found.push(found);
                forget_surplus(&mut list.found, &before.listed);
            }
            list.expand(item.clone(), items);
            // It may have been forgotten while it was opened.
            list.forget_unreached();
        })?;
        Ok(change.names)
    }

    /// Shows an archive in the root that a program looks up. A name that is there already stays what it is.
    pub(super) fn look_up(&self, item: Item) -> Result<Vec<Changed>, NameError> {
        let change = self.change(|given, before| {
            if before.child(Part::ROOT, item.name()).is_some() {
                return;
            }
            let looked_up = Arc::make_mut(&mut given.looked_up);
            looked_up.push(item);
            forget_surplus(looked_up, &before.looked_up);
        })?;
        Ok(change.names)
    }

    /// Gives new slots to archives that have changed.
    pub(super) fn renew(&self) -> Result<Vec<Changed>, NameError> {
        let change = self.change(|given, before| {
            // Several change at the same time. The first call is for all of them.
            let has_stale = |of: &Snapshot| of.slots().any(|slot| slot.is_stale());
            if has_stale(&before.listed) {
                given.listed = Arc::new(Listed::clone(&given.listed));
            }
            if has_stale(&before.looked_up) {
                given.looked_up = Arc::new(Vec::clone(&given.looked_up));
            }
        })?;
        Ok(change.names)
    }

    /// Changes what is given. What the edit leaves alone is not made anew, but names that were looked up give way to those
    /// of a new list. If the names do not fit together, nothing has changed.
    fn change(&self, edit: impl FnOnce(&mut Given, &Shown)) -> Result<Change, NameError> {
        let mut given = self.given.lock();
        let (before, mut changed) = (self.now(), given.clone());
        edit(&mut changed, &before);
        let has_list = !Arc::ptr_eq(&changed.listed, &given.listed);
        if !has_list && Arc::ptr_eq(&changed.looked_up, &given.looked_up) {
            let (after, names) = (before.clone(), Vec::new());
            return Ok(Change {
                before,
                after,
                names,
            });
        }
        let mut after = Shown::clone(&before);
        if has_list {
            let listed = Snapshot::new(changed.listed.items(), &before.listed, &before.looked_up)?;
            after.listed = Arc::new(listed);
        }
        let looked_up = changed.looked_up.iter();
        let looked_up = looked_up.filter(|item| !after.listed.has_name(item.name()));
        let items = looked_up.cloned().collect();
        let looked_up = Snapshot::new(items, &before.looked_up, &after.listed)?;
        after.looked_up = Arc::new(looked_up);
        let mut names = before.looked_up.changes(&after.looked_up);
        if has_list {
            names.extend(before.listed.changes(&after.listed));
        }
        for name in &names {
            if let Some(part) = name.was {
                after.gone.add(part, &name.name);
            }
        }
        let after = Arc::new(after);
        *given = changed;
        *self.shown.write() = after.clone();
        // To close an archive takes time: its index is hashed.
        drop(given);
        let listed = has_list.then(|| before.listed.slots());
        for slot in listed.into_iter().flatten().chain(before.looked_up.slots()) {
            if !after.is_named(slot.part) {
                slot.close_unused(Instant::now(), &self.past);
            }
        }
        Ok(Change {
            before,
            after,
            names,
        })
    }
}

impl Listed {
    /// Of several archives in a directory with the same name, the first is shown. If the directory has
    /// no archives, its name is shown as an archive again.
    fn expand(&mut self, item: Item, mut items: Vec<Item>) {
        let mut names = HashSet::new();
        items.retain(|item| names.insert(item.name().to_owned()));
        if items.is_empty() {
            self.directories.remove(item.name());
        } else {
            self.directories
                .insert(item.name().to_owned(), (item, items));
        }
    }

    /// Forgets the directories that nothing leads to any longer.
    fn forget_unreached(&mut self) {
        let (_, reached) = self.walk();
        let reached: HashSet<String> = reached.into_iter().map(str::to_owned).collect();
        self.directories.retain(|name, _| reached.contains(name));
    }

    /// The archives. What is in a directory of archives takes the directory's place, and names that programs looked up give
    /// way to those of the list.
    fn items(&self) -> Vec<Item> {
        self.walk().0
    }

    /// The archives, and the names of the directories that lead to them.
    fn walk(&self) -> (Vec<Item>, Vec<&str>) {
        let first = |item: &Item| item.name().split('/').next().unwrap_or_default().to_owned();
        let mut ahead: Vec<&Item> = self.items.iter().collect();
        if !self.found.is_empty() {
            let listed: HashSet<String> = self.items.iter().map(first).collect();
            let found = self.found.iter();
            ahead.extend(found.filter(|item| !listed.contains(item.name())));
        }
        let (mut items, mut reached) = (Vec::with_capacity(ahead.len()), Vec::new());
        while let Some(item) = ahead.pop() {
            match self.directories.get(item.name()) {
                // Its name may stand for something else now. A directory with a new date is still the same directory.
                Some((of, below)) if of.location() == item.location() => {
                    reached.push(item.name());
                    ahead.extend(below);
                }
                _ => items.push(item.clone()),
            }
        }
        (items, reached)
    }
}

/// If there are too many names that programs looked up, forgets an eighth of them: the oldest that are not in use.
fn forget_surplus(items: &mut Vec<Item>, now: &Snapshot) {
    if items.len() <= MOST_LOOKED_UP {
        return;
    }
    let mut surplus = MOST_LOOKED_UP / 8;
    items.retain(|item| {
        let is_kept = surplus == 0 || now.is_in_use(item.name());
        if !is_kept {
            surplus -= 1;
        }
        is_kept
    });
}

#[cfg(test)]
mod tests;

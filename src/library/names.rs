//! The names of a library: those of its list, those in directories of archives, and those that programs looked up.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use super::error::NameError;
use super::inode::Part;
use super::item::Item;
use super::snapshot::Snapshot;

/// How many earlier snapshots are kept for listings that are not at their end.
const EARLIER: usize = 8;

/// The most names that are shown only because programs looked them up.
const MOST_LOOKED_UP: usize = 1024;

/// The names of a library. What they are made of changes under a lock; readers see one snapshot or the next.
pub(super) struct Names {
    given: Mutex<Given>,
    shown: RwLock<Shown>,
}

struct Shown {
    now: Arc<Snapshot>,
    earlier: VecDeque<Arc<Snapshot>>,
}

/// What a snapshot is made of.
#[derive(Clone, Default)]
struct Given {
    /// The list.
    listed: Vec<Item>,
    /// Names that turned out to be directories of archives, with what is in them.
    directories: HashMap<String, (Item, Vec<Item>)>,
    /// Archives in the root that programs looked up, the oldest first.
    looked_up: VecDeque<Item>,
}

/// What a reload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reloaded {
    /// How many archives there are now.
    pub archives: usize,
    /// How many of them are new, or have another source.
    pub added: usize,
    /// How many are gone, or have another source.
    pub removed: usize,
}

/// What a change of names did, and the names that the kernel must forget: the part of the directory, and the name.
pub(super) type Changed = (Reloaded, Vec<(Part, Box<str>)>);

impl Names {
    /// The root alone.
    pub(super) fn new() -> Self {
        Self {
            given: Mutex::default(),
            shown: RwLock::new(Shown {
                now: Arc::new(Snapshot::empty()),
                earlier: VecDeque::new(),
            }),
        }
    }

    /// The names now.
    pub(super) fn now(&self) -> Arc<Snapshot> {
        // They are replaced as a whole.
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        shown.now.clone()
    }

    /// An earlier snapshot, if it is kept.
    pub(super) fn earlier(&self, generation: u64) -> Option<Arc<Snapshot>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let mut earlier = shown.earlier.iter();
        earlier.find(|old| old.generation == generation).cloned()
    }

    /// The directories of archives that were found.
    pub(super) fn directories(&self) -> Vec<Item> {
        let given = self.given();
        given
            .directories
            .values()
            .map(|(item, _)| item.clone())
            .collect()
    }

    /// Shows this list, and what is in directories of archives now.
    pub(super) fn replace(
        &self,
        listed: Vec<Item>,
        directories: Vec<(Item, Vec<Item>)>,
    ) -> Result<Changed, NameError> {
        self.change(|given, _| {
            given.listed = listed;
            for (item, items) in directories {
                given.expand(item, items);
            }
            given.forget_unreached();
        })
    }

    /// Shows what is in a directory that seemed to be an archive.
    pub(super) fn expand(&self, item: &Item, items: Vec<Item>) -> Result<Changed, NameError> {
        self.change(|given, _| given.expand(item.clone(), items))
    }

    /// Shows an archive that a program looks up. A name that is there already stays what it is.
    pub(super) fn look_up(&self, item: Item) -> Result<Changed, NameError> {
        self.change(|given, now| {
            if given
                .looked_up
                .iter()
                .all(|known| known.name() != item.name())
            {
                given.looked_up.push_back(item);
            }
            given.forget_surplus(now);
        })
    }

    /// Gives new slots to archives that have changed.
    pub(super) fn renew(&self) -> Result<Changed, NameError> {
        self.change(|_, _| {})
    }

    /// Changes what is given. If the names do not fit together, nothing has changed.
    fn change(&self, edit: impl FnOnce(&mut Given, &Snapshot)) -> Result<Changed, NameError> {
        let mut given = self.given();
        let (before, mut changed) = (self.now(), given.clone());
        edit(&mut changed, &before);
        let after = Arc::new(Snapshot::new(changed.items(), &before)?);
        *given = changed;
        {
            let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
            shown.now = after.clone();
            shown.earlier.push_front(before.clone());
            shown.earlier.truncate(EARLIER);
        }
        // To close an archive takes time: its index is hashed.
        drop(given);
        for slot in before.slots() {
            if after.node(slot.part()).is_none() {
                slot.close_unused(Instant::now());
            }
        }
        let changes = before.changes(&after);
        let reloaded = Reloaded {
            archives: after.slots().count(),
            added: changes.added,
            removed: changes.removed,
        };
        Ok((reloaded, changes.names))
    }

    fn given(&self) -> MutexGuard<'_, Given> {
        // It is replaced as a whole.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Given {
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

    /// If there are too many names that programs looked up, forgets an eighth of them: the oldest that are not in use.
    fn forget_surplus(&mut self, now: &Snapshot) {
        if self.looked_up.len() <= MOST_LOOKED_UP {
            return;
        }
        let mut surplus = MOST_LOOKED_UP / 8;
        let directories = &mut self.directories;
        self.looked_up.retain(|item| {
            let is_kept = surplus == 0 || now.is_in_use(item.name());
            if !is_kept {
                surplus -= 1;
                let below = format!("{}/", item.name());
                directories.retain(|name, _| name != item.name() && !name.starts_with(&below));
            }
            is_kept
        });
    }

    /// Forgets the directories that nothing leads to any longer.
    fn forget_unreached(&mut self) {
        let (_, reached) = self.walk();
        let reached: HashSet<String> = reached.into_iter().map(str::to_owned).collect();
        self.directories.retain(|name, _| reached.contains(name));
    }

    /// The list's archives, and those that were looked up whose names the list does not have. What is in a directory of
    /// archives takes the directory's place.
    fn items(&self) -> Vec<Item> {
        self.walk().0
    }

    /// The archives, and the names of the directories that lead to them.
    fn walk(&self) -> (Vec<Item>, Vec<&str>) {
        let first = |item: &Item| item.name().split('/').next().unwrap_or_default().to_owned();
        let listed: HashSet<String> = self.listed.iter().map(first).collect();
        let looked_up = self.looked_up.iter();
        let looked_up = looked_up.filter(|item| !listed.contains(item.name()));
        let mut ahead: Vec<&Item> = self.listed.iter().chain(looked_up).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volume::Location;

    fn item(name: &str) -> Item {
        Item::new(name, Location::Url(format!("http://h/{name}"))).expect("a name")
    }

    fn items(names: &[&str]) -> Vec<Item> {
        names.iter().map(|name| item(name)).collect()
    }

    fn shown(names: &Names) -> Vec<String> {
        let now = names.now();
        let slots = now.slots();
        slots.map(|slot| slot.item().name().to_owned()).collect()
    }

    /// Every name that a program looked up stayed until the mount ended, so a program that tries names could fill
    /// the memory.
    #[test]
    fn names_that_were_looked_up_are_bounded() {
        let names = Names::new();
        names
            .replace(items(&["listed"]), Vec::new())
            .expect("a list");
        for n in 0..MOST_LOOKED_UP + 10 {
            names.look_up(item(&format!("n{n:05}"))).expect("a name");
        }
        let shown = shown(&names);
        assert!(shown.len() <= MOST_LOOKED_UP + 1, "{}", shown.len());
        assert!(shown.contains(&"listed".to_owned()));
        assert!(!shown.contains(&"n00000".to_owned()), "the oldest");
        assert!(shown.contains(&format!("n{:05}", MOST_LOOKED_UP + 9)));
    }

    /// A looked-up name that a later list has as a directory made every reload fail.
    #[test]
    fn a_looked_up_name_gives_way_to_a_list() {
        let names = Names::new();
        names.look_up(item("cid")).expect("a name");
        names
            .replace(items(&["cid/film", "x"]), Vec::new())
            .expect("a list");
        assert_eq!(shown(&names), ["cid/film", "x"]);
        names.replace(items(&["x"]), Vec::new()).expect("a list");
        assert_eq!(shown(&names), ["cid", "x"]);
    }

    #[test]
    fn directories_are_refreshed_and_follow_their_source() {
        let names = Names::new();
        names
            .replace(items(&["d", "e"]), Vec::new())
            .expect("a list");
        names
            .expand(&item("d"), items(&["d/a", "d/sub"]))
            .expect("names");
        names
            .expand(&item("d/sub"), items(&["d/sub/b"]))
            .expect("names");
        assert_eq!(shown(&names), ["d/a", "d/sub/b", "e"]);
        assert_eq!(names.directories().len(), 2);
        let refreshed = vec![(item("d"), items(&["d/a", "d/c", "d/sub"]))];
        let touched = item("d").with_version(Some("today".to_owned()));
        names
            .replace(vec![touched, item("e")], refreshed)
            .expect("a list");
        assert_eq!(shown(&names), ["d/a", "d/c", "d/sub/b", "e"]);
        // Another source under the same name.
        let other = Item::new("d", Location::Url("http://other/d".into())).expect("a name");
        names.replace(vec![other], Vec::new()).expect("a list");
        assert_eq!(shown(&names), ["d"]);
    }

    /// A directory that was gone was listed again at each reload, with a warning each time, until the mount ended.
    #[test]
    fn directories_that_are_gone_are_not_listed_again() {
        let names = Names::new();
        let list = |listed: &[&str], directories| {
            names.replace(items(listed), directories).expect("a list");
        };
        list(&["d", "e"], Vec::new());
        for (name, below) in [("d", "d/sub"), ("d/sub", "d/sub/a"), ("e", "e/a")] {
            names.expand(&item(name), items(&[below])).expect("names");
        }
        let left = || {
            let mut left: Vec<String> = names
                .directories()
                .iter()
                .map(|d| d.name().into())
                .collect();
            left.sort();
            left
        };
        list(&["d", "e"], Vec::new());
        assert_eq!(left(), ["d", "d/sub", "e"]);
        list(&["d"], vec![(item("d"), items(&["d/b"]))]);
        assert_eq!(left(), ["d"]);
        list(&["e"], Vec::new());
        assert!(left().is_empty());
    }
}

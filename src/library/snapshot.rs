//! The names of a library at one moment. Sync, no I/O; a reload builds a new one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::error::NameError;
use super::inode::Part;
use super::item::Item;
use super::past::Past;
use super::slot::Slot;
use crate::volume::Location;

/// The position of a name in [`Snapshot::nodes`]; 0 is the root.
type NodeId = u32;

const ROOT: NodeId = 0;

/// The names, and the archives and directories that they stand for.
pub(super) struct Snapshot {
    nodes: Vec<Node>,
    parts: HashMap<Part, Place>,
    /// The parts of archives that are gone or have changed. No other archive gets them, because the kernel may still
    /// know their files.
    used: Arc<HashSet<Part>>,
    /// What the archives did that are closed.
    pub(super) past: Past,
    /// Distinguishes it from others, for positions in listings.
    pub(super) generation: u64,
}

/// A directory or an archive.
pub(super) struct Node {
    /// The last component of its path.
    pub(super) name: Box<str>,
    parent: NodeId,
    pub(super) part: Part,
    pub(super) content: Content,
}

/// What a name stands for.
pub(super) enum Content {
    /// A directory, with what is in it in the order of names.
    Directory(Vec<NodeId>),
    Archive(Arc<Slot>),
}

/// What the part of an inode number stands for.
#[derive(Clone)]
enum Place {
    Here(NodeId),
    /// An archive that is no longer named. Its files may be open, or an open of one may be under way.
    Removed(Arc<Slot>),
}

/// What has changed between two snapshots.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Names that the kernel must forget: the part of the directory, and the name in it.
    pub(super) names: Vec<(Part, Box<str>)>,
    /// How many archives are new, or have another source.
    pub(super) added: usize,
    /// How many are gone, or have another source.
    pub(super) removed: usize,
}

impl Snapshot {
    /// The root alone.
    pub(super) fn empty() -> Self {
        let root = Node {
            name: "".into(),
            parent: ROOT,
            part: Part::ROOT,
            content: Content::Directory(Vec::new()),
        };
        Self {
            nodes: vec![root],
            parts: HashMap::from([(Part::ROOT, Place::Here(ROOT))]),
            used: Arc::default(),
            past: Past::default(),
            generation: 0,
        }
    }

    /// The snapshot of `items`. It keeps the slot of each archive of `before` that has the same name and location,
    /// unless the slot is [stale](Slot::is_stale). It also keeps the slots of removed archives while files of them are
    /// open, and at least until the next snapshot.
    ///
    /// # Errors
    /// If two of the names cannot stand side by side.
    pub(super) fn new(items: Vec<Item>, before: &Self) -> Result<Self, NameError> {
        let mut items = items;
        items.sort_by(|a, b| a.name().split('/').cmp(b.name().split('/')));
        check(&items)?;
        let mut made = Self::empty();
        made.generation = before.generation + 1;
        made.past = before.past.clone();
        made.used = before.used.clone();
        let known = before.slots_by_name();
        // What stays keeps its part. So does what went before, as long as files of it are open.
        for (part, place) in &before.parts {
            if let Place::Removed(slot) = place
                && slot.is_in_use()
            {
                made.parts.insert(*part, place.clone());
            }
        }
        // And what goes now: until this snapshot is shown, files of it are opened.
        for slot in before.slots() {
            made.parts.insert(slot.part(), Place::Removed(slot.clone()));
        }
        // The directories that lead to the item before.
        let mut path: Vec<NodeId> = vec![ROOT];
        for item in items {
            let known = known.get(item.name());
            made.add(item, known, &mut path, before);
        }
        made.note_used(before);
        Ok(made)
    }

    /// Adds an archive, which comes after all others in the order of names. `known` has its name in `before`.
    fn add(
        &mut self,
        item: Item,
        known: Option<&Arc<Slot>>,
        path: &mut Vec<NodeId>,
        before: &Self,
    ) {
        let (above, name) = match item.name().rsplit_once('/') {
            Some((above, name)) => (above.split('/').collect::<Vec<_>>(), name),
            None => (Vec::new(), item.name()),
        };
        let shared = above.iter().zip(&path[1..]);
        let shared = shared.take_while(|(name, node)| *self.nodes[**node as usize].name == ***name);
        let depth = shared.count();
        path.truncate(1 + depth);
        for (at, name) in above.iter().enumerate().skip(depth) {
            let whole = above[..=at].join("/");
            let part = before.directory_part(&whole);
            let part = part.unwrap_or_else(|| self.free(before, &whole, ""));
            let parent = path[path.len() - 1];
            path.push(self.push(parent, name, part, Content::Directory(Vec::new())));
        }
        let parent = path[path.len() - 1];
        let directory = self.nodes[parent as usize].part;
        let name = name.to_owned();
        let is_stale = known.is_some_and(|known| known.is_stale());
        let kept = known.filter(|known| !is_stale && *known.item() == item);
        let slot = kept.cloned().unwrap_or_else(|| {
            let part = self.free(before, item.name(), &item.location().shown().1);
            let slot = Slot::new(item, part, directory, self.past.clone());
            Arc::new(if is_stale { slot.asking() } else { slot })
        });
        self.push(parent, &name, slot.part(), Content::Archive(slot));
    }

    fn push(&mut self, parent: NodeId, name: &str, part: Part, content: Content) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(Node {
            name: name.into(),
            parent,
            part,
            content,
        });
        self.parts.insert(part, Place::Here(id));
        if let Content::Directory(children) = &mut self.nodes[parent as usize].content {
            children.push(id);
        }
        id
    }

    /// Notes the parts of archives of `before` that are not in this snapshot. What a CID names cannot change, and
    /// programs can look up any number of CIDs.
    fn note_used(&mut self, before: &Self) {
        let gone = before.slots().filter(|slot| {
            let is_here = self.node(slot.part()).is_some();
            let may_change = !matches!(slot.item().location(), Location::Cid(_));
            !is_here && (may_change || slot.is_stale())
        });
        let gone: Vec<Part> = gone.map(|slot| slot.part()).collect();
        if !gone.is_empty() {
            Arc::make_mut(&mut self.used).extend(gone);
        }
    }

    /// A part that no other name has, and none had before: the kernel may still know files of it.
    fn free(&self, before: &Self, name: &str, source: &str) -> Part {
        let is_taken = |part: &Part| {
            let is_in = |parts: &HashMap<Part, Place>| parts.contains_key(part);
            is_in(&self.parts) || is_in(&before.parts) || before.used.contains(part)
        };
        let mut attempts = (0..).map(|attempt| Part::of(name, source, attempt));
        let free = attempts.find(|part| !is_taken(part));
        free.unwrap_or(Part::ROOT) // never: there are more parts than memory for names
    }

    /// The part of the directory at this path, or of what seemed to be an archive there and is a directory.
    fn directory_part(&self, path: &str) -> Option<Part> {
        let mut here = &self.nodes[ROOT as usize];
        for name in path.split('/') {
            here = self.child(here, name)?;
        }
        let is_directory = match &here.content {
            Content::Directory(_) => true,
            Content::Archive(slot) => slot.is_directory(),
        };
        is_directory.then_some(here.part)
    }

    /// The node of a part that is named.
    pub(super) fn node(&self, part: Part) -> Option<&Node> {
        match self.parts.get(&part)? {
            Place::Here(id) => self.nodes.get(*id as usize),
            Place::Removed(_) => None,
        }
    }

    /// Whether a part stands for something: a directory, or an archive, also one that is named no longer.
    pub(super) fn has(&self, part: Part) -> bool {
        self.parts.contains_key(&part)
    }

    /// The archive of a part, which may be named no longer.
    pub(super) fn slot(&self, part: Part) -> Option<&Arc<Slot>> {
        match self.parts.get(&part)? {
            Place::Removed(slot) => Some(slot),
            Place::Here(id) => match &self.nodes[*id as usize].content {
                Content::Archive(slot) => Some(slot),
                Content::Directory(_) => None,
            },
        }
    }

    /// The node above; the root is above itself.
    pub(super) fn parent(&self, node: &Node) -> &Node {
        &self.nodes[node.parent as usize]
    }

    /// What is in a directory, in the order of names.
    pub(super) fn children(&self, directory: &Node) -> impl ExactSizeIterator<Item = &Node> {
        let children: &[NodeId] = match &directory.content {
            Content::Directory(children) => children,
            Content::Archive(_) => &[],
        };
        children.iter().map(|child| &self.nodes[*child as usize])
    }

    /// The position of a name in a directory, or where it would be.
    pub(super) fn position(&self, directory: &Node, name: &str) -> Result<usize, usize> {
        match &directory.content {
            Content::Directory(children) => {
                children.binary_search_by(|child| (*self.nodes[*child as usize].name).cmp(name))
            }
            Content::Archive(_) => Err(0),
        }
    }

    /// The file of this name in a directory.
    pub(super) fn child(&self, directory: &Node, name: &str) -> Option<&Node> {
        let at = self.position(directory, name).ok()?;
        self.children(directory).nth(at)
    }

    /// Whether files of archives at or below a name in the root are open, or something is read there.
    pub(super) fn is_in_use(&self, name: &str) -> bool {
        let node = self.child(&self.nodes[ROOT as usize], name);
        let mut ahead: Vec<&Node> = node.into_iter().collect();
        while let Some(node) = ahead.pop() {
            match &node.content {
                Content::Archive(slot) if slot.is_in_use() => return true,
                Content::Archive(_) => {}
                Content::Directory(_) => ahead.extend(self.children(node)),
            }
        }
        false
    }

    /// All archives that are named, in the order of names.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.nodes.iter().filter_map(|node| match &node.content {
            Content::Archive(slot) => Some(slot),
            Content::Directory(_) => None,
        })
    }

    fn slots_by_name(&self) -> HashMap<&str, Arc<Slot>> {
        let slots = self.slots();
        slots
            .map(|slot| (slot.item().name(), slot.clone()))
            .collect()
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What the kernel must forget when `after` takes the place of this snapshot: names that are gone, or
    /// that stand for something else, and the absence of new ones.
    pub(super) fn changes(&self, after: &Self) -> Changes {
        let mut changes = Changes::default();
        let mut others = vec![(&self.nodes[ROOT as usize], &after.nodes[ROOT as usize])];
        while let Some((old, new)) = others.pop() {
            let forget = |node: &Node, is_new: bool, names: &mut Changes| {
                names.names.push((old.part, node.name.clone()));
                let snapshot = if is_new { after } else { self };
                let archives = snapshot.archives_below(node);
                *(if is_new {
                    &mut names.added
                } else {
                    &mut names.removed
                }) += archives;
            };
            for node in self.children(old) {
                match after.child(new, &node.name) {
                    Some(same) if same.part == node.part => others.push((node, same)),
                    _ => forget(node, false, &mut changes),
                }
            }
            for node in after.children(new) {
                let same = self.child(old, &node.name);
                if same.is_none_or(|same| same.part != node.part) {
                    forget(node, true, &mut changes);
                }
            }
        }
        changes
    }

    fn archives_below(&self, node: &Node) -> usize {
        match &node.content {
            Content::Archive(_) => 1,
            Content::Directory(_) => {
                let below = self.children(node).map(|child| self.archives_below(child));
                below.sum()
            }
        }
    }
}

/// Checks the names of sorted items.
fn check(items: &[Item]) -> Result<(), NameError> {
    for pair in items.windows(2) {
        let (first, second) = (pair[0].name(), pair[1].name());
        if first == second {
            return Err(NameError::Twice(first.to_owned()));
        }
        let below = second.strip_prefix(first);
        if below.is_some_and(|rest| rest.starts_with('/')) {
            return Err(NameError::Below {
                name: second.to_owned(),
                archive: first.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::library::Unopened;
    use crate::reader::Trace;
    use crate::source::Priority;

    fn item(name: &str, source: &str) -> Item {
        Item::new(name, Location::Url(source.to_owned())).expect("a name")
    }

    fn snapshot(items: &[(&str, &str)], before: &Snapshot) -> Snapshot {
        let items = items.iter().map(|(name, source)| item(name, source));
        Snapshot::new(items.collect(), before).expect("names")
    }

    fn part(snapshot: &Snapshot, path: &str) -> Part {
        let mut here = snapshot.node(Part::ROOT).expect("the root");
        for name in path.split('/') {
            here = snapshot.child(here, name).expect(path);
        }
        here.part
    }

    const SOME: [(&str, &str); 4] = [
        ("b", "http://h/b"),
        ("a/y", "http://h/y"),
        ("a/x/1", "http://h/1"),
        ("a-b/z", "http://h/z"),
    ];

    #[test]
    fn nested_names_are_directories_in_the_order_of_names() {
        let made = snapshot(&SOME, &Snapshot::empty());
        let root = made.node(Part::ROOT).expect("the root");
        let names = |node| {
            made.children(node)
                .map(|n| n.name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(root), ["a", "a-b", "b"]);
        let a = made.child(root, "a").expect("a directory");
        assert_eq!(names(a), ["x", "y"]);
        assert_eq!(made.parent(a).part, Part::ROOT);
        assert_eq!(made.slots().count(), 4);
        assert!(made.child(root, "c").is_none());
    }

    #[test]
    fn parts_do_not_depend_on_what_else_is_there() {
        let (all, one) = (
            snapshot(&SOME, &Snapshot::empty()),
            snapshot(&SOME[2..3], &Snapshot::empty()),
        );
        for path in ["a", "a/x", "a/x/1"] {
            assert_eq!(part(&all, path), part(&one, path), "{path}");
        }
    }

    #[test]
    fn reload_keeps_what_is_the_same_and_gives_a_new_source_another_part() {
        let before = snapshot(&SOME, &Snapshot::empty());
        let after = snapshot(
            &[("b", "http://h/new"), SOME[1], SOME[2], ("c", "http://h/c")],
            &before,
        );
        assert_eq!(part(&before, "a/y"), part(&after, "a/y"));
        assert_ne!(part(&before, "b"), part(&after, "b"));
        let (gone, named) = (part(&before, "b"), after.node(part(&before, "b")));
        assert!(named.is_none());
        assert!(after.slot(gone).is_some(), "an open may be under way");
        let later = snapshot(&[("c", "http://h/c")], &after);
        assert!(later.slot(gone).is_none(), "no file of it is open");
        let changes = before.changes(&after);
        let mut names: Vec<&str> = changes.names.iter().map(|(_, name)| &**name).collect();
        names.sort_unstable();
        assert_eq!(names, ["a-b", "b", "b", "c"]);
        assert_eq!((changes.added, changes.removed), (2, 2));
    }

    /// After two changes an archive got the part again that it had at first. A program that was still in a directory of
    /// the first version could be shown files of the third under the numbers of the first.
    #[test]
    fn part_is_never_used_again_for_an_archive_that_may_have_changed() {
        let (with, without) = (&SOME[..], &SOME[1..]);
        let mut now = snapshot(with, &Snapshot::empty());
        let mut had = HashSet::from([part(&now, "b")]);
        let change = |now: &Snapshot, had: &mut HashSet<Part>| {
            let after = snapshot(with, now);
            assert!(had.insert(part(&after, "b")), "{had:?}");
            after
        };
        for _ in 0..4 {
            now.slot(part(&now, "b")).expect("an archive").set_stale();
            now = change(&now, &mut had);
        }
        for _ in 0..2 {
            for _ in 0..3 {
                now = snapshot(without, &now);
            }
            now = change(&now, &mut had);
        }
    }

    #[test]
    fn only_what_takes_the_place_of_a_changed_archive_asks_its_server() {
        let before = snapshot(&SOME, &Snapshot::empty());
        let b = before.slot(part(&before, "b")).expect("an archive");
        b.set_stale();
        let after = snapshot(&SOME, &before);
        for (path, expected) in [("b", true), ("a/y", false)] {
            let slot = after.slot(part(&after, path)).expect("an archive");
            let asks = std::cell::Cell::new(None);
            slot.begin(Priority::Demand, &Trace::default(), |request| {
                asks.set(Some(request.asks));
                std::future::ready(Err(Arc::new(Unopened::Gone))).boxed()
            });
            assert_eq!(asks.get(), Some(expected), "{path}");
        }
    }

    #[test]
    fn names_that_cannot_stand_side_by_side_are_refused() {
        let refused = |names: &[&str]| {
            let items = names.iter().map(|name| item(name, "http://h/a")).collect();
            let made = Snapshot::new(items, &Snapshot::empty());
            made.err().expect("an error")
        };
        assert_eq!(refused(&["b", "a", "b"]), NameError::Twice("b".into()));
        let below = NameError::Below {
            name: "a/x".into(),
            archive: "a".into(),
        };
        assert_eq!(refused(&["a/x", "a-b", "a"]), below);
    }
}

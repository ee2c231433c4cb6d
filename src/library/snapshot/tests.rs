//! Snapshots that follow one another.

use std::time::Instant;

use futures_util::FutureExt;

use super::*;
use crate::library::Unopened;
use crate::reader::Trace;

fn item(name: &str, source: &str) -> Item {
    Item::new(name, Location::Url(source.to_owned())).expect("a name")
}

fn empty() -> Snapshot {
    Snapshot::empty()
}

fn snapshot(items: &[(&str, &str)], before: &Snapshot) -> Snapshot {
    let items = items.iter().map(|(name, source)| item(name, source));
    Snapshot::new(items.collect(), before, &empty()).expect("names")
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
    let made = snapshot(&SOME, &empty());
    let root = made.node(Part::ROOT).expect("the root");
    let names = |node| {
        made.children_from(node, 0)
            .map(|n| n.name().to_owned())
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
    let (all, one) = (snapshot(&SOME, &empty()), snapshot(&SOME[2..3], &empty()));
    for path in ["a", "a/x", "a/x/1"] {
        assert_eq!(part(&all, path), part(&one, path), "{path}");
    }
}

#[test]
fn reload_keeps_what_is_the_same_and_gives_a_new_source_another_part() {
    let before = snapshot(&SOME, &empty());
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
    let mut names: Vec<_> = changes.iter().map(|c| (&*c.name, c.was)).collect();
    names.sort_unstable();
    let was = |name| Some(part(&before, name));
    assert_eq!(names, [("a-b", was("a-b")), ("b", was("b")), ("c", None)]);
}

/// After two changes an archive got the part again that it had at first. A program that was still in a directory of
/// the first version could be shown files of the third under the numbers of the first.
#[test]
fn part_is_never_used_again_for_an_archive_that_may_have_changed() {
    let (with, without) = (&SOME[..], &SOME[1..]);
    let mut now = snapshot(with, &empty());
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
    let before = snapshot(&SOME, &empty());
    let b = before.slot(part(&before, "b")).expect("an archive");
    b.set_stale();
    let after = snapshot(&SOME, &before);
    for (path, expected) in [("b", true), ("a/y", false)] {
        let slot = after.slot(part(&after, path)).expect("an archive");
        let asks = std::cell::Cell::new(None);
        slot.touch(Instant::now(), &Trace::default(), |request| {
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
        let made = Snapshot::new(items, &empty(), &empty());
        made.err().expect("an error")
    };
    assert_eq!(refused(&["b", "a", "b"]), NameError::Twice("b".into()));
    let below = NameError::Below {
        name: "a/x".into(),
        archive: "a".into(),
    };
    assert_eq!(refused(&["a/x", "a-b", "a"]), below);
}

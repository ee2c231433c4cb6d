//! Names that are listed, looked up and found.

use super::*;
use crate::fs::Ino;
use crate::library::Directory;
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
    slots.map(|slot| slot.item.name().to_owned()).collect()
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

/// What a listing of the root says that is asked for a few names at a time. `between` is called with the last name of
/// each part.
fn listing(names: &Names, mut between: impl FnMut(&str)) -> Vec<String> {
    let (mut listed, mut cookie) = (Vec::new(), 0);
    loop {
        let root = Directory::new(&names.now(), Part::ROOT).expect("the root");
        let part: Vec<_> = root.children(cookie).take(7).collect();
        let Some(last) = part.last() else {
            return listed;
        };
        cookie = last.cookie;
        listed.extend(part.iter().map(|child| child.name.to_owned()));
        between(last.name);
    }
}

fn many(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("n{n:05}")).collect()
}

fn list(names: &Names, listed: &[String]) {
    let listed = listed.iter().map(|name| item(name)).collect();
    names.replace(listed, Vec::new()).expect("a list");
}

/// After eight lookups, the snapshot of a listing was no longer kept. It went on at the same position of another one, so
/// names were missing or came twice.
#[test]
fn listing_goes_on_while_names_are_looked_up() {
    let names = Names::new();
    let expected = many(500);
    list(&names, &expected);
    let mut n = 0;
    let listed = listing(&names, |_| {
        // One before the others, one among them, and one behind them.
        for first in ["a", "n00250-", "z"] {
            names.look_up(item(&format!("{first}{n}"))).expect("a name");
        }
        n += 1;
    });
    let of_list: Vec<&String> = listed.iter().filter(|name| name.len() == 6).collect();
    assert_eq!(of_list, expected.iter().collect::<Vec<_>>());
    let once: HashSet<&String> = listed.iter().collect();
    assert_eq!(once.len(), listed.len());
    assert_eq!(&listed[..2], [".", ".."]);
    assert!(listed[2..].is_sorted());
}

/// A name that is gone, and the slots of archives that changed, were known for one more change only.
#[test]
fn listing_goes_on_behind_a_name_that_is_gone() {
    let names = Names::new();
    let mut left = many(500);
    list(&names, &left);
    let kept = |name: &str| name.ends_with(['1', '3', '5', '7', '9']);
    let mut gone = 0;
    let listed = listing(&names, |last| {
        if last.len() < 3 {
            return;
        }
        if kept(last) {
            // Another archive takes its place, with another number.
            let slot = names.now().listed.slot_of(last).cloned();
            assert!(slot.expect("an archive").set_stale());
            names.renew().expect("names");
            return;
        }
        // With the last name, one that was listed before goes and two behind it, in several changes.
        let at = left.iter().position(|name| name == last).expect("listed");
        let others = [at - 2, at, at + 4, at + 8].map(|at| left.get(at).cloned());
        for other in others.into_iter().flatten().filter(|name| !kept(name)) {
            left.retain(|name| *name != other);
            list(&names, &left);
            gone += 1;
        }
    });
    assert!(gone > 20, "{gone}");
    let once: HashSet<&String> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "none twice");
    let expected = many(500);
    let all: Vec<&String> = expected.iter().filter(|name| kept(name)).collect();
    let found: Vec<&String> = listed.iter().filter(|name| kept(name)).collect();
    assert_eq!(found, all, "all that were there from beginning to end");
}

/// A lookup sorted all names of the list and made them anew.
#[test]
fn lookup_costs_the_same_however_long_the_list_is() {
    for n in [10, 10_000] {
        let names = Names::new();
        list(&names, &many(n));
        // A directory that was looked up may have many names, too.
        let directory = item("d");
        names.look_up(directory.clone()).expect("a name");
        let below = (0..n).map(|n| item(&format!("d/{n}")));
        names.expand(&directory, below.collect()).expect("names");
        let mut made = 0;
        for at in 0..50 {
            let before = names.now();
            names.look_up(item(&format!("cid{at}"))).expect("a name");
            let after = names.now();
            let snapshots = [
                (&before.listed, &after.listed),
                (&before.looked_up, &after.looked_up),
            ];
            let new = snapshots.iter().filter(|(old, new)| !Arc::ptr_eq(old, new));
            made += new.map(|(_, new)| new.len()).sum::<usize>();
        }
        // Each of the names that were looked up, and the root.
        assert_eq!(made, (1..=50).map(|names| names + 1).sum::<usize>());
        assert_eq!(names.now().len(), 2 * n + 52);
    }
}

/// Each change kept the snapshot before it, with names of its own, until there were eight.
#[test]
fn what_was_shown_before_is_not_kept() {
    let names = Names::new();
    list(&names, &many(10));
    let before = names.now();
    let earlier = Arc::downgrade(&before.listed);
    let slot = before.slots().next().cloned().expect("an archive");
    drop(before);
    list(&names, &many(11));
    assert!(earlier.upgrade().is_none());
    let now = names.now();
    let same = now.slots().next().expect("an archive");
    assert!(Arc::ptr_eq(&slot, same));
    let given = names.given.lock();
    let name = |item: &Item| item.name().as_ptr();
    assert_eq!(name(&given.listed.items[0]), name(&same.item), "one copy");
}

/// Both layers have numbers of their own, and an archive may be in one and then in the other.
#[test]
fn looked_up_archive_that_is_listed_later_stays_what_it_is() {
    let names = Names::new();
    names.look_up(item("cid")).expect("a name");
    let part = |names: &Names| names.now().child(Part::ROOT, "cid").map(|node| node.part);
    let before = part(&names);
    let (done, _) = names
        .replace(items(&["cid", "x"]), Vec::new())
        .expect("a list");
    assert_eq!(part(&names), before);
    assert_eq!((done.archives, done.added, done.removed), (2, 1, 0));
    let root = Directory::new(&names.now(), Part::ROOT).expect("the root");
    assert_eq!(root.child(b"cid"), before.map(|part| part.ino(Ino::ROOT)));
    assert_eq!(root.children(0).count(), 4);
    // Positions that no listing gave.
    assert_eq!(root.children(u64::MAX).count(), 0);
    assert_eq!(root.children(12_345).count(), 0);
}

#[test]
fn archives_that_changed_together_are_renewed_together() {
    let names = Names::new();
    list(&names, &many(3));
    names.look_up(item("cid")).expect("a name");
    for slot in names.now().slots() {
        assert!(slot.set_stale());
        assert!(!slot.set_stale(), "that is known");
    }
    let changes = names.renew().expect("names");
    assert_eq!(changes.len(), 4);
    let after = names.now();
    assert!(names.renew().expect("names").is_empty());
    assert!(Arc::ptr_eq(&after, &names.now()));
}

/// A directory that a program looked up is one of the list's snapshot from then on.
#[test]
fn directory_that_was_looked_up_keeps_its_number_and_gives_way_to_a_list() {
    let names = Names::new();
    names.look_up(item("d")).expect("a name");
    let part = || names.now().child(Part::ROOT, "d").map(|node| node.part);
    let before = part();
    let slot = names.now().slots().next().cloned();
    slot.expect("an archive").set_directory(true);
    names.expand(&item("d"), items(&["d/a"])).expect("names");
    assert_eq!(shown(&names), ["d/a"]);
    assert_eq!(part(), before);
    let is_archive = before.is_some_and(|part| names.now().slot(part).is_some());
    assert!(
        !is_archive,
        "programs find a directory under the same number"
    );
    names.look_up(item("c")).expect("a name");
    assert_eq!(shown(&names), ["c", "d/a"]);
    let other = Item::new("d", Location::Url("http://other/d".into())).expect("a name");
    names.replace(vec![other], Vec::new()).expect("a list");
    assert_eq!(shown(&names), ["c", "d"]);
    let mut found: Vec<Item> = many(MOST_LOOKED_UP + 1).iter().map(|n| item(n)).collect();
    forget_surplus(&mut found, &names.now().listed);
    assert_eq!(found.len(), MOST_LOOKED_UP / 8 * 7 + 1);
    assert_eq!(found[0].name(), many(129)[128], "the oldest are forgotten");
}

//! Lists of archives whose names do not fit together.

use futures_util::future::BoxFuture;

use super::*;
use crate::fs::{Owners, Symlinks, TreeOptions};
use crate::library::Library;
use crate::volume::Location;

/// Everything in it is a directory, which has these names.
struct Directories(&'static [&'static str]);

fn item(name: &str) -> Item {
    Item::new(name, Location::Url(format!("http://h/{name}"))).expect("a name")
}

impl Archives for Directories {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Item>, ListError>> {
        async { Ok(vec![item("d")]) }.boxed()
    }

    fn open<'a>(
        &'a self,
        item: &'a Item,
        _request: OpenRequest,
    ) -> BoxFuture<'a, Result<Volume, Unopened>> {
        let error = OpenError::Directory(item.location().clone());
        async move { Err(error.into()) }.boxed()
    }

    fn directory<'a>(
        &'a self,
        item_of: &'a Item,
    ) -> BoxFuture<'a, Option<Result<Vec<Item>, Unopened>>> {
        let names = self.0.iter();
        let items = names.map(|name| item(&format!("{}/{name}", item_of.name())));
        let items: Vec<Item> = items.collect();
        async move { Some(Ok(items)) }.boxed()
    }
}

/// What looking into `d` ends with.
async fn open(many: &Arc<Many>) -> Arc<Unopened> {
    let d = many.names.now().slots().next().map(|slot| slot.part);
    match many.find(d.expect("an archive").ino(Ino::ROOT)) {
        Found::Closed(closed) => closed.await.err().expect("a directory"),
        _ => panic!("it is closed"),
    }
}

fn options() -> LibraryOptions {
    LibraryOptions {
        tree: TreeOptions {
            uid: 0,
            gid: 0,
            owners: Owners::Given,
            fmask: 0,
            dmask: 0,
            symlinks: Symlinks::None,
        },
        idle: Duration::from_secs(60),
        refresh: None,
    }
}

fn many(names: &'static [&'static str]) -> Arc<Many> {
    Many::new(Arc::new(Directories(names)), options(), Handle::current())
}

#[tokio::test]
async fn of_two_found_names_that_are_alike_the_first_is_shown() {
    let many = many(&["x.zip", "y.zip", "x.zip"]);
    many.reload().await.expect("a list");
    assert_eq!(*open(&many).await, Unopened::Directory);
    for _ in 0..2 {
        assert_eq!(many.reload().await.expect("a list").archives, 2);
    }
}

#[tokio::test]
async fn a_directory_whose_names_do_not_fit_together_hinders_no_later_list() {
    let many = many(&["x", "x/y"]);
    many.reload().await.expect("a list");
    let error = open(&many).await;
    assert!(matches!(*error, Unopened::Setup(_)), "{error}");
    for _ in 0..2 {
        assert_eq!(many.reload().await.expect("a list").archives, 1);
    }
}

/// Each request that found the same archive changed made all names anew itself, also several at once.
#[test]
fn archive_that_changed_is_renewed_once_and_outside_the_request() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(1).max_blocking_threads(1);
    let runtime = builder.enable_all().build().expect("a runtime");
    let archives = Arc::new(Directories(&[]));
    let library = Library::many(archives, options(), runtime.handle().clone());
    runtime.block_on(library.reload()).expect("a list");
    let d = || match library.find(Ino::ROOT) {
        Found::Directory(root) => root.child(b"d").expect("an archive"),
        _ => panic!("it is a directory"),
    };
    let before = d();
    // The only thread for such work is busy.
    let (release, busy) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || {
        let _ = busy.recv();
    });
    let renewals: Vec<_> = (0..3).filter_map(|_| library.changed(before)).collect();
    assert_eq!(renewals.len(), 1);
    assert_eq!(d(), before);
    drop(release);
    // Behind what was begun before.
    let wait = || {
        runtime
            .block_on(runtime.spawn_blocking(|| {}))
            .expect("it ends")
    };
    wait();
    let after = d();
    assert_ne!(after, before);
    assert!(library.changed(before).is_none());
    wait();
    assert_eq!(d(), after, "that was known");
}

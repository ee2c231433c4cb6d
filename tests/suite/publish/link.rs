//! Stores that answer late, or with errors for a while.

use super::*;

/// Parts were answered in turn: one whose answer was late kept all other connections idle.
#[test]
fn a_late_answer_keeps_no_other_part_waiting() {
    let (dir, s3) = (tree::temp(), S3::new(Duration::ZERO));
    let media = tree::bytes(6, 9 * PART);
    tree::write(
        dir.path(),
        "a.zip",
        &Zip::of([Item::new("media.bin", media)]).finish(),
    );
    // Enough connections for a link that gives each 25 MB/s and 100 in all, also while two wait for their answers.
    s3.stored().gathered = 6;
    s3.stored().late = Some((1, 9));
    let done = run::run(&mut s3.publish(&dir.path().join("a.zip"), "s3://films/a.zip", &[]));
    done.ok("publish");
    let stored = s3.stored();
    assert_eq!(stored.late, None, "no other part was sent meanwhile");
    let most = stored.most_at_once;
    assert!((6..=9).contains(&most), "{most} parts at once");
}

/// While a store answered 500 to all requests, publish waited for minutes without a word.
#[test]
fn a_store_that_fails_for_long_is_told() {
    let (dir, s3) = (tree::temp(), S3::new(Duration::ZERO));
    tree::write(dir.path(), "a.zip", &archive(9));
    // Long enough that a repeated request falls between the two seconds of silence and the end.
    s3.stored().broken_for = Duration::from_secs(6);
    let done = run::run(&mut s3.publish(&dir.path().join("a.zip"), "s3://films/a.zip", &[]));
    let done = done.ok("publish");
    let told = done
        .stderr
        .matches("cannot find out whether the object exists")
        .count();
    assert_eq!(told, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("(InternalError); trying again"),
        "{}",
        done.stderr
    );
}

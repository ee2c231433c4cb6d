//! Archives in object stores and in directories of servers: credentials, signatures, refusals, listings.

mod credentials;
mod listing;
mod makers;
mod others;
mod refusals;

use std::process::Command;

use crate::common::scripted::{Asked, Reply, Scripted};
use crate::common::signatures::check_s3;
use crate::common::zips::{Item, Zip};
use crate::common::{run, tree};

/// The object that the stores of these tests have.
const SOURCE: &str = "s3://films/a.zip";

fn archive() -> Vec<u8> {
    let items = [
        Item::new("a.txt", "hello\n"),
        Item::new("b.bin", tree::bytes(3, 3_000_000)),
    ];
    Zip::of(items).finish()
}

/// The secret of every access key in these tests.
fn secret_of(key: &str) -> String {
    format!("secret/of+{key}")
}

/// The access key and the region of a request, if it is signed as it must be.
fn signed_by(asked: &Asked) -> Result<(String, String), String> {
    check_s3(asked, |key| Some(secret_of(key)))
}

/// A store that has the object, and accepts each right signature.
fn store() -> Scripted {
    store_that(|_, _| None)
}

/// One that asks `refuse` first, with the access key and the region.
fn store_that(
    refuse: impl Fn(&Asked, &(String, String)) -> Option<Reply> + Send + Sync + 'static,
) -> Scripted {
    let blob = archive();
    Scripted::start(move |asked| {
        let signer = match signed_by(asked) {
            Err(why) => return Reply::refusal(403, "SignatureDoesNotMatch", &why, ""),
            Ok(signer) => signer,
        };
        if let Some(refusal) = refuse(asked, &signer) {
            return refusal;
        }
        match asked.target.as_str() {
            "/films/a.zip" => Reply::range(&blob, asked),
            _ => Reply::refusal(404, "NoSuchKey", "The specified key does not exist.", ""),
        }
    })
}

/// `aiozfs` with keys in the environment.
fn with_keys(key: &str) -> Command {
    let mut command = run::aiozfs();
    command.env("AWS_ACCESS_KEY_ID", key);
    command.env("AWS_SECRET_ACCESS_KEY", secret_of(key));
    command
}

//! Google Cloud Storage and Azure Blob Storage.

use super::*;
use crate::common::signatures::check_azure;

#[test]
fn an_object_of_google_is_read_with_a_token_of_the_machine() {
    let blob = archive();
    let metadata = Scripted::start(|asked| {
        assert_eq!(asked.header("metadata-flavor"), "Google");
        Reply::text(r#"{"access_token": "t0ken", "expires_in": 3600, "token_type": "Bearer"}"#)
    });
    let store = Scripted::start(move |asked| {
        match (asked.header("authorization"), asked.target.as_str()) {
            ("Bearer t0ken", "/films/my%20film.zip") => Reply::range(&blob, asked),
            ("Bearer t0ken", _) => Reply::refusal(404, "NoSuchKey", "No such object.", ""),
            _ => Reply::refusal(
                401,
                "AuthenticationRequired",
                "Authentication required.",
                "",
            ),
        }
    });
    let ls = |source: &str, args: &[&str]| {
        let mut command = run::aiozfs();
        command.env("GCE_METADATA_HOST", metadata.addr.to_string());
        command.env("STORAGE_EMULATOR_HOST", store.base());
        run::run(command.arg("ls").args(args).arg(source))
    };
    ls("gs://films/my film.zip", &[]).ok("with a token");
    let absent = ls("gs://films/absent.zip", &[]).stderr;
    assert!(
        absent.contains("No such object.") && absent.contains("check the key"),
        "{absent}"
    );
    let public = ls("gs://films/my film.zip", &["--anonymous"]).stderr;
    assert!(public.contains("leave --anonymous out"), "{public}");
}

#[test]
fn a_blob_of_azure_is_read_with_a_key_or_a_signature() {
    // The account of Microsoft's emulator, with a key of our own.
    let (account, key) = ("devstoreaccount1", "c2VjcmV0IG9mIHRoZSBhY2NvdW50");
    let blob = archive();
    let store = Scripted::start(move |asked| {
        assert!(!asked.header("x-ms-version").is_empty());
        if asked.target == format!("/{account}/films/a.zip?sv=1&sig=a%2Bb%3D") {
            return Reply::range(&blob, asked);
        }
        if asked.target.contains('?') {
            let detail = "<AuthenticationErrorDetail>Signature not valid in the specified time frame\
                </AuthenticationErrorDetail>";
            return Reply::refusal(
                403,
                "AuthenticationFailed",
                "Server failed.\nTime:1",
                detail,
            );
        }
        if let Err(why) = check_azure(asked, account, key) {
            return Reply::refusal(403, "AuthenticationFailed", &why, "");
        }
        match asked.target.rsplit('/').next() {
            Some("a.zip") => Reply::range(&blob, asked),
            _ => Reply::refusal(404, "BlobNotFound", "The blob does not exist.", ""),
        }
    });
    let endpoint = format!("{}/{account}", store.base());
    let ls = |source: &str, env: &[(&str, &str)]| {
        let mut command = run::aiozfs();
        command.envs(env.iter().copied());
        run::run(command.args(["ls", "--endpoint-url", &endpoint, source]))
    };
    let by_key = [
        ("AZURE_STORAGE_ACCOUNT", account),
        ("AZURE_STORAGE_KEY", key),
    ];
    ls("az://films/a.zip", &by_key).ok("by the key of the account");
    let connection = format!("AccountName={account};AccountKey={key}");
    let connection = [("AZURE_STORAGE_CONNECTION_STRING", connection.as_str())];
    ls("az://films/a.zip", &connection).ok("by a connection string");
    let signature = [("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=a%2Bb%3D")];
    ls("az://films/a.zip", &signature).ok("by a signature");
    let expired = [("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=expired")];
    let expired = ls("az://films/a.zip", &expired).stderr;
    assert!(expired.contains("sign in again"), "{expired}");
    assert!(!expired.contains("sig="), "{expired}");
    let absent = ls("az://films/absent.zip", &by_key).stderr;
    assert!(absent.contains("BlobNotFound"), "{absent}");
}

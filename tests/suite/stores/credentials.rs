//! Where credentials are found, in which order, and what happens when they expire.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use super::*;
use crate::common::mount::{Mount, xattr};

/// The name of the file that has the token of the session "corp": the SHA-1 of that name.
const SESSION: &str = "ee0bfd2552fbd840c02cc48b6e823320543c450f";

fn hour_from_now() -> String {
    let then = SystemTime::now() + Duration::from_secs(3600);
    humantime::format_rfc3339_seconds(then).to_string()
}

fn token_of(key: &str) -> String {
    format!("token-of-{key}")
}

/// Temporary credentials as JSON, by the names that containers and instances use.
fn temporary(key: &str) -> Reply {
    let (secret, token, until) = (secret_of(key), token_of(key), hour_from_now());
    Reply::text(format!(
        r#"{{"Code": "Success", "Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "{secret}",
            "Token": "{token}", "SessionToken": "{token}", "Expiration": "{until}"}}"#
    ))
}

/// All services that give credentials, each with a key of its own.
fn services() -> Scripted {
    Scripted::start(|asked| {
        let path = asked.target.split('?').next().unwrap_or_default();
        match (asked.method.as_str(), path) {
            ("PUT", "/latest/api/token") => Reply::text("session"),
            ("GET", "/latest/meta-data/iam/security-credentials/") => Reply::text("role"),
            ("GET", "/latest/meta-data/iam/security-credentials/role") => {
                assert_eq!(asked.header("x-aws-ec2-metadata-token"), "session");
                temporary("AKIMDS")
            }
            ("GET", "/container") => temporary("AKECS"),
            ("GET", "/sso") => {
                assert_eq!(asked.header("x-amz-sso_bearer_token"), "t0ken");
                let (secret, token) = (secret_of("AKSSO"), token_of("AKSSO"));
                Reply::text(format!(
                    r#"{{"roleCredentials": {{"accessKeyId": "AKSSO", "secretAccessKey": "{secret}",
                        "sessionToken": "{token}", "expiration": 4102444800000}}}}"#
                ))
            }
            ("POST", "/") => {
                let body = String::from_utf8_lossy(&asked.body);
                assert!(body.contains("Action=AssumeRoleWithWebIdentity"), "{body}");
                assert!(body.contains("WebIdentityToken=identity"), "{body}");
                let (secret, token) = (secret_of("AKWEB"), token_of("AKWEB"));
                let until = hour_from_now();
                Reply::text(format!(
                    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
                     <AccessKeyId>AKWEB</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
                     <SessionToken>{token}</SessionToken><Expiration>{until}</Expiration>\
                     </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
                ))
            }
            _ => Reply::refusal(404, "NotFound", "no such service", ""),
        }
    })
}

/// Writes the files of AWS's tools below `home`.
fn write_profiles(home: &Path) {
    let aws = home.join(".aws");
    fs::create_dir_all(aws.join("sso/cache")).expect("a directory");
    let keys = |key: &str| {
        let secret = secret_of(key);
        format!("aws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    };
    let program = home.join("give keys");
    let json = temporary("AKPROC").body;
    fs::write(&program, json).expect("a file");
    let config = format!(
        "[default]\nregion = eu-north-1\n[profile config]\n{}\
         [profile process]\ncredential_process = cat '{}'\n\
         [profile web]\nrole_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = {}\n\
         [profile sso]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n\
         [profile round]\nrole_arn = r\nsource_profile = about\n\
         [profile about]\nrole_arn = r\nsource_profile = round\n\
         [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.example\n",
        keys("AKCONF"),
        program.display(),
        home.join("identity").display()
    );
    fs::write(aws.join("config"), config).expect("a file");
    let credentials = format!("[default]\n{}[work]\n{}", keys("AKDEF"), keys("AKWORK"));
    fs::write(aws.join("credentials"), credentials).expect("a file");
    fs::write(home.join("identity"), "identity").expect("a file");
    let token = format!(
        r#"{{"accessToken": "t0ken", "expiresAt": "{}"}}"#,
        hour_from_now()
    );
    fs::write(aws.join(format!("sso/cache/{SESSION}.json")), token).expect("a file");
}

#[test]
fn an_expired_sso_token_says_how_to_sign_in() {
    let (store, home) = (store(), tree::temp());
    write_profiles(home.path());
    let token = home.path().join(format!(".aws/sso/cache/{SESSION}.json"));
    let expired = r#"{"accessToken": "t0ken", "expiresAt": "2024-01-01T00:00:00Z"}"#;
    for content in [Some(expired), None] {
        match content {
            Some(content) => fs::write(&token, content).expect("a file"),
            None => fs::remove_file(&token).expect("a file"),
        }
        let mut command = run::aiozfs();
        command.env_remove("AWS_CONFIG_FILE");
        command.env_remove("AWS_SHARED_CREDENTIALS_FILE");
        command.env("HOME", home.path());
        command.args(["ls", "--profile=sso"]);
        let done = run::run(command.args(["--endpoint-url", &store.base(), SOURCE]));
        assert_eq!(done.code(), Some(1), "{done:?}");
        for part in ["profile 'sso'", "run 'aws sso login'"] {
            assert!(done.stderr.contains(part), "{}", done.stderr);
        }
    }
}

/// Each place in which AWS's tools look is found, and the one that they would take is taken.
#[test]
fn credentials_come_from_where_the_tools_of_the_store_find_them() {
    let (store, services, home) = (store(), services(), tree::temp());
    write_profiles(home.path());
    let services = services.base();
    let sts = ("AWS_ENDPOINT_URL_STS", services.as_str());
    let identity = home.path().join("identity").display().to_string();
    let web: &[(&str, &str)] = &[
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &identity),
        sts,
    ];
    let container = format!("{services}/container");
    let container: &[(&str, &str)] = &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container)];
    let instance: &[(&str, &str)] = &[
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &services),
    ];
    let secret = secret_of("AKENV");
    let keys: &[(&str, &str)] = &[
        ("AWS_ACCESS_KEY_ID", "AKENV"),
        ("AWS_SECRET_ACCESS_KEY", &secret),
    ];
    let sso = format!("{services}/sso");
    let sso = ("AWS_SSO_ENDPOINT", sso.as_str());
    let home_env = home.path().display().to_string();
    let at_home = ("HOME", home_env.as_str());
    // The environment, arguments, and the key and region that sign.
    type Case<'a> = (Vec<(&'a str, &'a str)>, &'a [&'a str], &'a str, &'a str);
    let table: Vec<Case> = vec![
        (keys.to_vec(), &[], "AKENV", "us-east-1"),
        (
            [keys, &[at_home][..], web].concat(),
            &[],
            "AKENV",
            "eu-north-1",
        ),
        (vec![at_home], &[], "AKDEF", "eu-north-1"),
        (
            vec![at_home, ("AWS_PROFILE", "work")],
            &[],
            "AKWORK",
            "us-east-1",
        ),
        // A profile that is named as an option is meant, whatever the environment says.
        (
            [keys, &[at_home][..]].concat(),
            &["--profile", "work"],
            "AKWORK",
            "us-east-1",
        ),
        (vec![at_home], &["--profile=config"], "AKCONF", "us-east-1"),
        (vec![at_home], &["--profile=process"], "AKPROC", "us-east-1"),
        (vec![at_home, sts], &["--profile=web"], "AKWEB", "us-east-1"),
        (vec![at_home, sso], &["--profile=sso"], "AKSSO", "us-east-1"),
        (web.to_vec(), &["--region=x-1"], "AKWEB", "x-1"),
        ([web, container].concat(), &[], "AKWEB", "us-east-1"),
        ([container, instance].concat(), &[], "AKECS", "us-east-1"),
        (
            [instance, &[("AWS_REGION", "y-2")][..]].concat(),
            &[],
            "AKIMDS",
            "y-2",
        ),
    ];
    for (env, args, key, region) in table {
        let before = store.log().len();
        let mut command = run::aiozfs();
        if env.contains(&at_home) {
            command.env_remove("AWS_CONFIG_FILE");
            command.env_remove("AWS_SHARED_CREDENTIALS_FILE");
        }
        command.envs(env.iter().copied()).arg("ls").args(args);
        command.args(["--endpoint-url", &store.base(), SOURCE]);
        let done = run::run(&mut command).ok(key);
        assert!(done.stdout.contains("a.txt"), "{key}: {done:?}");
        let asked = store.log().split_off(before);
        let signer = signed_by(&asked[0]).expect("signed");
        assert_eq!(signer, (key.to_owned(), region.to_owned()));
        let is_temporary = ["AKPROC", "AKWEB", "AKSSO", "AKECS", "AKIMDS"].contains(&key);
        let token = if is_temporary {
            token_of(key)
        } else {
            String::new()
        };
        assert_eq!(asked[0].header("x-amz-security-token"), token, "{key}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let (store, home) = (store(), tree::temp());
    write_profiles(home.path());
    let home = home.path().display().to_string();
    let ls = |code: i32, env: &[(&str, &str)], args: &[&str]| {
        let mut command = run::aiozfs();
        if env.iter().any(|(name, _)| *name == "HOME") {
            command.env_remove("AWS_CONFIG_FILE");
            command.env_remove("AWS_SHARED_CREDENTIALS_FILE");
        }
        command.envs(env.iter().copied()).arg("ls").args(args);
        command.args(["--endpoint-url", &store.base(), SOURCE]);
        let done = run::run(&mut command);
        assert_eq!(done.code(), Some(code), "{done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        done.stderr
    };
    let none = ls(1, &[], &[]);
    for part in ["no credentials", "AWS_ACCESS_KEY_ID", "--anonymous"] {
        assert!(none.contains(part), "{none}");
    }
    let absent = ls(2, &[("HOME", &home)], &["--profile", "absent"]);
    assert!(absent.contains("no profile 'absent'"), "{absent}");
    let round = ls(2, &[("HOME", &home)], &["--profile", "round"]);
    assert!(round.contains("lead in a circle"), "{round}");
    // A service that was configured and does not answer ends the search.
    let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/x");
    let silent = ls(1, &[container], &[]);
    assert!(
        silent.contains("the container's credentials service"),
        "{silent}"
    );
    assert!(
        store.log().is_empty(),
        "nothing was asked without a signature"
    );
}

/// A role's credentials end while the archive is mounted. The store says so, new ones are fetched, once, and no
/// read fails.
#[test]
fn credentials_that_the_store_refuses_are_renewed_once() {
    let is_expired = Arc::new(AtomicBool::new(false));
    let (given, expired) = (Arc::new(AtomicUsize::new(0)), is_expired.clone());
    let counted = given.clone();
    let metadata = Scripted::start(move |asked| match asked.target.as_str() {
        "/latest/api/token" => Reply::text("session"),
        "/latest/meta-data/iam/security-credentials/" => Reply::text("role"),
        _ => temporary(["AKOLD", "AKNEW", "AKTOOMUCH"][counted.fetch_add(1, SeqCst).min(2)]),
    });
    let store = store_that(move |_, (key, _)| {
        let is_refused = key == "AKOLD" && expired.load(SeqCst);
        is_refused
            .then(|| Reply::refusal(400, "ExpiredToken", "The provided token has expired.", ""))
    });
    let (endpoint, metadata) = (store.base(), metadata.base());
    let env = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str()),
    ];
    let mount = Mount::with_env(SOURCE, &["--endpoint-url", &endpoint], &env);
    assert_eq!(fs::read(mount.join("a.txt")).expect("a file"), b"hello\n");
    is_expired.store(true, SeqCst);
    let read = fs::read(mount.join("b.bin")).expect("a file");
    assert!(read == tree::bytes(3, 3_000_000), "other bytes");
    assert_eq!(given.load(SeqCst), 2, "credentials were fetched once more");
    mount.end();
}

/// Nobody else on the machine sees keys, tokens or signatures.
#[test]
fn no_secret_shows_anywhere() {
    let store = store();
    let (endpoint, secret) = (store.base(), secret_of("AKHIDDEN"));
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKHIDDEN"),
        ("AWS_SECRET_ACCESS_KEY", secret.as_str()),
        ("AWS_SESSION_TOKEN", "session-token"),
    ];
    let mount = Mount::with_env(SOURCE, &["-vvv", "--endpoint-url", &endpoint], &env);
    fs::read(mount.join("b.bin")).expect("a file");
    let pid = mount.pid();
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).expect("its arguments");
    let mut status = run::aiozfs();
    let status = run::run(status.args(["status", "--json"]).arg(mount.path())).ok("status");
    let shown = [
        mount.log(),
        mount.proc_mounts(),
        String::from_utf8_lossy(&arguments).into_owned(),
        status.stdout,
        xattr(mount.path(), "url").expect("the attribute"),
    ];
    assert!(shown[1].contains(SOURCE) && shown[4] == SOURCE, "{shown:?}");
    for text in &shown {
        for hidden in [
            &*secret,
            "AKHIDDEN",
            "session-token",
            "AWS4-HMAC",
            "Signature",
        ] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
    mount.end();
}

/// What was fetched with one signature is found without any: the key in the cache has none in it.
#[test]
fn the_cache_knows_the_object_and_not_the_signature() {
    let (store, cache) = (store(), tree::temp());
    let cached = |command: &mut std::process::Command| {
        command
            .env_remove(run::CACHE_SIZE)
            .env("AIOZFS_CACHE_DIR", cache.path());
        command.args(["--endpoint-url", &store.base(), SOURCE]);
        run::run(command)
    };
    cached(with_keys("AK1").arg("fetch")).ok("fetch");
    let asked = store.log().len();
    let offline = cached(run::aiozfs().args(["ls", "--offline"])).ok("offline");
    assert!(offline.stdout.contains("b.bin"), "{offline:?}");
    assert_eq!(store.log().len(), asked);
}

/// A presigned URL that was renewed did not find what had been cached under the one before. Its new signature was
/// taken for another URL.
#[test]
fn a_renewed_url_finds_the_cache() {
    let blob = archive();
    let store = Scripted::start(move |asked| {
        if asked.target.contains("X-Amz-Signature=5") {
            return Reply::range(&blob, asked);
        }
        Reply::refusal(403, "AccessDenied", "Request has expired", "")
    });
    let cache = tree::temp();
    let url = |signature: &str| {
        let query = format!("X-Amz-Credential=AK&X-Amz-Expires=9&X-Amz-Signature={signature}");
        format!("{}/films/a.zip?{query}", store.base())
    };
    let cached = |args: &[&str]| {
        let mut command = run::aiozfs();
        command.env_remove(run::CACHE_SIZE);
        command.env("AIOZFS_CACHE_DIR", cache.path());
        run::run(command.args(args))
    };
    cached(&["fetch", &url("5ecret")]).ok("fetch");
    let before = store.log().len();
    let read = cached(&["cat", &url("50other"), "b.bin"]).ok("with a new signature");
    assert_eq!(
        read.stdout.len(),
        cached(&["cat", "--offline", &url("x"), "b.bin"])
            .stdout
            .len()
    );
    // The version is compared, and nothing is fetched again.
    let asked = store.log().len() - before;
    assert!(asked <= 2, "{asked} requests");
    let listed = cached(&["cache", "ls", "--json"]).ok("cache ls").stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(
        listed["blobs"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );
    assert!(!listed.to_string().contains("Signature"), "{listed}");
}

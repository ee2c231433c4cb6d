//! Tests of the configuration: what it can say, and its errors.

use std::time::Duration;

use super::*;
use crate::cli::verification::VerifyArg;
use crate::fs::{Owners, Symlinks};

fn parse(text: &str) -> Result<Config, String> {
    let file = File::parse(Path::new("config.toml"), text);
    file.map(|file| Config(vec![file]))
        .map_err(|e| e.to_string())
}

const ALL: &str = r#"
        [gateway.near]
        url = "http://10.0.0.1:8080"
        headers = ["X-Key: s3cret"]
        weight = 2.5
        [gateway.far]
        url = "https://{cid}.example"
        [archive.holiday]
        source = "bafy"
        [mount]
        memory = "64M"
        read-ahead = "1M"
        timeout = "5s"
        connections = 8
        stripe = true
        allow-other = true
        umask = "022"
        dmask = "007"
        uid = 7
        noexec = true
        default-permissions = true
        symlinks = "all"
        playlists = "stored"
        xattrs = false
        encoding = "CP866"
        owner = "archive"
        verify = "none"
        cache-dir = "/c"
        cache-size = "2G"
    "#;

#[test]
fn all_that_it_can_say() {
    let config = parse(ALL).expect("a configuration");
    assert_eq!(config.archive("holiday"), Some("bafy"));
    assert_eq!(config.archive("other"), None);
    let near = config.gateway("near").expect("headers").expect("it");
    assert_eq!(
        (near.template.as_str(), near.weight),
        ("http://10.0.0.1:8080", 2.5)
    );
    assert_eq!(config.gateways().expect("all").len(), 2);
    let settings = config.settings();
    assert_eq!(settings.memory, Some(64 << 20));
    assert_eq!(settings.read_ahead, Some(1 << 20));
    assert_eq!(settings.timeout, Some(Duration::from_secs(5)));
    assert_eq!(settings.connections, Some(8));
    assert_eq!(settings.stripe, Some(true));
    assert_eq!(settings.allow_other, Some(true));
    assert_eq!((settings.fmask, settings.dmask), (Some(0o22), Some(0o7)));
    assert_eq!((settings.uid, settings.gid), (Some(7), None));
    assert_eq!(settings.noexec, Some(true));
    assert_eq!(settings.default_permissions, Some(true));
    assert!(matches!(settings.symlinks, Some(Symlinks::All)));
    assert_eq!(settings.playlists, Some(true));
    assert_eq!(settings.xattrs, Some(false));
    assert_eq!(settings.owner, Some(Owners::Archive));
    assert_eq!(settings.verify, Some(VerifyArg::None));
    assert_eq!(settings.cache_dir.as_deref(), Some(Path::new("/c")));
    assert_eq!(settings.cache_size, Some(2 << 30));
    let encoding = settings.encoding.map(|encoding| encoding.to_string());
    assert_eq!(encoding.as_deref(), Some("cp866"));
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn errors_name_the_line_and_hide_secrets() {
    for (text, line, part) in [
        ("\n[mount]\nmemroy = \"s3cret\"\n", "line 3", "memroy"),
        (
            "[gateway.a]\nurl = \"u\"\nkey = \"s3cret\"",
            "line 3",
            "key",
        ),
        ("[mount]\nmemory = \"s3cret\"", "line 2", ""),
        ("[mount]\nencoding = \"klingon\"", "line 2", "cp866"),
        ("[mount]\nmemory = \"1M\"", "line 2", "at least 16M"),
        ("[gateway.a]\nurl = \"u\"\nweight = 0", "line 3", "weight"),
        ("[gateway.a]\nheaders = [\"s3cret\"", "line", ""),
        ("[archive.\"a/b\"]\nsource = \"x\"", "a/b", "archive"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.contains(line) && error.contains(part), "{error}");
        assert!(error.contains("config.toml"), "{error}");
        let is_value = text.contains("memory = \"s3cret\"");
        assert!(is_value || !error.contains("s3cret"), "{error}");
    }
    let listed = parse("[mount]\ngateways = [\"nowhere\"]").expect("it parses");
    let error = listed.gateways().expect_err("no such gateway").to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn the_users_file_takes_precedence() {
    let mut config = parse("[mount]\nuid = 1\n[archive.a]\nsource = \"mine\"").expect("one");
    let system = parse("[mount]\nuid = 2\ngid = 2\n[archive.a]\nsource = \"theirs\"");
    config.0.extend(system.expect("two").0);
    let settings = config.settings();
    assert_eq!((settings.uid, settings.gid), (Some(1), Some(2)));
    assert_eq!(config.archive("a"), Some("mine"));
}

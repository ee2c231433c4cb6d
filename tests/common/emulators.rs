//! Object stores of other makers, from registries at pinned versions: s3s-fs, Azurite, and an emulator of
//! Google Cloud Storage.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::listening::Listening;
use super::rclone::{self, KEY, SECRET};
use super::{made, registry, run};

/// The account that every Azurite has (Microsoft, "Use the Azurite emulator").
pub const AZURITE_ACCOUNT: &str = "devstoreaccount1";
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// s3s-fs, which checks signatures with [`KEY`] and [`SECRET`]. Each folder in `folder` is a bucket.
pub fn s3s_fs(folder: &Path) -> Listening {
    let program = installed("s3s-fs", "0.13.0-alpha.3", "binary").join("bin/s3s-fs");
    Listening::start(|address| {
        let (host, port) = address.split_once(':').expect("host and port");
        let mut command = Command::new(&program);
        command.args(["--host", host, "--port", port]);
        command.args(["--access-key", KEY, "--secret-key", SECRET]);
        command.arg(folder);
        command
    })
}

/// A program from crates.io, compiled at its first use. `feature` is the one that its program needs.
fn installed(name: &str, version: &str, feature: &str) -> PathBuf {
    made::once(name, version, |dir| {
        let mut cargo = run::tool("cargo");
        cargo.args(["install", "--locked", "--debug", name, "--version", version]);
        cargo.args(["--features", feature, "--root"]).arg(dir);
        cargo.env("CARGO_TARGET_DIR", dir.join("target"));
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
        run::run_for(&mut cargo, std::time::Duration::from_secs(600)).ok("cargo install");
        std::fs::remove_dir_all(dir.join("target")).expect("what cargo compiled");
    })
}

/// Azurite's blob service, with a container `films` that has the object `key` with `bytes`. Its data goes to
/// the empty directory `data`. [`Azurite::endpoint`] is what `--endpoint-url` needs.
pub struct Azurite {
    _server: Listening,
    pub endpoint: String,
}

impl Azurite {
    pub fn with_object(data: &Path, key: &str, bytes: &[u8]) -> Self {
        let packages = registry::npm(
            "azurite",
            r#"{"private": true, "dependencies": {"azurite": "3.37.0"}}"#,
        );
        let server = Listening::start(|address| {
            let (host, port) = address.split_once(':').expect("host and port");
            let mut command = run::tool("node");
            command.arg(packages.join("node_modules/azurite/dist/src/blob/main.js"));
            command.args(["--blobHost", host, "--blobPort", port, "--silent"]);
            // rclone speaks a newer version than Azurite knows.
            command.args(["--disableTelemetry", "--skipApiVersionCheck"]);
            command.arg("--location").arg(data);
            command
        });
        let endpoint = format!("{}/{AZURITE_ACCOUNT}", server.base);
        let file = data.join("upload");
        std::fs::write(&file, bytes).expect("a file");
        let mut upload = Command::new(rclone::program());
        upload.args(["--config", "/dev/null", "copyto"]).arg(file);
        upload.arg(format!(":azureblob:films/{key}"));
        upload.args(["--azureblob-account", AZURITE_ACCOUNT]);
        upload.args(["--azureblob-key", AZURITE_KEY]);
        upload.args(["--azureblob-endpoint", &endpoint]);
        run::run(&mut upload).ok("rclone to Azurite");
        Self {
            _server: server,
            endpoint,
        }
    }
}

/// An emulator of Google Cloud Storage, whose bucket `films` has the object `key` with the bytes of `file`. It
/// checks no credentials and lists nothing by the XML API.
pub fn google(key: &str, file: &Path) -> Listening {
    let packages = registry::pip(
        "gcp-storage-emulator",
        "gcp-storage-emulator==2026.7.19\ngoogle-crc32c==1.9.0\n",
    );
    let server = Listening::start(|address| {
        let (host, port) = address.split_once(':').expect("host and port");
        let mut command = run::tool("python3");
        command.env("PYTHONPATH", &packages);
        command.args(["-m", "gcp_storage_emulator", "start", "--in-memory"]);
        command.arg("--default-bucket=films");
        command.arg(format!("--host={host}"));
        command.arg(format!("--port={port}"));
        command
    });
    let mut upload = run::tool("curl");
    upload.args(["--silent", "--show-error", "--fail", "--request", "POST"]);
    upload
        .arg("--data-binary")
        .arg(format!("@{}", file.display()));
    upload.arg(format!(
        "{}/upload/storage/v1/b/films/o?uploadType=media&name={key}",
        server.base
    ));
    run::run(&mut upload).ok("curl to the emulator");
    server
}

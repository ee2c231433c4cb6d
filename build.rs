//! Puts the node's page into the binary: the files of `web/page` and `web/lib`, and what
//! `mount-scripts/page` bundles into `web/dist`, if that was run. Makes the linker keep the program small.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    fold_functions();
    let mut files = BTreeMap::new();
    for folder in ["page", "lib", "dist"] {
        // Also while it does not exist, so that the page is embedded anew once it does.
        println!("cargo::rerun-if-changed=web/{folder}");
        collect(
            &root.join("web"),
            &root.join("web").join(folder),
            &mut files,
        );
    }
    let mut code = String::from("&[\n");
    for (name, path) in &files {
        let bytes = fs::read(path).expect("a file of the page");
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        // The fields of `PageFile`; bundles are compressed.
        let (name, is_gzip) = match name.strip_suffix(".gz") {
            Some(name) => (name, true),
            None => (&name[..], false),
        };
        code.push_str(&format!(
            "    PageFile {{ name: {name:?}, bytes: include_bytes!({path:?}), is_gzip: {is_gzip}, hash: {:?} }},\n",
            format!("{:016x}", hasher.finish())
        ));
    }
    code.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("page_files.rs"), code).expect("a file in the build directory");
}

/// The files below `folder`, by their path from `web` and in full.
fn collect(web: &Path, folder: &Path, files: &mut BTreeMap<String, PathBuf>) {
    // There is no `dist` before the page is bundled.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(web, &path, files);
        } else if path.extension().is_some_and(|e| e != "ts") {
            let name = path.strip_prefix(web).expect("below it");
            let name = name.to_str().expect("our names are ASCII").to_owned();
            files.insert(name, path);
        }
    }
}

/// Lets the linker fold functions whose code is the same, if it can: lld does, and is the linker of Rust 1.90 and
/// later on x86-64. That makes the program a twentieth smaller. Only functions are folded, whose addresses nothing in
/// the program compares.
fn fold_functions() {
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|is| is == value);
    let target = env::var("TARGET").expect("cargo sets it");
    if !is("PROFILE", "release") || !is("HOST", &target) {
        return;
    }
    const FOLD: &str = "-Wl,--icf=all";
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let source = out.join("probe.rs");
    fs::write(&source, "fn main() {}").expect("a file in the build directory");
    let mut rustc = Command::new(env::var_os("RUSTC").expect("cargo sets it"));
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    rustc.arg(format!("-Clink-arg={FOLD}")).arg(&source);
    rustc.arg("-o").arg(out.join("probe"));
    rustc.stdout(Stdio::null()).stderr(Stdio::null());
    if rustc.status().is_ok_and(|status| status.success()) {
        println!("cargo::rustc-link-arg-bins={FOLD}");
    }
}

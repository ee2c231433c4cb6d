//! Programs that tests take from a registry, at pinned versions, because Debian does not have them.
//! A test that cannot get them fails and says what npm or pip said.

use std::path::{Path, PathBuf};

use super::{made, run};

/// A directory with this package.json and the `node_modules` that it asks for.
pub fn npm(name: &str, package: &str) -> PathBuf {
    made::once(name, package, |dir| {
        std::fs::write(dir.join("package.json"), package).expect("a file");
        let mut npm = run::tool("npm");
        // A lock file would name the registry that it was made with.
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]);
        // None of them needs to run anything to be installed.
        npm.arg("--ignore-scripts").current_dir(dir);
        run::run(&mut npm).ok("npm install, which needs a registry of npm packages");
    })
}

/// A directory with the Python packages of this requirements.txt, and no others.
pub fn pip(name: &str, requirements: &str) -> PathBuf {
    made::once(name, requirements, |dir| {
        let list: &Path = &dir.join("requirements.txt");
        std::fs::write(list, requirements).expect("a file");
        let mut pip = run::tool("pip3");
        pip.args(["install", "--no-deps", "--only-binary=:all:"]);
        pip.args(["--no-compile", "--no-cache-dir", "--target"]);
        pip.arg(dir).arg("--requirement").arg(list);
        run::run(&mut pip).ok("pip3 install, which needs a registry of Python packages");
    })
}

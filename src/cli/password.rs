//! The password of encrypted entries: from a file, the environment, the configuration, or a terminal. Never
//! from an argument, which all users of a machine can read.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::Failure;
use super::small_file::read_small_bytes;
use crate::decode::Password;

/// The variable for a password, which does not appear in the list of processes.
const VARIABLE: &str = "AIOZFS_PASSWORD";

#[derive(Debug, Clone, Args)]
pub(super) struct PasswordArgs {
    /// A file whose first line is the password of encrypted entries; also the variable AIOZFS_PASSWORD.
    /// On a terminal you are asked for it
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArgs {
    /// The password, if one is given. `option` is the file of a mount option, which takes precedence;
    /// `configured` is the configuration's.
    pub(super) fn resolve(
        &self,
        option: Option<&Path>,
        configured: Option<&Path>,
    ) -> Result<Option<Password>, Failure> {
        if let Some(path) = option.or(self.password_file.as_deref()) {
            return of_file(path).map(Some);
        }
        let variable = std::env::var_os(VARIABLE).filter(|password| !password.is_empty());
        match (variable, configured) {
            (Some(password), _) => Ok(Some(Password::new(password.as_bytes()))),
            (None, Some(path)) => of_file(path).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// The first line of a file, in whatever encoding the archive's writer had.
fn of_file(path: &Path) -> Result<Password, Failure> {
    let bytes = read_small_bytes(path)?;
    let line = bytes.split(|byte| *byte == b'\n').next();
    match line.map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        Some(line) if !line.is_empty() => Ok(Password::new(line)),
        _ => Err(Failure::new(format!(
            "{}: its first line, which should be the password, is empty",
            path.display()
        ))),
    }
}

/// Asks for the password of `archive` on the terminal, without showing it. `None` if there is no terminal, or
/// no answer.
pub(super) fn ask(archive: &str) -> Option<Password> {
    // Standard input may be in use: the arguments come through it if there are secrets in them.
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let mut terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()?;
    let before = tcgetattr(&terminal).ok()?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    write!(terminal, "Password of {archive}: ").ok()?;
    tcsetattr(&terminal, OptionalActions::Flush, &silent).ok()?;
    let mut line = Vec::new();
    let read = BufReader::new(&terminal).read_until(b'\n', &mut line);
    let _ = tcsetattr(&terminal, OptionalActions::Flush, &before);
    let _ = writeln!(terminal);
    read.ok()?;
    let password = line.strip_suffix(b"\n").unwrap_or(&line);
    (!password.is_empty()).then(|| Password::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Password files that are not UTF-8 were refused, though archives of old programs have such passwords.
    #[test]
    fn a_password_file_has_bytes_of_any_encoding() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("password");
        for (content, expected) in [
            (&b"\x81ber\n"[..], &b"\x81ber"[..]),
            (b"plain\r\nsecond", b"plain"),
            (b"no end", b"no end"),
        ] {
            std::fs::write(&path, content).expect("a file");
            let password = of_file(&path).expect("a password");
            assert_eq!(password.bytes(), expected);
        }
        std::fs::write(&path, "\nsecond").expect("a file");
        assert!(of_file(&path).is_err());
    }
}

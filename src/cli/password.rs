//! The password of encrypted entries: from a file, the environment, the configuration, or a terminal. Never
//! from an argument, which all users of a machine can read.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::Failure;
use super::named_file::NamedFile;
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
        configured: Option<NamedFile>,
    ) -> Result<Option<Password>, Failure> {
        let option = option.map(|path| NamedFile::of_mount_option("password-file", path));
        let argument = self.password_file.as_deref();
        let argument = argument.map(|path| NamedFile::of_option("--password-file", path));
        if let Some(file) = option.or(argument) {
            return of_file(&file).map(Some);
        }
        let variable = std::env::var_os(VARIABLE).filter(|password| !password.is_empty());
        match (variable, configured) {
            (Some(password), _) => Ok(Some(Password::new(password.as_bytes()))),
            (None, Some(file)) => of_file(&file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// The first line of a file, in whatever encoding the archive's writer had.
fn of_file(file: &NamedFile) -> Result<Password, Failure> {
    let bytes = file.read_small()?;
    let line = bytes.split(|byte| *byte == b'\n').next();
    match line.map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        Some(line) if !line.is_empty() => Ok(Password::new(line)),
        _ => Err(file.wrong("its first line, which should be the password, is empty")),
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
    loop {
        write!(terminal, "Password of {archive}: ").ok()?;
        let answer = Silent::new(&terminal).and_then(|silent| silent.read_answer());
        let _ = writeln!(terminal);
        match answer.ok()? {
            Answer::Line(line) => return (!line.is_empty()).then(|| Password::new(&line)),
            Answer::Signal(signal) => {
                kill_process(getpid(), signal).ok()?;
                if signal != Signal::TSTP {
                    return None;
                }
            }
        }
    }
}

/// A terminal that shows nothing, until this is dropped.
///
/// Keys that send signals are read like others, because a signal would end the process before the terminal's modes
/// are restored.
struct Silent<'t> {
    terminal: &'t File,
    before: Termios,
}

enum Answer {
    Line(Vec<u8>),
    /// The key of this signal was pressed.
    Signal(Signal),
}

impl<'t> Silent<'t> {
    fn new(terminal: &'t File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        let modes = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        silent.local_modes.remove(modes);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }

    fn read_answer(&self) -> io::Result<Answer> {
        use SpecialCodeIndex as Key;
        let mut line = Vec::new();
        for byte in BufReader::new(self.terminal).bytes() {
            let byte = byte?;
            // A key of 0 is none.
            let is = |key: Key| byte != 0 && byte == self.before.special_codes[key];
            match byte {
                b'\n' | b'\r' => break,
                _ if is(Key::VEOF) => break,
                _ if is(Key::VINTR) => return Ok(Answer::Signal(Signal::INT)),
                _ if is(Key::VQUIT) => return Ok(Answer::Signal(Signal::QUIT)),
                _ if is(Key::VSUSP) => return Ok(Answer::Signal(Signal::TSTP)),
                _ if is(Key::VKILL) => line.clear(),
                // A character of UTF-8 has bytes that continue it.
                _ if is(Key::VERASE) => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
                byte => line.push(byte),
            }
        }
        Ok(Answer::Line(line))
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
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
            let password = of_file(&NamedFile::at(&path)).expect("a password");
            assert_eq!(password.bytes(), expected);
        }
        std::fs::write(&path, "\nsecond").expect("a file");
        assert!(of_file(&NamedFile::at(&path)).is_err());
    }
}

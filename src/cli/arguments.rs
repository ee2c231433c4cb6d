//! Keeps secrets in arguments from other users.
//!
//! All users of a machine can read the arguments of a process (`ps`, /proc/PID/cmdline), and a URL may
//! have a login or a signature in it. A command with secrets in its arguments executes itself once more: with
//! arguments without secrets, and with the full ones in a memory file on standard input. The background
//! process of a mount gets its arguments the same way.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;

/// Set if the arguments of the process are on its standard input, each ended by a NUL.
const HANDED_OVER: &str = "AIOZFS_HANDED_OVER";

/// The commands with URLs or headers in their arguments. None of them reads standard input, except `cid -`,
/// which has no URL.
const ASKING: [&str; 11] = [
    "mount", "ls", "info", "cat", "extract", "fetch", "verify", "gateways", "cache", "cid",
    "publish",
];

/// The arguments of this process, the program's name first.
pub(super) fn read() -> io::Result<Vec<OsString>> {
    if std::env::var_os(HANDED_OVER).is_none() {
        return Ok(std::env::args_os().collect());
    }
    let mut all = Vec::new();
    io::stdin().lock().read_to_end(&mut all)?;
    // Closes the memory file.
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let arguments = all.split_inclusive(|b| *b == 0);
    let arguments = arguments.map(|argument| argument.strip_suffix(&[0]).unwrap_or(argument));
    Ok(arguments
        .map(|argument| OsString::from_vec(argument.to_vec()))
        .collect())
}

/// Executes this process anew if there is a secret in its `arguments`. Returns only
/// if there is none, or if it fails.
pub(super) fn hide(arguments: &[OsString]) -> io::Result<()> {
    let is_asking = |name: &OsString| ASKING.iter().any(|command| name == command);
    if std::env::var_os(HANDED_OVER).is_some()
        || !arguments.get(1).is_some_and(is_asking)
        || without_secrets(arguments) == arguments
    {
        return Ok(());
    }
    Err(command(arguments)?.exec())
}

/// A command that runs this program with `arguments`, whose secrets other users cannot see. Its standard
/// input is in use.
pub(super) fn command(arguments: &[OsString]) -> io::Result<Command> {
    let mut file = memory_file()?;
    for argument in arguments {
        file.write_all(argument.as_bytes())?;
        file.write_all(&[0])?;
    }
    file.rewind()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(without_secrets(arguments).into_iter().skip(1))
        .env(HANDED_OVER, "1")
        .stdin(file);
    Ok(command)
}

/// A file in memory without a name, which is freed when it is closed.
fn memory_file() -> io::Result<File> {
    let create = |flags| rustix::fs::memfd_create("aiozfs arguments", flags);
    // Some systems require that it cannot be executed (sysctl vm.memfd_noexec). Kernels before 6.3 do not
    // know that flag.
    let file = create(MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL);
    let file = file.or_else(|e| match e {
        Errno::INVAL => create(MemfdFlags::CLOEXEC),
        e => Err(e),
    })?;
    Ok(File::from(file))
}

/// The same arguments without logins, queries and fragments of URLs and without values of headers.
fn without_secrets(arguments: &[OsString]) -> Vec<OsString> {
    let mut is_header = false;
    let shown = arguments.iter().map(|argument| {
        let was_header = std::mem::replace(&mut is_header, argument == "--header");
        let text = argument.to_string_lossy();
        if was_header {
            return header(&text).into();
        }
        match text.strip_prefix("--header=") {
            Some(value) => format!("--header={}", header(value)).into(),
            None if text.contains("://") => url(&text).into(),
            None => OsStr::to_owned(argument),
        }
    });
    shown.collect()
}

/// `Name: value` without the value.
fn header(text: &str) -> String {
    let name = text.split(':').next().unwrap_or_default();
    format!("{name}: ***")
}

/// A text with URLs in it, such as a list of gateways, without logins, and without everything after the
/// first query or fragment.
fn url(text: &str) -> String {
    let scheme = text.find("://").unwrap_or(0);
    let end = text[scheme..].find(['?', '#']);
    let text = &text[..end.map_or(text.len(), |end| scheme + end)];
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // Additional slashes are ignored (WHATWG URL, "special authority ignore slashes").
        let part = part.trim_start_matches(['/', '\\']);
        let end = part.find('/').unwrap_or(part.len());
        let host = part[..end].rfind('@').map_or(0, |at| at + 1);
        shown.push_str("://");
        shown.push_str(&part[host..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[&str]) -> Vec<String> {
        let arguments: Vec<_> = line.iter().map(OsString::from).collect();
        let shown = without_secrets(&arguments).into_iter();
        shown
            .map(|argument| argument.into_string().expect("text"))
            .collect()
    }

    #[test]
    fn secrets_are_hidden_in_visible_arguments() {
        for (argument, seen) in [
            ("http://h/a.zip", "http://h/a.zip"),
            ("http://joe:s3cret@h:80/a.zip", "http://h:80/a.zip"),
            ("https://s3cret@h", "https://h"),
            ("http://h/a.zip?sig=s3cret,http://x", "http://h/a.zip"),
            ("http://h#s3cret", "http://h"),
            ("http:///joe:s3cret@h/a", "http://h/a"),
            ("http://joe:a@s3cret@h/@me/a", "http://h/@me/a"),
            (
                "http://a,https://joe:s3cret@{cid}.b",
                "http://a,https://{cid}.b",
            ),
            ("--gateway=http://s3cret@h", "--gateway=http://h"),
            ("--header=X-Key: s3cret", "--header=X-Key: ***"),
            ("-ofsname=http://s3cret@h", "-ofsname=http://h"),
            ("./what?.zip", "./what?.zip"),
            ("what?/x://joe:s3cret@h", "what?/x://h"),
        ] {
            assert_eq!(shown(&["aiozfs", argument]), ["aiozfs", seen]);
        }
        let line = ["aiozfs", "mount", "--header", "X-Key: s3cret", "./a.zip"];
        assert_eq!(shown(&line)[3..], ["X-Key: ***", "./a.zip"]);
    }
}

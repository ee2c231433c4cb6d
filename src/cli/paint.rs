//! Names on standard output: quoted and coloured for a terminal, as `ls` does.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};

use super::completions;
use super::show::write_name;
use crate::archive::Kind;
use crate::fs::Attr;

#[derive(Debug, Clone, Copy, Args)]
pub(super) struct ColorArgs {
    /// Colour names, by LS_COLORS: on a terminal unless NO_COLOR is set, always, or never
    #[arg(long, value_name = "WHEN", default_value = "auto", num_args = 0..=1, require_equals = true, default_missing_value = "always", add = completions::when())]
    color: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl ColorArgs {
    fn is_on(self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb,
        }
    }
}

/// What determines the colour of a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Look {
    Directory,
    Link,
    Executable,
    /// Coloured by the end of its name.
    File,
}

impl Look {
    pub(super) fn of(attr: &Attr) -> Self {
        match attr.kind {
            Kind::Dir => Self::Directory,
            Kind::Symlink => Self::Link,
            Kind::File | Kind::Special if attr.perm & 0o111 != 0 => Self::Executable,
            Kind::File | Kind::Special => Self::File,
        }
    }
}

/// The colours of GNU ls without LS_COLORS.
const DEFAULT: &str = "di=01;34:ln=01;36:ex=01;32";

/// Colours by LS_COLORS: `KEY=SGR` separated by colons, where a key is a kind of file or `*` and the end of a name
/// (dircolors(1)). The last of equal keys counts, and of ends of names the last that fits.
struct Colors(Vec<(String, String)>);

impl Colors {
    fn of_environment() -> Self {
        let given = std::env::var("LS_COLORS").unwrap_or_default();
        Self::parse(&format!("{DEFAULT}:{given}"))
    }

    fn parse(text: &str) -> Self {
        let pairs = text.split(':').filter_map(|pair| pair.split_once('='));
        // Anything else would be a sequence of its own for the terminal.
        let is_sgr = |value: &str| value.bytes().all(|b| b.is_ascii_digit() || b == b';');
        let pairs = pairs.filter(|(_, value)| is_sgr(value));
        let owned = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self(owned.collect())
    }

    /// The SGR parameters (ECMA-48) for a name; `None` if it has no colour.
    fn of(&self, name: &[u8], look: Look) -> Option<&str> {
        let of_kind = |kind| self.last(|key| key == kind);
        let color = match look {
            Look::Directory => of_kind("di"),
            Look::Link => of_kind("ln"),
            Look::Executable => of_kind("ex"),
            Look::File => {
                let fits = |key: &str| {
                    let end = key.strip_prefix('*').map(str::as_bytes);
                    end.is_some_and(|end| {
                        name.to_ascii_lowercase()
                            .ends_with(&end.to_ascii_lowercase())
                    })
                };
                self.last(fits).or_else(|| of_kind("fi"))
            }
        };
        color.filter(|sgr| !matches!(*sgr, "" | "0" | "00"))
    }

    fn last(&self, fits: impl Fn(&str) -> bool) -> Option<&str> {
        let found = self.0.iter().rev().find(|(key, _)| fits(key));
        found.map(|(_, value)| &value[..])
    }
}

/// Writes names, in colours if these are wanted.
pub(super) struct Painter(Option<Colors>);

impl Painter {
    pub(super) fn for_stdout(args: ColorArgs) -> Self {
        Self(args.is_on().then(Colors::of_environment))
    }

    pub(super) fn write(&self, name: &[u8], look: Look, out: &mut dyn Write) -> io::Result<()> {
        let colors = self.0.as_ref();
        let Some(sgr) = colors.and_then(|colors| colors.of(name, look)) else {
            return write_name(name, out);
        };
        write!(out, "\x1b[{sgr}m")?;
        write_name(name, out)?;
        out.write_all(b"\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_key_that_fits_gives_the_colour() {
        let colors =
            Colors::parse("di=01;34:*.gz=31:*.tar.gz=32:*.gz=33:fi=00:ex=01;32:bad=1m\x1b[2J:x");
        let of = |name: &str, look| colors.of(name.as_bytes(), look);
        assert_eq!(of("d.gz", Look::Directory), Some("01;34"));
        assert_eq!(of("a.gz", Look::File), Some("33"));
        assert_eq!(of("A.GZ", Look::File), Some("33"));
        assert_eq!(of("a.txt", Look::File), None);
        assert_eq!(of("run", Look::Executable), Some("01;32"));
        assert_eq!(of("link", Look::Link), None);
    }
}

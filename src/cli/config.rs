//! The configuration: named gateways, archives and stores, defaults for options.
//!
//! `$XDG_CONFIG_HOME/aiozfs/config.toml` (else `~/.config/aiozfs/config.toml`) takes precedence over
//! `/etc/aiozfs/config.toml`. An unknown key is an error that names the line: no setting is silently ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::Failure;
use super::directories::home;
use super::named_file::{NamedFile, toml_error};
use super::settings::Settings;
use super::store_table::StoreTable;
use crate::content::parse_cid;
use crate::http::Secrets;
use crate::volume::{Location, Server};

/// The configuration for all users.
const SYSTEM: &str = "/etc/aiozfs/config.toml";

/// The longest name of an archive. Names are short words, so no CID and no path can be one.
const MAX_NAME: usize = 40;

/// All configuration files, in order of precedence.
#[derive(Debug, Default)]
pub(super) struct Config(Vec<File>);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    gateway: BTreeMap<String, Gateway>,
    #[serde(default)]
    archive: BTreeMap<String, Archive>,
    #[serde(default)]
    store: BTreeMap<String, StoreTable>,
    #[serde(default)]
    library: BTreeMap<String, LibraryTable>,
    #[serde(default)]
    mount: Settings,
}

/// A library of archives.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LibraryTable {
    pub(super) list: Option<PathBuf>,
    /// Sources by names.
    #[serde(default)]
    pub(super) archives: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Gateway {
    url: String,
    #[serde(default)]
    headers: Vec<String>,
    token_file: Option<PathBuf>,
    #[serde(default = "one", deserialize_with = "weight")]
    weight: f64,
}

// Not derived: headers are secret.
impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gateway")
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Archive {
    source: String,
    store: Option<String>,
    password_file: Option<PathBuf>,
}

/// The weight of a gateway without one.
fn one() -> f64 {
    1.0
}

fn weight<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let weight = f64::deserialize(from)?;
    if weight > 0.0 && weight.is_finite() {
        Ok(weight)
    } else {
        Err(serde::de::Error::custom("a weight is above 0"))
    }
}

/// The location that SOURCE means: that of a named archive, or as [`Location::parse`] reads it.
pub(super) fn locate(source: &str) -> Result<Location, Failure> {
    let may_be_name = !source.contains(['/', ':']) && !Path::new(source).exists();
    let config = if may_be_name && parse_cid(source).is_err() {
        Config::load()?
    } else {
        Config::default()
    };
    config.locate(source)
}

impl Config {
    /// Reads the files that exist.
    pub(super) fn load() -> Result<Self, Failure> {
        let user = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let user = user
            .filter(|path| path.is_absolute())
            .or_else(|| Some(home()?.join(".config")));
        let user = user.map(|path| path.join("aiozfs/config.toml"));
        let paths = user.into_iter().chain([PathBuf::from(SYSTEM)]);
        let files = paths.filter(|path| path.exists());
        let files = files.map(|path| File::parse(&path, &NamedFile::at(&path).read_text()?));
        Ok(Self(files.collect::<Result<_, _>>()?))
    }

    #[cfg(test)]
    pub(super) fn parse_for_test(text: &str) -> Self {
        let file = File::parse(Path::new("config.toml"), text);
        Self(vec![file.expect("a configuration")])
    }

    /// The defaults for options.
    pub(super) fn settings(&self) -> Settings {
        let files = self.0.iter().map(|file| file.mount.clone());
        files.fold(Settings::default(), Settings::or)
    }

    pub(super) fn archive_names(&self) -> Vec<&str> {
        self.names(|file| file.archive.keys())
    }

    pub(super) fn gateway_names(&self) -> Vec<&str> {
        self.names(|file| file.gateway.keys())
    }

    pub(super) fn store_names(&self) -> Vec<&str> {
        self.names(|file| file.store.keys())
    }

    pub(super) fn library_names(&self) -> Vec<&str> {
        self.names(|file| file.library.keys())
    }

    /// Names of tables, the user's first.
    fn names<'a, I: Iterator<Item = &'a String>>(
        &'a self,
        of: impl Fn(&'a File) -> I,
    ) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.0.iter().flat_map(of) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// The source of a named archive.
    pub(super) fn archive(&self, name: &str) -> Option<&str> {
        let mut files = self.0.iter();
        let found = files.find_map(|file| file.archive.get(name))?;
        Some(&found.source)
    }

    /// The location that SOURCE means, as [`locate`].
    pub(super) fn locate(&self, source: &str) -> Result<Location, Failure> {
        let source = self.archive(source).unwrap_or(source);
        Location::parse(source).map_err(Failure::usage)
    }

    pub(super) fn library(&self, name: &str) -> Option<&LibraryTable> {
        self.0.iter().find_map(|file| file.library.get(name))
    }

    pub(super) fn stores(&self) -> impl Iterator<Item = (&String, &StoreTable)> {
        self.0.iter().flat_map(|file| &file.store)
    }

    /// The name of the store of a named archive with this source.
    pub(super) fn store_of(&self, source: &str) -> Option<&str> {
        let archives = self.0.iter().flat_map(|file| file.archive.values());
        let mut same = archives.filter(|archive| archive.source == source);
        same.find_map(|archive| archive.store.as_deref())
    }

    /// The file with the password of an archive, if a named one is at this location.
    pub(super) fn password_file(&self, location: &Location) -> Option<NamedFile<'_>> {
        let archives = self.0.iter().flat_map(|file| &file.archive);
        let is_here = |archive: &Archive| Location::parse(&archive.source).as_ref() == Ok(location);
        let mut here = archives.filter(|(_, archive)| is_here(archive));
        here.find_map(|(name, archive)| {
            let path = archive.password_file.as_deref()?;
            let table = format!("archive.{name}");
            Some(NamedFile::of_key(&table, "password-file", path))
        })
    }

    pub(super) fn gateway(&self, name: &str) -> Result<Option<Server>, Failure> {
        let mut files = self.0.iter();
        let found = files.find_map(|file| file.gateway.get(name));
        found.map(|gateway| gateway.server(name)).transpose()
    }

    /// The gateways to ask if none is given: those that `[mount]` lists, else all named ones.
    pub(super) fn gateways(&self) -> Result<Vec<Server>, Failure> {
        let mut files = self.0.iter();
        let names = match files.find_map(|file| file.mount.gateways.as_ref()) {
            Some(listed) => listed.iter().map(String::as_str).collect(),
            None => self.gateway_names(),
        };
        let servers = names.into_iter().map(|name| match self.gateway(name)? {
            Some(known) => Ok(known),
            None if name.contains("://") => Ok(Server::new(name)),
            None => Err(Failure::usage(format!(
                "the configuration lists a gateway '{name}', but has no [gateway.{name}]"
            ))),
        });
        servers.collect()
    }

    pub(super) fn ca_file(&self) -> Option<NamedFile<'_>> {
        let mut files = self.0.iter();
        let path = files.find_map(|file| file.mount.ca_file.as_deref())?;
        Some(NamedFile::of_key("mount", "ca-file", path))
    }
}

impl File {
    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let shown = path.display();
        let file: Self = toml::from_str(text).map_err(|e| {
            let (line, what) = toml_error(text, &e);
            Failure::usage(format!("{shown}, line {line}: {what}"))
        })?;
        for name in file.archive.keys() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_word) {
                return Err(Failure::usage(format!(
                    "{shown}: '{name}' cannot be the name of an archive; letters, digits, '-', '_' and '.' can, {MAX_NAME} at most"
                )));
            }
        }
        Ok(file)
    }
}

/// Adds the token in a file.
pub(super) fn with_token_of(secrets: Secrets, file: &NamedFile) -> Result<Secrets, Failure> {
    let token = file.read_text()?;
    if token.trim().is_empty() {
        return Err(file.wrong("it is empty, and should have a token"));
    }
    secrets.with_token(&token).map_err(|why| file.wrong(why))
}

impl Gateway {
    fn server(&self, name: &str) -> Result<Server, Failure> {
        let wrong = |why: String| Failure::usage(format!("gateway '{name}': {why}"));
        let secrets = Secrets::headers(self.headers.iter().map(String::as_str));
        let mut secrets = secrets.map_err(wrong)?;
        if let Some(path) = &self.token_file {
            let file = NamedFile::of_key(&format!("gateway.{name}"), "token-file", path);
            secrets = with_token_of(secrets, &file)?;
        }
        Ok(Server {
            template: self.url.clone(),
            secrets,
            weight: self.weight,
        })
    }
}

#[cfg(test)]
mod tests;

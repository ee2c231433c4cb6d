//! Profiles: the files `~/.aws/config` and `~/.aws/credentials` (AWS, "Configuration and credential file
//! settings").

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption};

use super::environment::{first_of, variable};

/// The longest file that is read, in bytes. A device has no end.
const MAX_LEN: u64 = 4 << 20;

/// What the files say under one name. Values of the credentials file take precedence.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    pub(super) name: String,
    values: HashMap<String, String>,
    /// The `[sso-session]` that it names.
    session: HashMap<String, String>,
}

impl Profile {
    /// The name of the profile that the environment chooses, if it chooses one.
    pub(super) fn chosen() -> Option<String> {
        first_of(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
    }

    /// A profile without settings.
    pub(super) fn empty(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// Reads a profile; `None` if no file has it.
    ///
    /// # Errors
    /// If a file that exists cannot be read or parsed. The text does not repeat its content.
    pub(super) fn load(name: &str) -> Result<Option<Self>, String> {
        let config = read("AWS_CONFIG_FILE", "config")?;
        let credentials = read("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        Ok(Self::find(name, config.as_ref(), credentials.as_ref()))
    }

    fn find(name: &str, config: Option<&Ini>, credentials: Option<&Ini>) -> Option<Self> {
        let long = format!("profile {name}");
        // The default profile may have both forms; the long one takes precedence.
        let sections = if name == "default" {
            vec!["default", &long]
        } else {
            vec![&*long]
        };
        let of_config = sections
            .into_iter()
            .map(|section| section_of(config, section));
        let mut found = of_config.collect::<Vec<_>>();
        found.push(section_of(credentials, name));
        if found.iter().all(Option::is_none) {
            return None;
        }
        let values: HashMap<_, _> = found.into_iter().flatten().flatten().collect();
        let session = values.get("sso_session");
        let session = session.map(|session| format!("sso-session {session}"));
        let session = session.and_then(|section| section_of(config, &section));
        Some(Self {
            name: name.to_owned(),
            session: session.unwrap_or_default(),
            values,
        })
    }

    /// A setting of it.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// It without a setting.
    pub(super) fn without(mut self, key: &str) -> Self {
        self.values.remove(key);
        self
    }

    /// A setting of it, or of its `[sso-session]`.
    pub(super) fn get_sso(&self, key: &str) -> Option<&str> {
        self.get(key)
            .or_else(|| self.session.get(key).map(String::as_str))
    }
}

/// The names of all profiles in both files. A file that cannot be read has none.
pub fn profile_names() -> Vec<String> {
    let files = [
        ("AWS_CONFIG_FILE", "config"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    ];
    let mut names = Vec::new();
    for (variable, usual) in files {
        let file = read(variable, usual).ok().flatten();
        for section in file.iter().flat_map(|file| file.sections().flatten()) {
            let name = match (usual, section.split_once(' ')) {
                ("config", Some(("profile", name))) => name.trim(),
                // Other sections of this file are no profiles.
                ("config", _) if section != "default" => continue,
                _ => section,
            };
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// The properties of a section, with names in lower case; `None` if there is no such section.
fn section_of(file: Option<&Ini>, section: &str) -> Option<HashMap<String, String>> {
    let properties = file?.section(Some(section))?;
    let pairs = properties.iter();
    Some(
        pairs
            .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
    )
}

/// Reads a file of AWS's; `None` if there is none.
fn read(name: &str, usual: &str) -> Result<Option<Ini>, String> {
    let given = variable(name).map(|path| match path.strip_prefix("~/") {
        Some(rest) => home().unwrap_or_default().join(rest),
        None => PathBuf::from(path),
    });
    let usual = || Some(home()?.join(".aws").join(usual));
    let Some(path) = given.or_else(usual).filter(|path| path.exists()) else {
        return Ok(None);
    };
    load(&path).map(Some)
}

fn load(path: &Path) -> Result<Ini, String> {
    let shown = path.display();
    let failed = |e: io::Error| format!("{shown}: {e}");
    let mut text = String::new();
    let mut file = File::open(path).map_err(failed)?.take(MAX_LEN + 1);
    if file.read_to_string(&mut text).map_err(failed)? as u64 > MAX_LEN {
        return Err(format!("{shown}: it has more than {MAX_LEN} bytes"));
    }
    // Its own message may repeat a line with a secret.
    Ini::load_from_str_opt(&text, as_written())
        .map_err(|e| format!("{shown}, line {}: this is not 'key = value'", e.line))
}

/// Values are taken as they are written: quotes and backslashes in a command are for the shell that runs it.
fn as_written() -> ParseOption {
    ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        ..ParseOption::default()
    }
}

/// The home directory, also where mount(8) has removed HOME from the environment.
fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Ini {
        Ini::load_from_str_opt(text, as_written()).expect("an INI file")
    }

    #[test]
    fn a_profile_is_made_of_two_files() {
        let config = parse(
            "[default]\nregion = eu-west-1\n[profile work]\nregion=us-west-2\n\
             aws_access_key_id = OLD\nsso_session = corp\n\
             [sso-session corp]\nsso_region = us-east-1\n",
        );
        let credentials = parse(
            "[work]\naws_access_key_id = NEW\naws_secret_access_key = a/b+c==\n[only]\nx=y\n",
        );
        let find = |name: &str| Profile::find(name, Some(&config), Some(&credentials));
        let work = find("work").expect("it is there");
        assert_eq!(work.get("region"), Some("us-west-2"));
        assert_eq!(work.get("aws_access_key_id"), Some("NEW"));
        assert_eq!(work.get("aws_secret_access_key"), Some("a/b+c=="));
        assert_eq!(work.get_sso("sso_region"), Some("us-east-1"));
        assert_eq!(
            find("default").expect("it").get("region"),
            Some("eu-west-1")
        );
        assert!(find("only").is_some());
        assert!(find("absent").is_none());
    }

    /// The command of `credential_process` was run without the quotes around its path, so that a path with a
    /// space was two words.
    #[test]
    fn quotes_and_backslashes_of_a_command_stay() {
        let command = r#""/opt/my tool" --user a\b"#;
        let config = parse(&format!("[default]\ncredential_process = {command}\n"));
        let profile = Profile::find("default", Some(&config), None).expect("it is there");
        assert_eq!(profile.get("credential_process"), Some(command));
    }

    /// `AWS_CONFIG_FILE=/dev/zero` took all memory.
    #[test]
    fn a_file_without_an_end_is_an_error() {
        let error = load(Path::new("/dev/zero")).expect_err("it has no end");
        assert!(error.contains("more than 4194304 bytes"), "{error}");
    }

    #[test]
    fn a_broken_file_is_named_and_not_repeated() {
        let dir = std::env::temp_dir().join(format!("aiozfs-profile-{}", std::process::id()));
        std::fs::write(&dir, "[default]\naws_secret_access_key s3cret\n").expect("a file");
        let error = load(&dir).expect_err("broken");
        let _ = std::fs::remove_file(&dir);
        assert!(
            error.contains("line") && !error.contains("s3cret"),
            "{error}"
        );
    }
}

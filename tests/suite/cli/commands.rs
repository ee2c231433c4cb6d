//! The commands in the documents. Those of the README run; in other pages every `aiozfs` command is one that the
//! program accepts, and every other command says why no test runs it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::documents::{self, Line};
use crate::common::mount::MountPoint;
use crate::common::nginx::Nginx;
use crate::common::node::Node;
use crate::common::rclone::{KEY, Rclone, SECRET};
use crate::common::run::{self, run, run_for, tool};
use crate::common::{needs, tree};

/// Set, the page of all options is written anew instead of compared.
const UPDATE: &str = "UPDATE_DOCUMENTS";

const OPTIONS: &str = "doc/OPTIONS.md";

#[test]
fn every_aiozfs_command_of_every_page_is_accepted() {
    let mut wrong = Vec::new();
    for page in documents::pages() {
        for line in documents::commands(&page) {
            for words in documents::simple_commands(&line.text) {
                if words[0] != "aiozfs" {
                    continue;
                }
                // Options and values are looked at in order, and help ends that without doing anything.
                let asked = run(run::aiozfs().args(&words[1..]).arg("--help"));
                let lists = words.iter().zip(&words[1..]);
                let is_mount = words.iter().any(|word| *word == "mount");
                let lists = lists.filter(|(before, _)| is_mount && *before == "-o");
                for why in lists.filter_map(|(_, list)| unknown_options(list)) {
                    wrong.push(format!("{}: {}: {why}", line.at, line.text));
                }
                if !asked.status.success() {
                    let said = asked.stderr.lines().next().unwrap_or_default().to_owned();
                    wrong.push(format!("{}: {}: {said}", line.at, line.text));
                }
            }
        }
        for (at, text) in documents::mentioned(&page, "aiozfs ") {
            if let Some(why) = unknown(&text) {
                wrong.push(format!("{at}: `{text}`: {why}"));
            }
        }
        for (at, text) in documents::mentioned(&page, "-o ") {
            let list = text[3..].split_whitespace().next().unwrap_or_default();
            // "-o name=", "-o name=VALUE" and "-o name=one|other" are forms, not options.
            if !list.ends_with('=')
                && !list.contains(|c: char| "|.<".contains(c) || c.is_uppercase())
            {
                wrong.extend(unknown_options(list).map(|why| format!("{at}: `{text}`: {why}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a list of options of `mount -o`.
fn unknown_options(list: &str) -> Option<String> {
    let mut mount = run::aiozfs();
    let tried = run(mount.args(["mount", "--fake", "-o", list, "id:x", "/no/such/place"]));
    (!tried.status.success()).then_some(tried.stderr)
}

/// What is unknown in a command that the text of a page mentions, where words may stand for values.
fn unknown(text: &str) -> Option<String> {
    let words = text.split_whitespace().skip(1);
    let words: Vec<_> = words
        .map(|word| word.trim_matches(['[', ']', ',']))
        .collect();
    let is_command = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let names = words.iter().take(1).filter(is_command);
    let names: Vec<&&str> = names.filter(|name| !name.starts_with('-')).collect();
    let mut help = run::aiozfs();
    let help = run(help.args(&names).arg("--help"));
    if !help.status.success() {
        return Some("no such command".into());
    }
    let options = words.iter().filter(|word| word.starts_with("--"));
    let mut names = options.map(|option| option.split('=').next().unwrap_or_default());
    let missing = names.find(|name| !help.stdout.contains(&**name));
    missing.map(|name| format!("no option {name}"))
}

/// A section that moved to another page left links behind that led nowhere.
#[test]
fn links_between_pages_lead_to_files_and_headings() {
    let slug = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let lower = heading.trim().to_lowercase();
        lower
            .chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-")
    };
    let mut links = 0;
    for page in documents::pages() {
        let text = documents::read(&page);
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.contains(' ')) {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let led = match path {
                "" => page.clone(),
                path => page.parent().expect("a file").join(path),
            };
            assert!(documents::root().join(&led).exists(), "{page:?}: {target}");
            if !heading.is_empty() {
                let text = documents::read(&led);
                let mut headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let is_there = headings.any(|line| slug(line.trim_start_matches('#')) == heading);
                assert!(is_there, "{page:?}: {target}");
            }
            links += 1;
        }
    }
    assert!(links > 60, "{links}");
}

#[test]
fn commands_that_no_test_runs_say_why() {
    let mut silent = Vec::new();
    for page in documents::pages() {
        if page == Path::new("README.md") {
            continue; // They run.
        }
        for line in documents::commands(&page) {
            let others = documents::simple_commands(&line.text);
            let others = others.iter().any(|words| words[0] != "aiozfs");
            let is_explained = line.reason.as_ref().is_some_and(|why| why.len() > 10);
            if others && !is_explained {
                silent.push(format!("{}: {}", line.at, line.text));
            }
        }
    }
    assert!(
        silent.is_empty(),
        "behind each block, write '<!-- not run: REASON -->':\n{}",
        silent.join("\n")
    );
}

#[test]
fn configurations_of_every_page_are_accepted() {
    let home = tree::temp();
    let file = home.path().join("aiozfs/config.toml");
    fs::create_dir(home.path().join("aiozfs")).expect("a directory");
    let mut blocks = 0;
    for page in documents::pages() {
        let text = documents::read(&page);
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().expect("at least one part");
            fs::write(&file, block).expect("a file");
            let mut mount = run::aiozfs();
            mount.env("XDG_CONFIG_HOME", home.path());
            let tried = run(mount.args(["mount", "--fake", "holiday", "/no/such/place"]));
            let said = tried.stderr;
            assert!(
                !said.contains("config.toml"),
                "{}: {said}\n{block}",
                page.display()
            );
            blocks += 1;
        }
    }
    assert!(blocks > 1, "{blocks}");
}

/// A place where the commands of the README find what they name.
struct Site {
    home: tree::TempDir,
    mounts: BTreeMap<String, MountPoint>,
    node: Node,
    web: Nginx,
    store: Rclone,
    _served: tree::TempDir,
}

impl Site {
    fn new() -> Self {
        let (home, served) = (tree::temp(), tree::temp());
        let demo = documents::root().join("src/cli/demo/holiday.zip");
        fs::create_dir(served.path().join("films")).expect("a bucket");
        for place in [home.path(), served.path(), &served.path().join("films")] {
            fs::copy(&demo, place.join("holiday.zip")).expect("a copy");
        }
        let mut unzip = tool("unzip");
        unzip
            .arg("-q")
            .arg(&demo)
            .arg("-d")
            .arg(home.path().join("movie"));
        run(&mut unzip).ok("unzip");
        fs::create_dir(home.path().join("pictures")).expect("a directory");
        Self {
            node: Node::of(&demo),
            web: Nginx::of(served.path()),
            store: Rclone::serve(served.path()),
            mounts: BTreeMap::new(),
            home,
            _served: served,
        }
    }

    /// The command with what is here in the place of its examples.
    fn here(&mut self, text: &str) -> String {
        let mut text = text
            .replace("bafybei...", &self.node.cid)
            .replace("https://example.com", &self.web.base)
            .replace("http://10.0.0.7:8080", &self.node.base);
        let places: Vec<String> = text
            .match_indices("/mnt/")
            .map(|(at, _)| {
                let name = text[at + 5..].split([' ', '/']).next();
                format!("/mnt/{}", name.expect("at least one part"))
            })
            .collect();
        for place in places {
            let mount = self
                .mounts
                .entry(place.clone())
                .or_insert_with(MountPoint::new);
            text = text.replace(&place, mount.path().to_str().expect("a plain path"));
        }
        text
    }

    fn run(&mut self, line: &Line) -> Result<(), String> {
        let text = self.here(&line.text);
        let binary = PathBuf::from(run::AIOZFS);
        let mut path = binary.parent().expect("a directory").as_os_str().to_owned();
        path.push(":");
        path.push(needs::path());
        let home = self.home.path();
        let mut bash = run::unbiased("bash");
        bash.args(["-e", "-o", "pipefail", "-c", &text])
            .current_dir(home)
            .env("PATH", path)
            .env("HOME", home)
            .env("AIOZFS_GATEWAYS", &self.node.base)
            .env("AIOZFS_CACHE_SIZE", "1G")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_ENDPOINT_URL", &self.store.base);
        let done = run_for(&mut bash, Duration::from_secs(30));
        if done.status.success() {
            Ok(())
        } else {
            Err(format!(
                "{}: {text}\n{}{}",
                line.at, done.stdout, done.stderr
            ))
        }
    }
}

#[test]
fn every_command_of_the_readme_runs() {
    let mut site = Site::new();
    let lines = documents::commands(Path::new("README.md"));
    assert!(lines.len() > 15, "{lines:?}");
    let not_run = |line: &&Line| line.reason.as_ref().is_some_and(|why| why.len() > 10);
    assert!(lines.iter().filter(not_run).count() < 5);
    for line in lines.iter().filter(|line| line.reason.is_none()) {
        if let Err(why) = site.run(line) {
            panic!("{why}");
        }
    }
}

/// An option as `--help` prints it, and its meaning.
type Told = (String, String);

/// The options of a command, hidden ones aside.
fn options(help: &str) -> Vec<Told> {
    let mut options: Vec<Told> = Vec::new();
    let mut is_open = false;
    for line in help.lines() {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        if text.starts_with('-') && indent < 8 {
            // Short meanings stand in the same line.
            let (name, meaning) = text.split_once("  ").unwrap_or((text, ""));
            options.push((name.to_owned(), meaning.trim().to_owned()));
            is_open = true;
        } else if let Some((_, meaning)) = options.last_mut()
            && is_open
            && indent >= 8
        {
            if text.is_empty() {
                continue;
            }
            let space = if meaning.is_empty() { "" } else { " " };
            let _ = write!(meaning, "{space}{text}");
        } else if !text.is_empty() {
            is_open = false;
        }
    }
    options.retain(|(name, _)| !name.contains("--help"));
    options
}

fn help(words: &[String]) -> String {
    let mut help = run::aiozfs();
    // It shows the values of variables.
    help.env_remove(run::CACHE_SIZE).args(words).arg("--help");
    run(&mut help).ok("help").stdout
}

/// All commands below this one, as their words.
fn all_commands(words: &[String]) -> Vec<Vec<String>> {
    let help = help(words);
    let mut all = vec![words.to_vec()];
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in list.take_while(|line| !line.is_empty()) {
        let indent = line.len() - line.trim_start().len();
        let name = line.split_whitespace().next().unwrap_or_default();
        if indent == 2 && name != "help" {
            all.extend(all_commands(&[words, &[name.to_owned()]].concat()));
        }
    }
    all
}

/// The page of all options, made of what `--help` says.
fn page_of_options() -> String {
    let mut known: BTreeMap<(String, Told), Vec<String>> = BTreeMap::new();
    let mut commands = String::new();
    for words in all_commands(&[]) {
        let help = help(&words);
        let name = words.join(" ");
        if !words.is_empty() {
            let what = help.lines().next().unwrap_or_default();
            let usage = help.lines().find_map(|line| line.strip_prefix("Usage: "));
            let usage = usage.unwrap_or_default().replace('|', "\\|");
            let _ = writeln!(commands, "| `{usage}` | {what} |");
        }
        for (option, meaning) in options(&help) {
            let long = option.find("--").map_or(&*option, |at| &option[at + 2..]);
            let key = (long.to_lowercase(), (option.clone(), meaning));
            known.entry(key).or_default().push(name.clone());
        }
    }
    let mut page = String::from(
        "# All options\n\n\
         Made of what `--help` says: commands in its order, options in that of the alphabet. [REFERENCE](REFERENCE.md) explains them by topic.\n\n\
         ## Commands\n\n| Command | What it does |\n|---|---|\n",
    );
    page += &commands;
    page += "\n## Options\n\n| Option | Of | Meaning |\n|---|---|---|\n";
    for ((_, (option, meaning)), of) in known {
        let of: Vec<&str> = of
            .iter()
            .map(|name| if name.is_empty() { "aiozfs" } else { name })
            .collect();
        let (option, meaning) = (option.replace('|', "\\|"), meaning.replace('|', "\\|"));
        let meaning = meaning.replace('<', "&lt;").replace('*', "\\*");
        let _ = writeln!(page, "| `{option}` | {} | {meaning} |", of.join(", "));
    }
    page
}

#[test]
fn the_page_of_options_is_what_help_says() {
    let page = page_of_options();
    let file = documents::root().join(OPTIONS);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&file, &page).expect("the page");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let is_same = written == page;
    let differs = page
        .lines()
        .find(|line| !written.lines().any(|old| old == *line));
    assert!(
        is_same,
        "{OPTIONS} is not what --help says, first in: {differs:?}\nWrite it anew: {UPDATE}=1 cargo test --test suite the_page_of_options"
    );
}

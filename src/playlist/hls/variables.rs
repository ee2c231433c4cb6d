//! Variables (EXT-X-DEFINE, sections 4.3 and 4.4.2.3), with a value in each context of a playlist.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::super::context::{Context, Imports};
use super::attributes;

/// The most variables of a playlist, and the total length of their names and values in bytes. Values
/// may contain other values, so that without a bound a few lines define any length.
const MOST_VARIABLES: usize = 10_000;
const MOST_TEXT: usize = 1 << 20;

/// The longest link in bytes after substitution. A longer one is a problem.
const LONGEST: usize = 1 << 18;

/// The total length in bytes of all values that are substituted in links.
const MOST_SUBSTITUTED: usize = 1 << 26;

/// A value, or why it is unknown.
type Value = Result<String, &'static str>;

/// The variables of a playlist.
#[derive(Debug)]
pub(super) struct Variables<'c> {
    /// One for each context, and at least one.
    scopes: Vec<Scope<'c>>,
}

#[derive(Debug)]
struct Scope<'c> {
    context: Option<&'c Context>,
    values: HashMap<String, Value>,
    /// The total length of names and values.
    text: usize,
    /// The total length of substituted values.
    substituted: Cell<usize>,
}

/// A link with its variables substituted. Variables in its query stay: they do not decide which file
/// is meant.
#[derive(Debug)]
pub(super) enum Substituted<'t> {
    /// The same value in each context.
    One(Cow<'t, str>),
    /// Two or more different values.
    Several(Vec<String>),
    /// A variable with an unknown value in all contexts: its name, and why.
    Unknown(&'t str, &'static str),
}

impl<'c> Variables<'c> {
    pub(super) fn new(contexts: &'c [Context]) -> Self {
        let scope = |context| Scope {
            context,
            values: HashMap::new(),
            text: 0,
            substituted: Cell::new(0),
        };
        let mut scopes: Vec<Scope> = contexts.iter().map(|c| scope(Some(c))).collect();
        if scopes.is_empty() {
            scopes.push(scope(None));
        }
        Self { scopes }
    }

    /// Evaluates an EXT-X-DEFINE. The error is the reason why it is malformed.
    pub(super) fn define(&mut self, text: &str, list: &Range<usize>) -> Result<(), &'static str> {
        let attribute = |name| attributes::value(text, list, name);
        let mut is_full = false;
        for scope in &mut self.scopes {
            let (name, value) = if let Some(name) = attribute("IMPORT") {
                (name, scope.imported(name))
            } else if let Some(name) = attribute("QUERYPARAM") {
                (name, scope.parameter(name))
            } else if let (Some(name), Some(value)) = (attribute("NAME"), attribute("VALUE")) {
                (name, scope.substitute(value).map_err(|(_, why)| why))
            } else {
                return Err("EXT-X-DEFINE has neither NAME and VALUE, nor IMPORT, nor QUERYPARAM");
            };
            is_full |= !scope.insert(name, value);
        }
        if is_full {
            Err("too many variables: at most 10000, with values of 1 MiB together")
        } else {
            Ok(())
        }
    }

    /// Substitutes values for `{$name}` in the path of a link.
    pub(super) fn substitute<'t>(&self, uri: &'t str) -> Substituted<'t> {
        let (path, rest) = uri.split_at(uri.find(['?', '#']).unwrap_or(uri.len()));
        if !path.contains("{$") {
            return Substituted::One(Cow::Borrowed(uri));
        }
        let mut found: Vec<String> = Vec::new();
        let mut unknown = None;
        for scope in &self.scopes {
            match scope.substitute(path) {
                Ok(path) => {
                    let whole = path + rest;
                    if !found.contains(&whole) {
                        found.push(whole);
                    }
                }
                Err(why) => unknown = Some(why),
            }
        }
        match (found.len(), unknown) {
            (0, Some((name, why))) => Substituted::Unknown(name, why),
            (0 | 1, _) => Substituted::One(found.pop().map_or(Cow::Borrowed(uri), Cow::Owned)),
            _ => Substituted::Several(found),
        }
    }

    /// A text with all values of the first context substituted; `None` if one is unknown.
    pub(super) fn whole(&self, text: &str) -> Option<String> {
        self.scopes.first()?.substitute(text).ok()
    }

    /// The variables of the first context that other playlists may import.
    pub(super) fn exports(&self) -> Imports {
        let known = |(name, value): (&String, &Value)| Some((name.clone(), value.clone().ok()?));
        let values = self
            .scopes
            .first()
            .into_iter()
            .flat_map(|scope| &scope.values);
        Arc::new(values.filter_map(known).collect())
    }
}

impl Scope<'_> {
    /// Adds a variable, unless it is already defined. `false` if the playlist has too many.
    fn insert(&mut self, name: &str, value: Value) -> bool {
        if self.values.contains_key(name) {
            return true;
        }
        self.text += name.len() + value.as_ref().map_or(0, String::len);
        let has_room = self.text <= MOST_TEXT && self.values.len() < MOST_VARIABLES;
        if has_room {
            self.values.insert(name.to_owned(), value);
        }
        has_room
    }

    fn imported(&self, name: &str) -> Value {
        let Some(imports) = self.context.and_then(|context| context.imports.as_ref()) else {
            return Err("EXT-X-DEFINE imports it, and no multivariant playlist refers to this one");
        };
        imports
            .get(name)
            .cloned()
            .ok_or("no multivariant playlist that refers to this one has a value for it")
    }

    /// The value of a query parameter of the playlist's own URL.
    fn parameter(&self, name: &str) -> Value {
        let query = self.context.and_then(|context| context.query.as_deref());
        let query = query.ok_or("it comes from the query of the address that the user opens")?;
        let pairs = query
            .split('&')
            .map(|p| p.split_once('=').unwrap_or((p, "")));
        let decoded = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let value = pairs.map(|(key, value)| (decoded(key), value));
        let value = value.filter(|(key, _)| key == name).map(|(_, value)| value);
        let value = value.map(decoded).next();
        value.ok_or("no link to this playlist has it in its query")
    }

    /// The text with values substituted, or a variable with an unknown value, and why. Variables that
    /// are not defined stay as they are.
    fn substitute<'t>(&self, text: &'t str) -> Result<String, (&'t str, &'static str)> {
        let mut out = String::with_capacity(text.len().min(LONGEST));
        let mut rest = text;
        while let Some(start) = rest.find("{$") {
            let Some(len) = rest[start..].find('}') else {
                break;
            };
            let name = &rest[start + 2..start + len];
            out.push_str(&rest[..start]);
            match self.values.get(name) {
                Some(Ok(value)) if out.len() + value.len() > LONGEST => {
                    return Err((name, "with it the text is longer than 256 KiB"));
                }
                Some(Ok(_)) if self.substituted.get() > MOST_SUBSTITUTED => {
                    return Err((
                        name,
                        "with variables the links are longer than 64 MiB together",
                    ));
                }
                Some(Ok(value)) => {
                    self.substituted.update(|len| len + value.len());
                    out.push_str(value);
                }
                Some(Err(why)) => return Err((name, why)),
                None => out.push_str(&rest[start..=start + len]),
            }
            rest = &rest[start + len + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }
}

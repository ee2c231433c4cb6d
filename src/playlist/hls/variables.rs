//! Variables (EXT-X-DEFINE, sections 4.3 and 4.4.2.3), under each of the contexts in which a
//! playlist is read.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use percent_encoding::percent_decode_str;

use super::super::context::{Context, Imports};
use super::attributes;

/// How many variables a playlist may have, and how long their values may be together, in bytes.
/// Values may be made of values, so that text without a bound needs only a few lines.
const MOST_VARIABLES: usize = 10_000;
const MOST_TEXT: usize = 1 << 20;

/// A link that is longer than this with its variables put in, in bytes, leads nowhere.
const LONGEST: usize = 1 << 18;

/// How long all links may be together with their variables put in, in bytes.
const MOST_PUT: usize = 1 << 26;

/// A value, or why it is not known.
type Value = Result<String, &'static str>;

/// The variables of a playlist.
#[derive(Debug)]
pub(super) struct Variables<'c> {
    /// One for each context, at least one.
    scopes: Vec<Scope<'c>>,
}

#[derive(Debug)]
struct Scope<'c> {
    context: Option<&'c Context>,
    values: HashMap<String, Value>,
    /// Length of names and values.
    text: usize,
    /// Length of what was made with them.
    put: Cell<usize>,
}

/// A link with its variables put in. What stands in its query stays, for it says nothing of the
/// file that is meant.
#[derive(Debug)]
pub(super) enum Put<'t> {
    /// In each context the same.
    One(Cow<'t, str>),
    /// Two or more.
    Several(Vec<String>),
    /// The variable of that name has no known value in any context, and why.
    Unknown(&'t str, &'static str),
}

impl<'c> Variables<'c> {
    pub(super) fn new(contexts: &'c [Context]) -> Self {
        let scope = |context| Scope {
            context,
            values: HashMap::new(),
            text: 0,
            put: Cell::new(0),
        };
        let mut scopes: Vec<Scope> = contexts.iter().map(|c| scope(Some(c))).collect();
        if scopes.is_empty() {
            scopes.push(scope(None));
        }
        Self { scopes }
    }

    /// Reads an EXT-X-DEFINE. An error says what is wrong with it.
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

    /// Puts values in the place of `{$name}`.
    pub(super) fn put<'t>(&self, uri: &'t str) -> Put<'t> {
        let (path, rest) = uri.split_at(uri.find(['?', '#']).unwrap_or(uri.len()));
        if !path.contains("{$") {
            return Put::One(Cow::Borrowed(uri));
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
            (0, Some((name, why))) => Put::Unknown(name, why),
            (0 | 1, _) => Put::One(found.pop().map_or(Cow::Borrowed(uri), Cow::Owned)),
            _ => Put::Several(found),
        }
    }

    /// A text with all values put in, in the first context; `None` if one of them is not known.
    pub(super) fn whole(&self, text: &str) -> Option<String> {
        self.scopes.first()?.substitute(text).ok()
    }

    /// What playlists that this one refers to may import, in the first context.
    pub(super) fn exports(self) -> Imports {
        let known = |(name, value): (String, Value)| Some((name, value.ok()?));
        let values = self.scopes.into_iter().next().map(|scope| scope.values);
        Imports::new(values.into_iter().flatten().filter_map(known).collect())
    }
}

impl Scope<'_> {
    /// Only the first definition of a name counts. `false`: there is no room for it.
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
        let imports = self.context.and_then(Context::imports);
        let Some(imports) = imports else {
            return Err("EXT-X-DEFINE imports it, and no multivariant playlist refers to this one");
        };
        let value = imports.get(name).map(str::to_owned);
        value.ok_or("no multivariant playlist that refers to this one has a value for it")
    }

    /// The value of a query parameter of the playlist's own address.
    fn parameter(&self, name: &str) -> Value {
        let query = self.context.and_then(Context::query);
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

    /// The text with values put in; or the variable whose value is not known, and why. What is not
    /// defined stays as it is.
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
                Some(Ok(_)) if self.put.get() > MOST_PUT => {
                    return Err((
                        name,
                        "with variables the links are longer than 64 MiB together",
                    ));
                }
                Some(Ok(value)) => {
                    self.put.update(|put| put + value.len());
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

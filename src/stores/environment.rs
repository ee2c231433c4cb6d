//! Environment variables.

/// The value of an environment variable; `None` if it is unset, empty, or not UTF-8.
pub(super) fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    value.filter(|value| !value.is_empty())
}

/// The value of the first of these variables that has one.
pub(super) fn first_of(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| variable(name))
}

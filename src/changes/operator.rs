//! In whose name something is changed.

/// Who changes something, for the [list of changes](crate::Messaging::changes): a person, or a
/// program that operates the queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operator {
    name: String,
    address: Option<String>,
}

/// The most characters of a name or an address that are stored.
const MAX_SHOWN: usize = 200;

impl Operator {
    /// Makes one with this name, for example a login. Control characters of it are escaped where it
    /// is stored, and all after 200 characters is left out.
    pub fn new(name: impl Into<String>) -> Self {
        Operator {
            name: name.into(),
            address: None,
        }
    }

    /// Says from where it works: a host, or the address of a browser.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn stored_name(&self) -> String {
        stored(&self.name)
    }

    pub(super) fn stored_address(&self) -> Option<String> {
        self.address.as_deref().map(stored)
    }
}

fn stored(text: &str) -> String {
    let shown = text.chars().take(MAX_SHOWN);
    let mut stored = String::new();
    for c in shown {
        match c.is_control() {
            true => stored.extend(c.escape_default()),
            false => stored.push(c),
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_stored_without_control_characters_and_not_longer_than_a_line() {
        assert_eq!(stored("ada\n\0@host"), "ada\\n\\u{0}@host");
        assert_eq!(stored(&"x".repeat(300)).len(), MAX_SHOWN);
    }
}

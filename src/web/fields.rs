//! The fields of a query or a form, and addresses made of them.

use form_urlencoded::Serializer;

/// The fields of a query or a form, in their order. A name may be there several times.
#[derive(Debug, Clone, Default)]
pub(crate) struct FormFields(Vec<(String, String)>);

impl FormFields {
    /// Reads what follows a `?`, or what a form sends. Any text is one; what is no UTF-8 is
    /// replaced.
    pub(crate) fn parse(text: &[u8]) -> FormFields {
        let pairs = form_urlencoded::parse(text);
        FormFields(pairs.into_owned().collect())
    }

    /// Returns the first field of this name; an empty one counts as not there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mine = self.0.iter().find(|(own, _)| own == name);
        mine.map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Returns all fields of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let mine = self.0.iter().filter(move |(own, _)| own == name);
        mine.map(|(_, value)| value.as_str())
    }

    /// Returns whether a field of this name was sent, be it empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// Returns all of them with one set to a value; `None` takes it away.
    pub(crate) fn with(&self, name: &str, value: Option<&str>) -> FormFields {
        let mut fields = self.clone();
        fields.0.retain(|(own, _)| own != name);
        if let Some(value) = value {
            fields.0.push((name.to_owned(), value.to_owned()));
        }
        fields
    }

    /// Returns an address with these fields that are not empty.
    pub(crate) fn address(&self, path: &str) -> String {
        let pairs = self.0.iter();
        address(
            path,
            pairs.map(|(name, value)| (name.as_str(), value.as_str())),
        )
    }
}

/// Returns an address with these fields; empty ones are left out.
pub(crate) fn address<'a>(
    path: &str,
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in fields {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// Returns whether a text is an address on this server that a browser may be sent to: a path, and
/// none that a browser takes for another host.
pub(crate) fn is_local(address: &str) -> bool {
    address.starts_with('/')
        && !address.starts_with("//")
        && !address.contains('\\')
        && address.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_they_were() {
        let all = [("name", "a/b:c@d+e&f=g \u{202e}"), ("empty", "")];
        let address = address("/topic", all);
        let (path, query) = address.split_once('?').unwrap();

        let fields = FormFields::parse(query.as_bytes());

        assert_eq!(path, "/topic");
        assert_eq!(fields.get("name"), Some(all[0].1));
        assert!(!fields.has("empty"));
        assert_eq!(fields.address("/topic"), address);
        assert_eq!(fields.with("name", None).address("/topic"), "/topic");
        assert_eq!(fields.with("name", Some("x")).address("/t"), "/t?name=x");
    }

    #[test]
    fn a_form_may_have_a_name_several_times() {
        let fields = FormFields::parse(b"id=1&id=2&x=&id=%FF");
        assert_eq!(fields.all("id").collect::<Vec<_>>(), ["1", "2", "\u{fffd}"]);
        assert_eq!((fields.get("x"), fields.has("x")), (None, true));
    }

    #[test]
    fn only_paths_of_this_server_are_local() {
        for local in ["/", "/topic?name=a%2Fb", "/queues/"] {
            assert!(is_local(local), "{local}");
        }
        for other in [
            "",
            "//evil",
            "/\\evil",
            "https://evil",
            "javascript:1",
            "/a\nb",
            "/ä",
        ] {
            assert!(!is_local(other), "{other}");
        }
    }
}

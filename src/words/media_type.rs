//! Media types, such as `application/json; charset=utf-8`.

/// The longest media type in bytes. RFC 6838 allows 127 for each of its two names; the rest is for
/// parameters.
const MAX_BYTES: usize = 512;

/// Returns what is wrong with a media type (RFC 2045 and RFC 9110): two names with `/` between
/// them, and parameters after `;`.
pub(crate) fn media_type_flaw(text: &str) -> Option<&'static str> {
    if text.len() > MAX_BYTES {
        return Some("is longer than 512 bytes");
    }
    let (essence, parameters) = match text.split_once(';') {
        Some((essence, parameters)) => (essence.trim_end_matches([' ', '\t']), parameters),
        None => (text, ""),
    };
    let is_pair = |(kind, subtype): (&str, &str)| is_token(kind) && is_token(subtype);
    if !essence.split_once('/').is_some_and(is_pair) {
        return Some("is no media type, such as application/json");
    }
    let is_shown = |c: char| c == '\t' || !c.is_control();
    (!parameters.chars().all(is_shown)).then_some("has a control character")
}

/// Returns the media type without its parameters, in lower case.
pub(crate) fn essence(text: &str) -> String {
    let essence = text.split(';').next().unwrap_or_default();
    essence.trim_matches([' ', '\t']).to_ascii_lowercase()
}

fn is_token(text: &str) -> bool {
    let is_allowed = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_has_two_names() {
        for good in [
            "application/json",
            "text/xml; charset=utf-8",
            "application/cloudevents+json ;charset=\"UTF-8\"",
            "image/svg+xml",
            "x/y",
        ] {
            assert_eq!(media_type_flaw(good), None, "{good}");
        }
        for bad in ["", "json", "/json", "text/", "a/b/c", "text / xml", "té/x"] {
            assert!(
                media_type_flaw(bad).is_some_and(|flaw| flaw.contains("such as")),
                "{bad}"
            );
        }
        assert!(media_type_flaw("text/plain; a=\n").is_some());
        assert!(media_type_flaw(&format!("a/{}", "b".repeat(511))).is_some());
    }

    #[test]
    fn the_essence_is_what_comes_before_parameters() {
        assert_eq!(essence("Application/JSON ; charset=x"), "application/json");
        assert_eq!(essence("text/xml"), "text/xml");
    }
}

//! What `--filter` says: one header, or a filter in words.

use outtray::Filter;
use std::collections::BTreeMap;

/// One `--filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FilterOption {
    Header(String, String),
    Words(Filter),
}

/// Reads one. A name and a value without anything that could be more are one header, and so an
/// empty value is possible.
pub(crate) fn wanted(text: &str) -> Result<FilterOption, String> {
    let is_more = |char: char| char.is_whitespace() || "\"'(),".contains(char);
    match text.split_once('=') {
        Some((name, value))
            if !name.is_empty()
                && !text.contains(is_more)
                && !name.contains(['!', '<', '>'])
                && !value.starts_with('=') =>
        {
            Ok(FilterOption::Header(name.to_owned(), value.to_owned()))
        }
        _ => text
            .parse()
            .map(FilterOption::Words)
            .map_err(|error: outtray::Error| error.to_string()),
    }
}

/// Returns the filter that all of them are together, if there are any: of headers of one name one
/// has to be there, and all else has to hold.
pub(crate) fn together(all: &[FilterOption]) -> Option<Filter> {
    let mut by_name = BTreeMap::<&str, Vec<&str>>::new();
    let mut filter = Filter::new();
    for wanted in all {
        match wanted {
            FilterOption::Header(name, value) => by_name.entry(name).or_default().push(value),
            FilterOption::Words(words) => filter = filter.and(words.clone()),
        }
    }
    let each = |filter: Filter, (name, values)| filter.one_of(name, values);
    (!all.is_empty()).then(|| by_name.into_iter().fold(filter, each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(texts: &[&str], expected: &str) {
        let all: Vec<FilterOption> = texts.iter().map(|text| wanted(text).unwrap()).collect();
        assert_eq!(together(&all).unwrap().to_string(), expected);
    }

    #[test]
    fn headers_of_one_name_are_a_choice_and_all_else_has_to_hold() {
        check(&["a=x", "b=y", "a=z="], "a in ('x', 'z=') and b = 'y'");
        check(&["a="], "a = ''");
        check(
            &["a=x", "b >= 1 or c exists"],
            "(b >= 1 or c exists) and a = 'x'",
        );
        check(&["a!=x"], "not (a = 'x')");
        check(&["a==1"], "a == 1");
        check(&["a<=1"], "a <= 1");
        assert_eq!(together(&[]), None);
        assert!(wanted("x").is_err());
        assert!(wanted("=x").is_err());
    }
}

//! Which messages a receiver wants, by their headers.

use crate::words::error::{Error, Result};
use crate::words::headers;
use crate::words::headers::Headers;

/// Values of all conditions together: each is compared with each message that is walked over.
const MAX_VALUES: usize = 1000;

/// Which messages a receiver wants, by their headers: all conditions have to hold. A message
/// without a header that a condition names never matches.
///
/// ```
/// use outtray::Filter;
///
/// let filter = Filter::new().equals("region", "eu").one_of("kind", ["order", "refund"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a filter does nothing before a receiver gets it"]
pub struct Filter {
    conditions: Vec<(String, Vec<String>)>,
}

impl Filter {
    /// Makes a filter without conditions. A receiver wants at least one.
    pub fn new() -> Self {
        Filter::default()
    }

    /// Wants the header `name` to have this value.
    pub fn equals(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.one_of(name, [value])
    }

    /// Wants the header `name` to have one of these values. A header is named once in a filter.
    pub fn one_of<V: Into<String>>(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.conditions.push((name.into(), values));
        self
    }

    /// Checks all that no header could be.
    pub(crate) fn check(&self, topic: &str) -> Result<()> {
        let invalid = |what: String| {
            Err(Error::invalid(format!(
                "the filter of a receiver of topic {topic} {what}"
            )))
        };
        if self.conditions.is_empty() {
            return invalid("has no condition".to_owned());
        }
        let mut values = 0;
        for (index, (name, wanted)) in self.conditions.iter().enumerate() {
            let shown = name.escape_debug();
            if wanted.is_empty() {
                return invalid(format!("has no value for header \"{shown}\""));
            }
            let is_named = |(earlier, _): &(String, Vec<String>)| earlier == name;
            if self.conditions[..index].iter().any(is_named) {
                return invalid(format!(
                    "names header \"{shown}\" twice: give all its values at once"
                ));
            }
            for value in wanted {
                headers::check(topic, &Headers::from([(name.clone(), value.clone())]))?;
            }
            values += wanted.len();
        }
        match values > MAX_VALUES {
            true => invalid(format!("has {values} values, the limit is {MAX_VALUES}")),
            false => Ok(()),
        }
    }

    /// Returns a name and a value for each that is allowed, each pair once.
    pub(crate) fn pairs(&self) -> (Vec<Option<&str>>, Vec<Option<&str>>) {
        let mut pairs: Vec<(&str, &str)> = self
            .conditions
            .iter()
            .flat_map(|(name, values)| values.iter().map(|value| (name.as_str(), value.as_str())))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
            .into_iter()
            .map(|(name, value)| (Some(name), Some(value)))
            .unzip()
    }

    /// Returns how many headers have to match.
    pub(crate) fn count(&self) -> usize {
        self.conditions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(filter: Filter, part: &str) {
        let error = filter.check("jobs").unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn what_no_header_can_be_is_refused() {
        check_refused(Filter::new(), "has no condition");
        check_refused(Filter::new().equals("", "x"), "0 bytes");
        check_refused(Filter::new().equals("a", "x\0"), "NUL");
        check_refused(Filter::new().equals("a\0", "x"), "control character");
        check_refused(
            Filter::new().one_of("a", Vec::<String>::new()),
            "no value for header \"a\"",
        );
        check_refused(
            Filter::new().equals("a", "x").equals("a", "y"),
            "names header \"a\" twice",
        );
        let many = (0..1001).map(|number| number.to_string());
        check_refused(Filter::new().one_of("a", many), "1001 values");
        assert!(Filter::new().equals("a", "").check("jobs").is_ok());
    }

    #[test]
    fn a_value_that_is_given_twice_counts_once() {
        let filter = Filter::new().one_of("b", ["y", "x", "y"]).equals("a", "x");

        let (names, values) = filter.pairs();

        assert_eq!(names, [Some("a"), Some("b"), Some("b")]);
        assert_eq!(values, [Some("x"), Some("x"), Some("y")]);
        assert_eq!(filter.count(), 2);
    }
}

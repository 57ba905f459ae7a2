//! The settings of a topic as they are stored: a document that a person or a later release may have
//! written too.
//!
//! Two readers decide what a setting that is out of range or of another type means: this one, and
//! the columns of the table that statements read. For both it counts as not set.

use crate::words::topic_config::TopicConfig;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// The settings of a topic, each as it is written.
#[derive(Debug, Default)]
pub(crate) struct Document(BTreeMap<String, Box<RawValue>>);

/// What a document says.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) config: TopicConfig,
    /// The names of settings that this release cannot use.
    pub(crate) unreadable: Vec<String>,
}

impl Document {
    /// Reads the text; `None` if it is no object.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Document)
    }

    /// Reads the settings. What is not known counts as not set, and so does what cannot be read,
    /// since a newer release may have written it, or is out of range, since a hand may have; the
    /// names of these are returned too.
    pub(crate) fn read(&self) -> Read {
        let mut readable = Vec::with_capacity(self.0.len());
        let mut unreadable = Vec::new();
        for (name, value) in &self.0 {
            let setting = format!("{}:{value}", Value::from(name.as_str()));
            let alone = serde_json::from_str(&format!("{{{setting}}}"));
            match alone.is_ok_and(|config: TopicConfig| config.check("").is_ok()) {
                true => readable.push(setting),
                false => unreadable.push(name.clone()),
            }
        }
        // Each can be read, so they can together.
        let together = format!("{{{}}}", readable.join(","));
        Read {
            config: serde_json::from_str(&together).unwrap_or_default(),
            unreadable,
        }
    }

    /// Removes what is set under this name, known or not.
    pub(crate) fn unset(&mut self, name: &str) {
        self.0.remove(name);
        // Durations are stored under the name with its unit.
        self.0.remove(&format!("{name}_ms"));
    }

    /// Changes the settings to others. What these leave as it was stays as it was written, and what
    /// this release does not know or cannot read stays too, unless it is set anew. Returns the
    /// text, or `None` if no setting is left.
    pub(crate) fn changed_to(mut self, config: &TopicConfig) -> Option<String> {
        let (before, after) = (settings(&self.read().config), settings(config));
        for name in before.keys() {
            if !after.contains_key(name) {
                self.0.remove(name);
            }
        }
        for (name, value) in after {
            if before.get(&name) != Some(&value) {
                let written = to_raw_value(&value).expect("a JSON value is JSON");
                self.0.insert(name, written);
            }
        }
        (!self.0.is_empty())
            .then(|| serde_json::to_string(&self.0).expect("settings that were read are JSON"))
    }
}

/// Returns what is set, by name.
fn settings(config: &TopicConfig) -> serde_json::Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(settings)) => settings,
        _ => unreachable!("settings that were checked are a JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn five() -> TopicConfig {
        TopicConfig {
            max_attempts: Some(5),
            ..TopicConfig::default()
        }
    }

    #[track_caller]
    fn check(document: &str, expected: &TopicConfig, unreadable: &[&str]) {
        let read = Document::parse(document).unwrap().read();
        assert_eq!(read.config, *expected, "{document}");
        assert_eq!(read.unreadable, unreadable, "{document}");
    }

    #[test]
    fn what_cannot_be_read_counts_as_not_set_and_is_named() {
        check(r#"{"max_attempts":5,"x":1}"#, &five(), &[]);
        let newer = r#"{"backoff":{"fibonacci":{}},"max_attempts":5,"poisoned_key":"bury","x":1}"#;
        check(newer, &five(), &["backoff", "poisoned_key"]);
        check(
            r#"{"max_attempts":5,"delay_ms":-1}"#,
            &five(),
            &["delay_ms"],
        );
        let by_hand =
            r#"{"max_attempts":5,"max_in_work":0,"rate":{"messages":0,"per_ms":1,"burst":1}}"#;
        check(by_hand, &five(), &["max_in_work", "rate"]);
        let huge = r#"{"max_attempts":5,"max_length":1e400,"x":1e400}"#;
        check(huge, &five(), &["max_length"]);
        let deep = format!(
            r#"{{"max_attempts":5,"x":{}}}"#,
            "[".repeat(500) + &"]".repeat(500)
        );
        check(&deep, &five(), &[]);
        for document in ["[]", "7", "null", "oops"] {
            assert!(Document::parse(document).is_none(), "{document}");
        }
    }

    #[track_caller]
    fn check_change(document: &str, change: impl FnOnce(&mut TopicConfig), expected: Option<&str>) {
        let document = Document::parse(document).unwrap();
        let mut config = document.read().config;
        change(&mut config);
        assert_eq!(document.changed_to(&config).as_deref(), expected);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_know() {
        check_change(
            r#"{"max_attempts":5,"x":{"y":1.50},"poisoned_key":"bury"}"#,
            |config| config.max_attempts = Some(7),
            Some(r#"{"max_attempts":7,"poisoned_key":"bury","x":{"y":1.50}}"#),
        );
        check_change(
            r#"{"rate":{"messages":1,"per_ms":5,"burst":1,"smooth":true},"poisoned_key":"bury"}"#,
            |config| config.poisoned_key = Some(crate::words::topic_config::PoisonedKey::Block),
            Some(
                r#"{"poisoned_key":"block","rate":{"messages":1,"per_ms":5,"burst":1,"smooth":true}}"#,
            ),
        );
        check_change(
            r#"{"max_attempts":5,"x":1}"#,
            |config| *config = TopicConfig::default(),
            Some(r#"{"x":1}"#),
        );
        check_change(
            r#"{"max_attempts":5}"#,
            |config| config.max_attempts = None,
            None,
        );
    }
}

//! Finds the subscriptions whose patterns match a key.

use crate::words::filter::Filter;
use crate::words::headers::Headers;
use crate::words::pattern_index::PatternIndex;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// All subscriptions of a moment, by pattern.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Whose version this is; `None` while nobody ever subscribed.
    version: Option<Uuid>,
    /// In order, so that a place in this list can stand for a topic.
    topics: Vec<String>,
    patterns: PatternIndex<Target>,
}

/// Who gets what matches a pattern.
#[derive(Debug)]
struct Target {
    topic: usize,
    filter: Option<Filter>,
}

/// A subscription that can be read.
pub(crate) struct Readable {
    pub(crate) pattern: String,
    pub(crate) topic: String,
    pub(crate) filter: Option<Filter>,
}

impl Index {
    pub(crate) fn new(version: Option<Uuid>, subscriptions: Vec<Readable>) -> Self {
        let topics: BTreeSet<&str> = subscriptions
            .iter()
            .map(|wanted| wanted.topic.as_str())
            .collect();
        let mut index = Index {
            version,
            topics: topics.into_iter().map(str::to_owned).collect(),
            ..Index::default()
        };
        let places: BTreeMap<String, usize> = index.topics.iter().cloned().zip(0..).collect();
        for wanted in subscriptions {
            let target = Target {
                topic: places[&wanted.topic],
                filter: wanted.filter,
            };
            index.patterns.add(&wanted.pattern, target);
        }
        index
    }

    pub(crate) fn version(&self) -> Option<Uuid> {
        self.version
    }

    /// Returns the topics with a subscription that matches a key and the headers, in order, each
    /// once.
    pub(crate) fn topics(
        &self,
        key: &str,
        headers: &Headers,
        nulls: &BTreeSet<String>,
    ) -> Vec<&str> {
        let mut topics = Vec::new();
        self.patterns.each(key, |targets| {
            let wanting = targets.iter().filter(|target| {
                let filter = target.filter.as_ref();
                filter.is_none_or(|filter| filter.matches(headers, nulls))
            });
            topics.extend(wanting.map(|target| target.topic));
        });
        topics.sort_unstable();
        topics.dedup();
        topics
            .into_iter()
            .map(|topic| self.topics[topic].as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pattern: &str, topic: &str) -> Readable {
        Readable {
            pattern: pattern.to_owned(),
            topic: topic.to_owned(),
            filter: None,
        }
    }

    #[test]
    fn a_topic_is_found_once_and_patterns_of_many_parts_take_no_time() {
        let hard = vec!["#"; 99].join(".");
        let patterns = ["a.#", "#", "a.*.#", "a.b", hard.as_str()];
        let index = Index::new(None, patterns.map(|pattern| wanted(pattern, "t")).into());

        let found = index.topics("a.b", &Headers::new(), &BTreeSet::new());
        assert_eq!(found, ["t"]);
        let long = vec!["x"; 100].join(".");
        assert_eq!(
            index.topics(&long, &Headers::new(), &BTreeSet::new()),
            ["t"]
        );
    }

    #[test]
    fn a_filter_has_to_match_too() {
        let europe = Filter::new().equals("region", "eu");
        let index = Index::new(
            None,
            vec![
                Readable {
                    filter: Some(europe),
                    ..wanted("a.*", "europe")
                },
                wanted("#", "all"),
            ],
        );
        let found = |region: &str| {
            let headers = Headers::from([("region".to_owned(), region.to_owned())]);
            let topics = index.topics("a.b", &headers, &BTreeSet::new());
            topics.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(found("eu"), ["all", "europe"]);
        assert_eq!(found("us"), ["all"]);
    }
}

//! Finds the subscriptions whose patterns match a key.
//!
//! Patterns without `*` and `#` are looked up by the key as a whole. The others are one tree of
//! segments, which a key walks down on all matching paths at the same time, so that the cost grows
//! with the paths that match and not with the number of patterns. A place is entered once for each
//! segment, however many ways lead there: without that, a pattern such as `#.#.#.#` would try each
//! way to divide the key among its parts.

use crate::publish::pattern::{MANY, ONE};
use crate::words::filter::Filter;
use crate::words::headers::Headers;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// All subscriptions of a moment, by pattern.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Whose version this is; `None` while nobody ever subscribed.
    version: Option<Uuid>,
    /// In order, so that a place in this list can stand for a topic.
    topics: Vec<String>,
    exact: HashMap<String, Vec<Target>>,
    tree: Vec<Junction>,
}

/// Who gets what matches a pattern.
#[derive(Debug)]
struct Target {
    topic: usize,
    filter: Option<Filter>,
}

/// A place in the tree. The first is its root.
#[derive(Debug, Default)]
struct Junction {
    next: HashMap<String, usize>,
    one: Option<usize>,
    many: Option<usize>,
    /// Whether it comes after a `#`, which takes further segments.
    is_many: bool,
    targets: Vec<Target>,
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
            index.add(wanted.pattern, target);
        }
        index
    }

    pub(crate) fn version(&self) -> Option<Uuid> {
        self.version
    }

    fn add(&mut self, pattern: String, target: Target) {
        if !pattern
            .split('.')
            .any(|segment| [ONE, MANY].contains(&segment))
        {
            return self.exact.entry(pattern).or_default().push(target);
        }
        if self.tree.is_empty() {
            self.tree.push(Junction::default());
        }
        let mut at = 0;
        for segment in pattern.split('.') {
            at = self.below(at, segment);
        }
        self.tree[at].targets.push(target);
    }

    /// Returns the place that a segment leads to, which is made if there is none.
    fn below(&mut self, at: usize, segment: &str) -> usize {
        let new = self.tree.len();
        let place = &mut self.tree[at];
        let next = match segment {
            ONE => *place.one.get_or_insert(new),
            MANY => *place.many.get_or_insert(new),
            _ => *place.next.entry(segment.to_owned()).or_insert(new),
        };
        if next == new {
            self.tree.push(Junction {
                is_many: segment == MANY,
                ..Junction::default()
            });
        }
        next
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
        let mut add = |targets: &[Target]| {
            let wanting = targets.iter().filter(|target| {
                let filter = target.filter.as_ref();
                filter.is_none_or(|filter| filter.matches(headers, nulls))
            });
            topics.extend(wanting.map(|target| target.topic));
        };
        if let Some(targets) = self.exact.get(key) {
            add(targets);
        }
        for at in self.places(key) {
            add(&self.tree[at].targets);
        }
        topics.sort_unstable();
        topics.dedup();
        topics
            .into_iter()
            .map(|topic| self.topics[topic].as_str())
            .collect()
    }

    /// Returns the places that a key ends at.
    fn places(&self, key: &str) -> Vec<usize> {
        if self.tree.is_empty() {
            return Vec::new();
        }
        let mut here = Vec::new();
        self.enter(&mut here, 0);
        for segment in key.split('.') {
            let mut next = Vec::new();
            for at in here {
                let place = &self.tree[at];
                let leads_on = [place.next.get(segment).copied(), place.one];
                for at in leads_on.into_iter().flatten() {
                    self.enter(&mut next, at);
                }
                if place.is_many {
                    self.enter(&mut next, at);
                }
            }
            // A place can be entered from itself and from above: once for each, and no more.
            next.sort_unstable();
            next.dedup();
            here = next;
        }
        here
    }

    /// Adds a place, and those that a `#` leads to which stands for nothing.
    fn enter(&self, here: &mut Vec<usize>, mut at: usize) {
        loop {
            here.push(at);
            match self.tree[at].many {
                Some(next) => at = next,
                None => return,
            }
        }
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

    /// Says it once more, by trying each way.
    fn matches(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.first(), key.first()) {
            (None, None) => true,
            (Some(&MANY), _) => {
                matches(&pattern[1..], key) || !key.is_empty() && matches(pattern, &key[1..])
            }
            (Some(&segment), Some(found)) => {
                (segment == ONE || segment == *found) && matches(&pattern[1..], &key[1..])
            }
            _ => false,
        }
    }

    #[test]
    fn a_key_matches_as_the_words_say_with_all_patterns_at_the_same_time() {
        let segments = ["a", "b", ONE, MANY];
        let mut patterns: Vec<Vec<&str>> = vec![Vec::new()];
        let mut all = Vec::new();
        for _ in 0..4 {
            let longer = |pattern: &Vec<&'static str>| {
                segments.map(|segment| [pattern.as_slice(), &[segment]].concat())
            };
            patterns = patterns.iter().flat_map(longer).collect();
            all.extend(patterns.iter().map(|pattern| pattern.join(".")));
        }
        let each = all.iter().map(|pattern| wanted(pattern, pattern));
        let index = Index::new(None, each.collect());
        for key in [
            "a",
            "b",
            "c",
            "a.b",
            "b.a",
            "a.c",
            "a.a.a",
            "a.b.c.a",
            "c.c.c.c.c.b",
        ] {
            let found = index.topics(key, &Headers::new(), &BTreeSet::new());
            let key: Vec<&str> = key.split('.').collect();
            let mut expected: Vec<&str> = all.iter().map(String::as_str).collect();
            expected.retain(|pattern| matches(&pattern.split('.').collect::<Vec<_>>(), &key));
            expected.sort_unstable();
            assert_eq!(found, expected, "{key:?}");
        }
    }

    #[test]
    fn a_topic_is_found_once_and_patterns_of_many_parts_take_no_time() {
        let hard = vec![MANY; 99].join(".");
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

//! Finds the patterns that match a key.
//!
//! Patterns without `*` and `#` are looked up by the key as a whole. The others are one tree of
//! segments, which a key walks down on all matching paths at the same time, so that the cost grows
//! with the paths that match and not with the number of patterns. A place is entered once for each
//! segment, however many ways lead there: without that, a pattern such as `#.#.#.#` would try each
//! way to divide the key among its parts.

use crate::words::pattern::{MANY, ONE, is_plain};
use std::collections::HashMap;

/// Values by the patterns that lead to them.
#[derive(Debug)]
pub(crate) struct PatternIndex<V> {
    plain: HashMap<String, Vec<V>>,
    tree: Vec<Junction<V>>,
}

/// A place in the tree. The first is its root.
#[derive(Debug)]
struct Junction<V> {
    next: HashMap<String, usize>,
    one: Option<usize>,
    many: Option<usize>,
    /// Whether it comes after a `#`, which takes further segments.
    is_many: bool,
    values: Vec<V>,
}

impl<V> Junction<V> {
    fn new(is_many: bool) -> Self {
        Junction {
            next: HashMap::new(),
            one: None,
            many: None,
            is_many,
            values: Vec::new(),
        }
    }
}

impl<V> Default for PatternIndex<V> {
    fn default() -> Self {
        PatternIndex {
            plain: HashMap::new(),
            tree: Vec::new(),
        }
    }
}

impl<V> PatternIndex<V> {
    pub(crate) fn add(&mut self, pattern: &str, value: V) {
        if is_plain(pattern) {
            let values = self.plain.entry(pattern.to_owned()).or_default();
            return values.push(value);
        }
        if self.tree.is_empty() {
            self.tree.push(Junction::new(false));
        }
        let mut at = 0;
        for segment in pattern.split('.') {
            at = self.below(at, segment);
        }
        self.tree[at].values.push(value);
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
            self.tree.push(Junction::new(segment == MANY));
        }
        next
    }

    /// Calls `found` with the values of each pattern that matches a key. The empty key has no
    /// segments, so that only `#` matches it.
    pub(crate) fn each<'i>(&'i self, key: &str, mut found: impl FnMut(&'i [V])) {
        if let Some(values) = self.plain.get(key) {
            found(values);
        }
        for at in self.places(key) {
            found(&self.tree[at].values);
        }
    }

    /// Returns the places that a key ends at.
    fn places(&self, key: &str) -> Vec<usize> {
        let mut here = Vec::new();
        if self.tree.is_empty() {
            return here;
        }
        self.enter(&mut here, 0);
        let mut next = Vec::new();
        for segment in key.split('.').filter(|_| !key.is_empty()) {
            for &at in &here {
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
            std::mem::swap(&mut here, &mut next);
            next.clear();
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

    fn found(index: &PatternIndex<String>, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        index.each(key, |patterns| found.extend_from_slice(patterns));
        found.sort_unstable();
        found
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
        let mut index = PatternIndex::default();
        for pattern in &all {
            index.add(pattern, pattern.clone());
        }
        for key in [
            "",
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
            let segments: Vec<&str> = key.split('.').filter(|_| !key.is_empty()).collect();
            let mut expected = all.clone();
            expected.retain(|pattern| matches(&pattern.split('.').collect::<Vec<_>>(), &segments));
            expected.sort_unstable();
            assert_eq!(found(&index, key), expected, "{key:?}");
        }
    }

    #[test]
    fn patterns_of_many_parts_take_no_time_and_are_found_once() {
        let hard = vec![MANY; 99].join(".");
        let mut index = PatternIndex::default();
        index.add(&hard, hard.clone());
        let long = vec!["x"; 5_000].join(".");
        assert_eq!(found(&index, &long), [hard.as_str()]);
    }

    #[test]
    fn keys_that_no_pattern_can_spell_are_divided_all_the_same() {
        let mut index = PatternIndex::default();
        for pattern in ["*", "*.*", "a.*", "#.a"] {
            index.add(pattern, pattern.to_owned());
        }
        assert_eq!(found(&index, "a."), ["*.*", "a.*"]);
        assert_eq!(found(&index, "."), ["*.*"]);
        assert_eq!(found(&index, "..a"), ["#.a"]);
        assert_eq!(found(&index, "*"), ["*"]);
    }
}

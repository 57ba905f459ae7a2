//! Which topics have a label of their own, so that the number of time series is bounded.

use std::collections::BTreeSet;

/// The label of all topics that have none of their own. No topic is to be called so: OpenTelemetry
/// uses it where values are left out.
pub(crate) const OTHER: &str = "_OTHER";
/// The label of topics that end with their holders, and have a new name each time.
pub(crate) const TEMPORARY: &str = "_TEMPORARY";
/// What the names of such topics begin with.
const TEMPORARY_PREFIXES: [&str; 2] = ["outtray.reply.", "outtray.ephemeral."];

/// Topics with a label of their own, which they keep as long as they are there: a topic must not
/// change its label because another one came.
pub(crate) struct TopicLabels {
    most: usize,
    own: BTreeSet<String>,
}

impl TopicLabels {
    pub(crate) fn new(most: usize) -> Self {
        TopicLabels {
            most,
            own: BTreeSet::new(),
        }
    }

    /// Learns which topics there are, and gives away the labels of those that are gone.
    pub(crate) fn learn<'a>(&mut self, topics: impl Iterator<Item = &'a str> + Clone) {
        let there: BTreeSet<&str> = topics.clone().collect();
        self.own.retain(|topic| there.contains(topic.as_str()));
        for topic in topics.filter(|topic| !is_temporary(topic)) {
            if self.own.len() >= self.most {
                return;
            }
            if !self.own.contains(topic) {
                self.own.insert(topic.to_owned());
            }
        }
    }

    /// Returns the label of a topic.
    pub(crate) fn of<'a>(&self, topic: &'a str) -> &'a str {
        match topic {
            topic if self.own.contains(topic) => topic,
            topic if is_temporary(topic) => TEMPORARY,
            _ => OTHER,
        }
    }
}

fn is_temporary(topic: &str) -> bool {
    TEMPORARY_PREFIXES
        .iter()
        .any(|prefix| topic.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_keep_their_labels_and_labels_of_topics_that_are_gone_are_given_away() {
        let mut labels = TopicLabels::new(2);
        let reply = "outtray.reply.0123";
        labels.learn(["b", "c", "d", reply].into_iter());
        assert_eq!(
            ["b", "c", "d", reply].map(|topic| labels.of(topic)),
            ["b", "c", OTHER, TEMPORARY]
        );

        labels.learn(["a", "b", "c", "d"].into_iter());
        assert_eq!(
            ["a", "b", "c"].map(|topic| labels.of(topic)),
            [OTHER, "b", "c"]
        );

        labels.learn(["a", "b", "d"].into_iter());
        assert_eq!(
            ["a", "b", "d"].map(|topic| labels.of(topic)),
            ["a", "b", OTHER]
        );
    }
}

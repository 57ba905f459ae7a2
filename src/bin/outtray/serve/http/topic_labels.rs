//! Which topics have a label of their own, so that the number of time series is bounded.

use outtray::metrics::{OTHER_TOPICS, TEMPORARY_TOPICS, is_temporary};
use std::collections::BTreeSet;

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
            topic if is_temporary(topic) => TEMPORARY_TOPICS,
            _ => OTHER_TOPICS,
        }
    }
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
            ["b", "c", OTHER_TOPICS, TEMPORARY_TOPICS]
        );

        labels.learn(["a", "b", "c", "d"].into_iter());
        assert_eq!(
            ["a", "b", "c"].map(|topic| labels.of(topic)),
            [OTHER_TOPICS, "b", "c"]
        );

        labels.learn(["a", "b", "d"].into_iter());
        assert_eq!(
            ["a", "b", "d"].map(|topic| labels.of(topic)),
            ["a", "b", OTHER_TOPICS]
        );
    }
}

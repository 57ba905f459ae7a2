//! What an outbox has to tell when its session ends: whom to wake, and what was sent.

use crate::session::outbox::Outbox;
use crate::wake::news::{News, SentTogether};
use std::collections::HashMap;
use std::sync::Arc;

impl Outbox {
    /// Returns what the log says was sent, by topic.
    fn sent(&self) -> Vec<SentTogether> {
        let mut sent: Vec<SentTogether> = Vec::new();
        for entry in &self.log {
            let (is_scheduled, is_entry) = (entry.wait.is_some(), entry.is_entry);
            let is_same = |other: &&mut SentTogether| {
                other.is_scheduled == is_scheduled && *other.topic == *entry.topic
            };
            // Most messages go to the same topic as the one before.
            match sent.iter_mut().rev().find(is_same) {
                Some(together) => together.ids.push(entry.id),
                None => sent.push(SentTogether {
                    topic: Arc::clone(&entry.topic),
                    is_scheduled,
                    is_entry,
                    ids: vec![entry.id],
                }),
            }
        }
        sent
    }

    /// Empties the log and returns whom to wake and, if somebody looks, what was sent.
    pub(crate) fn take_news(&mut self, is_observed: bool) -> News {
        let mut news = self.take_sent(is_observed);
        for settled in self.settled.drain(..) {
            let (held, done) = settled.committed();
            news.ended.extend(held);
            news.done.extend(done);
        }
        news
    }

    /// Does the same for what was sent alone. What was settled stays as it is.
    pub(crate) fn take_sent(&mut self, is_observed: bool) -> News {
        let sent = is_observed.then(|| self.sent());
        let mut news = self.take_hints();
        news.sent = sent.unwrap_or_default();
        news
    }

    /// Empties the log and returns whom to wake for what was sent. What was settled stays as it is.
    pub(crate) fn take_hints(&mut self) -> News {
        let mut news = News::default();
        let (mut places, mut last) = (HashMap::<Arc<str>, usize>::new(), None::<(Arc<str>, usize)>);
        for entry in self.log.drain(..) {
            news.after.extend(entry.after.iter().map(|id| id.0));
            if let Some(wait) = entry.wait {
                news.soonest = Some(news.soonest.map_or(wait, |soonest| soonest.min(wait)));
                continue;
            }
            // Most messages go to the same topic as the one before.
            if let Some((topic, place)) = &last
                && Arc::ptr_eq(topic, &entry.topic)
            {
                news.topics[*place].1 += 1;
                continue;
            }
            let place = *places.entry(Arc::clone(&entry.topic)).or_insert_with(|| {
                // Topics stay in the order in which they were first sent to.
                news.topics.push((entry.topic.to_string(), 0));
                news.topics.len() - 1
            });
            news.topics[place].1 += 1;
            last = Some((entry.topic, place));
        }
        news
    }
}

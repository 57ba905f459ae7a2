//! The part of the model about what is published: who subscribed to what, and gets a copy.

use super::op::{Kind, LOG, TOPICS};
use super::pure::Model;
use super::seen::Seen;
use super::spreading::{PATTERNS, Publishing, ROUTES, Shared};

impl Model {
    pub(super) fn share(&mut self, op: &Shared) -> Seen {
        match *op {
            Shared::Publish {
                route,
                message,
                how,
            } => self.publish(route, message, how),
            Shared::Subscribe { topic, pattern } => {
                Seen::is_new(self.subscriptions.insert((topic, pattern)))
            }
            Shared::Unsubscribe { nth } => self.unsubscribe(nth),
            Shared::Read { rejects } => self.read(rejects),
            Shared::Rewind => Seen::is_new(self.log.rewind()),
        }
    }

    fn publish(&mut self, route: usize, kind: Kind, how: Publishing) -> Seen {
        let times = if how == Publishing::Twice { 2 } else { 1 };
        let before = self.clone();
        let mut counts = Vec::new();
        for _ in 0..times {
            let (old, new) = self.reached(route, kind);
            counts.extend([new.len() as u64, old.len() as u64]);
            for topic in new {
                self.send(topic, if topic == LOG { kind.of_log() } else { kind });
            }
        }
        if how == Publishing::RolledBack {
            *self = before;
        }
        Seen {
            counts,
            ..Seen::default()
        }
    }

    /// Returns the topics that get no copy, since they had one, and those that get one.
    fn reached(&self, route: usize, kind: Kind) -> (Vec<usize>, Vec<usize>) {
        let is_reached = |topic: &usize| {
            let mut mine = self.subscriptions.iter().filter(|(of, _)| of == topic);
            mine.any(|&(_, pattern)| {
                matches(&segments(PATTERNS[pattern]), &segments(ROUTES[route]))
            })
        };
        let had_it = |topic: &usize| {
            let mut taken = self.taken.iter();
            taken.any(|&(of, key, _)| of == *topic && kind.dedupe == Some(key))
        };
        let reached = (0..TOPICS.len()).filter(is_reached);
        reached.partition(had_it)
    }

    fn unsubscribe(&mut self, nth: usize) -> Seen {
        let all: Vec<(usize, usize)> = self.subscriptions.iter().copied().collect();
        let chosen = all.get(nth % (all.len() + 1));
        Seen::is_new(chosen.is_some_and(|one| self.subscriptions.remove(one)))
    }

    pub(super) fn subscribed(&self) -> Vec<(String, String)> {
        let all = self.subscriptions.iter();
        all.map(|&(topic, pattern)| (TOPICS[topic].to_owned(), PATTERNS[pattern].to_owned()))
            .collect()
    }
}

fn segments(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

/// Returns whether segments are as a pattern has them: `*` stands for one, `#` for any number.
fn matches(pattern: &[&str], route: &[&str]) -> bool {
    match (pattern, route) {
        ([], []) => true,
        (["#", rest @ ..], _) if matches(rest, route) => true,
        (["#", ..], [_, others @ ..]) => matches(pattern, others),
        ([first, rest @ ..], [segment, others @ ..]) => {
            ["*", segment].contains(first) && matches(rest, others)
        }
        _ => false,
    }
}

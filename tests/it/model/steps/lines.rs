//! The part of the model about keys: whose turn it is, and what a dead letter does to those behind
//! it.

use super::op::KEYS;
use super::pure::{At, Entry, Model};
use outtray::PoisonedKey;

impl Model {
    /// Returns the place after which messages of a key are held: that of its first dead letter.
    fn barrier(&self, topic: usize, key: char) -> Option<u64> {
        match self.settings[topic].poisoned_key {
            None | Some(PoisonedKey::Skip) => None,
            _ => self
                .labels(topic, |at| matches!(at, At::Dead(..)))
                .into_iter()
                .map(|label| &self.entries[label])
                .filter(|dead| dead.kind.key == Some(key))
                .filter_map(|dead| dead.place)
                .min(),
        }
    }

    /// Returns the first message that is to be parked behind a dead letter.
    pub(super) fn first_to_park(&self, topic: usize) -> Option<usize> {
        if self.settings[topic].poisoned_key != Some(PoisonedKey::Park) {
            return None;
        }
        let is_held = |label: &usize| {
            let Entry { kind, place, .. } = &self.entries[*label];
            let barrier = kind.key.and_then(|key| self.barrier(topic, key));
            barrier.is_some_and(|barrier| *place > Some(barrier))
        };
        let behind = self.labels(topic, |at| at == At::Behind);
        let held = behind.into_iter().filter(is_held);
        held.min_by_key(|label| self.entries[*label].place)
    }

    /// Returns how many of a key may be out of its line.
    fn most(&self, topic: usize) -> usize {
        if self.settings[topic].is_double { 2 } else { 1 }
    }

    /// Puts ready ones of a key back of which more are out of its line than may be, the latest
    /// first.
    pub(super) fn put_back(&mut self, topic: usize, key: char) {
        let most = self.most(topic);
        let mine = |entry: &&mut Entry| entry.topic == topic && entry.kind.key == Some(key);
        let line: Vec<&mut Entry> = self.entries.iter_mut().filter(mine).collect();
        let out = line.iter().filter(|entry| is_out(entry)).count();
        let is_ready = |one: &&mut Entry| one.at == At::Ready;
        let mut ready: Vec<&mut Entry> = line.into_iter().filter(is_ready).collect();
        ready.sort_by_key(|one| std::cmp::Reverse(one.place));
        let surplus = out.saturating_sub(most);
        let latest = ready.into_iter().take(surplus);
        latest.for_each(|one| one.at = At::Behind);
    }

    /// The same for the keys of some messages.
    pub(super) fn put_back_beside(&mut self, topic: usize, labels: &[usize]) {
        for label in labels {
            if let Some(key) = self.entries[*label].kind.key {
                self.put_back(topic, key);
            }
        }
    }

    /// Makes the first ones of each key ready of which fewer are out of its line than may be.
    pub(super) fn move_lines_on(&mut self, topic: usize) {
        let most = self.most(topic);
        for key in KEYS {
            let barrier = self.barrier(topic, key);
            let mine = |entry: &&mut Entry| entry.topic == topic && entry.kind.key == Some(key);
            let line: Vec<&mut Entry> = self.entries.iter_mut().filter(mine).collect();
            let out = line.iter().filter(|entry| is_out(entry)).count();
            let mut behind: Vec<&mut Entry> = line
                .into_iter()
                .filter(|one| one.at == At::Behind)
                .filter(|one| barrier.is_none_or(|barrier| one.place < Some(barrier)))
                .collect();
            behind.sort_by_key(|one| one.place);
            let free = usize::saturating_sub(most, out);
            behind
                .into_iter()
                .take(free)
                .for_each(|one| one.at = At::Ready);
        }
    }
}

fn is_out(entry: &Entry) -> bool {
    match entry.at {
        At::Ready | At::Leased(_) => true,
        At::Scheduled => entry.place.is_some(),
        _ => false,
    }
}

impl Model {
    /// Returns how the messages of a topic ended, each time.
    pub(super) fn history(&self, topic: usize) -> Vec<(usize, Vec<String>)> {
        let entries = self.entries.iter().enumerate();
        let ended = entries.filter(|(_, one)| one.topic == topic && !one.ends.is_empty());
        ended
            .map(|(label, one)| (label, one.ends.iter().copied().map(str::to_owned).collect()))
            .collect()
    }
}

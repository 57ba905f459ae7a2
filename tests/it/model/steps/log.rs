//! The part of the model about the log: a list of entries, and how many of them its reader has
//! read.

use super::pure::Model;
use super::seen::{LogState, Seen};
use super::spreading::DIVISOR;
use std::collections::BTreeMap;

#[derive(Debug, Default, Clone)]
pub(super) struct LogModel {
    /// The labels, in the order of sending.
    pub(super) entries: Vec<usize>,
    /// How many the reader has read; nothing: there is none yet.
    read: Option<usize>,
    /// What it gave up, and why.
    dead: BTreeMap<usize, &'static str>,
}

impl LogModel {
    /// Lets the reader begin anew. Returns whether there is one.
    pub(super) fn rewind(&mut self) -> bool {
        self.read = self.read.map(|_| 0);
        self.read.is_some()
    }
}

impl Model {
    pub(super) fn read(&mut self, rejects: Option<usize>) -> Seen {
        let from = self.log.read.unwrap_or(0);
        let mut read = Vec::new();
        for &label in &self.log.entries[from..] {
            let is_rejected = rejects == Some(label % DIVISOR);
            match (self.entries[label].kind.fits, is_rejected) {
                (false, _) => drop(self.log.dead.insert(label, "undecodable")),
                (true, true) => drop(self.log.dead.insert(label, "rejected")),
                (true, false) => read.push(label),
            }
        }
        self.log.read = Some(self.log.entries.len());
        Seen {
            read,
            ..Seen::default()
        }
    }

    pub(super) fn log_state(&self) -> LogState {
        let key = |label: usize| self.entries[label].kind.key.map(String::from);
        let entries = self.log.entries.iter();
        let dead = self.log.dead.iter();
        LogState {
            entries: entries.map(|label| (*label, key(*label))).collect(),
            dead: dead
                .map(|(label, why)| (*label, (*why).to_owned()))
                .collect(),
        }
    }
}

//! The duties of upkeep by name, and their failures: each failed duty pauses by itself, and is
//! logged once.

use crate::threads::pause::Pause;
use crate::words::Error;
use std::collections::HashMap;
use std::time::Instant;

/// What the thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Duty {
    Due,
    Expiry,
    #[cfg(feature = "cron")]
    Recurrences,
    Cancelled,
    Dependents,
    Completions,
    Stalled,
    Poll,
    Presence,
    Idle,
    Prune,
}

impl Duty {
    /// All of them, in the order of their turns.
    pub(crate) const ALL: &'static [Duty] = &[
        Duty::Due,
        Duty::Expiry,
        #[cfg(feature = "cron")]
        Duty::Recurrences,
        Duty::Cancelled,
        Duty::Dependents,
        Duty::Completions,
        Duty::Stalled,
        Duty::Poll,
        Duty::Presence,
        Duty::Idle,
        Duty::Prune,
    ];
}

/// Whose turn it is. The move of due messages, for which others wait, comes between any two other
/// duties.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Where the others go on.
    place: usize,
    was_due: bool,
}

impl Turns {
    /// Returns the next of those that are to be done, if there is one.
    pub(crate) fn next(&mut self, is_due: impl Fn(Duty) -> bool) -> Option<Duty> {
        let moves = is_due(Duty::Due);
        if moves && !self.was_due {
            self.was_due = true;
            return Some(Duty::Due);
        }
        self.was_due = false;
        let turns = (0..Duty::ALL.len()).map(|turn| (self.place + turn) % Duty::ALL.len());
        let mut others = turns.filter(|place| Duty::ALL[*place] != Duty::Due);
        let Some(place) = others.find(|place| is_due(Duty::ALL[*place])) else {
            return moves.then_some(Duty::Due);
        };
        self.place = place + 1;
        Some(Duty::ALL[place])
    }
}

/// The duties that failed when they were done last.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    failing: HashMap<Duty, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    pause: Pause,
    not_before: Instant,
    text: String,
}

impl Troubles {
    /// Returns when a duty may be done that is due at `at`.
    pub(crate) fn put_off(&self, duty: Duty, at: Instant) -> Instant {
        let trouble = self.failing.get(&duty);
        trouble.map_or(at, |trouble| at.max(trouble.not_before))
    }

    /// Notes that a duty was done.
    pub(crate) fn end(&mut self, duty: Duty) {
        self.failing.remove(&duty);
    }

    /// Notes that a duty failed; returns whether to say so. It may fail for hours, and others for
    /// the same reason.
    pub(crate) fn note(&mut self, duty: Duty, error: &Error) -> bool {
        let text = error.to_string();
        let is_known = self.failing.contains_key(&duty)
            || self.failing.values().any(|trouble| trouble.text == text);
        let now = Instant::now();
        let trouble = self.failing.entry(duty).or_insert_with(|| Trouble {
            pause: Pause::new(),
            not_before: now,
            text: String::new(),
        });
        trouble.not_before = now + trouble.pause.delay();
        trouble.text = text;
        !is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_move_comes_between_any_two_others_and_each_has_its_turn() {
        let mut turns = Turns::default();

        let done: Vec<Duty> = (0..2 * Duty::ALL.len())
            .filter_map(|_| turns.next(|_| true))
            .collect();

        assert!(done.iter().step_by(2).all(|duty| *duty == Duty::Due));
        let others: Vec<Duty> = done.iter().skip(1).step_by(2).copied().collect();
        assert!(Duty::ALL[1..].iter().all(|duty| others.contains(duty)));
        assert_eq!(turns.next(|duty| duty == Duty::Prune), Some(Duty::Prune));
        assert_eq!(turns.next(|duty| duty == Duty::Due), Some(Duty::Due));
        assert_eq!(turns.next(|duty| duty == Duty::Due), Some(Duty::Due));
        assert_eq!(turns.next(|_| false), None);
    }
}

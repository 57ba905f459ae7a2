//! Whose turn it is among the rounds, and which of them fail: each is left alone for a while by
//! itself, and said once. A round is known here by its place in the list.

use crate::threads::pause::Pause;
use crate::words::Error;
use std::collections::HashMap;
use std::time::Instant;

/// The place of the round that comes between any two others, since others wait for it: the move of
/// due messages.
const OFTEN: usize = 0;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Where the others go on.
    place: usize,
    was_often: bool,
}

impl Turns {
    /// Returns the next of the rounds that are to be run, if there is one.
    pub(crate) fn next(&mut self, is_due: &[bool]) -> Option<usize> {
        let is_often = is_due[OFTEN];
        if is_often && !self.was_often {
            self.was_often = true;
            return Some(OFTEN);
        }
        self.was_often = false;
        let turns = (0..is_due.len()).map(|turn| (self.place + turn) % is_due.len());
        let mut others = turns.filter(|place| *place != OFTEN);
        let Some(place) = others.find(|place| is_due[*place]) else {
            return is_often.then_some(OFTEN);
        };
        self.place = place + 1;
        Some(place)
    }
}

/// The rounds that failed when they were run last.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    failing: HashMap<usize, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    pause: Pause,
    not_before: Instant,
    text: String,
}

impl Troubles {
    /// Returns when a round may be run that is due at `at`.
    pub(crate) fn put_off(&self, place: usize, at: Instant) -> Instant {
        let trouble = self.failing.get(&place);
        trouble.map_or(at, |trouble| at.max(trouble.not_before))
    }

    /// Notes that a round succeeded.
    pub(crate) fn end(&mut self, place: usize) {
        self.failing.remove(&place);
    }

    /// Notes that a round failed; returns whether to say so. It may fail for hours, and others for
    /// the same reason.
    pub(crate) fn note(&mut self, place: usize, error: &Error) -> bool {
        let text = error.to_string();
        let is_known = self.failing.contains_key(&place)
            || self.failing.values().any(|trouble| trouble.text == text);
        let now = Instant::now();
        let trouble = self.failing.entry(place).or_insert_with(|| Trouble {
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

    const ROUNDS: usize = 5;

    #[test]
    fn the_move_comes_between_any_two_others_and_each_has_its_turn() {
        let mut turns = Turns::default();
        let only = |place: usize| [0, 1, 2, 3, 4].map(|other| other == place);

        let done: Vec<usize> = (0..2 * ROUNDS)
            .filter_map(|_| turns.next(&[true; ROUNDS]))
            .collect();

        assert!(done.iter().step_by(2).all(|place| *place == OFTEN));
        let others: Vec<usize> = done.iter().skip(1).step_by(2).copied().collect();
        assert!((1..ROUNDS).all(|place| others.contains(&place)));
        assert_eq!(turns.next(&only(4)), Some(4));
        assert_eq!(turns.next(&only(OFTEN)), Some(OFTEN));
        assert_eq!(turns.next(&only(OFTEN)), Some(OFTEN));
        assert_eq!(turns.next(&[false; ROUNDS]), None);
    }
}

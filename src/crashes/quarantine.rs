//! Which careful deliveries of a process may run beside each other, while a topic is suspect: the
//! rules are in `receive/transaction/careful`.

use crate::crashes::attempt::Deaths;
use crate::threads::mutex::Mutex;
use std::time::{Duration, Instant};

/// How long others hold back for a message that has to be alone, after the last worker met it.
/// Whoever met it comes back much sooner; it may have gone to another process.
const HOLD_BACK: Duration = Duration::from_secs(1);
/// The careful deliveries of a process.
#[derive(Debug, Default)]
pub(crate) struct Quarantine(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    /// Deliveries of messages that saw no death.
    others: usize,
    /// One that saw a death.
    is_docked: bool,
    /// One that tolerates no other.
    is_alone: bool,
    /// Until when nothing begins, for one that has to be alone.
    held_back_until: Option<Instant>,
}

/// How a careful delivery runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CarefulWay {
    BesideOthers,
    Docked,
    Alone,
}

/// The right to a careful delivery; ends when it is dropped.
pub(crate) struct Pass<'a> {
    quarantine: &'a Quarantine,
    way: CarefulWay,
}

impl Pass<'_> {
    /// Returns whether no other careful delivery runs beside it.
    pub(crate) fn is_alone(&self) -> bool {
        self.way == CarefulWay::Alone
    }
}

impl Quarantine {
    /// Lets a delivery begin, if it may now.
    pub(crate) fn admit(&self, way: CarefulWay, now: Instant) -> Option<Pass<'_>> {
        let mut inside = self.0.lock();
        let is_held_back = inside.held_back_until.is_some_and(|until| now < until);
        let is_free = match way {
            CarefulWay::BesideOthers => !inside.is_alone && !is_held_back,
            CarefulWay::Docked => !inside.is_alone && !is_held_back && !inside.is_docked,
            CarefulWay::Alone => !inside.is_alone && !inside.is_docked && inside.others == 0,
        };
        if !is_free {
            if way == CarefulWay::Alone {
                inside.held_back_until = now.checked_add(HOLD_BACK);
            }
            return None;
        }
        match way {
            CarefulWay::BesideOthers => inside.others += 1,
            CarefulWay::Docked => inside.is_docked = true,
            CarefulWay::Alone => {
                inside.is_alone = true;
                inside.held_back_until = None;
            }
        }
        Some(Pass {
            quarantine: self,
            way,
        })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut inside = self.quarantine.0.lock();
        match self.way {
            CarefulWay::BesideOthers => inside.others -= 1,
            CarefulWay::Docked => inside.is_docked = false,
            CarefulWay::Alone => inside.is_alone = false,
        }
    }
}

impl CarefulWay {
    /// Returns how a message runs that saw deaths, with so many attempts failed before.
    pub(crate) fn of(attempts: u32, seen: Deaths, max_attempts: u32) -> Self {
        // Whoever died a moment ago is found dead by the next look, and counts then.
        let near = seen.count + seen.undecided;
        // The next death counts, and may be the last.
        let is_last = attempts + near + 1 >= max_attempts;
        match near {
            0 => CarefulWay::Docked,
            1 if !is_last => CarefulWay::Docked,
            _ => CarefulWay::Alone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_that_may_have_died_counts_as_one_that_did() {
        let way = |count, undecided, max_attempts| {
            let seen = Deaths {
                count,
                undecided,
                is_certain: false,
            };
            CarefulWay::of(0, seen, max_attempts)
        };
        assert_eq!(way(0, 0, 5), CarefulWay::Docked);
        assert_eq!(way(0, 1, 5), CarefulWay::Docked);
        assert_eq!(way(1, 1, 5), CarefulWay::Alone);
        assert_eq!(way(0, 1, 2), CarefulWay::Alone, "the last attempt");
    }

    #[test]
    fn one_that_saw_a_death_tolerates_others_and_none_of_its_kind() {
        let quarantine = Quarantine::default();
        let now = Instant::now();
        let other = quarantine.admit(CarefulWay::BesideOthers, now);
        let near = quarantine.admit(CarefulWay::Docked, now);
        assert!(other.is_some() && near.is_some());
        assert!(quarantine.admit(CarefulWay::Docked, now).is_none());
        assert!(quarantine.admit(CarefulWay::BesideOthers, now).is_some());
        drop(near);
        assert!(quarantine.admit(CarefulWay::Docked, now).is_some());
    }

    #[test]
    fn one_that_has_to_be_alone_waits_for_the_others_and_they_for_it() {
        let quarantine = Quarantine::default();
        let now = Instant::now();
        let other = quarantine.admit(CarefulWay::BesideOthers, now);
        assert!(quarantine.admit(CarefulWay::Alone, now).is_none());
        assert!(
            quarantine.admit(CarefulWay::BesideOthers, now).is_none(),
            "held back"
        );
        assert!(
            quarantine
                .admit(CarefulWay::BesideOthers, now + HOLD_BACK)
                .is_some(),
            "not for ever"
        );

        drop(other);
        let alone = quarantine.admit(CarefulWay::Alone, now);
        assert!(alone.as_ref().is_some_and(Pass::is_alone));
        for way in [
            CarefulWay::BesideOthers,
            CarefulWay::Docked,
            CarefulWay::Alone,
        ] {
            assert!(quarantine.admit(way, now).is_none());
        }
        drop(alone);
        // The last one that was refused has to be alone, too, and is waited for.
        assert!(quarantine.admit(CarefulWay::BesideOthers, now).is_none());
        let later = now + HOLD_BACK;
        assert!(quarantine.admit(CarefulWay::BesideOthers, later).is_some());
    }
}

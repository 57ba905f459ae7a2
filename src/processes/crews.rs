//! The receivers of a process and their workers, for those who look at them.

use crate::processes::crew_state::CrewState;
use crate::threads::mutex::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The workers of one receiver, as [`Messaging::vitals`](crate::Messaging::vitals) sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Crew {
    /// The topic that they receive.
    pub topic: String,
    /// How many workers there are.
    pub workers: usize,
    /// Those that look for messages, handle or settle them. The others are parked.
    pub busy: usize,
    /// How many of them may keep the database busy at a time: found by trying during a backlog.
    /// Workers whose handlers are slow do not count.
    pub crew_size: usize,
    /// How often their claims searched the topic from its very beginning, since the receiver
    /// started.
    pub sweeps: u64,
}

/// Somebody whose workers can be looked at.
pub(crate) trait HasCrew: Send + Sync {
    fn crew(&self) -> Crew;

    /// Returns the receiver's row, unless it is a drain, and what it says with a sign of life.
    fn state(&self) -> (Option<i64>, CrewState);
}

/// All receivers that run.
#[derive(Default)]
pub(crate) struct Crews(Mutex<Vec<Weak<dyn HasCrew>>>);

impl Crews {
    pub(crate) fn add(&self, one: &Arc<impl HasCrew + 'static>) {
        let one: Weak<dyn HasCrew> = Arc::downgrade(one) as _;
        let mut all = self.0.lock();
        all.retain(|one| one.strong_count() > 0);
        all.push(one);
    }

    /// Returns how each is, in the order in which they started.
    pub(crate) fn look(&self) -> Vec<Crew> {
        self.living().iter().map(|one| one.crew()).collect()
    }

    /// Returns what each receiver says with a sign of life, by its row.
    pub(crate) fn states(&self) -> HashMap<i64, CrewState> {
        let states = self.living().into_iter().map(|one| one.state());
        let of_rows = states.filter_map(|(receiver, state)| Some((receiver?, state)));
        of_rows.collect()
    }

    fn living(&self) -> Vec<Arc<dyn HasCrew>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

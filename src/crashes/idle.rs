//! Notes which receivers of this process have nothing in hand any more: nobody is suspect if the
//! process dies now (see `wake::hands`).

use crate::crashes::presence::{Enrolled, note_shift};
use crate::wake::hands::Hands;
use crate::wake::round::{Round, Work};
use crate::words::Result;
use std::sync::Arc;
use std::time::Instant;

/// The receivers of this process, and what is in their hands.
pub(crate) struct Idle {
    receivers: Vec<(Enrolled, Arc<Hands>)>,
    begun_at: Instant,
}

impl Default for Idle {
    fn default() -> Self {
        Idle {
            receivers: Vec::new(),
            begun_at: Instant::now(),
        }
    }
}

impl Idle {
    pub(crate) fn enter(&mut self, receiver: &Enrolled, hands: &Arc<Hands>) {
        self.receivers.push((receiver.clone(), Arc::clone(hands)));
    }

    pub(crate) fn leave(&mut self, receiver: &Enrolled) {
        self.receivers.retain(|(other, _)| other != receiver);
    }
}

impl Round for Idle {
    /// Returns since when there is something to note, if there is.
    fn at(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut receivers = self.receivers.iter();
        let is_owed = receivers.any(|(_, hands)| hands.to_empty(now).is_some());
        is_owed.then_some(self.begun_at)
    }

    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let now = Instant::now();
        let mut done = Ok(());
        for (receiver, hands) in &self.receivers {
            if let Some(shift) = hands.to_empty(now) {
                let noted = note_shift(work.connection, receiver, shift);
                done = done.and(noted.map(|()| hands.wrote(shift)));
            }
        }
        done
    }
}

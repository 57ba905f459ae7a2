//! A receiver that starts: what is to be known of it, and how careful it is to be.

use crate::processes::crew_state::CrewState;
use crate::wake::board::Station;
use crate::wake::hands::Hands;
use std::sync::Arc;
use std::time::Duration;

/// How careful a receiver that starts is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caution {
    /// For how long its topic is suspect.
    pub(crate) suspect_for: Duration,
    /// For how long to be wary all the same.
    pub(crate) wary_for: Duration,
}

impl Caution {
    /// Tells the station where the receiver's workers park.
    pub(crate) fn tell(self, station: &Station) {
        station.suspect(self.suspect_for);
        station.be_wary(self.wary_for);
    }
}

/// What is to be known of a receiver that starts.
#[derive(Debug, Clone)]
pub(crate) struct Newcomer {
    pub(crate) topic: String,
    pub(crate) is_strict: bool,
    /// The most messages that it has in hand at a time.
    pub(crate) most: usize,
    pub(crate) hands: Arc<Hands>,
    /// What it is like.
    pub(crate) state: CrewState,
}

//! A receiver of this process, as the process knows it.

use crate::crashes::presence::{Enrolled, Living};
use crate::processes::crew_state::CrewState;
use crate::wake::hands::Hands;
use std::sync::Arc;

/// A receiver of this process.
pub(crate) struct Mine {
    pub(crate) enrolled: Enrolled,
    pub(crate) most: i32,
    pub(crate) hands: Arc<Hands>,
    /// What it is like and does, as far as it was seen.
    pub(crate) state: CrewState,
}

impl Mine {
    /// Returns what its row is to say.
    pub(crate) fn living(&self) -> Living<'_> {
        Living {
            enrolled: &self.enrolled,
            shift: self.hands.restored(),
            most: self.most,
            state: &self.state,
        }
    }
}

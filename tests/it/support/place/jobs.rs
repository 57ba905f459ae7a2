//! The topic that most tests use.

use super::Place;
use crate::support::MINUTE;
use outtray::{Backoff, Delivery, ReceiverBuilder, Topic};
use std::time::Duration;

impl Place {
    pub(crate) fn jobs(&self) -> Topic<'_> {
        self.messaging.topic("jobs")
    }

    /// Takes the next message, which has to be there.
    #[track_caller]
    pub(crate) fn take(&self) -> Delivery<i32> {
        self.jobs().receive(MINUTE).unwrap().expect("a message")
    }

    pub(crate) fn try_take(&self) -> Option<Delivery<i32>> {
        self.jobs().receive(MINUTE).unwrap()
    }

    /// Returns how many messages are ready, scheduled, leased and dead.
    pub(crate) fn numbers(&self) -> [u64; 4] {
        let stats = self.jobs().stats().unwrap();
        [stats.ready, stats.scheduled, stats.leased, stats.dead]
    }

    pub(crate) fn leasing(&self, lease: Duration) -> ReceiverBuilder<'_> {
        self.messaging
            .receiver("jobs")
            .lease(lease)
            .backoff(Backoff::fixed(Duration::from_millis(10)))
    }
}

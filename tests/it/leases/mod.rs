//! Messages taken under a lease: exclusive for a time, without a transaction.

mod batches;
mod defaults;
mod deliveries;
mod failing;
mod interrupts;
mod kept;
mod matching;
mod receivers;
mod settling;
mod together;
mod waiting;

use crate::support::Place;
use outtray::{Delivery, Result, Topic};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

impl Place {
    fn jobs(&self) -> Topic<'_> {
        self.messaging.topic("jobs")
    }

    /// Takes the next message, which has to be there.
    #[track_caller]
    fn take(&self) -> Delivery<i32> {
        self.jobs().receive(MINUTE).unwrap().expect("a message")
    }

    fn try_take(&self) -> Option<Delivery<i32>> {
        self.jobs().receive(MINUTE).unwrap()
    }

    /// Returns how many messages are ready, scheduled, leased and dead.
    fn numbers(&self) -> [u64; 4] {
        let stats = self.jobs().stats().unwrap();
        [stats.ready, stats.scheduled, stats.leased, stats.dead]
    }
}

#[track_caller]
fn check_lost<T: std::fmt::Debug>(result: Result<T>) {
    assert_eq!(result.unwrap_err().kind(), outtray::ErrorKind::LeaseLost);
}

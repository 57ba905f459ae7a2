//! What can be seen of a receiver's workers, by those who look and with each sign of life.

use crate::processes::crew_state::{CrewState, LISTED_FROM, MOST_IDS};
use crate::processes::crews::{Crew, HasCrew};
use crate::processes::running::RunningHandler;
use crate::receive::leases_in_hand::KeptLease;
use crate::receive::shared_state::SharedState;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl HasCrew for SharedState {
    fn crew(&self) -> Crew {
        let (busy, crew_size) = self.concurrency.numbers();
        Crew {
            topic: self.topic.clone(),
            workers: self.options.workers,
            busy,
            crew_size,
            sweeps: self.floors().sweeps(),
        }
    }

    fn state(&self) -> (Option<i64>, CrewState) {
        let options = &self.options;
        let state = CrewState {
            workers: options.workers,
            filter: options.filter.as_ref().map(ToString::to_string),
            lease: options.is_leasing.then(|| self.lease()),
            busy: self.concurrency.numbers().0,
            in_hand: self.progress.in_hand(),
            handlers: match options.is_leasing {
                true => self.handlers_with_leases(),
                false => self.handlers_in_transactions(),
            },
        };
        (self.receiver, state)
    }
}

impl SharedState {
    fn handlers_in_transactions(&self) -> Vec<RunningHandler> {
        let mut handlers = Vec::new();
        for (worker, slot) in self.in_hand.iter().enumerate() {
            let running_for = self.concurrency.handler_age(worker);
            if running_for < LISTED_FROM {
                continue;
            }
            // Empty while the worker claims or commits, and when it is parked.
            let (messages, first) = slot.first(MOST_IDS);
            let Some((_, attempt)) = first.first() else {
                continue;
            };
            let process = self.server_processes[worker].load(Ordering::Relaxed);
            handlers.push(RunningHandler {
                worker: worker as u64 + 1,
                running_for,
                messages: messages as u64,
                attempt: *attempt,
                ids: first.into_iter().map(|(id, _)| id).collect(),
                server_process: (process != 0).then_some(process),
            });
        }
        handlers
    }

    fn handlers_with_leases(&self) -> Vec<RunningHandler> {
        let now = Instant::now();
        let mut handlers = Vec::new();
        let kept = self.heartbeat.kept();
        for lease in kept.into_iter().filter(KeptLease::is_in_work) {
            let begun_at = lease.begun_at.unwrap_or(now);
            let running_for = now.saturating_duration_since(begun_at);
            if running_for >= LISTED_FROM {
                handlers.push(RunningHandler {
                    worker: lease.worker as u64 + 1,
                    running_for,
                    messages: 1,
                    attempt: lease.attempt,
                    ids: vec![lease.proof.held.id],
                    server_process: None,
                });
            }
        }
        handlers
    }
}

//! What the database refuses at COMMIT of several messages, taken apart while they are held.
//!
//! Deferred constraints are checked in the flight that commits, just before COMMIT. If they are
//! violated, the work of all messages that share the check is undone, and nobody knows whose fault
//! it was. A rollback would set all of them free: other workers, of this process or another, would
//! run the message at fault beside others again, and nobody could count how often. So the messages
//! stay held, and their handlers run again at once, one by one, each with a check of its own, which
//! costs a round trip. A message that fails there has failed twice, and is charged with both; the
//! others are as good as undisturbed. That includes messages of a batch that its handler let fail:
//! what was done beside them was undone too.
//!
//! This needs two attempts. A message with only one left shares its check with no other: it goes
//! first, and is checked at its end. So no message runs more often than it may, with any number of
//! workers and processes, and nothing is written for those that succeed.

use crate::message::claimed::Claimed;
use crate::message::outcome::Outcome;
use crate::message::report;
use crate::receive::charge::Charge;
use crate::receive::claim::Taken;
use crate::receive::decide::decide;
use crate::receive::handler::{Attempt, Ending, call_alone};
use crate::receive::settle::Settlement;
use crate::receive::telling;
use crate::receive::transaction::split::Sharing;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::words::{Error, MessageId, Result};
use std::collections::HashSet;
use std::iter::once;
use std::slice::from_ref;
use std::sync::atomic::Ordering;
use std::time::Instant;

impl WorkerTransaction<'_, '_, '_> {
    /// Runs the handlers again of messages whose work was undone because the database refused it
    /// with `error`.
    pub(crate) fn run_again<'m>(
        &mut self,
        taken: &'m Taken,
        settled: &mut Settlement<'m>,
        error: &Error,
    ) -> Result<()> {
        let shared = self.shared;
        shared.meets_refusals.store(true, Ordering::Relaxed);
        let entered = std::mem::take(&mut self.state.entered);
        let bundled = || entered.iter().filter(|charge| charge.is_bundled);
        let kept = bundled().filter(|charge| charge.is_kept);
        let kept: HashSet<MessageId> = kept.map(|charge| charge.held.id).collect();
        let bundled: HashSet<MessageId> = bundled().map(|charge| charge.held.id).collect();
        let undone = settled.take_undone(&bundled, &kept);
        let undone: Vec<&Claimed> = taken
            .messages
            .iter()
            .filter(|message| undone.contains(&message.held.id))
            .collect();
        let mut decided = Vec::with_capacity(undone.len());
        if let ([only], None) = (undone.as_slice(), &shared.batch) {
            // All others had failed before, with nothing left of what they did.
            let charge = Charge::of(only, taken.crashes(only));
            decided.push((&only.held, charge.decide(&shared.terms(), error)));
            self.state.entered.push(charge);
        } else {
            for message in undone {
                if self.is_held_up(message, &decided) {
                    continue;
                }
                let handled = self.handle(message, taken.crashes(message), Sharing::Again);
                match handled {
                    Ok(outcome) => decided.push((&message.held, outcome)),
                    Err(error) => {
                        // Nobody holds what comes after it, if it committed.
                        settled.add(std::mem::take(&mut decided));
                        self.go_on(taken, settled.decided(), &[message], error)?;
                        break;
                    }
                }
                // The next one has neither its settings nor its locks.
                self.session.restore()?;
            }
        }
        if shared.options.is_strict {
            settled.forget_after_failed(&decided);
        }
        settled.add(decided);
        self.session.restore()
    }

    /// Runs the handler of one message in its savepoint and decides what becomes of the message.
    pub(crate) fn handle(
        &mut self,
        message: &Claimed,
        crashes: u32,
        sharing: Sharing,
    ) -> Result<Outcome> {
        let shared = self.shared;
        let attempts = message.attempts + crashes;
        let terms = shared.terms();
        let Some(cancel) = shared.begin(self.state.worker, message.held.id, attempts + 1) else {
            return Ok(Outcome::Cancelled);
        };
        if crashes > 0 && sharing != Sharing::Again {
            let (id, attempt) = (message.held.id, attempts + 1);
            report::crashed(&shared.topic, id, crashes, attempt, terms.max_attempts);
        }
        let is_bundled = sharing == Sharing::Bundled;
        if is_bundled {
            self.session.join_bundle()?;
        }
        self.state.entered.push(Charge {
            is_bundled,
            ..Charge::of(message, crashes)
        });
        let delivery = Attempt::of(&shared.topic, message, crashes, &terms, cancel);
        telling::start(shared, &mut self.state.deliveries, from_ref(&delivery));
        let started = Instant::now();
        let ending = self
            .session
            .part(|session| call_alone(self.state.handler, session, &delivery));
        let took = started.elapsed();
        self.state.handled += took;
        self.state.deliveries.end(once(message.held.id));
        let is_cancelled = shared.in_hand[self.state.worker].end(message.held.id);
        let what = format_args!("message {}", message.held.id);
        shared.warn_if_slow(&what, took);
        if let Some(ended) = self.session.ended() {
            return Err(ended);
        }
        let ending = self.keep_or_undo(ending, sharing)?;
        if is_cancelled && !matches!(ending, Ending::Done) {
            return Ok(Outcome::Cancelled);
        }
        let is_kept = matches!(ending, Ending::Kept(_));
        if let Some(entered) = self.state.entered.last_mut() {
            entered.is_kept = is_kept;
        }
        // Who fails by its own word was not refused before.
        let has_failed_twice = sharing == Sharing::Again && !is_kept && !ending.is_snooze();
        let attempts = attempts + u32::from(has_failed_twice);
        Ok(match decide(&terms, attempts, ending) {
            Outcome::Done(_) => Outcome::Done(self.session.take_result()),
            failed => failed.after(took),
        })
    }

    /// Keeps the work for a message or undoes it; returns the ending that counts.
    ///
    /// # Errors
    /// When the failure is not the message's fault, so that the whole transaction runs again.
    fn keep_or_undo(&mut self, ending: Ending, sharing: Sharing) -> Result<Ending> {
        if (!matches!(ending, Ending::Done) || self.session.is_overlong())
            && let Some(excuse) = self.excuse(from_ref(&ending))
        {
            return Err(excuse);
        }
        if !matches!(ending, Ending::Done | Ending::Kept(_)) {
            self.session.undo()?;
            return Ok(ending);
        }
        let Some(undone) = Ending::undone(&self.session.keep(sharing.check())?) else {
            return Ok(ending);
        };
        match self.excuse(from_ref(&undone)) {
            Some(excuse) => Err(excuse),
            None => Ok(undone),
        }
    }
}

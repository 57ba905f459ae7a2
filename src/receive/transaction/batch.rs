//! The messages of a transaction that are handled together, in one savepoint (see `receive/batch`).

use crate::message::claimed::Claimed;
use crate::message::outcome::{Decision, Outcome};
use crate::receive::charge::Charge;
use crate::receive::decide::decide;
use crate::receive::handler::{Attempt, Ended, Ending};
use crate::receive::progress::Hand;
use crate::receive::telling;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::session::savepoint::Check;
use crate::words::Result;
use std::time::Instant;

impl<'s> WorkerTransaction<'s, '_, '_> {
    /// Runs the handler of the messages that go together, if there are any, and adds the decisions
    /// about them. Returns how many messages the handler got.
    pub(crate) fn handle_together<'m>(
        &mut self,
        together: &[&'m Claimed],
        hand: &mut Hand<'s>,
        decided: &mut Vec<Decision<'m>>,
    ) -> Result<usize>
    where
        's: 'm,
    {
        let shared = self.shared;
        let (Some(_), Some(first)) = (shared.batch, together.first()) else {
            return Ok(0);
        };
        if !decided.is_empty() && (self.is_stopping() || self.session.has_set()) {
            shared.floors().lower(first.held.position);
            self.state.loose.extend(shared.limits.unbegun(together));
            return Ok(0);
        }
        let terms = shared.terms();
        let mut deliveries = Vec::with_capacity(together.len());
        for &message in together {
            shared.progress.take(hand);
            match shared.begin(self.state.worker, message.held.id, message.attempts + 1) {
                Some(cancel) => {
                    let topic = &shared.topic;
                    deliveries.push(Attempt::of(topic, message, 0, &terms, cancel));
                }
                None => decided.push((&message.held, Outcome::Cancelled)),
            }
        }
        if deliveries.is_empty() {
            return Ok(0);
        }
        let check = self.enter(&deliveries)?;
        shared.concurrency.handler_begins(self.state.worker);
        telling::start(shared, &mut self.state.deliveries, &deliveries);
        let started = Instant::now();
        let mut ended = self
            .session
            .part(|session| (self.state.handler)(session, &deliveries));
        let took = started.elapsed();
        self.state.handled += took;
        shared.warn_if_slow(&format_args!("{} messages", deliveries.len()), took);
        let is_cancelled = self.leave_slot(&deliveries);
        if let Some(ended) = self.session.ended() {
            return Err(ended);
        }
        self.keep_or_undo_all(&mut ended, check)?;
        let endings = deliveries.iter().zip(ended.each).zip(is_cancelled);
        decided.extend(endings.map(|((delivery, ending), is_cancelled)| {
            let Claimed { held, attempts, .. } = delivery.message;
            let outcome = match is_cancelled && !matches!(ending, Ending::Done) {
                true => Outcome::Cancelled,
                false => decide(&terms, *attempts, ending).after(took),
            };
            (held, outcome)
        }));
        Ok(deliveries.len())
    }

    /// Notes that these messages' handler is about to run in the transaction; returns how their
    /// work is checked.
    fn enter(&mut self, deliveries: &[Attempt<'_>]) -> Result<Check> {
        let is_shared = deliveries.len() > 1;
        let is_bundled = is_shared || !self.state.entered.is_empty();
        let charge = |delivery: &Attempt<'_>| Charge {
            is_shared,
            is_bundled,
            ..Charge::of(delivery.message, 0)
        };
        self.state.entered.extend(deliveries.iter().map(charge));
        if !is_bundled {
            return Ok(Check::Only);
        }
        self.session.join_bundle()?;
        Ok(Check::Bundled)
    }

    /// Notes that messages are no longer in hand; returns for each whether its handler was told of
    /// a cancel.
    fn leave_slot(&mut self, deliveries: &[Attempt<'_>]) -> Vec<bool> {
        let ids = deliveries.iter().map(|delivery| delivery.message.held.id);
        self.state.deliveries.end(ids);
        let slot = &self.shared.in_hand[self.state.worker];
        // The last one first, as a slot likes it.
        let last_first = deliveries.iter().rev();
        let mut is_cancelled: Vec<bool> = last_first
            .map(|delivery| slot.end(delivery.message.held.id))
            .collect();
        is_cancelled.reverse();
        is_cancelled
    }

    /// Keeps the work of a batch or undoes it. If work that was to be kept had to be undone, every
    /// message of the batch fails.
    fn keep_or_undo_all(&mut self, ended: &mut Ended, check: Check) -> Result<()> {
        let undone = match ended.is_done {
            true => Ending::undone(&self.session.keep(check)?),
            false => None,
        };
        if ended.is_done && undone.is_none() {
            // These entered last.
            let last = self.state.entered.iter_mut().rev();
            for (charge, ending) in last.zip(ended.each.iter().rev()) {
                charge.is_kept = matches!(ending, Ending::Kept(_));
            }
            return Ok(());
        }
        if let Some(excuse) = self.excuse(&ended.each) {
            return Err(excuse);
        }
        if !ended.is_done {
            return self.session.undo();
        }
        for ending in &mut ended.each {
            if !matches!(ending, Ending::Undecodable(_))
                && let Some(failed) = undone.as_ref().and_then(Ending::repeated)
            {
                *ending = failed;
            }
        }
        Ok(())
    }
}

//! The last flight of a transaction, which settles what was in it, commits, and may claim what
//! comes next.

use crate::db::Flight;
use crate::keys::{self, Promoted};
use crate::message::claimed::Held;
use crate::message::floor::ClaimPlan;
use crate::message::outcome::{Cause, Outcome};
use crate::message::settle;
use crate::observe::spans;
use crate::on_end;
use crate::receive::charge::Charge;
use crate::receive::claim::{self, Taken};
use crate::receive::settle::Settlement;
use crate::receive::shared_state::SharedState;
use crate::receive::telling;
use crate::receive::transaction::blame;
use crate::receive::transaction::claim::push_claim;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::receive::worker_state::Refused;
use crate::wake::news::News;
use crate::words::{Error, Result};
use std::time::{Duration, Instant};

impl WorkerTransaction<'_, '_, '_> {
    /// Commits. If the database refuses the work of the messages before COMMIT, finds the message
    /// at fault and commits its failure with the work of the others.
    pub(crate) fn commit_or_charge<'m>(
        &mut self,
        taken: &'m Taken,
        settled: &mut Settlement<'m>,
        is_chained: bool,
    ) -> Result<Option<Taken>> {
        self.shared.concurrency.flight_begins(self.state.worker);
        blame::heed_refusals(self.shared, self.state);
        let is_shared = self.session.is_bundle_open();
        if settled.is_written_before()
            && self.is_checked(settled)
            && let Some(error) = self.session.leave_checked()?
        {
            let error = self.undone(error, is_shared);
            self.take_apart(taken, settled, &error)?;
        }
        self.confirm_cancels(settled)?;
        let next = self.commit(taken, settled, is_chained);
        let (Err(error), true) = (&next, self.state.refused.is_some()) else {
            return next;
        };
        if self.take_apart(taken, settled, error)? {
            self.confirm_cancels(settled)?;
        }
        let next = self.commit(taken, settled, is_chained);
        self.state.refused = None;
        next
    }

    /// Returns whether deferred constraints are checked while the work can still be undone.
    fn is_checked(&self, settled: &Settlement<'_>) -> bool {
        let is_kept = |only: &Charge| only.is_kept || settled.has_done();
        self.session.is_bundle_open() || blame::only(self.state).is_some_and(is_kept)
    }

    /// Charges the only message, whose work was undone, or runs those of the bundle again, one by
    /// one; returns whether it ran any.
    fn take_apart<'m>(
        &mut self,
        taken: &'m Taken,
        settled: &mut Settlement<'m>,
        error: &Error,
    ) -> Result<bool> {
        match self.state.refused.take() {
            Some(Refused::Only(charge)) => {
                settled.refuse(charge.held.id, charge.decide(&self.shared.terms(), error));
                Ok(false)
            }
            Some(Refused::Bundle) => self.run_again(taken, settled, error).map(|()| true),
            None => Ok(false),
        }
    }

    fn confirm_cancels(&mut self, settled: &mut Settlement<'_>) -> Result<()> {
        let SharedState {
            topic,
            floors,
            base,
            ..
        } = self.shared;
        let confirmed =
            settled.confirm_cancels(&mut self.session, topic, floors, &base.waker.asked);
        confirmed.inspect_err(|_| self.state.is_unsettled = true)
    }

    /// Stores the messages that were sent, settles, commits and, if `is_chained`, claims again, all
    /// in one flight.
    fn commit(
        &mut self,
        taken: &Taken,
        settled: &Settlement<'_>,
        is_chained: bool,
    ) -> Result<Option<Taken>> {
        self.move_failed(settled)?;
        let is_checked = self.is_checked(settled);
        let (shared, session) = (self.shared, &mut self.session);
        let is_chained = is_chained && !session.is_spent();
        let ends = settled.ends();
        let is_shared = session.is_bundle_open();
        let has_values = !ends.is_empty() || shared.limits.filter.is_some();
        let mut flight = session.last_flight(is_checked, has_values)?;
        push_removals(shared, &mut flight, settled, session.since_begin());
        if !ends.is_empty() {
            on_end::push_ended(&mut flight, &shared.topic, &ends);
        }
        let counted = settled.counted(&taken.deaths);
        self.state.push_close(&mut flight, &shared.topic, &counted);
        flight.commit();
        let size = self.state.pace.size();
        let plan = is_chained.then(|| push_next(shared, &mut flight, size));
        let started = Instant::now();
        let headers = taken.messages.iter().map(|message| &message.headers);
        let span = spans::settle(&shared.topic, taken.messages.len(), headers);
        let committed = session.commit_in(span, flight, is_checked);
        let mut rows = match committed {
            Ok(rows) => rows,
            Err(refused) if refused.is_undone => {
                return Err(self.undone(refused.error, is_shared));
            }
            Err(refused) => {
                let news = session.sent();
                self.state.is_unsettled = ends_others(settled, &self.state.entered);
                let said = (&news, settled);
                return Err(self.maybe_committed(refused.error, said, is_chained));
            }
        };
        let news = session.news();
        shared.base.waker.announce(&news);
        let promoted = match ends.iter().any(|end| end.key.is_some()) {
            true => keys::take_promoted(&mut rows),
            false => Promoted::default(),
        };
        claim::note_promoted(&shared.floors, &promoted, settled.ended());
        self.state.entered.clear();
        shared.end_transaction(self.state.worker);
        self.state.noted = None;
        self.state.conflicts = 0;
        // Before anything else can fail: it is committed.
        announce(shared, settled, is_chained);
        news.tell(shared.observers());
        settled.tell(shared, &mut self.state.deliveries);
        shared.count_time(std::mem::take(&mut self.state.handled));
        let taken = plan.map(|plan| self.read_claim(size, plan, Some((rows, started))));
        // Once more: what the claim learned, it learned from where it began before.
        claim::note_promoted(&shared.floors, &promoted, settled.ended());
        taken.transpose()
    }
}

impl WorkerTransaction<'_, '_, '_> {
    /// Moves what failed to where it waits, or to the dead letters.
    fn move_failed(&mut self, settled: &Settlement<'_>) -> Result<()> {
        if !settled.has_failed() {
            return Ok(());
        }
        let SharedState { topic, options, .. } = self.shared;
        let since_begin = self.session.since_begin();
        let run = self.session.top()?;
        let moved = settled.move_failed(run, topic, options.is_strict, since_begin);
        moved.inspect_err(|_| self.state.is_unsettled = true)
    }

    /// Notes whose work was undone; the transaction goes on.
    fn undone(&mut self, error: Error, is_shared: bool) -> Error {
        self.state.refused = match is_shared {
            true => Some(Refused::Bundle),
            false => blame::only(self.state).cloned().map(Refused::Only),
        };
        error
    }

    /// Returns why a last flight failed. It may have committed all the same: whoever waits for what
    /// it sent or ended looks, since a false hint costs that look, and observers are told.
    fn maybe_committed(
        &mut self,
        error: Error,
        (news, settled): (&News, &Settlement<'_>),
        is_chained: bool,
    ) -> Error {
        self.shared.base.waker.announce(news);
        self.shared.base.waker.announce_ends(settled.ended());
        let (observers, deliveries) = (self.shared.observers(), &mut self.state.deliveries);
        let (topic, sent) = (&self.shared.topic, news.sent_ids());
        telling::tell_unknown(observers, deliveries, topic, &sent, (&error, !is_chained));
        error
    }
}

/// Returns whether messages end that ran in no handler, and whose ends the database may have
/// refused.
fn ends_others(settled: &Settlement<'_>, entered: &[Charge]) -> bool {
    let is_other = |held: &Held| entered.iter().all(|charge| charge.held.id != held.id);
    settled.ended().any(is_other)
}

/// Appends the removal of what is gone with the commit, and its record where the topic keeps a
/// history.
fn push_removals(
    shared: &SharedState,
    flight: &mut Flight,
    settled: &Settlement<'_>,
    since_begin: Duration,
) {
    if shared.keeps_history() {
        return settled.push_recorded(flight, &shared.topic, since_begin);
    }
    let positions = settled.removals();
    if !positions.is_empty() {
        settle::push_acknowledge(flight, &shared.topic, &positions);
    }
}

/// Appends the BEGIN of the next transaction and its claim; returns where that looks.
pub(super) fn push_next(shared: &SharedState, flight: &mut Flight, size: usize) -> ClaimPlan {
    let plan = shared.floors().plan(Instant::now());
    let filter = shared.limits.filter.as_ref();
    flight.begin();
    push_claim(flight, &shared.topic, filter, size, &plan.spans);
    plan
}

/// After the commit: counts, logs, tells who waits, and notes when retries are due.
pub(crate) fn announce(shared: &SharedState, settled: &Settlement<'_>, is_chained: bool) {
    shared.base.waker.announce_ends(settled.ended());
    if !is_chained && settled.ended().any(|held| held.key.is_some()) {
        // The next ones of the keys are there.
        shared.station.ring(1);
    }
    let (mut handled, mut retried, mut dead, mut dropped) = (0, 0, 0, 0);
    let mut soonest: Option<Duration> = None;
    for outcome in settled.outcomes() {
        match outcome {
            Outcome::Done(_) => handled += 1,
            Outcome::Retry(retry) => {
                retried += usize::from(retry.cause != Cause::PutOff);
                soonest = Some(soonest.map_or(retry.delay, |soonest| soonest.min(retry.delay)));
            }
            Outcome::Dead(_) => dead += 1,
            Outcome::Dropped => dropped += 1,
            Outcome::Cancelled | Outcome::GiveBack | Outcome::Nacked(_) => {}
        }
    }
    shared.progress.count(handled, retried, dead);
    shared.progress.count_dropped(dropped);
    let most = shared.terms().max_attempts;
    settled.report(&shared.topic, most, &shared.progress);
    if let Some(soonest) = soonest {
        shared.base.waker.due_in(soonest);
    }
}

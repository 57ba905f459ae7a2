//! The last flight of a transaction, which settles what was in it, commits, and may claim what
//! comes next.

use crate::keys::{self, Promoted};
use crate::message::outcome::{Cause, Outcome};
use crate::message::settle;
use crate::on_end;
use crate::receive::bundle;
use crate::receive::careful;
use crate::receive::charge;
use crate::receive::claim::{self, Taken};
use crate::receive::line::Line;
use crate::receive::settle::Settlement;
use crate::receive::state::{Refused, State};
use crate::receive::take;
use crate::session::handler_session::{HandlerSession, NotCommitted};
use crate::words::error::Result;
use std::time::{Duration, Instant};

/// Commits; or, if the database would have refused it and only one message is at fault, commits
/// that it failed.
pub(crate) fn commit_or_charge<'m>(
    line: &Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    taken: &'m Taken,
    settled: &mut Settlement<'m>,
    is_chained: bool,
) -> Result<Option<Taken>> {
    line.crew.flight_begins(state.worker);
    charge::heed_refusals(line, state);
    if settled.is_written_before()
        && let Some(error) = session.leave_bundle()?
    {
        bundle::run_again(line, session, state, taken, settled, &error)?;
    }
    confirm_cancels(line, session, settled)?;
    let next = commit(line, session, state, taken, settled, is_chained);
    let (Err(error), Some(refused)) = (&next, state.refused.take()) else {
        return next;
    };
    match refused {
        Refused::Only(charge) => {
            settled.refuse(charge.held.id, charge.decide(&line.terms(), error));
        }
        Refused::Bundle => {
            bundle::run_again(line, session, state, taken, settled, error)?;
            confirm_cancels(line, session, settled)?;
        }
    }
    let next = commit(line, session, state, taken, settled, is_chained);
    state.refused = None;
    next
}

fn confirm_cancels(
    line: &Line,
    session: &mut HandlerSession<'_>,
    settled: &mut Settlement<'_>,
) -> Result<()> {
    settled.confirm_cancels(session, &line.topic, &line.floors, &line.base.waker.asked)
}

/// Stores what was sent, settles, commits, and claims again in the same flight if `is_chained`.
fn commit(
    line: &Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    taken: &Taken,
    settled: &Settlement<'_>,
    is_chained: bool,
) -> Result<Option<Taken>> {
    let ends = settled.ends();
    if settled.has_failed() {
        let since_begin = session.since_begin();
        let (run, is_strict) = (session.top()?, line.options.is_strict);
        settled.move_failed(run, &line.topic, is_strict, since_begin)?;
    }
    let is_shared = session.is_bundle_open();
    let is_checked = is_shared || charge::only(state).is_some() && settled.has_done();
    let has_values = !ends.is_empty() || line.sieve.is_some();
    let mut flight = session.last_flight(is_checked, has_values)?;
    let positions = settled.removals();
    if !positions.is_empty() {
        settle::push_acknowledge(&mut flight, &line.topic, &positions);
    }
    if !ends.is_empty() {
        on_end::push_ended(&mut flight, &line.topic, &ends);
    }
    careful::push_close(line, state, &mut flight, &settled.counted(&taken.deaths));
    flight.commit();
    let size = state.pace.size();
    let plan = is_chained.then(|| {
        flight.begin();
        take::push_claim(line, &mut flight, size)
    });
    let started = Instant::now();
    let committed = session.commit(flight, is_checked);
    if let Err(NotCommitted {
        is_undone: true, ..
    }) = &committed
    {
        state.refused = match (charge::only(state), is_shared) {
            (Some(charge), false) => Some(Refused::Only(charge.clone())),
            (_, true) => Some(Refused::Bundle),
            (None, false) => None,
        };
    }
    // Also after an error: it may have come after the COMMIT, and a false hint costs a claim.
    line.base.waker.announce(&session.news());
    let mut rows = committed.map_err(|refused| refused.error)?;
    let promoted = match ends.iter().any(|end| end.key.is_some()) {
        true => keys::take_promoted(&mut rows),
        false => Promoted::default(),
    };
    claim::note_promoted(&line.floors, &promoted, settled.ended());
    state.entered.clear();
    line.end_transaction(state.worker);
    state.has_noted = false;
    state.conflicts = 0;
    let taken = plan.map(|plan| take::taken(line, session, size, plan, Some((rows, started))));
    // Once more: what the claim learned, it learned from where it began before.
    claim::note_promoted(&line.floors, &promoted, settled.ended());
    taken.transpose()
}

/// After the commit: counts, logs, tells who waits, and notes when retries are due.
pub(crate) fn announce(line: &Line, settled: &Settlement<'_>, is_chained: bool) {
    line.base.waker.announce_ends(settled.ended());
    if !is_chained && settled.ended().any(|held| held.key.is_some()) {
        // The next ones of the keys are there.
        line.station.ring(1);
    }
    let (mut handled, mut retried, mut dead, mut dropped) = (0, 0, 0, 0);
    let mut soonest: Option<Duration> = None;
    for outcome in settled.outcomes() {
        match outcome {
            Outcome::Done(_) => handled += 1,
            Outcome::Retry { cause, delay, .. } => {
                retried += usize::from(*cause != Cause::PutOff);
                soonest = Some(soonest.map_or(*delay, |soonest| soonest.min(*delay)));
            }
            Outcome::Dead { .. } => dead += 1,
            Outcome::Dropped => dropped += 1,
            Outcome::Cancelled | Outcome::GiveBack { .. } => {}
        }
    }
    line.progress.count(handled, retried, dead);
    line.progress.count_dropped(dropped);
    settled.report(&line.topic, line.terms().max_attempts);
    if let Some(soonest) = soonest {
        line.base.waker.due_in(soonest);
    }
}

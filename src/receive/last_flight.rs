//! The last flight of a transaction, which settles what was in it, commits, and may claim what
//! comes next.

use crate::keys::{self, Promoted};
use crate::message::settle;
use crate::on_end;
use crate::receive::bundle;
use crate::receive::careful;
use crate::receive::charge;
use crate::receive::failed;
use crate::receive::line::Line;
use crate::receive::settled::Settled;
use crate::receive::state::{Refused, State};
use crate::receive::take::{self, Taken};
use crate::session::handler_session::{HandlerSession, NotCommitted};
use crate::words::error::Result;
use std::time::Instant;

/// Commits; or, if the database would have refused it and only one message is at fault, commits
/// that it failed.
pub(crate) fn commit_or_charge(
    line: &Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    taken: &Taken,
    settled: &mut Settled,
    is_chained: bool,
) -> Result<Option<Taken>> {
    line.crew.flight_begins(state.worker);
    charge::heed_refusals(line, state);
    if settled.is_written_before()
        && let Some(error) = session.leave_bundle()?
    {
        bundle::run_again(line, session, state, taken, settled, &error)?;
    }
    settled.confirm_cancels(line, session)?;
    let next = commit(line, session, state, settled, is_chained);
    let (Err(error), Some(refused)) = (&next, state.refused.take()) else {
        return next;
    };
    match refused {
        Refused::Only(charge) => settled.refuse(line, &charge, error),
        Refused::Bundle => {
            bundle::run_again(line, session, state, taken, settled, error)?;
            settled.confirm_cancels(line, session)?;
        }
    }
    let next = commit(line, session, state, settled, is_chained);
    state.refused = None;
    next
}

/// Stores what was sent, settles, commits, and claims again in the same flight if `is_chained`.
fn commit(
    line: &Line,
    session: &mut HandlerSession<'_>,
    state: &mut State<'_>,
    settled: &Settled,
    is_chained: bool,
) -> Result<Option<Taken>> {
    let ends = settled.ends();
    let ended = || settled.ended().map(|(held, _)| held);
    failed::settle(line, session, &settled.retries, &settled.burials)?;
    let is_shared = session.is_bundle_open();
    let is_checked = is_shared || charge::only(state).is_some() && !settled.acks.is_empty();
    let has_values = !ends.is_empty() || line.sieve.is_some();
    let mut flight = session.last_flight(is_checked, has_values)?;
    let positions = settled.removals();
    if !positions.is_empty() {
        settle::push_acknowledge(&mut flight, &line.topic, &positions);
    }
    if !ends.is_empty() {
        on_end::push_ended(&mut flight, &line.topic, &ends);
    }
    careful::push_close(line, state, &mut flight, &settled.counted);
    flight.commit();
    let size = state.pace.size();
    let plan = is_chained.then(|| {
        flight.begin();
        take::push_claim(line, &mut flight, size)
    });
    let started = Instant::now();
    let flown = session.commit(flight, is_checked);
    if let Err(NotCommitted {
        is_undone: true, ..
    }) = &flown
    {
        state.refused = match (charge::only(state), is_shared) {
            (Some(charge), false) => Some(Refused::Only(charge.clone())),
            (_, true) => Some(Refused::Bundle),
            (None, false) => None,
        };
    }
    // Also after an error: it may have come after the COMMIT, and a false hint costs a claim.
    line.base.waker.announce(&session.news());
    let mut rows = flown.map_err(|refused| refused.error)?;
    let promoted = match ends.iter().any(|end| end.key.is_some()) {
        true => keys::take_promoted(&mut rows),
        false => Promoted::default(),
    };
    line.note_promoted(&promoted, ended());
    state.entered.clear();
    line.end_transaction(state.worker);
    state.has_noted = false;
    state.conflicts = 0;
    let taken = plan.map(|plan| take::taken(line, session, size, &plan, &rows, started));
    // Once more: what the claim learned, it learned from where it began before.
    line.note_promoted(&promoted, ended());
    taken.transpose()
}

//! How a worker's transaction begins, where the one before did not begin it in its last flight.

use crate::connect::connection::Connection;
use crate::connect::transaction::OpenTransaction;
use crate::message::floor::ClaimPlan;
use crate::observe::spans;
use crate::receive::shared_state::SharedState;
use crate::receive::transaction::claim::FirstLook;
use crate::receive::transaction::last_flight::push_next;
use crate::session::handler_session::HandlerSession;
use crate::words::{Doing, Result};
use std::time::Instant;

/// Begins a transaction. If its claim travelled in the same flight, returns what that found, and
/// where it looked.
pub(super) fn begin<'c>(
    shared: &'c SharedState,
    connection: &'c mut Connection,
    size: usize,
    is_careful: bool,
) -> Result<(HandlerSession<'c>, Option<(ClaimPlan, FirstLook)>)> {
    if !is_careful && may_begin_at_once(shared, connection) {
        return begin_with_claim(shared, connection, size);
    }
    let open = connection.read_committed("beginning a transaction")?;
    Ok((session_in(shared, open), None))
}

/// Returns whether a claim may travel with the beginning of its transaction: an ordinary one, as in
/// the flight that ends the transaction before. So a parked worker that is woken has its message
/// after one round trip.
fn may_begin_at_once(shared: &SharedState, connection: &Connection) -> bool {
    let limits = &shared.limits;
    let is_ordinary = !shared.options.is_strict && limits.may_chain();
    is_ordinary && limits.too_early(Instant::now()).is_none() && connection.is_taken_over_at_once()
}

fn begin_with_claim<'c>(
    shared: &'c SharedState,
    connection: &'c mut Connection,
    size: usize,
) -> Result<(HandlerSession<'c>, Option<(ClaimPlan, FirstLook)>)> {
    spans::within(spans::claim(&shared.topic), |span| {
        let started = Instant::now();
        let mut flight = connection.flight();
        if shared.limits.filter.is_none() {
            flight = flight.of_names();
        }
        let plan = push_next(shared, &mut flight, size);
        let begun = connection.begin_in(flight);
        let (open, rows) = begun.doing("claiming messages")?;
        spans::note_count(span, rows.len());
        Ok((session_in(shared, open), Some((plan, (rows, started)))))
    })
}

fn session_in<'c>(shared: &'c SharedState, open: OpenTransaction<'c>) -> HandlerSession<'c> {
    // What several messages share has no result.
    let has_results = shared.batch.is_none();
    HandlerSession::begun(&shared.base.process, open, has_results)
}

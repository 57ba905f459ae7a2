//! The last flight of a transaction, which settles what was in it, commits, and may claim what comes next.

use crate::receive::careful;
use crate::receive::charge;
use crate::receive::failed;
use crate::receive::line::Line;
use crate::receive::settled::Settled;
use crate::receive::state::State;
use crate::receive::take::{self, Taken};
use crate::session::messaging_session::MessagingSession;
use crate::session::outbox::Mark;
use crate::session::savepoint::Savepoint;
use crate::store::aftermath;
use crate::store::lanes;
use crate::store::settle;
use crate::words::error::Result;
use crate::words::sqlstate::{classify, is_sequence_behind};
use std::time::Instant;
use uuid::Uuid;

/// Commits; or, if the database would have refused it and only one message is at fault, commits that it failed.
pub(crate) fn commit_or_charge(
    line: &Line,
    session: &mut MessagingSession<'_>,
    state: &mut State<'_>,
    settled: &mut Settled,
    counted: &[Uuid],
    is_chained: bool,
) -> Result<Option<Taken>> {
    line.crew.flight_begins(state.worker);
    charge::heed_refusals(line, state);
    let next = commit(line, session, state, settled, counted, is_chained);
    if let Err(error) = &next
        && let Some(charge) = state.refused.take()
    {
        settled.refuse(line, &charge, error);
        return commit(line, session, state, settled, counted, is_chained);
    }
    next
}

/// Stores what was sent, settles, commits, and claims again in the same flight if `is_chained`.
fn commit(
    line: &Line,
    session: &mut MessagingSession<'_>,
    state: &mut State<'_>,
    settled: &Settled,
    counted: &[Uuid],
    is_chained: bool,
) -> Result<Option<Taken>> {
    let statements = &line.base.kit.statements;
    let mode = session.lent.own()?.mode;
    let mut sends = String::new();
    if !session.outbox.push_few(&mut sends, mode, statements) {
        session
            .outbox
            .store(session.lent.own()?, statements, Mark::default())?;
    }
    failed::settle(line, session, &settled.retries, &settled.burials)?;
    let is_checked = charge::only(state).is_some() && !settled.acks.is_empty();
    // First what was sent, whose values go beside it: the rest of the flight stays one text.
    let mut sql = sends;
    match is_checked {
        true => sql.push_str(&session.leaving_checked()),
        false => sql.push_str(session.savepoint.leaving()),
    }
    let positions = settled.removals();
    if !positions.is_empty() {
        settle::push_acknowledge(&mut sql, mode, statements, &line.topic, &positions);
    }
    let ends = settled.ends();
    if !ends.is_empty() {
        aftermath::push_ended(&mut sql, mode, statements, &line.topic, &ends);
    }
    careful::push_close(line, state, &mut sql, mode, counted);
    sql.push_str("COMMIT;\n");
    let size = state.pace.size();
    let plan = is_chained.then(|| {
        sql.push_str("BEGIN ISOLATION LEVEL READ COMMITTED;\n");
        take::push_claim(line, &mut sql, mode, size)
    });
    let started = Instant::now();
    let flown = session.lent.own()?.flight(&sql);
    if let Err(error) = &flown
        && is_checked
        // That is nobody's fault.
        && !is_sequence_behind(error)
        && session.undo_refused(error)
    {
        state.refused = charge::only(state).cloned();
    }
    // Also after an error: it may have come after the COMMIT, and a false hint costs a claim.
    line.base.waker.announce(&session.outbox.take_news());
    let mut rows = flown.map_err(|error| classify(error, "committing"))?;
    let promoted = match ends.iter().any(|end| end.held.key.is_some()) {
        true => lanes::take_promoted(&mut rows),
        false => Vec::new(),
    };
    line.lower(&promoted);
    session.savepoint = Savepoint::Closed;
    session.begun_at = Instant::now();
    state.entered.clear();
    state.has_noted = false;
    state.conflicts = 0;
    let taken = plan.map(|plan| take::taken(line, session, size, &plan, &rows, started));
    // Once more: what the claim learned, it learned from where it began before.
    line.lower(&promoted);
    taken.transpose()
}

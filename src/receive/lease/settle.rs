//! The end of leases: a transaction of its own, or a part of the session's.
//!
//! Most leases end in one round trip, by a statement that asks for the receipt itself. Where the
//! end of a message matters to others, or what becomes of it depends on whether somebody cancelled
//! it, the rows are locked first, and what is done is decided then: nothing may be done for a
//! message that is in other hands by now.

use crate::connect::connection::Connection;
use crate::db::commands;
use crate::db::flight::Flight;
use crate::db::statement::{Statement, sql};
use crate::leases::END_LEASE;
use crate::leases::{self, HeldLease, Proof};
use crate::message::end::{End, How};
use crate::message::outcome::Outcome;
use crate::on_end;
use crate::session::commit::swallowed;
use crate::session::messaging_session::MessagingSession;
use crate::wake::hint::Hint;
use crate::wake::waker::Waker;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::sqlstate::{classify, failure, is_aborted};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

static EXTEND_LEASE: Statement = sql!("extend_lease", Key);
static PROLONG_LEASE: Statement = sql!("prolong_lease", Key);

/// Begins a transaction that gives up soon, for those who may not wait.
pub(crate) static BEGIN_BRIEFLY: [&Statement; 2] = [&commands::BEGIN, &commands::GIVE_UP_SOON];

const DOING: &str = "settling a lease";

/// Settles leases of one topic in a transaction of their own. Returns the receipts that were still
/// good: only of their messages anything became.
///
/// # Errors
/// `OutcomeUnknown` when the connection broke during the commit; after any other nothing was
/// changed.
pub(crate) fn settle(
    connection: &mut Connection,
    begin: &[&'static Statement],
    topic: &str,
    outcomes: &[(&Proof, &Outcome)],
) -> Result<HashSet<Uuid>> {
    let mut flight = connection.flight().of_names();
    flight.commands(begin);
    if push_plain(&mut flight, topic, outcomes) {
        flight.commit();
        let rows = connection
            .fly(flight)
            .map_err(|error| unsure(error, outcomes))?;
        return leases::read_receipts(&rows);
    }
    leases::push_hold(&mut flight, topic, &proofs(outcomes));
    let rows = connection
        .fly(flight)
        .map_err(|error| classify(error, DOING))?;
    let held = leases::read_held(&rows).inspect_err(|_| connection.roll_back())?;
    let held_leases: Vec<HeldLease<'_>> = outcomes
        .iter()
        .filter_map(|(proof, outcome)| {
            let is_cancelled = *held.get(&proof.receipt)?;
            Some(HeldLease {
                proof,
                outcome,
                is_cancelled,
            })
        })
        .collect();
    let mut flight = connection.flight().seldom();
    leases::push_settle(&mut flight, topic, &held_leases);
    flight.commit();
    connection
        .fly(flight)
        .map_err(|error| unsure(error, outcomes))?;
    Ok(held.into_keys().collect())
}

/// Appends the one statement that does it all, if there is one: the ends matter to nobody, and all
/// go the same way.
fn push_plain(flight: &mut Flight, topic: &str, outcomes: &[(&Proof, &Outcome)]) -> bool {
    let all = |is: fn(&Outcome) -> bool| outcomes.iter().all(|(_, outcome)| is(outcome));
    if outcomes.iter().any(|(proof, _)| proof.held.matters()) {
        return false;
    }
    let proofs = proofs(outcomes);
    if all(|outcome| matches!(outcome, Outcome::Done(_))) {
        leases::push_end(flight, topic, &proofs);
    } else if all(|outcome| outcome.given_back() == Some(true)) {
        leases::push_give_back(flight, topic, &proofs, 0, false);
    } else if all(|outcome| outcome.given_back() == Some(false)) {
        leases::push_give_back(flight, topic, &proofs, 1, false);
    } else {
        return false;
    }
    true
}

/// Lets leases of one topic last so long from now, but for those whose rows somebody has in hand:
/// their holders settle them, and nothing may wait for that. Returns as [`extend`].
pub(crate) fn prolong(
    connection: &mut Connection,
    topic: &str,
    proofs: &[&Proof],
    lease: Duration,
) -> Result<HashMap<Uuid, bool>> {
    lasting(connection, &PROLONG_LEASE, topic, proofs, lease)
}

/// Lets leases of one topic last so long from now. Returns the receipts that were still good, each
/// with whether somebody cancelled its message.
pub(crate) fn extend(
    connection: &mut Connection,
    topic: &str,
    proofs: &[&Proof],
    lease: Duration,
) -> Result<HashMap<Uuid, bool>> {
    lasting(connection, &EXTEND_LEASE, topic, proofs, lease)
}

fn lasting(
    connection: &mut Connection,
    statement: &'static Statement,
    topic: &str,
    proofs: &[&Proof],
    lease: Duration,
) -> Result<HashMap<Uuid, bool>> {
    let mut flight = connection.flight();
    flight.begin();
    leases::push_lasting(&mut flight, statement, topic, proofs, lease);
    flight.commit();
    let rows = connection
        .fly(flight)
        .map_err(|error| classify(error, "extending leases"))?;
    leases::read_held(&rows)
}

/// Acknowledges in the session's transaction, whoever began it, with what
/// came of the message as JSON. Returns whether the lease was still
/// there; if not, the session has to be rolled back.
pub(crate) fn acknowledge_in(
    session: &mut MessagingSession<'_>,
    topic: &str,
    proof: &Proof,
    result: Option<String>,
) -> Result<bool> {
    let settled = session.end_held(|transaction| {
        let is_settled = match transaction.own() {
            Ok(open) => {
                let mut flight = open.flight();
                leases::push_end(&mut flight, topic, &[proof]);
                open.fly(flight).map(|rows| !rows.is_empty())
            }
            Err(_) => {
                let (id, receipt) = (proof.held.id.0, proof.receipt);
                let run = transaction.begun()?;
                run.rows(&END_LEASE, &[&topic, &id, &receipt])
                    .map(|rows| !rows.is_empty())
            }
        };
        Ok(match (is_settled, End::of(&proof.held, How::Done)) {
            (Ok(true), Some(end)) => {
                let open = transaction.begun()?;
                let mut flight = open.flight().seldom();
                on_end::push_ended(&mut flight, topic, &[End { result, ..end }]);
                open.fly(flight).map(|_| true)
            }
            (settled, _) => settled,
        })
    })?;
    settled.map_err(not_settled)
}

/// After the commit: wakes those whom the messages that went back are for, and notes when others
/// are due.
pub(crate) fn announce<'a>(
    waker: &Waker,
    topic: &str,
    outcomes: impl Iterator<Item = (&'a Proof, &'a Outcome)> + Clone,
) {
    // Also for those that did not end: a hint too many costs a look.
    waker.announce_ends(outcomes.clone().map(|(proof, _)| &proof.held));
    let given_back = outcomes
        .clone()
        .filter(|(_, outcome)| outcome.given_back().is_some());
    let ready = given_back.count();
    let soonest = outcomes.filter_map(|(_, outcome)| outcome.delay()).min();
    if ready > 0 {
        waker.ready(topic, ready);
    }
    if let Some(delay) = soonest {
        waker.due_in(delay);
        waker.tell(Hint::Due);
    }
}

fn proofs<'a>(outcomes: &[(&'a Proof, &Outcome)]) -> Vec<&'a Proof> {
    outcomes.iter().map(|(proof, _)| *proof).collect()
}

fn not_settled(error: postgres::Error) -> Error {
    match is_aborted(&error) {
        true => swallowed().because(error),
        false => classify(error, DOING),
    }
}

/// Says what an error of a flight with COMMIT means.
fn unsure(error: postgres::Error, outcomes: &[(&Proof, &Outcome)]) -> Error {
    if !failure(&error).is_lost() {
        return classify(error, DOING);
    }
    let ids = outcomes.iter().map(|(proof, _)| proof.held.id).collect();
    let text =
        "the connection broke while a lease was settled: it may be settled or not, settle it again";
    Error::new(ErrorKind::OutcomeUnknown, text)
        .because(error)
        .with_unknown(ids)
}

//! The end of leases, in a transaction of their own.
//!
//! Most leases end in one round trip, by a statement that asks for the receipt itself. Where the
//! end of a message matters to others, or what becomes of it depends on whether somebody cancelled
//! it, the rows are locked first, and what is done is decided then: nothing may be done for a
//! message that is in other hands by now.

use crate::connect::connection::Connection;
use crate::db::commands;
use crate::db::{Flight, Statement, sql};
use crate::leases::{self, BEGIN, HeldLease, Proof};
use crate::message::outcome::Outcome;
use crate::wake::waker::Waker;
use crate::words::sqlstate::failure;
use crate::words::{Doing, Error, ErrorKind, Result, classify};
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

static EXTEND_LEASE: Statement = sql!("extend_lease", Key);
static PROLONG_LEASE: Statement = sql!("prolong_lease", Key);

/// Begins a transaction that gives up soon, for those who may not wait.
pub(crate) static BEGIN_BRIEFLY: [&Statement; 2] = [&commands::BEGIN, &commands::GIVE_UP_SOON];

pub(crate) const DOING: &str = "settling a lease";

/// Settles leases of one topic in a transaction of their own. Returns the receipts that were still
/// good, since only of their messages anything became, and whether somebody cancelled the message:
/// then one that was to come back is gone. `is_recorded` says whether the topic keeps a history.
///
/// # Errors
/// `OutcomeUnknown` when the connection broke during the commit; after any other nothing was
/// changed.
pub(crate) fn settle(
    connection: &mut Connection,
    begin: &[&'static Statement],
    topic: &str,
    outcomes: &[(&Proof, &Outcome)],
    is_recorded: bool,
) -> Result<HashMap<Uuid, bool>> {
    let mut flight = connection.flight();
    let has_result = |(_, outcome): &(&Proof, &Outcome)| matches!(outcome, Outcome::Done(Some(_)));
    // Many ids cost more to read from a text than the text saves.
    if outcomes.len() == 1 && !(is_recorded && outcomes.iter().any(has_result)) {
        flight = flight.of_names();
    }
    flight.commands(begin);
    if push_plain(&mut flight, topic, outcomes, is_recorded) {
        flight.commit();
        let rows = connection
            .fly(flight)
            .map_err(|error| unsure(error, outcomes))?;
        return leases::read_held(&rows);
    }
    leases::push_hold(&mut flight, topic, &proofs(outcomes), true);
    settle_held(connection, flight, topic, outcomes, is_recorded)
}

/// Does the same without waiting for anybody: leases whose rows others have locked are left alone,
/// and not returned either.
///
/// # Errors
/// The same as of [`settle`].
pub(crate) fn settle_free(
    connection: &mut Connection,
    topic: &str,
    outcomes: &[(&Proof, &Outcome)],
    is_recorded: bool,
) -> Result<HashMap<Uuid, bool>> {
    let mut flight = connection.flight().of_names();
    flight.commands(&BEGIN);
    leases::push_hold(&mut flight, topic, &proofs(outcomes), false);
    settle_held(connection, flight, topic, outcomes, is_recorded)
}

/// Settles leases that the flight locks.
fn settle_held(
    connection: &mut Connection,
    flight: Flight,
    topic: &str,
    outcomes: &[(&Proof, &Outcome)],
    is_recorded: bool,
) -> Result<HashMap<Uuid, bool>> {
    let rows = connection.fly(flight).doing(DOING)?;
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
    leases::push_settle(&mut flight, topic, &held_leases, is_recorded);
    flight.commit();
    connection
        .fly(flight)
        .map_err(|error| unsure(error, outcomes))?;
    Ok(held)
}

/// Appends the one statement for each that does it all, if there is one: the ends matter to nobody,
/// and all go the same way.
fn push_plain(
    flight: &mut Flight,
    topic: &str,
    outcomes: &[(&Proof, &Outcome)],
    is_recorded: bool,
) -> bool {
    let all = |is: fn(&Outcome) -> bool| outcomes.iter().all(|(_, outcome)| is(outcome));
    if outcomes.iter().any(|(proof, _)| proof.held.matters()) {
        return false;
    }
    let proofs = proofs(outcomes);
    if all(|outcome| matches!(outcome, Outcome::Done(_))) {
        if is_recorded {
            leases::push_done(flight, topic, outcomes);
        }
        leases::push_end(flight, topic, &proofs);
    } else if all(|outcome| outcome.given_back().is_some()) {
        leases::push_give_back(flight, topic, outcomes, false);
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
    let rows = connection.fly(flight).doing("extending leases")?;
    leases::read_held(&rows)
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
        waker.due_in_all(delay);
    }
}

fn proofs<'a>(outcomes: &[(&'a Proof, &Outcome)]) -> Vec<&'a Proof> {
    outcomes.iter().map(|(proof, _)| *proof).collect()
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

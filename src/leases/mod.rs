//! Messages in work under a lease: taken, renewed, and settled by their receipts.
//!
//! A leased message is a row of `scheduled` that is due when its lease ends. So no code of its own
//! brings it back: whatever moves due messages does. Settling it needs the receipt, which proves
//! that it is still the same delivery. No statement checks whether the time is over: as long as the
//! row exists with that receipt, nobody else has the message.

pub(crate) mod settle;

use crate::db::commands;
use crate::db::{Flight, Statement, Value, sql};
use crate::history::{self, EndingLease};
use crate::message::claimed::{self, Claimed, Held};
use crate::message::end::{End, How};
use crate::message::outcome::Outcome;
use crate::message::settle::BURY_LEASE;
use crate::message::settle::POSTPONE_LEASE;
use crate::message::settle::{micros, small, storable};
use crate::on_end;
use crate::words::{Error, ErrorKind, Program, Result};
use postgres::SimpleQueryRow;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

static END_HELD_LEASE: Statement = sql!("end_held_lease", Anew);
pub(crate) static END_LEASE: Statement = sql!("end_lease", Key);
static END_LEASES: Statement = sql!("end_leases", Keys);
static GIVE_BACK_LEASE: Statement = sql!("give_back_lease", Key);
static HOLD_FREE_LEASE: Statement = sql!("hold_free_lease", Anew);
static HOLD_LEASE: Statement = sql!("hold_lease", Anew);
pub(crate) static LEASE: Statement = sql!("lease", Order);

/// What settling a lease needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub(crate) held: Held,
    pub(crate) receipt: Uuid,
    /// When this process took it.
    taken_at: Instant,
}

impl Proof {
    /// Returns the proof of a message that [`read`] returned.
    pub(crate) fn of(leased: &Claimed) -> Self {
        Proof {
            held: leased.held.clone(),
            receipt: leased.receipt.expect("a leased message has a receipt"),
            taken_at: Instant::now(),
        }
    }
}

/// Begins a transaction of leases: a statement may wait for a row, and has to see what became of
/// it.
pub(crate) static BEGIN: [&Statement; 1] = [&commands::BEGIN];

/// Appends a claim, with its parameters, that leases what it finds.
pub(crate) fn push_lease(
    flight: &mut Flight,
    claim: [Value<'_>; 5],
    lease: Duration,
    filter: Option<&Program>,
) {
    let mut values = Vec::from(claim);
    values.push(Value::Number(micros(lease)));
    match filter {
        Some(filter) => values.extend(claimed::filtering(filter)),
        None => values.extend([Value::Null, Value::Null, Value::Null]),
    }
    flight.call(&LEASE, &values);
}

/// Reads what a claim leased, in claim order.
pub(crate) fn read(rows: &[SimpleQueryRow]) -> Result<Vec<Claimed>> {
    let mut leased = rows
        .iter()
        .map(|row| {
            Ok(Claimed {
                receipt: Some(uuid(row, "receipt")?),
                is_cancelled: is_true(row, "is_cancelled"),
                ..claimed::read(row)?
            })
        })
        .collect::<Result<Vec<_>>>()?;
    leased.sort_unstable_by_key(|leased| leased.held.position);
    Ok(leased)
}

/// Appends the removal of leased messages that were handled; the good receipts come back.
pub(crate) fn push_end(flight: &mut Flight, topic: &str, proofs: &[&Proof]) {
    if let [only] = proofs {
        return flight.call(&END_LEASE, &values(topic, only));
    }
    let proofs = in_order(proofs);
    let column =
        |read: fn(&Proof) -> Uuid| Value::Uuids(proofs.iter().map(|proof| read(proof)).collect());
    let values = [
        Value::Text(topic),
        column(|proof| proof.held.id.0),
        column(|proof| proof.receipt),
    ];
    flight.call(&END_LEASES, &values);
}

/// Appends the removal of a leased message that was handled, with what its handler recorded, and
/// what its end calls for. Fails if the receipt is not good any more.
pub(crate) fn push_handled(
    flight: &mut Flight,
    topic: &str,
    proof: &Proof,
    result: Option<String>,
    is_recorded: bool,
) {
    if is_recorded {
        push_record(flight, topic, proof, How::Done, result.as_deref());
    }
    flight.call(&END_HELD_LEASE, &values(topic, proof));
    if let Some(end) = End::of(&proof.held, How::Done) {
        on_end::push_ended(flight, topic, &[End { result, ..end }]);
    }
}

/// Appends the records of leased messages that were handled and that the next statement removes.
pub(crate) fn push_done(flight: &mut Flight, topic: &str, outcomes: &[(&Proof, &Outcome)]) {
    let mut outcomes = outcomes.to_vec();
    outcomes.sort_unstable_by_key(|(proof, _)| proof.held.id);
    for (proof, outcome) in outcomes {
        if let Outcome::Done(result) = outcome {
            push_record(flight, topic, proof, How::Done, result.as_deref());
        }
    }
}

/// Appends the record of a leased message that the next statement removes, with what its handler
/// recorded.
pub(crate) fn push_record(
    flight: &mut Flight,
    topic: &str,
    proof: &Proof,
    how: How,
    result: Option<&str>,
) {
    let ending = EndingLease {
        id: proof.held.id,
        receipt: proof.receipt,
        since_taken: Some(proof.taken_at.elapsed()),
        how,
        result,
    };
    history::push_lease(flight, topic, &ending);
}

/// Appends the return of leased messages to their places, of those that failed with what is kept of
/// the attempt; the good receipts come back. Of those that are held, each has to be there.
pub(crate) fn push_give_back(
    flight: &mut Flight,
    topic: &str,
    outcomes: &[(&Proof, &Outcome)],
    is_held: bool,
) {
    let mut outcomes = outcomes.to_vec();
    outcomes.sort_unstable_by_key(|(proof, _)| proof.held.id.0);
    for (proof, outcome) in outcomes {
        let (unspent, failure) = match outcome {
            Outcome::Nacked(nacked) => (0, nacked.failure()),
            _ => (1, None),
        };
        let [topic, id, receipt] = values(topic, proof);
        let values = [
            topic,
            id,
            receipt,
            Value::Number(unspent),
            Value::Number(is_held.into()),
            failure.as_deref().map_or(Value::Null, Value::Text),
        ];
        flight.call(&GIVE_BACK_LEASE, &values);
    }
}

/// Appends a prolongation of leases, by `extend_lease` or `prolong_lease`, for [`read_held`].
pub(crate) fn push_lasting(
    flight: &mut Flight,
    statement: &'static Statement,
    topic: &str,
    proofs: &[&Proof],
    lease: Duration,
) {
    push_each(flight, statement, topic, proofs, &[micros(lease)]);
}

/// Appends the locking of leased messages, for [`read_held`]; one after the other by id, so that
/// two who hold several never wait for each other. Where it `may_wait` for nobody, those that
/// others have locked are left out.
pub(crate) fn push_hold(flight: &mut Flight, topic: &str, proofs: &[&Proof], may_wait: bool) {
    let statement = match may_wait {
        true => &HOLD_LEASE,
        false => &HOLD_FREE_LEASE,
    };
    for proof in in_order(proofs) {
        flight.call_once(statement, &values(topic, proof));
    }
}

/// Reads which receipts were still good, and whether somebody cancelled their messages, as far as
/// that matters.
pub(crate) fn read_held(rows: &[SimpleQueryRow]) -> Result<HashMap<Uuid, bool>> {
    rows.iter()
        .map(|row| Ok((uuid(row, "receipt")?, is_true(row, "is_cancelled"))))
        .collect()
}

/// A lease that is held by [`push_hold`], and what becomes of its message.
pub(crate) struct HeldLease<'a> {
    pub(crate) proof: &'a Proof,
    pub(crate) outcome: &'a Outcome,
    /// Somebody asked for the message to be given up: it does not come back.
    pub(crate) is_cancelled: bool,
}

/// Appends what becomes of held leases of one topic, and of those whom their ends matter to. Some
/// of it returns rows that mean nothing. `is_recorded` says whether the topic keeps a history.
pub(crate) fn push_settle(
    flight: &mut Flight,
    topic: &str,
    leases: &[HeldLease<'_>],
    is_recorded: bool,
) {
    if is_recorded {
        leases.iter().for_each(|lease| lease.record(flight, topic));
    }
    let (mut ended, mut given_back) = (Vec::new(), Vec::new());
    for HeldLease {
        proof,
        outcome,
        is_cancelled,
    } in leases
    {
        match outcome {
            Outcome::Done(_) | Outcome::Dropped => ended.push(*proof),
            Outcome::Dead(burial) => {
                let (error, failure) = (storable(&burial.error), burial.failure());
                let values = [
                    Value::Text(topic),
                    Value::Uuid(proof.held.id.0),
                    Value::Number(small(burial.attempts).into()),
                    Value::Text(burial.reason.as_str()),
                    Value::Text(&error),
                    failure.as_deref().map_or(Value::Null, Value::Text),
                ];
                flight.call(&BURY_LEASE, &values);
            }
            _ if *is_cancelled => ended.push(*proof),
            Outcome::Retry(retry) => {
                let (error, failure) = (storable(&retry.error), retry.failure());
                let values = [
                    Value::Text(topic),
                    Value::Uuid(proof.held.id.0),
                    Value::Number(small(retry.attempts).into()),
                    Value::Number(micros(retry.delay)),
                    Value::Text(&error),
                    failure.as_deref().map_or(Value::Null, Value::Text),
                ];
                flight.call(&POSTPONE_LEASE, &values);
            }
            Outcome::Nacked(_) | Outcome::GiveBack | Outcome::Cancelled => {
                given_back.push((*proof, *outcome));
            }
        }
    }
    if !ended.is_empty() {
        push_each(flight, &END_HELD_LEASE, topic, &ended, &[]);
    }
    push_give_back(flight, topic, &given_back, true);
    let ends: Vec<End> = leases.iter().filter_map(HeldLease::end).collect();
    if !ends.is_empty() {
        on_end::push_ended(flight, topic, &ends);
    }
}

impl HeldLease<'_> {
    /// Returns how the message ends, if it does.
    fn how(&self) -> Option<How> {
        match self.outcome {
            Outcome::Done(_) => Some(How::Done),
            Outcome::Dead(_) => Some(How::Dead),
            Outcome::Dropped => Some(How::Expired),
            _ => self.is_cancelled.then_some(How::Cancelled),
        }
    }

    /// Returns what its handler recorded, as JSON.
    fn result(&self) -> Option<&String> {
        match self.outcome {
            Outcome::Done(result) => result.as_ref(),
            _ => None,
        }
    }

    /// Returns the end of the message, if it is one and matters to anybody.
    fn end(&self) -> Option<End> {
        Some(End {
            result: self.result().cloned(),
            ..End::of(&self.proof.held, self.how()?)?
        })
    }

    /// Appends the record of its end. What buries it writes its own.
    fn record(&self, flight: &mut Flight, topic: &str) {
        if let Some(how) = self.how().filter(|how| *how != How::Dead) {
            let result = self.result().map(String::as_str);
            push_record(flight, topic, self.proof, how, result);
        }
    }
}

/// Appends a call for each lease.
fn push_each(
    flight: &mut Flight,
    statement: &'static Statement,
    topic: &str,
    proofs: &[&Proof],
    numbers: &[i64],
) {
    for proof in in_order(proofs) {
        let mut values = Vec::from(values(topic, proof));
        values.extend(numbers.iter().copied().map(Value::Number));
        flight.call(statement, &values);
    }
}

/// Returns them in the order of the ids: of two who lock several, one waits for the other.
fn in_order<'p>(proofs: &[&'p Proof]) -> Vec<&'p Proof> {
    let mut proofs = proofs.to_vec();
    proofs.sort_unstable_by_key(|proof| proof.held.id);
    proofs
}

fn values<'v>(topic: &'v str, proof: &Proof) -> [Value<'v>; 3] {
    [
        Value::Text(topic),
        Value::Uuid(proof.held.id.0),
        Value::Uuid(proof.receipt),
    ]
}

fn is_true(row: &SimpleQueryRow, name: &str) -> bool {
    row.try_get(name).ok().flatten() == Some("t")
}

fn uuid(row: &SimpleQueryRow, name: &str) -> Result<Uuid> {
    let text = row.try_get(name).ok().flatten().unwrap_or_default();
    Uuid::parse_str(text).map_err(|error| {
        let text = format!("the {name} of a lease cannot be read: was the table changed by hand?");
        Error::new(ErrorKind::Database, text).because(error)
    })
}

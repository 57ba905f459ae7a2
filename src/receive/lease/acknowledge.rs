//! The end of a lease as a part of a session's transaction.

use crate::db::Flight;
use crate::leases::settle::DOING;
use crate::leases::{self, END_LEASE, Proof};
use crate::message::end::{End, How};
use crate::on_end;
use crate::session::commit::swallowed;
use crate::session::messaging_session::MessagingSession;
use crate::words::sqlstate::is_aborted;
use crate::words::{Error, Result, classify};

/// Acknowledges in the session's transaction, whoever began it, with what
/// came of the message as JSON. Returns whether the lease was still
/// there; if not, the session has to be rolled back.
pub(crate) fn acknowledge_in(
    session: &mut MessagingSession<'_>,
    topic: &str,
    proof: &Proof,
    result: Option<String>,
) -> Result<bool> {
    let is_recorded = session.keeps_history(topic);
    let settled = session.end_held(|transaction| {
        let record = |flight: &mut Flight| {
            if is_recorded {
                leases::push_record(flight, topic, proof, How::Done, result.as_deref());
            }
        };
        let is_settled = match transaction.own() {
            Ok(open) => {
                let mut flight = open.flight();
                record(&mut flight);
                leases::push_end(&mut flight, topic, &[proof]);
                open.fly(flight).map(|rows| !rows.is_empty())
            }
            Err(_) => {
                let (id, receipt) = (proof.held.id.0, proof.receipt);
                let run = transaction.begun()?;
                let mut flight = run.flight().seldom();
                record(&mut flight);
                if !flight.is_empty()
                    && let Err(error) = run.fly(flight)
                {
                    return Ok(Err(error));
                }
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

fn not_settled(error: postgres::Error) -> Error {
    match is_aborted(&error) {
        true => swallowed().because(error),
        false => classify(error, DOING),
    }
}

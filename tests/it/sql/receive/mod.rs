//! Messages that are taken and settled by SQL functions, by programs without this library.

mod access;
mod alone;
mod ends;
mod killed;
mod limits;
mod python;
mod settings;
mod settling;
mod taking;

use postgres::types::ToSql;
use postgres::{Client, Error, Row};
use uuid::Uuid;

/// The SQLSTATE of a lease that was lost.
const LOST: &str = "OT110";
/// That of what makes no sense.
const INVALID: &str = "OT101";

/// A delivery, as SQL returns it.
#[derive(Debug, Clone, PartialEq)]
struct Taken {
    id: Uuid,
    receipt: Uuid,
    payload: Option<String>,
    key: Option<String>,
    priority: i32,
    attempt: i32,
    max_attempts: i32,
}

impl Taken {
    fn of(row: &Row) -> Taken {
        Taken {
            id: row.get("id"),
            receipt: row.get("receipt"),
            payload: row.get("text"),
            key: row.get("key"),
            priority: row.get("priority"),
            attempt: row.get("attempt"),
            max_attempts: row.get("max_attempts"),
        }
    }
}

/// Takes up to `count` messages for an hour.
fn take(client: &mut Client, topic: &str, count: i32) -> Vec<Taken> {
    let query = "SELECT *, payload::text AS text FROM outtray.receive($1, '1 hour', $2)";
    let rows = client.query(query, &[&topic, &count]).unwrap();
    rows.iter().map(Taken::of).collect()
}

/// Takes one message, which has to be there.
#[track_caller]
fn take_one(client: &mut Client, topic: &str) -> Taken {
    let mut taken = take(client, topic, 1);
    taken.pop().expect("a message is ready")
}

/// Returns the payloads.
fn payloads(taken: &[Taken]) -> Vec<&str> {
    let payloads = taken.iter().map(|taken| taken.payload.as_deref());
    payloads.map(|payload| payload.expect("JSON")).collect()
}

/// Calls a function with the id and the receipt of a delivery, and what else `call` says.
fn settle(client: &mut Client, call: &str, taken: &Taken) -> Result<Option<String>, Error> {
    let query = format!("SELECT outtray.{call}::text");
    let params: [&(dyn ToSql + Sync); 2] = [&taken.id, &taken.receipt];
    client.query_one(&query, &params).map(|row| row.get(0))
}

fn ack(client: &mut Client, taken: &Taken) {
    settle(client, "ack($1, $2)", taken).unwrap();
}

/// Checks that a call failed with this SQLSTATE.
#[track_caller]
fn check_refused<T: std::fmt::Debug>(called: Result<T, Error>, code: &str) {
    let error = called.unwrap_err();
    let found = error.code().map(|code| code.code().to_owned());
    assert_eq!(found.as_deref(), Some(code), "{error:?}");
}

/// Lets the time of all leases pass.
fn lapse(client: &mut Client) {
    let sql = "UPDATE outtray.scheduled SET due_at = now() WHERE receipt IS NOT NULL";
    client.batch_execute(sql).unwrap();
}

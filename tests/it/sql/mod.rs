//! Programs that are not written in Rust use the queue through SQL functions, and are promised the
//! same.

mod installed;
mod killed;
mod published;
mod random;
mod receive;
mod rights;
mod rooms;
mod scripts;
mod sent;
mod triggers;

use crate::support::Place;
use outtray::{Message, MessageId, Payload};
use postgres::Client;
use postgres::types::ToSql;
use uuid::Uuid;

/// Returns the message id that `SELECT call` gives.
#[track_caller]
fn id(client: &mut Client, call: &str, params: &[&(dyn ToSql + Sync)]) -> MessageId {
    let row = client.query_one(&format!("SELECT {call}"), params).unwrap();
    MessageId::from(row.get::<_, Uuid>(0))
}

/// Returns the SQLSTATE and the text with which statements fail.
#[track_caller]
fn refusal(client: &mut Client, statements: &str) -> (String, String) {
    let error = client.batch_execute(statements).expect_err(statements);
    let error = error.as_db_error().expect("the server refused it");
    (error.code().code().to_owned(), error.message().to_owned())
}

#[track_caller]
fn check_refused(client: &mut Client, call: &str, code: &str, part: &str) {
    let (found, text) = refusal(client, &format!("SELECT {call}"));
    assert_eq!(found, code, "{call}: {text}");
    assert!(text.contains(part), "{call}: {text}");
}

/// Takes all that a topic has, and returns the payloads as text.
#[track_caller]
fn taken(place: &Place, topic: &str) -> Vec<String> {
    let mut taken = Vec::new();
    place
        .messaging
        .drain(topic, |_, message: Message<Payload>| {
            taken.push(message.payload.to_string());
            Ok(())
        })
        .unwrap();
    taken
}

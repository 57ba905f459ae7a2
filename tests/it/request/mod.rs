//! Request and reply: who asks gets the answer to this very question, or learns in time that there
//! is none; and nothing of it is left.

mod answers;
mod failures;
mod inbox;
mod killed;
mod own_topics;
mod restarts;
mod timeouts;

use crate::support::{PATIENCE, Place, process};
use outtray::{HandlerError, Message, Messaging, MessagingSession, Receiver};

const QUOTES: &str = "quotes";

/// One process that asks, as far as the database can tell, and another one that answers.
fn two_processes() -> (Place, Messaging) {
    let place = Place::new();
    let replier = process(&place.url, PATIENCE);
    (place, replier)
}

/// Starts a receiver that answers each number with its double.
fn doubling(messaging: &Messaging) -> Receiver {
    messaging.start_receiving_messages(QUOTES, double).unwrap()
}

fn double(session: &mut MessagingSession<'_>, question: Message<i64>) -> Result<(), HandlerError> {
    session.reply(&question, &(question.payload * 2))?;
    Ok(())
}

/// Returns how many rows there are of anything that requests leave.
fn left(place: &mut Place) -> i64 {
    let tables = [
        "subscription",
        "message",
        "scheduled",
        "follower",
        "dead_letter",
    ];
    let rows: Vec<String> = tables
        .iter()
        .map(|table| format!("SELECT FROM outtray.{table}"))
        .collect();
    place.count(&format!("({}) AS rows", rows.join(" UNION ALL ")))
}

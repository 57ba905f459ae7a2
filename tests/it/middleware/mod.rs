//! Middleware runs around handlers, as a part of them.

mod around_batches;
mod around_logs;
mod nesting;
mod one_with_the_handler;
mod skipping;

use crate::support::Place;
use outtray::{HandlerError, Incoming, Message, MessagingSession, Next};
use std::sync::{Arc, Mutex, PoisonError};

const EFFECT: &str = "CREATE TABLE effect (what text NOT NULL, n text NOT NULL)";

/// What happened, in order.
#[derive(Debug, Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    fn note(&self, what: &str) {
        let mut trace = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trace.push(what.to_owned());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Returns a middleware that notes when it begins and when it ends.
    fn noting(
        &self,
        name: &str,
    ) -> impl Fn(&mut MessagingSession<'_>, &Incoming<'_>, Next<'_>) -> Result<(), HandlerError> + use<>
    {
        let (trace, name) = (self.clone(), name.to_owned());
        move |session, _, next| {
            trace.note(&format!("{name} begins"));
            let result = next.run(session);
            let how = if result.is_ok() { "ends" } else { "fails" };
            trace.note(&format!("{name} {how}"));
            result
        }
    }
}

/// Writes an effect of a message.
fn write(session: &mut MessagingSession<'_>, what: &str, n: &str) -> Result<(), HandlerError> {
    session.execute("INSERT INTO effect VALUES ($1, $2)", &[&what, &n])?;
    session.send_message("sent", &n)?;
    Ok(())
}

/// Writes an effect of the handler.
fn handle(session: &mut MessagingSession<'_>, message: Message<i32>) -> Result<(), HandlerError> {
    write(session, "handler", &message.payload.to_string())
}

/// A place with a table for effects, and these numbers to handle.
fn place(numbers: std::ops::Range<i32>) -> Place {
    let mut place = Place::new();
    place.sql(EFFECT);
    place.send_all("jobs", numbers);
    place
}

/// Returns the effects of messages, in order of what they are of.
fn effects(place: &mut Place) -> Vec<String> {
    let query = "SELECT what || ' ' || n FROM effect ORDER BY n, what";
    let rows = place.client.query(query, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

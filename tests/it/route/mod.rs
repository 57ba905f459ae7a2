//! A router runs the handlers of a message's type, all of them or none.

mod all_or_nothing;
mod at_random;
mod checked;
mod elsewhere;
mod no_match;
mod patterns;
mod payloads;
mod versions;

use crate::support::Place;
use outtray::{HandlerError, Message, MessagingSession, NewMessage, Payload, Router};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

const TOPIC: &str = "events";

/// Makes a message of a type, also of one that a sender's own setter would refuse.
fn typed<T: Serialize + ?Sized>(kind: &str, payload: &T) -> NewMessage {
    let message = NewMessage::json(TOPIC, payload).unwrap();
    message.header("message-type", kind)
}

/// What the handlers of a table did, in order.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(what.to_owned());
    }

    /// Returns what was noted since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Returns a handler that notes that it ran.
    fn noting(
        &self,
        what: &str,
    ) -> impl Fn(&mut MessagingSession<'_>, Message<Payload>) -> Result<(), HandlerError> + use<>
    {
        let (seen, what) = (self.clone(), what.to_owned());
        move |_, _| {
            seen.note(&what);
            Ok(())
        }
    }
}

/// Routes all that is ready; returns how many messages were acked.
#[track_caller]
fn routed(place: &Place, router: &Router) -> u64 {
    let receiver = place.messaging.receiver(TOPIC);
    receiver.drain_router(router).unwrap().handled
}

/// Returns the only dead letter's reason.
#[track_caller]
fn reason(place: &Place) -> String {
    let dead = place.dead_letters(TOPIC);
    assert_eq!(dead.len(), 1, "{dead:?}");
    dead[0].error.clone()
}

//! Code around the handlers that changes nothing: so whatever they do has to come to the same.

use super::acting::{Actor, Work};
use outtray::{Message, Payload, ReaderBuilder, ReceiverBuilder, Router};
use std::sync::Arc;

/// Puts middleware of each kind around a handler of single messages.
pub(super) fn around_one(receiver: ReceiverBuilder<'_>) -> ReceiverBuilder<'_> {
    receiver
        .middleware(|session, _, next| next.run(session))
        .before(|_, _| Ok(()))
        .after(|_, _| Ok(()))
}

/// The same around a handler of batches.
pub(super) fn around_batches(receiver: ReceiverBuilder<'_>) -> ReceiverBuilder<'_> {
    receiver
        .batch_middleware(|session, _, next| next.run(session))
        .before(|_, _| Ok(()))
        .after(|_, _| Ok(()))
}

/// The same around the handler of a reader.
pub(super) fn around_reader(reader: ReaderBuilder<'_>) -> ReaderBuilder<'_> {
    reader
        .middleware(|session, _, next| next.run(session))
        .before(|_, _| Ok(()))
        .after(|_, _| Ok(()))
}

/// Makes a router that has the handler between two others.
pub(super) fn router(actor: Arc<Actor>) -> Router {
    Router::new()
        .on("#", |_, _: Message<Payload>| Ok(()))
        .on("#", move |session, message: Message<Work>| {
            actor.handle(session, &message)
        })
        .on("#", |_, _: Message<Payload>| Ok(()))
}

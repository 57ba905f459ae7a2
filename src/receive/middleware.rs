//! Middleware: what runs around every call of a handler.
//!
//! The layers of a receiver are one list, which its workers go through by recursion: each layer is
//! given the way to the rest ([`Next`]), at whose end is the handler. Without layers the handler is
//! called as it is.
//!
//! A message that no layer passes on and none refuses would be acked without having been handled.
//! That must not happen by a forgotten line, so a layer that returns `Ok` has to have said it.

use crate::session::messaging_session::MessagingSession;
use crate::words::incoming::Incoming;
use crate::words::{Error, HandlerError, Result};
use std::cell::Cell;
use std::sync::Arc;

/// The caller's own handler, at the end of the layers.
type Innermost<'a> = dyn FnMut(&mut MessagingSession<'_>) -> Result<(), HandlerError> + 'a;

/// One layer, around a call with one message or with those of a batch.
type Layer = dyn Fn(&mut MessagingSession<'_>, &[Incoming<'_>], Next<'_>) -> Result<(), HandlerError>
    + Send
    + Sync;

/// The layers around a handler, the outermost first.
#[derive(Clone, Default)]
pub(crate) struct Middleware {
    layers: Vec<Arc<Layer>>,
    /// Whether a layer wants to see one message at a time.
    is_for_one: bool,
    /// Whether a layer wants to see whole batches.
    is_for_batches: bool,
}

/// The rest of the way to the handler: the [middleware](crate::ReceiverBuilder::middleware) that
/// was added later, and the handler itself.
///
/// A middleware that returns `Ok(())` must have called [`run`](Self::run) or [`skip`](Self::skip).
/// If it called neither, the message fails and is tried again.
#[must_use = "next.run(session) calls the handler, next.skip() acks the message without it"]
pub struct Next<'a> {
    layers: &'a [Arc<Layer>],
    messages: &'a [Incoming<'a>],
    handler: &'a mut Innermost<'a>,
    is_decided: &'a Cell<bool>,
}

impl Next<'_> {
    /// Runs the rest, the handler at last, and returns what came of it.
    ///
    /// # Errors
    /// What the handler or an inner middleware returned, or why the payload does not fit the
    /// handler's type. Return it to let it decide about the message; a middleware may also return
    /// another error. If it returns `Ok(())` instead, the message is acked, and what the handler
    /// wrote before it failed is kept. After a failed statement there is nothing to keep: then the
    /// message fails all the same.
    pub fn run(self, session: &mut MessagingSession<'_>) -> Result<(), HandlerError> {
        self.is_decided.set(true);
        go(self.layers, self.messages, self.handler, session)
    }

    /// Decides that the message is done without its handler: returned as the middleware's result,
    /// it acks the message (of a batch, all messages), with what was written so far.
    ///
    /// # Errors
    /// None.
    pub fn skip(self) -> Result<(), HandlerError> {
        self.is_decided.set(true);
        Ok(())
    }
}

fn go(
    layers: &[Arc<Layer>],
    messages: &[Incoming<'_>],
    handler: &mut Innermost<'_>,
    session: &mut MessagingSession<'_>,
) -> Result<(), HandlerError> {
    let Some((layer, layers)) = layers.split_first() else {
        return handler(session);
    };
    let is_decided = Cell::new(false);
    let next = Next {
        layers,
        messages,
        handler,
        is_decided: &is_decided,
    };
    layer(session, messages, next)?;
    match is_decided.get() {
        true => Ok(()),
        false => Err(HandlerError::failed(
            "a middleware returned Ok without calling the handler: it has to return next.run(session), or \
             next.skip() to ack the message without handling it",
        )),
    }
}

impl Middleware {
    pub(crate) fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Runs `handler` inside all layers.
    pub(crate) fn around(
        &self,
        session: &mut MessagingSession<'_>,
        messages: &[Incoming<'_>],
        handler: &mut Innermost<'_>,
    ) -> Result<(), HandlerError> {
        go(&self.layers, messages, handler, session)
    }

    /// Adds a layer that sees one message.
    pub(crate) fn add<F>(&mut self, layer: F)
    where
        F: Fn(&mut MessagingSession<'_>, &Incoming<'_>, Next<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.is_for_one = true;
        self.push(move |session, messages, next| {
            let message = messages.first().expect("a call has a message");
            layer(session, message, next)
        });
    }

    /// Adds a layer that sees all messages of a call.
    pub(crate) fn add_for_batches<F>(&mut self, layer: F)
    where
        F: Fn(&mut MessagingSession<'_>, &[Incoming<'_>], Next<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.is_for_batches = true;
        self.push(layer);
    }

    /// Adds a layer around every handler, of single messages and of batches.
    pub(crate) fn add_for_all<F>(&mut self, layer: F)
    where
        F: Fn(&mut MessagingSession<'_>, &[Incoming<'_>], Next<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.push(layer);
    }

    /// Adds what runs before the rest, for each message.
    pub(crate) fn add_before<F>(&mut self, before: F)
    where
        F: Fn(&mut MessagingSession<'_>, &Incoming<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.push(move |session, messages, next| {
            messages
                .iter()
                .try_for_each(|message| before(session, message))?;
            next.run(session)
        });
    }

    /// Adds what runs after the rest succeeded, for each message.
    pub(crate) fn add_after<F>(&mut self, after: F)
    where
        F: Fn(&mut MessagingSession<'_>, &Incoming<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.push(move |session, messages, next| {
            next.run(session)?;
            messages
                .iter()
                .try_for_each(|message| after(session, message))
        });
    }

    fn push<F>(&mut self, layer: F)
    where
        F: Fn(&mut MessagingSession<'_>, &[Incoming<'_>], Next<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.layers.push(Arc::new(layer));
    }

    /// Checks that a handler of single messages can have these layers.
    pub(crate) fn check_one(&self, topic: &str) -> Result<()> {
        refuse(
            self.is_for_batches,
            topic,
            "a middleware for batches and a handler of single messages: use middleware(…)",
        )
    }

    /// Checks that a handler of batches can have these layers.
    pub(crate) fn check_batches(&self, topic: &str) -> Result<()> {
        refuse(
            self.is_for_one,
            topic,
            "a middleware for single messages and a handler of batches: use batch_middleware(…)",
        )
    }
}

fn refuse(is_wrong: bool, topic: &str, what: &str) -> Result<()> {
    match is_wrong {
        true => Err(Error::invalid(format!("topic {topic} has {what}"))),
        false => Ok(()),
    }
}

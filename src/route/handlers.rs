//! The handler of a route, with its payload type erased.

use crate::session::messaging_session::MessagingSession;
use crate::words::incoming::Incoming;
use crate::words::{HandlerError, Message, Result};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A handler that has its message, and only needs a session.
pub(crate) type PreparedRoute<'h> =
    Box<dyn FnOnce(&mut MessagingSession<'_>) -> Result<(), HandlerError> + 'h>;

/// A handler for any payload.
pub(crate) trait Prepare: Send + Sync {
    /// Decodes a message for the handler, which does not run yet.
    ///
    /// # Errors
    /// `Payload`, with the path of what does not fit.
    fn prepare<'h>(&'h self, message: &Incoming<'_>) -> Result<PreparedRoute<'h>>;
}

/// A closure over messages whose payload is a `T`.
pub(crate) struct Typed<T, F> {
    handler: F,
    payload: PhantomData<fn() -> T>,
}

impl<T, F> Typed<T, F> {
    pub(crate) fn new(handler: F) -> Self {
        Typed {
            handler,
            payload: PhantomData,
        }
    }
}

impl<T, F> Prepare for Typed<T, F>
where
    T: DeserializeOwned + 'static,
    F: Fn(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError> + Send + Sync,
{
    fn prepare<'h>(&'h self, message: &Incoming<'_>) -> Result<PreparedRoute<'h>> {
        let message = message.decode()?;
        Ok(Box::new(move |session| (self.handler)(session, message)))
    }
}

//! Answering: replies are sent in the session of whoever handles the request.

use crate::request::{IS_ERROR, REPLY_STATUS};
use crate::session::messaging_session::MessagingSession;
use crate::words::envelope::{CORRELATION_ID, REPLY_TO};
use crate::words::outcome::Sent;
use crate::words::{Error, Message, MessageId, NewMessage, Result};
use serde::Serialize;
use std::fmt::Display;

impl MessagingSession<'_> {
    /// Answers a request: sends the answer to whoever [asked](crate::Messaging::request). It
    /// commits with what the session does, and costs no round trip.
    ///
    /// In a handler, with the session of its transaction, or in
    /// [`settle_in`](crate::Delivery::settle_in). Of several answers to one request the first
    /// counts. An answer that nobody waits for any more is dropped.
    ///
    /// # Errors
    /// `Invalid` for a message that asks for no reply, since it has no header `reply-to`; otherwise
    /// those of [`send_message`](Self::send_message).
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::Message;
    ///
    /// let receiver = messaging.start_receiving_messages("squares", |session, ask: Message<i64>| {
    ///     session.execute("INSERT INTO asked (number) VALUES ($1)", &[&ask.payload])?;
    ///     match ask.payload.checked_mul(ask.payload) {
    ///         Some(square) => session.reply(&ask, &square)?,
    ///         None => session.reply_error(&ask, "the number is too large")?,
    ///     };
    ///     Ok(())
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn reply<T>(
        &mut self,
        request: &Message<T>,
        answer: &(impl Serialize + ?Sized),
    ) -> Result<MessageId> {
        let answer = NewMessage::json(asker(request)?, answer)?;
        self.reply_message(request, answer)
    }

    /// Does the same with a message of your own: bytes, headers, a priority. Its topic and its
    /// header `correlation-id` become those that the request names.
    ///
    /// # Errors
    /// Those of [`reply`](Self::reply) and [`send`](Self::send).
    pub fn reply_message<T>(
        &mut self,
        request: &Message<T>,
        mut answer: NewMessage,
    ) -> Result<MessageId> {
        asker(request)?.clone_into(&mut answer.topic);
        let correlation = request.correlation_id().map(str::to_owned);
        // As it came, whatever it is: the asker knows.
        let correlation = correlation.unwrap_or_else(|| request.id.to_string());
        let answer = answer.header(CORRELATION_ID, correlation);
        self.send(answer).map(Sent::id)
    }

    /// Answers that the request cannot be answered: whoever asked gets an error of kind
    /// [`Refused`](crate::ErrorKind::Refused) with this text.
    ///
    /// The message counts as handled, and what the session did commits. A handler that returns an
    /// error instead sends no reply, since that is rolled back, and is tried again. Where it has
    /// failed for good, whoever waits gets a `Refused` that names the dead letter.
    ///
    /// # Errors
    /// Those of [`reply`](Self::reply).
    pub fn reply_error<T>(&mut self, request: &Message<T>, why: impl Display) -> Result<MessageId> {
        let answer = NewMessage::json(asker(request)?, &why.to_string())?;
        self.reply_message(request, answer.header(REPLY_STATUS, IS_ERROR))
    }
}

/// Returns the topic to which the answer to a message goes.
fn asker<T>(request: &Message<T>) -> Result<&str> {
    request.reply_to().ok_or_else(|| {
        Error::invalid(format!(
            "message {} of topic {} asks for no reply: it has no header {REPLY_TO}",
            request.id, request.topic
        ))
    })
}

//! A message for a handler that a test calls itself.

use crate::receive::options::Options;
use crate::words::message::CancelToken;
use crate::words::{Message, MessageId, NewMessage, Result};
use serde::de::DeserializeOwned;
use std::time::UNIX_EPOCH;

/// Returns the message that a handler gets of what would be sent, to call the handler as a
/// function: in a session, or inside a transaction of the test's own that is rolled back. Its
/// payload goes through JSON and back, as a real one does. It is the first of 10 attempts, with a
/// new id, and sent in 1970; change its fields as the test needs.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::testing::{AssertSent, TestDatabase, message};
/// use outtray::{HandlerError, Message, MessagingSession, NewMessage};
///
/// fn ship(session: &mut MessagingSession, order: Message<i32>) -> Result<(), HandlerError> {
///     session.send_message("mails", &order.payload)?;
///     Ok(())
/// }
///
/// let database = TestDatabase::new()?;
/// let mut client = postgres::Client::connect(database.url(), postgres::NoTls)?;
/// let mut transaction = client.transaction()?;
/// let mut session = MessagingSession::join(database.messaging(), &mut transaction)?;
///
/// let order = message(NewMessage::json("orders", &7)?)?;
/// assert!(ship(&mut session, order).is_ok());
///
/// session.assert_sent("mails", |order: &i32| *order == 7);
/// drop(session);
/// transaction.rollback()?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// `Payload` if the payload does not fit `T`; `Invalid` and `TooLarge` as for
/// [`send`](crate::MessagingSession::send).
pub fn message<T: DeserializeOwned>(sent: NewMessage) -> Result<Message<T>> {
    sent.check(usize::MAX)?;
    let payload = sent.content.decode(&sent.topic)?;
    Ok(Message {
        id: MessageId::new(),
        payload,
        attempt: 1,
        max_attempts: Options::default().max_attempts,
        priority: sent.priority,
        key: sent.rare.key.clone(),
        headers: sent.headers,
        sent_at: UNIX_EPOCH,
        topic: sent.topic,
        cancel: CancelToken::default(),
        log_position: None,
    })
}

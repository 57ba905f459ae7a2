//! Forgets dedupe keys by name, as part of a session.

use crate::dedupe;
use crate::session::messaging_session::MessagingSession;
use crate::words::Result;
use crate::words::limits::check_dedupe_key;
use crate::words::sqlstate::held_up;
use crate::words::topic;

impl MessagingSession<'_> {
    /// Forgets a dedupe key of a topic, whichever message has it, so that the next message with it
    /// is sent. Returns whether the key was taken. This is part of the session, and is rolled back
    /// with it. The message that had the key is not touched. Blocks for a round trip, and for open
    /// transactions that changed the same key by its name.
    ///
    /// Useful for a handler that sends its own message again, with a key that lasts [until it has
    /// ended](crate::NewMessage::dedupe_until_end).
    ///
    /// # Errors
    /// `Invalid` for a bad topic name or key, and the kinds of [`execute`](Self::execute).
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::{Message, NewMessage};
    /// use std::time::Duration;
    ///
    /// let _receiver = messaging.receiver("refresh").start(|session, feed: Message<String>| {
    ///     session.forget_dedupe_key("refresh", &feed.payload)?;
    ///     let again = NewMessage::json("refresh", &feed.payload)?
    ///         .dedupe_until_end(&feed.payload)
    ///         .delay(Duration::from_secs(60));
    ///     session.send(again)?;
    ///     Ok(())
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn forget_dedupe_key(&mut self, topic: &str, key: &str) -> Result<bool> {
        topic::check(topic)?;
        check_dedupe_key(topic, key)?;
        self.transaction
            .ask(|run| dedupe::forget(run, topic, key))
            .map_err(|error| {
                held_up(
                    error,
                    &format!("the dedupe key of a message to topic {topic}"),
                )
            })
    }
}

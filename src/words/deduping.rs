//! Dedupe keys of messages on their way in: sent once within a time, or once at a time.

use crate::words::new_message::NewMessage;
use crate::words::rare::Remembered;
use std::time::Duration;

impl NewMessage {
    /// Sends the message once: the topic remembers its dedupe key for `window`, whatever becomes of
    /// the message, and drops messages with the same key meanwhile;
    /// [`send`](crate::MessagingSession::send) returns them as duplicates. The window of the
    /// message that was sent counts, not that of a dropped one. The key has 1 to 512 bytes without
    /// NUL; the window is more than zero and at most ten years. The send waits for open
    /// transactions that sent with the same key. [`Messaging::send`](crate::Messaging::send) has an
    /// example.
    ///
    /// A session takes the key at the send, so that the answer is known there. If two sessions send
    /// a, b and b, a one by one, each may wait for the other; then one of them fails with
    /// [`Conflict`](crate::ErrorKind::Conflict). Send these in one order, or with
    /// [`send_all`](crate::MessagingSession::send_all), which takes all keys sorted; or [try
    /// again](crate::Messaging::retrying). The same holds for the room of several bounded topics.
    pub fn dedupe(mut self, key: impl Into<String>, window: Duration) -> Self {
        self.rare.dedupe = Some((key.into(), Remembered::For(window)));
        self
    }

    /// Sends the message unless one with the same dedupe key waits or is in work: the topic
    /// remembers the key until the message has ended, and drops messages with the same key
    /// meanwhile. Replaces [`dedupe`](Self::dedupe), and otherwise works like it. A topic has one
    /// set of keys for both kinds, so either kind finds the other's key taken.
    ///
    /// The key is free again with the transaction that ends the message: when it was done,
    /// cancelled or purged, expired, or became a dead letter, which nobody works on before somebody
    /// decides. A message that is tried again, by a retry or because its process was killed, keeps
    /// the key, and so does one that is delayed or comes after others. If a handler sends a message
    /// with the key of its own message, it is a duplicate of that one, unless the handler
    /// [forgets](crate::MessagingSession::forget_dedupe_key) the key before.
    ///
    /// Where a send may or may not have happened
    /// ([`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown)), a second send is not a duplicate if
    /// the first message was done meanwhile; use a window for that.
    ///
    /// A [redrive](crate::Topic::redrive) takes the key again. If another message has it by then,
    /// the dead letter remains one.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::NewMessage;
    /// let refresh = NewMessage::json("refresh", &"feed-7")?.dedupe_until_end("feed-7");
    /// if messaging.send(refresh)?.is_duplicate() {
    ///     println!("somebody refreshes it already");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn dedupe_until_end(mut self, key: impl Into<String>) -> Self {
        self.rare.dedupe = Some((key.into(), Remembered::UntilEnd));
        self
    }
}

//! Dedupe keys of messages on their way in: what is sent once within a time, or once at a time.

use crate::words::new_message::NewMessage;
use crate::words::rare::Remembered;
use std::time::Duration;

impl NewMessage {
    /// Sends the message once: the topic remembers its dedupe key for `window`, whatever becomes of
    /// it, and drops messages with the same key meanwhile; [`send`](crate::MessagingSession::send)
    /// says so. The window of the one that was sent holds, not that of one that is dropped. 1 to
    /// 512 bytes without NUL; the window is more than zero and at most ten years. A send with the
    /// same key in a transaction that is still open is waited for.
    /// [`Messaging::send`](crate::Messaging::send) has an example.
    ///
    /// A session takes the key when it sends, since it says there and then whether it is taken. Of
    /// two sessions that send a, b and b, a one by one, each may wait for the other; then one of
    /// them fails with [`Conflict`](crate::ErrorKind::Conflict). Send these in one order, or with
    /// [`send_all`](crate::MessagingSession::send_all), which takes all keys sorted; or
    /// [try again](crate::Messaging::retrying). The same holds for the room of several bounded topics.
    pub fn dedupe(mut self, key: impl Into<String>, window: Duration) -> Self {
        self.rare.dedupe = Some((key.into(), Remembered::For(window)));
        self
    }

    /// Sends the message unless one with the same dedupe key waits or is in work: the topic
    /// remembers the key until the message has ended, and drops messages with the same key
    /// meanwhile. Like [`dedupe`](Self::dedupe) in all else, in place of which it is; both kinds of
    /// keys are of one kind to the topic, so that either finds the other taken.
    ///
    /// The key is free again with the transaction that ends the message: it was done, cancelled or
    /// purged, it expired, or it became a dead letter, which nobody works on before somebody
    /// decides. A message that is tried again, by a retry or since its process was killed, keeps
    /// it, and so does one that is delayed or comes after others. What a handler sends with the key
    /// of the message in its hand is a duplicate of that one, unless it
    /// [forgets](crate::MessagingSession::forget_dedupe_key) the key before.
    ///
    /// Where a send may have happened or not
    /// ([`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown)), sending it again is no duplicate if
    /// the first was done meanwhile: a window is for that.
    ///
    /// A [redrive](crate::Topic::redrive) takes the key again. Where another message has it by
    /// then, the dead letter stays one.
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

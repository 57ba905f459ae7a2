//! Dedupe keys by their names: forgetting them, and changing for how long they are remembered.

use crate::changes::{Note, What};
use crate::db::Run;
use crate::dedupe;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::words::limits::{check_dedupe_key, check_key, duration_flaw, millis};
use crate::words::topic;
use crate::words::{Error, Result};
use serde_json::json;
use std::time::Duration;

impl Topic<'_> {
    /// Forgets a dedupe key, whichever message has it, so that the next message with it is sent.
    /// Returns whether the key was taken. The message that had it is not touched.
    /// [`MessagingSession::forget_dedupe_key`](crate::MessagingSession::forget_dedupe_key) does the
    /// same in a session.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// if messaging.topic("orders").forget_dedupe_key("order-42")? {
    ///     println!("order 42 can be sent again");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn forget_dedupe_key(&self, key: &str) -> Result<bool> {
        topic::check(&self.name)?;
        check_dedupe_key(&self.name, key)?;
        let note = Note::new(What::DedupeForgotten).details(json!({ "key": key }));
        self.messaging.with_connection(|connection, _| {
            let topic = &self.name;
            let forget = |run: &mut dyn Run| dedupe::forget(run, topic, key);
            let note = |was_taken: &bool| was_taken.then_some(note);
            self.messaging.noting(connection, topic, forget, note)
        })
    }

    /// Sets how long a taken dedupe key is remembered, counted from now, and replaces what its
    /// message said when it was sent: the window may become shorter or longer, and a key that was
    /// taken until its message ended gets a window instead. Returns whether the key is taken; a
    /// free key stays free. More than zero, at most ten years.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use std::time::Duration;
    ///
    /// let week = Duration::from_secs(7 * 86_400);
    /// messaging.topic("orders").set_dedupe_window("order-42", week)?;
    /// # Ok(()) }
    /// ```
    pub fn set_dedupe_window(&self, key: &str, window: Duration) -> Result<bool> {
        topic::check(&self.name)?;
        check_dedupe_key(&self.name, key)?;
        if let Some(flaw) = duration_flaw("dedupe window", window) {
            return Err(Error::invalid(format!("{flaw}, on topic {}", self.name)));
        }
        let details = json!({ "key": key, "window_ms": millis(window) });
        let note = Note::new(What::DedupeKept).details(details);
        self.messaging.with_connection(|connection, _| {
            let topic = &self.name;
            let keep = |run: &mut dyn Run| dedupe::change(run, topic, key, window);
            let note = |is_taken: &bool| is_taken.then_some(note);
            self.messaging.noting(connection, topic, keep, note)
        })
    }
}

impl Messaging {
    /// Forgets the key of a piece of work, so that [`retrying`](Self::retrying) does it again.
    /// Returns whether it was done within its window.
    ///
    /// # Errors
    /// `Invalid` for a bad key, `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn forget_work(&self, key: &str) -> Result<bool> {
        check_key(key, Duration::from_secs(1))?;
        self.with_connection(|connection, _| dedupe::forget(connection, dedupe::NO_TOPIC, key))
    }
}
